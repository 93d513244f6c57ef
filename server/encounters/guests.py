"""A guest's place in a visit, made by its doctor with a link of its own."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import links
from server.accounts.links import LinkKind
from server.audit import AuditAction
from server.encounters import planning, rules
from server.encounters.events import GuestInvited
from server.encounters.forms import GuestForm
from server.encounters.models import Participant
from server.encounters.visits import Visit
from server.errors import DomainError
from server.scheduling.service import Act
from signaling.words import Code, Role

GUESTS_MAX = 12
"""Invited to one visit; more than a room holds, fewer than somebody would make by hand."""


async def invite(session: AsyncSession, act: Act, visit: Visit, form: GuestForm) -> tuple[Participant, str]:
    """The guest's place and the token of their link, shown this once. Raises visit_over, too_many."""
    encounter = visit.encounter
    if rules.room_phase(encounter.status) == "ended":
        raise DomainError(Code.VISIT_OVER)
    guests = [one for one in visit.participants if one.role in (Role.GUEST, Role.INTERPRETER)]
    if len(guests) >= GUESTS_MAX:
        raise DomainError(Code.TOO_MANY, limit=GUESTS_MAX)
    guest = planning.new_participant(encounter, Role(form.role), form.name, act.now, relation=form.relation)
    session.add(guest)
    await session.flush()
    token = await links.new_link(
        session, clinic_id=encounter.clinic_id, kind=LinkKind.GUEST, subject_id=guest.id, now=act.now
    )
    await audit.enter(
        session,
        clinic_id=encounter.clinic_id,
        actor_person_id=act.by,
        action=AuditAction.GUEST_INVITED,
        subject=("participant", guest.id),
        detail={"encounter": encounter.id, "role": form.role},
        now=act.now,
    )
    told = GuestInvited(encounter.clinic_id, encounter.id, guest.id, act.by or "", act.now)
    await act.events.raise_event(session, told)
    return guest, token
