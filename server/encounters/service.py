"""Every change in a visit: people arriving, admitted, leaving, the wrong person, the end and its undo.

Runs in the caller's transaction. How a visit follows its appointment is `planning.py`; recording is `recordings.py`;
reading is `visits.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import links
from server.audit import AuditAction
from server.encounters import keeping, planning, recordings, rules, visits
from server.encounters.events import StrangerShutOut
from server.encounters.models import Encounter, Participant
from server.errors import DomainError
from server.scheduling import service as scheduling
from server.scheduling.rules import Status
from signaling.ports import PatientPhones
from signaling.words import Code, Departure, Outcome, Role

INCIDENT = "wrong_person"
PATIENTS_SIDE = (Role.PATIENT, Role.PROXY)

# ── People ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Room:
    """One visit locked for a change, and in whose name it happens."""

    act: scheduling.Act
    encounter: Encounter
    by: Participant | None = None

    @property
    def now(self) -> datetime:
        return self.act.now


async def arrived(session: AsyncSession, room: Room, person: Participant, session_id: str) -> datetime:
    """In the waiting room: since when. For a doctor only the browser is kept."""
    if person.role == Role.DOCTOR:
        person.session_id = session_id
        return room.now
    if person.is_closed:
        raise DomainError(Code.LINK_CLOSED)
    if person.is_blocked:
        raise DomainError(Code.REMOVED)
    if rules.room_phase(room.encounter.status) == "ended":
        return person.waiting_since or room.now
    if person.session_id is None or person.state in ("invited", "left"):
        person.session_id = session_id
    if person.state in ("invited", "left"):
        person.state, person.reason, person.left_at = "waiting", None, None
        person.waiting_since, person.seen_at = room.now, None
        await _enter(session, room, AuditAction.ARRIVED, person)
    if person.role in PATIENTS_SIDE and room.encounter.status == "planned":
        room.encounter.status = "arrived"
        await _set_appointment(session, room, Status.ARRIVED)
    return person.waiting_since or room.now


async def admitted(session: AsyncSession, room: Room, person: Participant) -> datetime:
    """Let in; the first who is no doctor opens the visit. Raises link_closed, removed, visit_over, not_allowed."""
    if person.state == "admitted" and person.admitted_at is not None:
        return person.admitted_at
    if person.is_closed:
        raise DomainError(Code.LINK_CLOSED)
    if person.is_blocked:
        raise DomainError(Code.REMOVED)
    if rules.room_phase(room.encounter.status) == "ended":
        raise DomainError(Code.VISIT_OVER)
    is_guest = Role(person.role) in visits.GUESTS
    if is_guest and person.agreed_at is None:
        raise DomainError(Code.NOT_ALLOWED, "The patient hasn't agreed to this guest yet. Nobody was let in.")
    if is_guest or person.admitted_at is None:
        person.reads_after = room.encounter.chat_count
    person.state, person.reason, person.admitted_at = "admitted", None, room.now
    await recordings.lapse(session, room.encounter, person, room.now)
    if person.role != Role.DOCTOR:
        await _open(session, room)
    await _enter(session, room, AuditAction.ADMITTED, person)
    return person.admitted_at


async def _open(session: AsyncSession, room: Room) -> None:
    if room.encounter.status == "in-progress":
        return
    room.encounter.status = "in-progress"
    room.encounter.started_at = room.encounter.started_at or room.now
    await _set_appointment(session, room, Status.ARRIVED)


async def took_over(session: AsyncSession, room: Room, person: Participant, session_id: str) -> None:
    """Another device holds the place now, and is asked about recording anew."""
    if person.session_id == session_id:
        return
    person.session_id = session_id
    await recordings.lapse(session, room.encounter, person, room.now)
    await _enter(session, room, AuditAction.TOOK_OVER, person)


async def departed(session: AsyncSession, room: Room, person: Participant, reason: Departure) -> None:
    if person.state == "left" and person.reason == reason.value:
        return
    person.state, person.reason, person.left_at = "left", reason.value, room.now
    await _enter(session, room, AuditAction.DEPARTED, person, {"reason": reason.value})


async def back_to_waiting(session: AsyncSession, room: Room, person: Participant) -> None:
    if person.state == "waiting":
        return
    person.state, person.reason, person.waiting_since, person.seen_at = "waiting", None, room.now, room.now
    await _enter(session, room, AuditAction.SENT_BACK, person)


async def block(session: AsyncSession, room: Room, person: Participant, *, blocked: bool) -> None:
    if person.is_blocked == blocked:
        return
    person.is_blocked = blocked
    if blocked and person.state != "left":
        person.state, person.reason, person.left_at = "left", Departure.REMOVED.value, room.now
    await _enter(session, room, AuditAction.BLOCKED if blocked else AuditAction.UNBLOCKED, person)


async def guest_agreed(session: AsyncSession, room: Room, guest: Participant, *, agreed: bool) -> None:
    """The patient's word on a guest, theirs alone; the newest counts. Raises not_allowed, malformed."""
    if Role(guest.role) not in visits.GUESTS:
        raise DomainError(Code.MALFORMED)
    if room.by is None or Role(room.by.role) not in (Role.PATIENT, Role.PROXY) or room.by.is_closed:
        raise DomainError(Code.NOT_ALLOWED)
    if agreed == (guest.agreed_at is not None) and (agreed or guest.refused_at is not None):
        return
    guest.agreed_at = room.now if agreed else None
    guest.refused_at = None if agreed else room.now
    guest.agreed_by = room.by.id
    await _enter(session, room, AuditAction.GUEST_AGREED, guest, {"agreed": agreed})


