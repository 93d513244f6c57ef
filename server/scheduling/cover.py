"""Cover: a doctor's visits go to a colleague at the same time, or to new times, in one act that can be undone.

A colleague who steps in needs no hours of their own then, but must be free; new times are judged as every move is.
Messages wait until the act can't be undone any more. The pages are the desk's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.context import ClinicScope
from server.db import new_id
from server.errors import DomainError, not_found
from server.scheduling import claims, finding, history, messages, rules, service, ticks
from server.scheduling.events import AppointmentAtStake, AppointmentMoved
from server.scheduling.history import Act, Before
from server.scheduling.messages import News
from server.scheduling.models import Appointment, AppointmentHistory, VisitType
from server.scheduling.rules import Kind, Status
from server.scheduling.service import Move
from server.scheduling.slots import ticks_between
from server.scheduling.ticks import Owner, Span
from server.scheduling.waiting_models import Cover, CoverMove
from signaling.words import Code

UNDO = timedelta(minutes=5)
WHY = "A colleague covers"
VISITS_MAX = 80
UNSQUEEZED = "unsqueezed"
"""The history's word for: a new time made a normal visit of one that was squeezed in."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where one visit goes; `sequence` is the one the page showed."""

    appointment_id: str
    sequence: int
    to_person_id: str
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class _Place:
    """Doctors and start of a visit; its kind and status where they are to be others than they are."""

    doctors: tuple[str, ...]
    starts_at: datetime
    kind: Kind | None = None
    status: Status | None = None


async def give(session: AsyncSession, act: Act, person_id: str, choices: Sequence[Choice]) -> Cover:
    """All of these or none. Raises malformed for nothing chosen, and what moving raises."""
    if not 0 < len(choices) <= VISITS_MAX:
        raise DomainError(Code.MALFORMED, "Choose where at least one of the visits goes. Nothing was changed.")
    cover = Cover(
        clinic_id=act.clinic.id,
        id=new_id(),
        person_id=person_id,
        created_by=act.by,
        created_at=act.now,
        undo_until=act.now + UNDO,
    )
    session.add(cover)
    await session.flush()
    for choice in sorted(choices, key=lambda each: each.appointment_id):
        await _give_one(session, act, cover, choice)
    await session.flush()
    return cover


async def undo(session: AsyncSession, act: Act, cover_id: str) -> Cover:
    """Everything as it was, and nobody is told. Twice is once.

    Raises wrong_phase once a message may have left or a visit changed, slot_taken where the old time is gone.
    """
    cover = await get(session, act.clinic, cover_id, lock=True)
    if cover.undone_at is not None:
        return cover
    if act.now >= cover.undo_until:
        raise _too_late()
    for row in await load_moves(session, cover):
        await act.events.raise_event(session, AppointmentAtStake(act.clinic.id, row.appointment_id, "move"))
        appointment = await service.get_appointment(session, act.clinic, row.appointment_id, lock=True)
        doctors = await service.load_practitioner_ids(session, act.clinic, appointment.id)
        is_here = appointment.sequence == row.sequence and row.to_person_id in doctors
        if not is_here or Status(appointment.status) not in rules.OPEN:
            raise DomainError(Code.WRONG_PHASE, "One of these visits has changed since. Nothing was undone.")
        old = _swapped(doctors, row.to_person_id, row.from_person_id)
        back = _Place(old, row.from_starts_at, *await _load_lost(session, cover, row))
        await _put(session, act, appointment, doctors, back, action="cover_undone")
        await messages.queue_unchanged(session, await _news(session, act, appointment), row.sequence - 1)
    cover.undone_at = act.now
    await session.flush()
    return cover


async def get(session: AsyncSession, clinic: ClinicScope, cover_id: str, *, lock: bool = False) -> Cover:
    """Raises not_found."""
    found = await session.get(Cover, (clinic.id, cover_id), with_for_update=lock)
    if found is None:
        raise not_found()
    return found


async def load_moves(session: AsyncSession, cover: Cover) -> Sequence[CoverMove]:
    query = select(CoverMove).where(CoverMove.clinic_id == cover.clinic_id, CoverMove.cover_id == cover.id)
    return (await session.scalars(query.order_by(CoverMove.from_starts_at, CoverMove.appointment_id))).all()


async def load_free(
    session: AsyncSession,
    clinic: ClinicScope,
    visits: Sequence[tuple[Appointment, VisitType]],
    colleagues: Collection[str],
    now: datetime,
) -> Mapping[str, set[str]]:
    """By appointment, the colleagues who offer its kind and are free at its time with its pauses."""
    if not visits or not colleagues:
        return {appointment.id: set() for appointment, _ in visits}
    reach = [_reach(appointment, visit_type) for appointment, visit_type in visits]
    span = (min(start for start, _ in reach), max(end for _, end in reach))
    busy = await ticks.load_busy(session, colleagues, span, now)
    free: dict[str, set[str]] = {}
    for (appointment, visit_type), (start, end) in zip(visits, reach, strict=True):
        wanted = set(ticks_between(start, end)) if appointment.kind == Kind.NORMAL else set()
        offering = await finding.load_offering(session, finding.Search(visit_type, colleagues, now))
        free[appointment.id] = {person for person in offering if busy[person].isdisjoint(wanted)}
    return free


