"""What the record does when a visit tells it something: registered by `app.py`, run in the same transaction."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from server import uploads
from server.encounters import planning, visits
from server.encounters.events import StrangerShutOut
from server.events import Events
from server.records import service


def register(events: Events) -> None:
    events.on(StrangerShutOut, _stranger_shut_out)


async def _stranger_shut_out(session: AsyncSession, event: StrangerShutOut) -> None:
    """What was drafted about somebody else goes with a visit in error; the patient's own note begins empty."""
    encounter = await visits.get_encounter(session, event.encounter_id)
    note = await service.load_note(session, encounter)
    if note is None or note.signed_at is not None or not note.draft.strip():
        return
    error = await planning.split_off_error(session, encounter, event.at)
    note.encounter_id = error.id
    for attached in await uploads.load_of(session, event.clinic_id, (service.ATTACHED_TO, encounter.id)):
        attached.subject_id = error.id
    await session.flush()
