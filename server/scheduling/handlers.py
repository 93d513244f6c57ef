"""What scheduling does when accounts tell of something: registered by `app.py`, run in the same transaction."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.events import PageAccountChanged, PageCodeAsked
from server.accounts.service import get_clinic, get_patient
from server.events import Events
from server.scheduling import messages


def register(events: Events) -> None:
    events.on(PageCodeAsked, _send_code)
    events.on(PageAccountChanged, _tell_of_account)


async def _send_code(session: AsyncSession, event: PageCodeAsked) -> None:
    clinic = await get_clinic(session, event.clinic_id)
    patient = await get_patient(session, event.clinic_id, event.patient_id)
    await messages.queue_code(session, clinic, patient, event.link_id, event.at, event.phone)


async def _tell_of_account(session: AsyncSession, event: PageAccountChanged) -> None:
    clinic = await get_clinic(session, event.clinic_id)
    patient = await get_patient(session, event.clinic_id, event.patient_id)
    await messages.queue_account(session, clinic, patient, event.at)
