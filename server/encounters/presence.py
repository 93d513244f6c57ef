"""When somebody of the staff was last in a visit; nobody is signed off for being idle there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.encounters.models import Encounter, Participant

GOING_ON = ("planned", "arrived", "in-progress")


async def last_in_visit(session: AsyncSession, person_id: str, now: datetime) -> datetime | None:
    """Now while their place in a visit stands, else when they last left one; None for who never was in any."""
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
    left = select(func.max(Participant.left_at)).where(Participant.person_id == person_id)
    found: datetime | None = await session.scalar(left)
    return found
