"""Walk-ins: who takes one (one winner), which comes first, and who hears that nobody did.

Booking one is `service.book` with its own kind; the pages are the desk's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import notices
from server.accounts.notices import Notice
from server.context import ClinicScope
from server.errors import DomainError
from server.permissions import StaffRole
from server.scheduling import claims, history, rules, service
from server.scheduling.events import AppointmentMoved
from server.scheduling.history import Act
from server.scheduling.models import Appointment, AppointmentPractitioner
from server.scheduling.rules import Kind, Status
from signaling.words import Code

TAKEN_WITHIN = timedelta(minutes=10)
"""Nobody pressed Take for so long: the board says so to everybody, and whoever wrote it down is told."""
STILL_UNTAKEN = "walk_in_still_untaken"
"""The kind of the job; its subject is the appointment's id."""


async def take(session: AsyncSession, act: Act, appointment_id: str, doctor_id: str) -> Appointment:
    """Gives a walk-in to the first doctor who asks; the row is locked, so there is one winner. Twice is once.

    Raises conflict for whoever comes second, wrong_phase for what is no walk-in that waits.
    """
    appointment = await service.get_appointment(session, act.clinic, appointment_id, lock=True)
    if appointment.kind != Kind.WALK_IN or Status(appointment.status) not in rules.OPEN:
        raise DomainError(Code.WRONG_PHASE, "This is no walk-in that waits for a doctor. Nothing was done.")
    holders = await service.load_practitioner_ids(session, act.clinic, appointment_id)
    if holders == (doctor_id,):
        return appointment
    if holders:
        raise DomainError(Code.CONFLICT, "A colleague was faster and has taken this patient.")
    await claims.check_practitioners(session, act.clinic, (doctor_id,))
    session.add(
        AppointmentPractitioner(
            clinic_id=act.clinic.id,
            appointment_id=appointment.id,
            person_id=doctor_id,
            role=StaffRole.DOCTOR.value,
        )
    )
    await session.flush()
    await history.remember(session, act, appointment, action="taken")
    event = AppointmentMoved(
        clinic_id=act.clinic.id,
        appointment_id=appointment.id,
        practitioner_ids=(doctor_id,),
        from_starts_at=appointment.starts_at,
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
        by=act.by,
        at=act.now,
    )
    await act.events.raise_event(session, event)
    return appointment


async def mark_urgent(session: AsyncSession, act: Act, appointment_id: str, *, is_urgent: bool) -> Appointment:
    """Before those who wait longer, or in turn again. Raises wrong_phase for what is no walk-in that waits."""
    appointment = await service.get_appointment(session, act.clinic, appointment_id, lock=True)
    if appointment.kind != Kind.WALK_IN or Status(appointment.status) not in rules.OPEN:
        raise DomainError(Code.WRONG_PHASE, "Only a walk-in that waits can be marked urgent.")
    if appointment.is_urgent != is_urgent:
        appointment.is_urgent = is_urgent
        await history.remember(session, act, appointment, action="urgent" if is_urgent else "in_turn")
    return appointment


async def tell_owner(session: AsyncSession, clinic: ClinicScope, appointment_id: str, now: datetime) -> None:
    """Tells whoever wrote this walk-in down, once nobody took it in time."""
    waiting = {one.id: one for one in await load_untaken(session, clinic)}
    owner = waiting[appointment_id].created_by if appointment_id in waiting else None
    if owner is not None:
        told = Notice("walk_in_untaken", detail=f"appointments/{appointment_id}")
        await notices.tell(session, clinic.id, [owner], told, now)


async def load_untaken(session: AsyncSession, clinic: ClinicScope) -> Sequence[Appointment]:
    """Walk-ins that no doctor has: the urgent ones first, then whoever has waited longest."""
    taken = exists().where(
        AppointmentPractitioner.clinic_id == Appointment.clinic_id,
        AppointmentPractitioner.appointment_id == Appointment.id,
    )
    query = select(Appointment).where(
        Appointment.clinic_id == clinic.id,
        Appointment.kind == Kind.WALK_IN.value,
        Appointment.status.in_([status.value for status in rules.OPEN]),
        ~taken,
    )
    return (await session.scalars(query.order_by(Appointment.is_urgent.desc(), Appointment.created_at))).all()
