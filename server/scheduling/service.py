"""Booking, moving, cancelling and every other change of an appointment, each whole or not at all.

Runs in the caller's transaction (`ticks.in_transaction` tries it again after a deadlock) and raises coded refusals.
Whether a time may be had is decided in `claims.py`, words to the patient are queued by `messages.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Patient
from server.context import ClinicScope
from server.db import as_loaded, new_id, plain
from server.errors import DomainError, not_found
from server.permissions import StaffRole
from server.scheduling import claims, finding, history, messages, rules, statements, ticks
from server.scheduling.claims import Claim
from server.scheduling.events import (
    AppointmentAtStake,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentMoved,
    AppointmentNoShow,
    AppointmentPutBack,
)
from server.scheduling.history import Act, Before
from server.scheduling.messages import News
from server.scheduling.models import Appointment, AppointmentPractitioner, Hold, VisitType
from server.scheduling.rules import Kind, Status
from server.scheduling.ticks import Owner
from signaling.words import Code

__all__ = ["Act", "Booking"]

HOLD = claims.HOLD


@dataclass(frozen=True, slots=True)
class Booking:
    """What somebody asks to book. A walk-in has no doctors; its start is now."""

    patient_id: str
    visit_type_id: str
    practitioner_ids: tuple[str, ...]
    starts_at: datetime
    idempotency_key: str | None = None
    kind: Kind = Kind.NORMAL
    reason: str | None = None
    hold_id: str | None = None
    language: str | None = None
    interpreter: str | None = None
    """`spoken` or `signed`."""


async def book(session: AsyncSession, act: Act, booking: Booking) -> Appointment:
    """Books, tells the patient and raises AppointmentBooked; the same idempotency key answers the same appointment.

    Raises not_found, malformed, in_the_past, slot_not_offered, slot_taken, conflict (key used for something else).
    """
    earlier = await _load_by_key(session, act, booking)
    if earlier is not None:
        return earlier
    patient, visit_type = await finding.get_for_whom(session, act.clinic, booking.patient_id, booking.visit_type_id)
    claim = Claim(visit_type, tuple(dict.fromkeys(booking.practitioner_ids)), booking.starts_at, booking.kind)
    hold = await claims.own_hold(session, act, booking.hold_id)
    holds = [hold] if hold is not None else []
    try:
        await _check(session, act, claim, booking.reason, hold, patient.person_id)
    except DomainError as refused:
        newer = await claims.hold_on_its_way(session, act, claim) if refused.code is Code.SLOT_TAKEN else None
        if newer is None:
            raise
        await _check(session, act, claim, booking.reason, newer, patient.person_id)
        holds = [*holds, newer]
    appointment = await _store(session, act, booking, claim)
    for each in holds:
        await ticks.free(session, each)
    await claims.take_ticks(session, act, _owner(appointment), claim, patient.person_id)
    await history.remember(session, act, appointment, action="booked", why=booking.reason)
    if claim.kind is not Kind.WALK_IN:
        await messages.queue_booked(session, News(act.clinic, appointment, patient, visit_type, act.now))
    event = AppointmentBooked(
        clinic_id=act.clinic.id,
        appointment_id=appointment.id,
        patient_id=patient.id,
        practitioner_ids=claim.practitioner_ids,
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
        kind=appointment.kind,
        by=act.by,
        at=act.now,
    )
    await act.events.raise_event(session, event)
    return appointment


@dataclass(frozen=True, slots=True)
class Move:
    """Where an appointment is to go; `sequence` is the one the page showed, doctors stay unless named."""

    appointment_id: str
    starts_at: datetime
    practitioner_ids: tuple[str, ...] = ()
    sequence: int | None = None
    why: str | None = None
    frees_time: bool = True
    """False when the doctor isn't there: what they had is nobody's then."""
    tell_at: datetime | None = None
    """When the patient is told; None: now."""


async def move(session: AsyncSession, act: Act, asked: Move) -> Appointment:
    """Moves to an offered start: same link, same calendar entry; a squeezed-in one becomes a normal one.

    Raises conflict when it changed meanwhile, wrong_phase when it can't be moved any more (nor while they are in the
    visit), and what `book` raises.
    """
    await act.events.raise_event(session, AppointmentAtStake(act.clinic.id, asked.appointment_id, "move"))
    appointment = await get_appointment(session, act.clinic, asked.appointment_id, lock=True)
    if asked.sequence is not None and asked.sequence != appointment.sequence:
        raise DomainError(Code.CONFLICT, "The appointment has changed meanwhile. Nothing was done; look again.")
    before = Before(Status(appointment.status), appointment.starts_at)
    if before.status not in rules.MOVABLE:
        raise DomainError(Code.WRONG_PHASE, "This appointment can't be moved any more.")
    visit_type = await finding.load_any_visit_type(session, appointment)
    check_cutoff(act, appointment, visit_type)
    patient = await get_patient(session, act.clinic, appointment.patient_id)
    old_ids = await load_practitioner_ids(session, act.clinic, appointment.id)
    claim = Claim(visit_type, asked.practitioner_ids or old_ids, asked.starts_at)
    offering = visit_type.id if claim.practitioner_ids != old_ids else None
    await claims.check_practitioners(session, act.clinic, claim.practitioner_ids, offering)
    await claims.judge(session, act, claim, ignore=_owner(appointment), patient_person=patient.person_id)
    await ticks.free(session, _owner(appointment))
    if claim.practitioner_ids != old_ids:
        await replace_practitioners(session, appointment, claim.practitioner_ids)
    await _apply(session, act, appointment, claim)
    await claims.take_ticks(session, act, _owner(appointment), claim, patient.person_id)
    await history.remember(session, act, appointment, action="moved", before=before, why=asked.why)
    news = News(act.clinic, appointment, patient, visit_type, act.now)
    await messages.queue_moved(session, news, asked.tell_at)
    event = AppointmentMoved(
        clinic_id=act.clinic.id,
        appointment_id=appointment.id,
        practitioner_ids=claim.practitioner_ids,
        from_starts_at=before.starts_at,
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
        by=act.by,
        at=act.now,
        from_practitioner_ids=old_ids if asked.frees_time else (),
    )
    await act.events.raise_event(session, event)
    return appointment


async def cancel(session: AsyncSession, act: Act, appointment_id: str, why: str) -> Appointment:
    """Cancels, frees the time, tells the patient. A second press answers the same and tells nobody again.

    Raises wrong_phase while they are in the visit.
    """
    await act.events.raise_event(session, AppointmentAtStake(act.clinic.id, appointment_id, "cancel"))
    appointment = await get_appointment(session, act.clinic, appointment_id, lock=True)
    if appointment.status == Status.CANCELLED:
        return appointment
    visit_type = await session.get_one(VisitType, (act.clinic.id, appointment.visit_type_id))
    check_cutoff(act, appointment, visit_type)
    if not why.strip():
        raise DomainError(Code.MALFORMED, "Say why it is cancelled. The patient doesn't see this.")
    await history.change(session, act, appointment, Status.CANCELLED, action="cancelled", why=why.strip())
    appointment.sequence += 1
    await ticks.free(session, _owner(appointment))
    patient = await get_patient(session, act.clinic, appointment.patient_id)
    await messages.queue_cancelled(session, News(act.clinic, appointment, patient, visit_type, act.now))
    await act.events.raise_event(session, AppointmentCancelled(act.clinic.id, appointment.id, act.by, act.now))
    return appointment


async def mark_no_show(session: AsyncSession, act: Act, appointment_id: str) -> Appointment:
    """The patient didn't come; the time stays taken. Undone with `put_back`.

    Raises wrong_phase before the start, and for a patient who waits or is in the visit.
    """
    await act.events.raise_event(session, AppointmentAtStake(act.clinic.id, appointment_id, "no_show"))
    appointment = await get_appointment(session, act.clinic, appointment_id, lock=True)
    if act.now < appointment.starts_at:
        raise DomainError(Code.WRONG_PHASE, "The visit hasn't begun yet. Nothing was done.")
    if appointment.status == Status.NOSHOW:
        return appointment
    await history.change(session, act, appointment, Status.NOSHOW, action="noshow")
    await act.events.raise_event(session, AppointmentNoShow(act.clinic.id, appointment.id, act.by, act.now))
    return appointment


async def put_back(session: AsyncSession, act: Act, appointment_id: str, why: str | None = None) -> Appointment:
    """Booked again, its time untouched: not the right person, or a no-show who came."""
    appointment = await get_appointment(session, act.clinic, appointment_id, lock=True)
    if appointment.status == Status.BOOKED:
        return appointment
    await history.change(session, act, appointment, Status.BOOKED, action="put_back", why=why)
    await act.events.raise_event(session, AppointmentPutBack(act.clinic.id, appointment.id, act.by, act.now))
    return appointment


async def set_status(session: AsyncSession, act: Act, appointment_id: str, status: Status) -> Appointment:
    """What the visit says of its appointment: arrived, fulfilled. Twice is once; raises wrong_phase, no event."""
    appointment = await get_appointment(session, act.clinic, appointment_id, lock=True)
    if appointment.status != status:
        await history.change(session, act, appointment, status, action=status.value)
    return appointment


async def hold(
    session: AsyncSession,
    act: Act,
    visit_type: VisitType,
    practitioner_ids: tuple[str, ...],
    starts_at: datetime,
    *,
    expires_at: datetime | None = None,
    patient_person: str | None = None,
) -> Hold:
    """Keeps an offered start, for ten minutes unless said otherwise. Raises what `book` raises.

    `patient_person`: for whom, where that is known: nothing is kept for somebody who is elsewhere then.
    """
    claim = Claim(visit_type, practitioner_ids, starts_at)
    await claims.check_practitioners(session, act.clinic, practitioner_ids, visit_type.id)
    await claims.judge(session, act, claim, patient_person=patient_person)
    kept = Hold(
        clinic_id=act.clinic.id,
        id=new_id(),
        visit_type_id=visit_type.id,
        starts_at=claim.starts_at,
        ends_at=claim.ends_at,
        expires_at=expires_at or act.now + HOLD,
        created_by=act.by,
        created_at=act.now,
    )
    session.add(kept)
    await session.flush()
    await ticks.take(session, Owner(act.clinic.id, hold_id=kept.id), claims.doctor_spans(claim), act.now)
    return kept


async def release(session: AsyncSession, act: Act, hold_id: str) -> None:
    """Gives up a hold of one's own; one that is gone or somebody else's is left alone."""
    kept = await session.get(Hold, (act.clinic.id, hold_id))
    if kept is None or kept.created_by != act.by:
        return
    await ticks.free(session, Owner(act.clinic.id, hold_id=hold_id))
    await session.delete(kept)
    await session.flush()


def check_cutoff(act: Act, appointment: Appointment, visit_type: VisitType) -> None:
    """A patient moves and cancels until the kind's cutoff, staff always. Raises wrong_phase."""
    if not act.is_staff and not may_change(appointment, visit_type, act.now):
        raise DomainError(Code.WRONG_PHASE, "It is too late to change this here. Please ring the clinic.")