async def wrong_person(session: AsyncSession, room: Room, person: Participant) -> None:
    """Shut out for good: link closed and listed, appointment put back, incident filed. Once is enough."""
    if person.is_closed:
        return
    if person.role == Role.DOCTOR:
        raise DomainError(Code.MALFORMED)
    if person.role == Role.PATIENT:
        await recordings.end_strangers(session, room.encounter, room.now)
    await _shut_out(session, room, person, undo_until=None)
    if person.role == Role.PATIENT:
        told = StrangerShutOut(room.encounter.clinic_id, room.encounter.id, room.now)
        await room.act.events.raise_event(session, told)
        await scheduling.put_back(session, room.act, room.encounter.appointment_id, "wrong person")
        await planning.open_patient_place(session, room.encounter, room.now)


async def _shut_out(session: AsyncSession, room: Room, person: Participant, *, undo_until: datetime | None) -> None:
    person.is_closed = True
    person.state, person.reason, person.left_at = "left", Departure.WRONG_PERSON.value, room.now
    await _enter(session, room, AuditAction.WRONG_PERSON, person)
    await links.close_links(session, _door(room, person), INCIDENT, room.now, revoked=True, undo_until=undo_until)
    by = room.by.person_id if room.by else None
    await audit.file_incident(
        session,
        clinic_id=room.encounter.clinic_id,
        kind=INCIDENT,
        subject=("participant", person.id),
        filed_by_person_id=by,
        owner_person_id=by,
        now=room.now,
    )
    if person.role != Role.PATIENT:
        return
    if by is None:
        raise DomainError(Code.NOT_ALLOWED)
    await keeping.hold_strangers(session, person, by=by, now=room.now)


def _door(room: Room, person: Participant) -> str:
    """What the person's links are made for."""
    return room.encounter.appointment_id if person.role == Role.PATIENT else person.id


async def ended(session: AsyncSession, room: Room, outcome: Outcome) -> None:
    """The doctor's one tap; everybody leaves. One with the wrong person is in error, the appointment put back."""
    encounter = room.encounter
    if encounter.outcome == outcome.value and encounter.ended_at is not None:
        return
    if rules.room_phase(encounter.status) == "ended":
        raise DomainError(Code.WRONG_PHASE)
    encounter.outcome, encounter.ended_at = outcome.value, room.now
    encounter.ended_by = room.by.id if room.by else None
    if outcome is Outcome.WRONG_PERSON:
        encounter.status = "entered-in-error"
        for person in await visits.load_participants(session, encounter):
            if person.role == Role.PATIENT and not person.is_closed:
                await _shut_out(session, room, person, undo_until=rules.undo_until(room.now))
        await scheduling.put_back(session, room.act, encounter.appointment_id, "wrong person")
        await planning.plan(session, encounter.clinic_id, encounter.appointment_id, room.now)
    else:
        encounter.status = "finished"
        await _set_appointment(session, room, Status(rules.appointment_status_after(outcome)))
    await planning.everybody_leaves(session, encounter, Departure.VISIT_ENDED, room.now)
    await _enter(session, room, AuditAction.VISIT_ENDED, None, {"outcome": outcome.value})


