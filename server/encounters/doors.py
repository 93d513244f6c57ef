"""Behind a link: which visit it opens, what its door shows, and the step through it that a button posts.

Looking changes nothing. Pages are `views.py`; who may sit down in the room is `seats.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import links, sessions
from server.accounts.links import LinkKind
from server.accounts.models import Link, Patient
from server.accounts.service import get_clinic
from server.accounts.sessions import Opened, SessionKind
from server.audit import AuditAction
from server.context import ClinicScope
from server.db import new_id
from server.encounters import planning, rules, texts, visits
from server.encounters.events import IdentityDenied
from server.encounters.models import ClinicText, Encounter, Participant, VisitCard
from server.encounters.rules import Card, Door
from server.encounters.visits import Visit
from server.errors import DomainError, not_found
from server.events import Events
from signaling.words import Code, Role


@dataclass(frozen=True, slots=True)
class Opening:
    """What lies behind a link just now. `place` is None for a patient whose place is opened by the button."""

    clinic: ClinicScope
    link: Link
    visit: Visit
    state: Door
    patient: Patient
    place: Participant | None
    wordings: Sequence[ClinicText]
    last_card: VisitCard | None

    @property
    def is_guest(self) -> bool:
        return self.link.kind == LinkKind.GUEST

    @property
    def is_proxy(self) -> bool:
        """Somebody who acts for the patient, at their own place: says where they are, as the patient would."""
        return self.place is not None and self.place.role == Role.PROXY

    def text(self, language: str) -> ClinicText | None:
        """What is agreed to, in the language of the page that asks."""
        return texts.wording_for((language, self.clinic.language), self.wordings)


async def load_clinic(session: AsyncSession, token: str) -> ClinicScope | None:
    """Whose link this is, also of one that was closed: whoever it refuses can be told whom to ring."""
    link = await links.load_link(session, token)
    return await get_clinic(session, link.clinic_id) if link is not None else None


async def look(session: AsyncSession, token: str, cookies: Mapping[str, str], now: datetime) -> Opening:
    """Raises not_found for what was never a visit's link, link_closed or removed for one that staff closed."""
    link = await links.load_link(session, token)
    if link is None or link.kind not in (LinkKind.VISIT, LinkKind.GUEST):
        raise DomainError(Code.NOT_FOUND)
    visit, place = await _behind(session, link)
    encounter = visit.encounter
    state = rules.door(
        starts_at=visit.appointment.starts_at, status=encounter.status, ended_at=encounter.ended_at, now=now
    )
    is_shut = place is not None and place.is_closed
    if (link.closed_at is not None and state is not Door.CLOSING) or is_shut:
        raise DomainError(Code.LINK_CLOSED)
    if place is not None and place.is_blocked:
        raise DomainError(Code.REMOVED)
    patient = await session.get(Patient, (link.clinic_id, encounter.patient_id))
    if patient is None:
        raise not_found()
    return Opening(
        clinic=await get_clinic(session, link.clinic_id),
        link=link,
        visit=visit,
        state=state,
        patient=patient,
        place=place,
        wordings=await texts.load_texts(session, link.clinic_id, texts.VIDEO_CONSENT),
        last_card=await _last_card(session, cookies, patient, now) if link.kind == LinkKind.VISIT else None,
    )


async def enter(
    session: AsyncSession,
    opening: Opening,
    card: Card | None,
    cookies: Mapping[str, str],
    *,
    language: str | None = None,
    now: datetime,
) -> tuple[str, Opened]:
    """Through the door: this browser holds the place from now on; what the card says is kept. Raises as `look` does.

    `language` is the door's own: in it they are asked later.
    """
    encounter = opening.visit.encounter
    place = opening.place or await planning.open_patient_place(session, encounter, now)
    place.language = language
    opened = await sessions.open_visits(
        session, cookies, clinic_id=opening.clinic.id, participation_id=place.id, now=now
    )
    await _enter(session, encounter, AuditAction.LINK_OPENED, place, now=now)
    if card is not None:
        session.add(_row(opening, card, now, participant_id=place.id, session_id=opened.id))
        await session.flush()
        await _enter(session, encounter, AuditAction.PRESENCE_GIVEN, place, now=now, detail={"identity": card.identity})
    return place.id, opened