def may_change(appointment: Appointment, visit_type: VisitType, now: datetime) -> bool:
    """Whether the patient may still move or cancel it on their page."""
    until = appointment.starts_at - timedelta(minutes=visit_type.cutoff_min)
    return Status(appointment.status) is Status.BOOKED and now <= until


async def get_patient(session: AsyncSession, clinic: ClinicScope, patient_id: str) -> Patient:
    """Raises not_found for one of another clinic too."""
    found = (await session.scalars(statements.PATIENT, {"clinic": clinic.id, "id": patient_id})).one_or_none()
    if found is None:
        raise not_found()
    return found


async def get_appointment(
    session: AsyncSession, clinic: ClinicScope, appointment_id: str, *, lock: bool = False
) -> Appointment:
    """Raises not_found for one of another clinic too; `lock` keeps other changes of it waiting."""
    query = select(Appointment).where(Appointment.clinic_id == clinic.id, Appointment.id == appointment_id)
    found = (await session.scalars(query.with_for_update() if lock else query)).one_or_none()
    if found is None:
        raise not_found()
    return found


async def load_practitioner_ids(session: AsyncSession, clinic: ClinicScope, appointment_id: str) -> tuple[str, ...]:
    query = select(AppointmentPractitioner.person_id).where(
        AppointmentPractitioner.clinic_id == clinic.id, AppointmentPractitioner.appointment_id == appointment_id
    )
    return tuple(await session.scalars(query.order_by(AppointmentPractitioner.person_id)))


