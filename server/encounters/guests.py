"""A guest's place in a visit with a link of its own: made by its doctor, or beforehand for an interpreter."""

from __future__ import annotations

from datetime import datetime

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
from server.errors import DomainError, not_found
from server.scheduling.service import Act
from signaling.words import Code, Role

GUESTS_MAX = 12
"""Invited to one visit; more than a room holds, fewer than somebody would make by hand."""


async def invite(
    session: AsyncSession, act: Act, visit: Visit, form: GuestForm, *, is_arranged: bool = False
) -> tuple[Participant, str]:
    """The guest's place and the token of their link, shown this once. Raises visit_over, too_many.

    `is_arranged`: the patient asked for them when the visit was booked, and isn't asked again.
    """
    encounter = visit.encounter
    if rules.room_phase(encounter.status) == "ended":
        raise DomainError(Code.VISIT_OVER)
    guests = [one for one in visit.participants if one.role in (Role.GUEST, Role.INTERPRETER)]
    if len(guests) >= GUESTS_MAX:
        raise DomainError(Code.TOO_MANY, limit=GUESTS_MAX)
    guest = planning.new_participant(encounter, Role(form.role), form.name, act.now, relation=form.relation)
    guest.agreed_at = act.now if is_arranged else None
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
        detail={"encounter": encounter.id, "role": form.role, "arranged": is_arranged},
        now=act.now,
    )
    told = GuestInvited(encounter.clinic_id, encounter.id, guest.id, act.by or "", act.now)
    await act.events.raise_event(session, told)
    return guest, token


async def withdraw(session: AsyncSession, visit: Visit, participant_id: str, now: datetime) -> None:
    """An arranged interpreter who isn't in the visit doesn't come: place and links are closed. Twice is once.

    Raises not_found, wrong_phase for one who is in the visit: there the doctor shows them out.
    """
    place = next((one for one in visit.participants if one.id == participant_id and one.is_arranged), None)
    if place is None:
        raise not_found()
    if place.state == "admitted":
        raise DomainError(Code.WRONG_PHASE, "They are in the visit. The doctor can show them out there.")
    if not place.is_closed:
        place.is_closed = True
        await links.close_links(session, place.id, "withdrawn", now, revoked=True)