async def reopened(session: AsyncSession, room: Room) -> None:
    """Undo within ten seconds: those whom the end sent away are where they were. Raises wrong_phase."""
    encounter = room.encounter
    if rules.room_phase(encounter.status) != "ended":
        return
    ended_at = encounter.ended_at
    if ended_at is None or not rules.may_reopen(outcome=encounter.outcome, ended_at=ended_at, now=room.now):
        raise DomainError(Code.WRONG_PHASE, "The visit is over for good. Start another one if it must go on.")
    people = await visits.load_participants(session, encounter)
    if encounter.outcome == Outcome.WRONG_PERSON:
        await _withdraw_successor(session, room)
        for person in people:
            if person.reason == Departure.WRONG_PERSON and person.left_at == ended_at:
                await _let_back(session, room, person, ended_at)
    for person in people:
        if person.reason == Departure.VISIT_ENDED:
            person.state, person.reason, person.left_at = _state_before(person), None, None
    has_come = any(person.role in PATIENTS_SIDE and person.waiting_since and not person.is_closed for person in people)
    encounter.status = "in-progress" if encounter.started_at else "arrived" if has_come else "planned"
    encounter.outcome = encounter.ended_at = encounter.ended_by = None
    await _set_appointment(session, room, Status.ARRIVED if has_come else Status.BOOKED)
    await _enter(session, room, AuditAction.VISIT_REOPENED, None)


async def _withdraw_successor(session: AsyncSession, room: Room) -> None:
    """The visit that was planned in this one's place. Raises wrong_phase once somebody has come to it."""
    planned = await visits.load_live_encounter(session, room.encounter.clinic_id, room.encounter.appointment_id)
    if planned is None:
        return
    if planned.status not in ("planned", "cancelled"):
        raise DomainError(Code.WRONG_PHASE, "Somebody has come to the new visit already. Nothing was undone.")
    planned.status, planned.ended_at = "entered-in-error", room.now
    await planning.everybody_leaves(session, planned, Departure.LINK_CLOSED, room.now)
    await session.flush()


async def _let_back(session: AsyncSession, room: Room, person: Participant, ended_at: datetime) -> None:
    """Takes back what `_shut_out` did at the end of the visit."""
    await links.reopen_links(session, _door(room, person), ended_at)
    person.is_closed = False
    if person.is_blocked:
        person.reason = Departure.REMOVED.value
    else:
        person.state, person.reason, person.left_at = _state_before(person), None, None
    by = room.by.person_id if room.by else None
    await audit.undo_incidents(session, room.encounter.clinic_id, INCIDENT, person.id, by_person_id=by, now=room.now)
    await keeping.release_strangers(session, room.encounter, ended_at, by=by, now=room.now)


def _state_before(person: Participant) -> str:
    if _was_in(person):
        return "admitted"
    return "waiting" if person.waiting_since else "invited"


def _was_in(person: Participant) -> bool:
    """Whether they were last let in, rather than sent back to the waiting room."""
    if person.admitted_at is None:
        return False
    return person.waiting_since is None or person.admitted_at >= person.waiting_since


async def by_phone(session: AsyncSession, room: Room) -> PatientPhones:
    """Goes on by phone; answers the numbers to ring."""
    if not room.encounter.by_phone:
        room.encounter.by_phone = True
        await _enter(session, room, AuditAction.BY_PHONE, None)
    return (await visits.load_whereabouts(session, room.encounter)).phones


async def mark_seen(session: AsyncSession, clinic_id: str, participants: Sequence[str], now: datetime) -> None:
    query = select(Participant).where(
        Participant.clinic_id == clinic_id, Participant.id.in_(participants), Participant.seen_at.is_(None)
    )
    for person in await session.scalars(query):
        person.seen_at = now


async def load_seen(session: AsyncSession, participants: Sequence[str]) -> frozenset[str]:
    query = select(Participant.id).where(Participant.id.in_(participants), Participant.seen_at.is_not(None))
    return frozenset(await session.scalars(query))


# ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _set_appointment(session: AsyncSession, room: Room, status: Status) -> None:
    await scheduling.set_status(session, room.act, room.encounter.appointment_id, status)


async def _enter(
    session: AsyncSession,
    room: Room,
    action: AuditAction,
    person: Participant | None,
    detail: dict[str, str | int | bool | None] | None = None,
) -> None:
    encounter = room.encounter
    await audit.enter(
        session,
        clinic_id=encounter.clinic_id,
        actor_person_id=room.by.person_id if room.by else None,
        actor_participation_id=room.by.id if room.by else None,
        action=action,
        subject=("participant", person.id) if person else ("encounter", encounter.id),
        detail={"encounter": encounter.id, **(detail or {})},
        now=room.now,
    )
