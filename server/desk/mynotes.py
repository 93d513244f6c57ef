"""A patient's notes on their own page: keeping one as a file, and saying that something in one is wrong.

The page itself is `mine.py`; only what that patient may read comes here.
"""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from server import audit, context
from server.audit import AuditAction
from server.errors import not_found
from server.forms import parse_form
from server.permissions import is_patient
from server.records import corrections, reading, sheets
from server.records.service import Writing
from server.records.sheets import Occasion
from server.routing import Route, see_other
from server.scheduling import service


class WrongForm(BaseModel):
    text: Annotated[str, Field(min_length=1, max_length=corrections.LIMIT_CHARACTERS, title="what is wrong")]


async def show_file(request: web.Request) -> web.Response:
    """One version as a file, in the patient's own language."""
    clinic, now, patient_id = context.clinic(request), context.now(request), _patient_id(request)
    async with context.database(request).writing() as session:
        patient = await service.get_patient(session, clinic, patient_id)
        vault = context.vault(request).clinic(clinic.id)
        note = await reading.get_released_note(session, vault, clinic, patient_id, request.match_info["note"])
        await audit.enter(
            session,
            clinic_id=clinic.id,
            actor_person_id=patient.person_id,
            action=AuditAction.NOTE_PRINTED,
            subject=("note", note.note_id),
            now=now,
        )
    request[context.LANGUAGE_ON_FILE] = patient.language
    occasion = Occasion(note.starts_at, note.zone, patient)
    async with context.database(request).reading() as session:
        return await sheets.answer(request, session, occasion, list(note.versions), request.match_info["n"])


async def say_wrong(request: web.Request) -> web.Response:
    """Asks the doctor to correct a note; it waits on their list until they answer."""
    clinic, patient_id = context.clinic(request), _patient_id(request)
    vault = context.vault(request).clinic(clinic.id)
    writing = Writing(clinic, context.actor(request), context.now(request), context.events(request), vault)
    async with context.database(request).reading() as session:
        note = await reading.get_released_note(session, vault, clinic, patient_id, request.match_info["note"])
    form = await parse_form(request, WrongForm)
    async with context.database(request).writing() as session:
        await corrections.ask(session, writing, vault, note, form.text)
    return see_other(f"/c/{clinic.slug}/patients/{patient_id}/home?done=asked#note-{note.note_id}")


def _patient_id(request: web.Request) -> str:
    wanted = request.match_info["patient"]
    if wanted not in context.actor(request).patients:
        raise not_found()
    return wanted


_NOTE = "/c/{clinic}/patients/{patient}/home/notes/{note}"
ROUTES = [
    Route("GET", _NOTE + "/versions/{n}/file", show_file, is_patient, "mine.note_file"),
    Route("POST", _NOTE + "/wrong", say_wrong, is_patient, "mine.note_wrong"),
]
