"""Pages of the notes of a whole clinic: a doctor's open ends, the headings, what was entered in error.

One visit's note is `views.py` and `after_views.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context, uploads
from server.accounts.models import Patient
from server.audit import AuditAction
from server.encounters.models import Encounter, Participant
from server.errors import FormError, not_found
from server.forms import parse_form
from server.pages import render, translate
from server.permissions import is_administrator, is_doctor, is_privacy_officer
from server.records import due, rules, start, withdrawing
from server.records.models import CorrectionRequest, Note, NoteHold, NoteTemplate
from server.records.rights_models import RecordRequest
from server.records.service import Writing
from server.routing import Route, see_other
from server.scheduling.models import Appointment, VisitType
from server.scheduling.wording import when
from signaling.words import N_, Role


class TemplateForm(BaseModel):
    text: Annotated[str, Field(max_length=start.TEMPLATE_LIMIT_CHARACTERS, title="the headings")] = ""


async def show_open(request: web.Request) -> web.Response:
    """What waits for this doctor: unsigned notes, oldest first, patients' questions, notes to look at again."""
    clinic, now = context.clinic(request), context.now(request)
    async with context.database(request).reading() as session:
        found = await _load_open(session, clinic.id, context.actor(request).person_id or "", now, clinic.zone)
    lists = {
        name: [(encounter_id, patient, when(at, zone, clinic.language)) for encounter_id, patient, at, zone in rows]
        for name, rows in found.items()
    }
    return render(request, "records/open.html", {"lists": lists})


async def _load_open(
    session: AsyncSession, clinic_id: str, person_id: str, now: datetime, zone: str
) -> dict[str, list[tuple[str, str, datetime, str]]]:
    today = now.astimezone(ZoneInfo(zone)).date()
    mine = (
        select(Encounter.id, Patient.name, Appointment.starts_at, Encounter.zone)
        .join(Patient, and_(Patient.clinic_id == Encounter.clinic_id, Patient.id == Encounter.patient_id))
        .join(
            Appointment,
            and_(Appointment.clinic_id == Encounter.clinic_id, Appointment.id == Encounter.appointment_id),
        )
        .join(
            Participant,
            and_(
                Participant.clinic_id == Encounter.clinic_id,
                Participant.encounter_id == Encounter.id,
                Participant.role == Role.DOCTOR.value,
                Participant.person_id == person_id,
                Participant.is_closed.is_(False),
            ),
        )
        .outerjoin(Note, and_(Note.clinic_id == Encounter.clinic_id, Note.encounter_id == Encounter.id))
        .where(Encounter.clinic_id == clinic_id)
        .order_by(Appointment.starts_at)
    )
    hold = and_(NoteHold.clinic_id == Note.clinic_id, NoteHold.note_id == Note.id, NoteHold.review_on <= today)
    asked = and_(
        CorrectionRequest.clinic_id == Note.clinic_id,
        CorrectionRequest.note_id == Note.id,
        CorrectionRequest.answered_at.is_(None),
    )
    wanted = and_(
        RecordRequest.clinic_id == Encounter.clinic_id,
        RecordRequest.encounter_id == Encounter.id,
        RecordRequest.kind == "see",
        RecordRequest.state == "asked",
    )
    queries = {
        "unsigned": mine.where(due.is_unsigned(now)),
        "asked": mine.join(CorrectionRequest, asked).distinct(),
        "review": mine.join(NoteHold, hold),
        "requests": mine.join(RecordRequest, wanted).distinct(),
    }
    return {
        name: [(row[0], row[1], row[2], row[3]) for row in await session.execute(query)]
        for name, query in queries.items()
    }


async def show_templates(request: web.Request) -> web.Response:
    return await _templates(request)