async def deny(session: AsyncSession, opening: Opening, events: Events, now: datetime) -> None:
    """ "No": nobody is let in, nothing more is shown, the desk is told."""
    encounter = opening.visit.encounter
    card = _row(opening, Card("denied"), now)
    session.add(card)
    await session.flush()
    await _enter(session, encounter, AuditAction.IDENTITY_DENIED, None, now=now)
    told = IdentityDenied(encounter.clinic_id, encounter.appointment_id, encounter.id, card.id, now)
    await events.raise_event(session, told)


async def load_denied(session: AsyncSession, clinic: ClinicScope, since: datetime) -> list[VisitCard]:
    """The "no"s that the desk has not taken note of."""
    query = select(VisitCard).where(
        VisitCard.clinic_id == clinic.id,
        VisitCard.identity == "denied",
        VisitCard.seen_at.is_(None),
        VisitCard.at >= since,
    )
    return list(await session.scalars(query.order_by(VisitCard.at)))


async def mark_denied_seen(session: AsyncSession, clinic: ClinicScope, card_id: str, now: datetime) -> None:
    """The desk took note of this "no", the first time counts. Raises not_found."""
    card = await session.get(VisitCard, (clinic.id, card_id))
    if card is None or card.identity != "denied":
        raise not_found()
    card.seen_at = card.seen_at or now


async def _behind(session: AsyncSession, link: Link) -> tuple[Visit, Participant | None]:
    if link.kind == LinkKind.GUEST:
        guest = await session.get(Participant, (link.clinic_id, link.subject_id))
        if guest is None:
            raise not_found()
        return await visits.visit_of(session, await visits.get_encounter(session, guest.encounter_id)), guest
    encounter = await visits.load_live_encounter(session, link.clinic_id, link.subject_id)
    if encounter is None:
        raise not_found()
    visit = await visits.visit_of(session, encounter)
    return visit, visit.patient_place()


async def _last_card(
    session: AsyncSession, cookies: Mapping[str, str], patient: Patient, now: datetime
) -> VisitCard | None:
    """What this very browser last said for this patient."""
    holder = await sessions.load_session(session, cookies, SessionKind.VISITS, now)
    if holder is None:
        return None
    query = (
        select(VisitCard)
        .join(Encounter, (Encounter.clinic_id == VisitCard.clinic_id) & (Encounter.id == VisitCard.encounter_id))
        .where(
            VisitCard.session_id == holder.id,
            Encounter.clinic_id == patient.clinic_id,
            Encounter.patient_id == patient.id,
        )
    )
    return (await session.scalars(query.order_by(VisitCard.at.desc()).limit(1))).first()


def _row(
    opening: Opening,
    card: Card,
    now: datetime,
    *,
    participant_id: str | None = None,
    session_id: str | None = None,
) -> VisitCard:
    return VisitCard(
        clinic_id=opening.clinic.id,
        id=new_id(),
        encounter_id=opening.visit.encounter.id,
        participant_id=participant_id,
        session_id=session_id,
        identity=card.identity,
        place=card.place,
        phone=card.phone,
        others=card.others,
        agreed_text_id=card.agreed_text_id,
        at=now,
    )


async def _enter(
    session: AsyncSession,
    encounter: Encounter,
    action: AuditAction,
    place: Participant | None,
    *,
    now: datetime,
    detail: Mapping[str, str | int | bool | None] | None = None,
) -> None:
    await audit.enter(
        session,
        clinic_id=encounter.clinic_id,
        actor_person_id=None,
        actor_participation_id=place.id if place else None,
        action=action,
        subject=("encounter", encounter.id),
        detail=detail,
        now=now,
    )
