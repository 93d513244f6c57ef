"""When somebody of the staff was last in a visit or awaited in one; nobody is signed off for being idle there."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.encounters import rules
from server.encounters.models import Encounter, Participant
from server.scheduling.models import Appointment

GOING_ON = ("planned", "arrived", "in-progress")


async def last_in_visit(session: AsyncSession, person_id: str, now: datetime) -> datetime | None:
    """Now while their place in a visit stands or a patient of theirs may come, else when they last left a visit.

    None for who never was in any. Who waits for patients, the list open and the hands elsewhere, is to hear them come.
    """
    here = (
        select(Participant.id)
        .join(Encounter, (Encounter.clinic_id == Participant.clinic_id) & (Encounter.id == Participant.encounter_id))
        .where(
            Participant.person_id == person_id,
            Participant.state == "admitted",
            Encounter.status.in_(GOING_ON),
        )
    )
    if await session.scalar(here.limit(1)) is not None:
        return now
    if await _may_be_awaited(session, person_id, now):
        return now
    left = select(func.max(Participant.left_at)).where(Participant.person_id == person_id)
    found: datetime | None = await session.scalar(left)
    return found


async def _may_be_awaited(session: AsyncSession, person_id: str, now: datetime) -> bool:
    """A visit of theirs has opened that nobody has come to yet, or somebody waits for them."""
    of = (Appointment.clinic_id == Encounter.clinic_id) & (Appointment.id == Encounter.appointment_id)
    due = Appointment.starts_at.between(now - rules.AWAITED_AFTER, now + rules.OPENS_BEFORE)
    of_today = Appointment.starts_at > now - timedelta(hours=12)
    query = (
        select(Participant.id)
        .join(Encounter, (Encounter.clinic_id == Participant.clinic_id) & (Encounter.id == Participant.encounter_id))
        .join(Appointment, of)
        .where(
            Participant.person_id == person_id,
            Participant.is_closed.is_(False),
            ((Encounter.status == "planned") & due) | ((Encounter.status == "arrived") & of_today),
        )
    )
    return await session.scalar(query.limit(1)) is not None
