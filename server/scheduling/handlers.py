"""What scheduling does when accounts tell of something: registered by `app.py`, run in the same transaction."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.events import PageAccountChanged, PageCodeAsked
from server.accounts.service import get_clinic, get_patient
from server.events import Events
from server.jobs import enqueue
from server.scheduling import messages, offers, waiting, walkins
from server.scheduling.events import AppointmentBooked, AppointmentCancelled, AppointmentMoved
from server.scheduling.models import Appointment, AppointmentPractitioner
from server.scheduling.rules import Kind


def register(events: Events) -> None:
    events.on(PageCodeAsked, _send_code)
    events.on(PageAccountChanged, _tell_of_account)
    events.on(AppointmentBooked, _watch_walk_in)
    events.on(AppointmentCancelled, _free_cancelled)
    events.on(AppointmentMoved, _free_moved)


async def _watch_walk_in(session: AsyncSession, event: AppointmentBooked) -> None:
    if event.kind == Kind.WALK_IN:
        due_at = event.at + walkins.TAKEN_WITHIN
        await enqueue(session, walkins.STILL_UNTAKEN, event.appointment_id, due_at, clinic_id=event.clinic_id)


async def _free_cancelled(session: AsyncSession, event: AppointmentCancelled) -> None:
    """What they had goes to those who wait; they don't wait for anything earlier any more."""
    await waiting.forget_appointment(session, event.clinic_id, event.appointment_id, event.at)
    appointment = await session.get_one(Appointment, (event.clinic_id, event.appointment_id))
    doctors = select(AppointmentPractitioner.person_id).where(
        AppointmentPractitioner.clinic_id == event.clinic_id,
        AppointmentPractitioner.appointment_id == event.appointment_id,
    )
    span = (appointment.starts_at, appointment.ends_at)
    for doctor in await session.scalars(doctors):
        await offers.free_time(session, event.clinic_id, doctor, span, event.at)


async def _free_moved(session: AsyncSession, event: AppointmentMoved) -> None:
    length = event.ends_at - event.starts_at
    for doctor in event.from_practitioner_ids:
        if event.from_starts_at != event.starts_at or doctor not in event.practitioner_ids:
            span = (event.from_starts_at, event.from_starts_at + length)
            await offers.free_time(session, event.clinic_id, doctor, span, event.at)


async def _send_code(session: AsyncSession, event: PageCodeAsked) -> None:
    clinic = await get_clinic(session, event.clinic_id)
    patient = await get_patient(session, event.clinic_id, event.patient_id)
    await messages.queue_code(session, clinic, patient, event.link_id, event.at, event.phone)


async def _tell_of_account(session: AsyncSession, event: PageAccountChanged) -> None:
    clinic = await get_clinic(session, event.clinic_id)
    await messages.queue_account(
        session, clinic, await get_patient(session, event.clinic_id, event.patient_id), event.at
    )
