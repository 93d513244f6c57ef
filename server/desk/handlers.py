"""What the desk does when later areas release something: the patient gets a link to their own page.

Registered by `app.py`, run in the same transaction.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.service import get_clinic, get_patient
from server.encounters.events import FilmGranted, WishAnswered
from server.events import Events
from server.records.events import NoteReleased
from server.scheduling import messages


def register(events: Events) -> None:
    events.on(NoteReleased, _note_released)
    events.on(FilmGranted, _film_granted)
    events.on(WishAnswered, _wish_answered)


async def _note_released(session: AsyncSession, event: NoteReleased) -> None:
    await _tell(session, event.clinic_id, event.patient_id, event.at)


async def _film_granted(session: AsyncSession, event: FilmGranted) -> None:
    await _tell(session, event.clinic_id, event.patient_id, event.at)


async def _wish_answered(session: AsyncSession, event: WishAnswered) -> None:
    await _tell(session, event.clinic_id, event.patient_id, event.at)


async def _tell(session: AsyncSession, clinic_id: str, patient_id: str, now: datetime) -> None:
    clinic = await get_clinic(session, clinic_id)
    patient = await get_patient(session, clinic_id, patient_id)
    await messages.queue_page_link(session, clinic, patient, now)