async def replace_practitioners(session: AsyncSession, appointment: Appointment, person_ids: tuple[str, ...]) -> None:
    """Exactly these doctors from now on; their ticks and the rest of the visit are the caller's."""
    old = delete(AppointmentPractitioner).where(
        AppointmentPractitioner.clinic_id == appointment.clinic_id,
        AppointmentPractitioner.appointment_id == appointment.id,
    )
    await session.execute(old.execution_options(synchronize_session="fetch"))
    await _insert_practitioners(session, appointment, person_ids)


def _owner(appointment: Appointment) -> Owner:
    return Owner(appointment.clinic_id, appointment_id=appointment.id)


async def _load_by_key(session: AsyncSession, act: Act, booking: Booking) -> Appointment | None:
    if booking.idempotency_key is None:
        return None
    query = select(Appointment).where(
        Appointment.clinic_id == act.clinic.id, Appointment.idempotency_key == booking.idempotency_key
    )
    earlier = (await session.scalars(query)).one_or_none()
    if earlier is None:
        return None
    if earlier.created_by != act.by or not await _is_same(session, act, booking, earlier):
        raise DomainError(Code.CONFLICT, "This form has already booked something else. Start again.")
    return earlier


async def _is_same(session: AsyncSession, act: Act, booking: Booking, earlier: Appointment) -> bool:
    """Whether the appointment is what is asked for again: whom, what, when and with whom. A walk-in starts whenever
    it is asked for, and a doctor takes it later."""
    asked = (booking.patient_id, booking.visit_type_id, booking.kind)
    if asked != (earlier.patient_id, earlier.visit_type_id, earlier.kind):
        return False
    if booking.kind is Kind.WALK_IN:
        return True
    doctors = await load_practitioner_ids(session, act.clinic, earlier.id)
    return booking.starts_at == earlier.starts_at and set(booking.practitioner_ids) == set(doctors)