async def change_template(request: web.Request) -> web.Response:
    """An emptied one gives its kind of visit the usual headings again."""
    clinic, now = context.clinic(request), context.now(request)
    try:
        form = await parse_form(request, TemplateForm)
    except FormError as error:
        return await _templates(request, error.fields)
    kind_id, text = request.match_info["type"], rules.clean_text(form.text)
    by = context.actor(request).person_id or ""
    async with context.database(request).writing() as session:
        if await session.get(VisitType, (clinic.id, kind_id)) is None:
            raise not_found()
        row = await session.get(NoteTemplate, (clinic.id, kind_id))
        if row is not None and not text:
            await session.delete(row)
        elif row is not None:
            row.text, row.changed_by, row.changed_at = text, by, now
        elif text:
            row = NoteTemplate(clinic_id=clinic.id, visit_type_id=kind_id, text=text, changed_by=by, changed_at=now)
            session.add(row)
        await audit.enter(
            session,
            clinic_id=clinic.id,
            actor_person_id=by,
            action=AuditAction.SETTINGS_CHANGED,
            subject=("note_template", kind_id),
            now=now,
        )
    return see_other(f"/c/{clinic.slug}/note-templates?done=yes")


async def _templates(request: web.Request, errors: dict[str, str] | None = None) -> web.Response:
    clinic = context.clinic(request)
    async with context.database(request).reading() as session:
        kinds = await start.load_all(session, clinic.id, lambda words: translate(request, words))
    values = {"kinds": kinds, "errors": errors or {}, "is_done": "done" in request.query}
    return render(request, "records/templates.html", values, status=422 if errors else 200)


async def show_withdrawn(request: web.Request) -> web.Response:
    clinic = context.clinic(request)
    async with context.database(request).reading() as session:
        rows = await withdrawing.load_all(session, clinic)
    return render(
        request, "records/withdrawn.html", {"rows": [(row, when(row.at, clinic.zone, clinic.language)) for row in rows]}
    )


async def show_original(request: web.Request) -> web.Response:
    """The sealed original and who opened it; this look is entered like any other."""
    clinic = context.clinic(request)
    vault = context.vault(request).clinic(clinic.id)
    writing = Writing(clinic, context.actor(request), context.now(request), context.events(request), vault)
    async with context.database(request).writing() as session:
        found = await withdrawing.get_original(session, writing, request.match_info["note"])
    opened = [(entry, name, when(entry.at, clinic.zone, clinic.language)) for entry, name in found.opened]
    at = when(found.withdrawal.at, clinic.zone, clinic.language)
    return render(request, "records/original.html", {"found": found, "opened": opened, "at": at})


async def show_original_file(request: web.Request) -> web.StreamResponse:
    """A file that was attached to a withdrawn note."""
    clinic = context.clinic(request)
    vault = context.vault(request).clinic(clinic.id)
    writing = Writing(clinic, context.actor(request), context.now(request), context.events(request), vault)
    async with context.database(request).writing() as session:
        row = await withdrawing.get_file(session, writing, request.match_info["note"], request.match_info["upload"])
    content = await uploads.read(uploads.open_uploads(context.settings(request)), vault, row)
    return uploads.download(uploads.name_of(vault, row), row.kind, content)


_C = "/c/{clinic}"
ROUTES = [
    Route("GET", f"{_C}/notes", show_open, is_doctor, "notes_open", nav=N_("Notes")),
    Route("GET", f"{_C}/note-templates", show_templates, is_administrator, "note_templates", nav=N_("Note headings")),
    Route("POST", f"{_C}/note-templates/{{type}}", change_template, is_administrator, "note_template"),
    Route("GET", f"{_C}/withdrawn", show_withdrawn, is_privacy_officer, "notes_withdrawn", nav=N_("Withdrawn")),
    Route("GET", f"{_C}/withdrawn/{{note}}", show_original, is_privacy_officer, "note_original"),
    Route(
        "GET", f"{_C}/withdrawn/{{note}}/files/{{upload}}", show_original_file, is_privacy_officer, "note_original_file"
    ),
]
