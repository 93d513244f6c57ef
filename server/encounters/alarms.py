"""Tells the people who must look when a film failed its own check: the visit's doctors, and the administrators.

What an incident is, and where it is shown and closed, is the audit's and the accounts'.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.encounters import visits
from server.encounters.models import Encounter
from server.encounters.recording_models import Film

CHECK_FAILED = "recording_check_failed"


async def check_failed(session: AsyncSession, film: Film, now: datetime) -> None:
    """One incident for each doctor of the visit, and one without an owner for whoever looks after the clinic."""
    encounter = await session.get(Encounter, (film.clinic_id, film.encounter_id))
    doctors = sorted((await visits.visit_of(session, encounter)).facts.doctor_ids) if encounter is not None else []
    for owner in (*doctors, None):
        await audit.file_incident(
            session,
            clinic_id=film.clinic_id,
            kind=CHECK_FAILED,
            subject=("film", film.id),
            filed_by_person_id=None,
            owner_person_id=owner,
            now=now,
        )
