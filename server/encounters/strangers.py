"""Until when somebody who was not the patient was in the visit: what was said and done then is not the patient's.

Shutting them out is `service.py`; what was written of them goes with a visit in error, see `planning.py`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.encounters.models import Encounter, Participant
from signaling.words import Departure, Role


async def strangers_until(session: AsyncSession, encounter: Encounter) -> datetime | None:
    """When the last stranger was shut out; None when there was none, and where the whole visit was in error."""
    if encounter.status == "entered-in-error":
        return None
    last: datetime | None = await session.scalar(
        select(func.max(Participant.left_at)).where(
            Participant.clinic_id == encounter.clinic_id,
            Participant.encounter_id == encounter.id,
            Participant.role == Role.PATIENT.value,
            Participant.is_closed.is_(True),
            Participant.reason == Departure.WRONG_PERSON.value,
        )
    )
    return last