async def _check(  # noqa: PLR0917 (private, one caller)
    session: AsyncSession, act: Act, claim: Claim, reason: str | None, hold: Owner | None, patient_person: str
) -> None:
    if claim.kind is Kind.WALK_IN:
        if claim.practitioner_ids:
            raise DomainError(Code.MALFORMED)
        return
    offering = claim.visit_type.id if claim.kind is Kind.NORMAL else None
    await claims.check_practitioners(session, act.clinic, claim.practitioner_ids, offering)
    if claim.kind is Kind.SQUEEZED_IN:
        claims.check_squeezed_in(act, claim, reason)
        await claims.check_patient(session, act, claim, patient_person)
        return
    await claims.judge(session, act, claim, ignore=hold, patient_person=patient_person)


async def _store(session: AsyncSession, act: Act, booking: Booking, claim: Claim) -> Appointment:
    row = {
        "clinic_id": act.clinic.id,
        "id": new_id(),
        "patient_id": booking.patient_id,
        "visit_type_id": booking.visit_type_id,
        "status": Status.BOOKED.value,
        "kind": claim.kind.value,
        "starts_at": claim.starts_at,
        "ends_at": claim.ends_at,
        "zone": await finding.load_local_zone(session, act.clinic, claim.practitioner_ids),
        "reason": booking.reason,
        "sequence": 0,
        "idempotency_key": booking.idempotency_key,
        "language": booking.language,
        "interpreter": booking.interpreter,
        "is_urgent": False,
        "delay_min": None,
        "delay_said": None,
        "created_by": act.by,
        "created_at": act.now,
        "changed_at": act.now,
    }
    await (await plain(session)).execute(statements.INSERT_APPOINTMENT, row)
    appointment = as_loaded(session, Appointment, row)
    await _insert_practitioners(session, appointment, claim.practitioner_ids)
    return appointment


async def _apply(session: AsyncSession, act: Act, appointment: Appointment, claim: Claim) -> None:
    appointment.starts_at, appointment.ends_at = claim.starts_at, claim.ends_at
    appointment.zone = await finding.load_local_zone(session, act.clinic, claim.practitioner_ids)
    appointment.kind, appointment.status = claim.kind.value, Status.BOOKED.value
    forget_delay(appointment)
    appointment.sequence += 1
    appointment.changed_at = act.now
    await session.flush()


def forget_delay(appointment: Appointment) -> None:
    """What was said of another time, or of another doctor's day, is not true of this one."""
    appointment.delay_min = appointment.delay_said = None


async def _insert_practitioners(session: AsyncSession, appointment: Appointment, person_ids: tuple[str, ...]) -> None:
    ids = {"clinic_id": appointment.clinic_id, "appointment_id": appointment.id}
    rows = [{**ids, "person_id": person_id, "role": StaffRole.DOCTOR.value} for person_id in person_ids]
    if rows:
        await (await plain(session)).execute(statements.INSERT_PRACTITIONERS, rows)
