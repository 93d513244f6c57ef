"""What the visit does when its appointment changes: registered by `app.py`, run in the appointment's transaction."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from server.encounters import planning, underway
from server.events import Events
from server.scheduling.events import (
    AppointmentAtStake,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentMoved,
    AppointmentNoShow,
    AppointmentPutBack,
)


def register(events: Events) -> None:
    """Every booked appointment has its planned visit from then on."""
    events.on(AppointmentAtStake, _at_stake)
    events.on(AppointmentBooked, _booked)
    events.on(AppointmentMoved, _moved)
    events.on(AppointmentCancelled, _cancelled)
    events.on(AppointmentNoShow, _no_show)
    events.on(AppointmentPutBack, _put_back)


async def _at_stake(session: AsyncSession, event: AppointmentAtStake) -> None:
    await underway.refuse(session, event)


async def _booked(session: AsyncSession, event: AppointmentBooked) -> None:
    await planning.plan(session, event.clinic_id, event.appointment_id, event.at)


async def _moved(session: AsyncSession, event: AppointmentMoved) -> None:
    await planning.follow_appointment(session, event.clinic_id, event.appointment_id, event.at)


async def _cancelled(session: AsyncSession, event: AppointmentCancelled) -> None:
    await planning.cancel_visit(session, event.clinic_id, event.appointment_id, event.at)


async def _no_show(session: AsyncSession, event: AppointmentNoShow) -> None:
    await planning.note_no_show(session, event.clinic_id, event.appointment_id, event.at)


async def _put_back(session: AsyncSession, event: AppointmentPutBack) -> None:
    await planning.put_back(session, event.clinic_id, event.appointment_id, event.at)
