"""Tells the people who must look: when a film failed its own check, and when a disk that is full ended a recording.

An incident for whoever looks after the clinic, and a notice by mail and on their page for each who is meant. What an
incident is, and where it is shown and closed, is the audit's and the accounts'.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import notices
from server.accounts.notices import Notice
from server.audit import Incident
from server.encounters import visits
from server.encounters.keeping_models import RecordingDeletion
from server.encounters.models import Encounter
from server.encounters.recording_models import Film, Recording
from server.permissions import StaffRole

FILM_CODE = "check_failed"
"""Of a film that did not pass."""
CHECK_FAILED = "recording_check_failed"
NO_SPACE = "recording_storage_full"
NOT_DELETED = "recording_not_deleted"
OF_THE_DISK = frozenset({"storage_full", "write_failed"})
"""The codes of a node whose disk took no more."""


async def check_failed(session: AsyncSession, film: Film, now: datetime) -> None:
    """The visit's doctors are told where to watch it, the administrators that an incident waits for one of them."""
    await _file(session, film.clinic_id, CHECK_FAILED, ("film", film.id), now)
    encounter = await session.get(Encounter, (film.clinic_id, film.encounter_id))
    doctors = (await visits.visit_of(session, encounter)).facts.doctor_ids if encounter is not None else ()
    where = Notice(CHECK_FAILED, detail=f"visits/{film.encounter_id}/summary")
    await notices.tell(session, film.clinic_id, doctors, where, now)


async def capture_ended(session: AsyncSession, recording: Recording, now: datetime) -> None:
    """It failed; whoever was in the visit has seen why. One incident is enough until somebody has closed it."""
    if recording.phase != "failed" or recording.code not in OF_THE_DISK:
        return
    open_now = await audit.open_incidents(session, recording.clinic_id)
    if not any(one.kind == NO_SPACE for one in open_now):
        await _file(session, recording.clinic_id, NO_SPACE, ("recording", recording.id), now)


async def deletion_late(session: AsyncSession, ordered: RecordingDeletion, now: datetime) -> None:
    """Somebody was told that it is deleted, and the store still holds it. Said once of each order."""
    known = select(Incident.id).where(
        Incident.clinic_id == ordered.clinic_id, Incident.kind == NOT_DELETED, Incident.subject_id == ordered.id
    )
    if await session.scalar(known.limit(1)) is None:
        await _file(session, ordered.clinic_id, NOT_DELETED, ("recording_deletion", ordered.id), now)


async def _file(session: AsyncSession, clinic_id: str, kind: str, subject: tuple[str, str], now: datetime) -> None:
    await audit.file_incident(
        session,
        clinic_id=clinic_id,
        kind=kind,
        subject=subject,
        filed_by_person_id=None,
        owner_person_id=None,
        now=now,
    )
    administrators = await notices.holders_of(session, clinic_id, StaffRole.ADMINISTRATOR)
    await notices.tell(session, clinic_id, administrators, Notice(kind), now)