async def _give_one(session: AsyncSession, act: Act, cover: Cover, choice: Choice) -> None:
    await act.events.raise_event(session, AppointmentAtStake(act.clinic.id, choice.appointment_id, "move"))
    appointment = await service.get_appointment(session, act.clinic, choice.appointment_id, lock=True)
    doctors = await service.load_practitioner_ids(session, act.clinic, appointment.id)
    if appointment.sequence != choice.sequence or Status(appointment.status) not in rules.OPEN:
        raise DomainError(Code.CONFLICT, "One of these visits has changed meanwhile. Nothing was done; look again.")
    if cover.person_id not in doctors:
        raise not_found()
    if choice.to_person_id != cover.person_id and choice.to_person_id in doctors:
        raise DomainError(
            Code.SLOT_NOT_OFFERED, "This colleague is in that visit already. Nothing was changed; choose another."
        )
    before, kind = appointment.starts_at, appointment.kind
    there = _Place(_swapped(doctors, cover.person_id, choice.to_person_id), choice.starts_at)
    if choice.starts_at == before:
        await claims.check_practitioners(session, act.clinic, there.doctors)
        await _put(session, act, appointment, doctors, there, action="covered")
        await messages.queue_covered(session, await _news(session, act, appointment), cover.undo_until)
    else:
        asked = Move(
            appointment.id, there.starts_at, there.doctors, why=WHY, frees_time=False, tell_at=cover.undo_until
        )
        await service.move(session, act, asked)
        if kind == Kind.SQUEEZED_IN:
            await history.remember(session, act, appointment, action=UNSQUEEZED)
    session.add(
        CoverMove(
            clinic_id=act.clinic.id,
            cover_id=cover.id,
            appointment_id=appointment.id,
            from_person_id=cover.person_id,
            to_person_id=choice.to_person_id,
            from_starts_at=before,
            to_starts_at=appointment.starts_at,
            sequence=appointment.sequence,
        )
    )


async def _load_lost(session: AsyncSession, cover: Cover, row: CoverMove) -> tuple[Kind | None, Status | None]:
    """Kind and status that a new time took from a visit, as this cover wrote them down in its history."""
    query = select(AppointmentHistory.action, AppointmentHistory.from_status).where(
        AppointmentHistory.clinic_id == cover.clinic_id,
        AppointmentHistory.appointment_id == row.appointment_id,
        AppointmentHistory.at == cover.created_at,
        AppointmentHistory.action.in_(("moved", UNSQUEEZED)),
    )
    found = {row.action: row.from_status for row in await session.execute(query)}
    has_arrived = found.get("moved") == Status.ARRIVED
    return Kind.SQUEEZED_IN if UNSQUEEZED in found else None, Status.ARRIVED if has_arrived else None


async def _put(
    session: AsyncSession, act: Act, appointment: Appointment, old: tuple[str, ...], there: _Place, *, action: str
) -> None:
    """The visit with these doctors at that start: its length and its link stay, ticks follow."""
    before = Before(Status(appointment.status), appointment.starts_at)
    visit_type = await finding.load_any_visit_type(session, appointment)
    patient = await service.get_patient(session, act.clinic, appointment.patient_id)
    owner = Owner(act.clinic.id, appointment_id=appointment.id)
    await ticks.free(session, owner)
    if there.doctors != old:
        await service.replace_practitioners(session, appointment, there.doctors)
    appointment.ends_at = there.starts_at + (appointment.ends_at - appointment.starts_at)
    appointment.starts_at = there.starts_at
    appointment.zone = await finding.load_local_zone(session, act.clinic, there.doctors)
    appointment.kind, appointment.status = there.kind or appointment.kind, there.status or appointment.status
    appointment.sequence += 1
    appointment.changed_at = act.now
    await session.flush()
    if appointment.kind != Kind.WALK_IN:
        spans = [Span(patient.person_id, appointment.starts_at, appointment.ends_at)]
        if appointment.kind == Kind.NORMAL:
            spans += [Span(person, *_reach(appointment, visit_type)) for person in there.doctors]
        await ticks.take(session, owner, spans, act.now)
    await history.remember(session, act, appointment, action=action, before=before, why=WHY)
    event = AppointmentMoved(
        clinic_id=act.clinic.id,
        appointment_id=appointment.id,
        practitioner_ids=there.doctors,
        from_starts_at=before.starts_at,
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
        by=act.by,
        at=act.now,
    )
    await act.events.raise_event(session, event)


async def _news(session: AsyncSession, act: Act, appointment: Appointment) -> News:
    patient = await service.get_patient(session, act.clinic, appointment.patient_id)
    visit_type = await finding.load_any_visit_type(session, appointment)
    return News(act.clinic, appointment, patient, visit_type, act.now)


def _reach(appointment: Appointment, visit_type: VisitType) -> tuple[datetime, datetime]:
    shape = finding.shape_of(visit_type)
    return appointment.starts_at - shape.before, appointment.ends_at + shape.after


def _swapped(doctors: Collection[str], out: str, into: str) -> tuple[str, ...]:
    return tuple(sorted({into if person == out else person for person in doctors}))


def _too_late() -> DomainError:
    return DomainError(
        Code.WRONG_PHASE, "The patients are told by now, so this can't be undone. Move the visits instead."
    )
