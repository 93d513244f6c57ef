"""Running late: one press tells everybody of a doctor's session who was not seen yet.

What the message says is `wording.py`'s; the page a patient looks at shows the same facts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import DomainError
from server.scheduling import finding, history, messages, service
from server.scheduling.history import Act
from server.scheduling.messages import News
from server.scheduling.models import Appointment, AppointmentPractitioner
from server.scheduling.rules import OPEN
from signaling.words import Code

MINUTES_MAX = 240
LONGEST_DAY = timedelta(hours=36)
"""Visits that began longer ago are of another day."""
STILL_WAITED_FOR = timedelta(hours=4)
"""Who was booked earlier than this and didn't come isn't told of a delay any more."""


@dataclass(frozen=True, slots=True)
class Delay:
    """How late: minutes, or words, or both."""

    minutes: int | None
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Hearers:
    """How many are told by message, and how many only on their page: no message reaches them."""

    told: int
    unreached: int


async def run_late(
    session: AsyncSession, act: Act, doctor_id: str, until: datetime, delay: Delay, *, seen: Collection[str] = ()
) -> Hearers:
    """Tells the patients of this doctor up to `until` who are not `seen` (in their visit, or after); answers who hears.

    What was said before and hasn't left yet is dropped: the newest word counts. Raises malformed.
    """
    said = (delay.said or "").strip() or None
    if (delay.minutes is None and said is None) or not 0 < (delay.minutes or 1) <= MINUTES_MAX:
        raise DomainError(Code.MALFORMED, "Say how late you run: minutes, or a few words.")
    mine = select(AppointmentPractitioner.appointment_id).where(
        AppointmentPractitioner.clinic_id == act.clinic.id, AppointmentPractitioner.person_id == doctor_id
    )
    query = select(Appointment).where(
        Appointment.clinic_id == act.clinic.id,
        Appointment.id.in_(mine),
        Appointment.status.in_([status.value for status in OPEN]),
        Appointment.starts_at >= act.now - STILL_WAITED_FOR,
        Appointment.starts_at < until,
        Appointment.id.not_in(seen),
    )
    waiting = (await session.scalars(query.order_by(Appointment.starts_at, Appointment.id))).all()
    told = 0
    for appointment in waiting:
        appointment.delay_min, appointment.delay_said = delay.minutes, said
        appointment.changed_at = act.now
        patient = await service.get_patient(session, act.clinic, appointment.patient_id)
        visit_type = await finding.load_any_visit_type(session, appointment)
        await history.remember(session, act, appointment, action="late", why=said or f"{delay.minutes} min")
        told += await messages.queue_late(session, News(act.clinic, appointment, patient, visit_type, act.now))
    return Hearers(told, len(waiting) - told)
