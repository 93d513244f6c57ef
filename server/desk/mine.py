"""A patient's own page: upcoming and past visits, released notes, films they may watch. Never opened by a visit link.

Reached with a page session alone (`accounts`: link, birth date and code). Each area adds its part here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context
from server.accounts import links
from server.accounts.demo import patient_home
from server.accounts.links import LinkKind
from server.accounts.models import Patient
from server.audit import AuditAction
from server.desk import day, told
from server.desk.day import Line
from server.desk.rules import Standing
from server.encounters import films
from server.errors import DomainError, not_found
from server.pages import language_of, render
from server.permissions import is_patient
from server.records import attachments, corrections
from server.records import reading as records
from server.records.rules import Kind
from server.routing import Route, see_other
from server.scheduling import kinds as offering
from server.scheduling import messages, service, waiting
from server.scheduling.reach import reach_of
from server.scheduling.wording import when
from signaling.words import N_, Code

KIND_WORDS = {
    Kind.SIGNED: N_("Note"),
    Kind.ADDENDUM: N_("Added"),
    Kind.LATE_ENTRY: N_("Added later"),
    Kind.CORRECTION: N_("Corrected"),
}
DONE = {
    "moved": N_("Your appointment has a new time. The link stays the same."),
    "cancelled": N_("Your appointment is cancelled."),
    "channels": N_("Saved. That is how we write to you from now on."),
    "waits": N_("We write to you when an earlier time is free. What you have stays yours until you say yes."),
    "waits_untold": N_("You are on the list, but we may not write to you. Allow it below, so that we can ask you."),
    "waits_not": N_("You are not asked any more. What you have stays as it is."),
    "asked": N_("Your doctor reads what you wrote, and you find the answer here."),
    "booked": N_("Your appointment is booked. You get a message with the link."),
    "booked_untold": N_("Your appointment is booked. No message is sent to you: you go in from this page."),
}
STILL_TODAY = timedelta(hours=12)
APPOINTMENTS = 40
"""So many of the newest are on the page; the rest of a long record is a link away."""
CLOSED = (Standing.OVER, Standing.NO_SHOW, Standing.CANCELLED)


async def show_mine(request: web.Request) -> web.Response:
    """The page of the one patient this browser opened, or a choice among several (two share a device)."""
    actor, clinic = context.actor(request), context.clinic(request)
    async with context.database(request).reading() as session:
        found = [await session.get(Patient, (clinic.id, patient_id)) for patient_id in sorted(actor.patients)]
    people = [patient for patient in found if patient is not None]
    if len(people) == 1:
        return see_other(patient_home(clinic.slug, people[0].id))
    return render(request, "desk/whose.html", {"people": people})


async def show_home(request: web.Request) -> web.Response:
    """Reading a note leaves its entry, so this page writes."""
    clinic, now = context.clinic(request), context.now(request)
    patient_id = _patient_id(request)
    async with context.database(request).writing() as session:
        patient = await service.get_patient(session, clinic, patient_id)
        request[context.LANGUAGE_ON_FILE] = patient.language
        language = language_of(request)
        scope = replace(clinic, language=language)
        newest = None if "all" in request.query else APPOINTMENTS + 1
        lines = await day.load_of_patient(session, scope, patient_id, now, newest=newest)
        vault = context.vault(request).clinic(clinic.id)
        notes = await records.load_released_notes(
            session, vault, clinic, patient_id, before=before(request), limit=records.PAGE
        )
        asked = await corrections.load(session, vault, clinic.id, [note.note_id for note in notes])
        attached = await attachments.load_of_notes(session, vault, clinic.id, notes)
        granted = await films.load_granted_films(session, clinic.id, patient_id)
        await _enter_read(session, patient, notes, now)
        kinds = {kind.id: kind for kind in await offering.load_all(session, clinic)}
        refused = await messages.load_refused(session, patient)
        waits = await waiting.load_entries(session, clinic.id, patient_id)
    values = {
        "patient": patient,
        "done": told.variant(DONE, request.query.get("done", ""), reach_of(patient, refused)),
        "may_book": any(kind.is_active and kind.for_patients for kind in kinds.values()),
        "changeable": {
            line.appointment.id
            for line in lines
            if (kind := kinds.get(line.appointment.visit_type_id)) is not None
            and service.may_change(line.appointment, kind, now)
        },
        "waits": waits,
        "allowed": [channel for channel in ("mail", "sms") if channel not in refused],
        "has_more": newest is not None and len(lines) == newest,
        "upcoming": [line for line in lines if _is_upcoming(line, now)],
        "past": [line for line in reversed(lines) if not _is_upcoming(line, now)],
        "notes": [(note, when(note.starts_at, note.zone, language)) for note in notes],
        "earlier_notes": notes[-1].released_at.isoformat() if len(notes) == records.PAGE else None,
        "signed_at": partial(when, language=language),
        "asked": asked,
        "files": attached,
        "kind_words": KIND_WORDS,
        "films": granted,
    }
    return render(request, "desk/mine.html", values)


async def _enter_read(
    session: AsyncSession, patient: Patient, notes: Sequence[records.ReleasedNote], now: datetime
) -> None:
    for note in notes:
        await audit.enter(
            session,
            clinic_id=patient.clinic_id,
            actor_person_id=patient.person_id,
            action=AuditAction.NOTE_READ,
            subject=("note", note.note_id),
            now=now,
        )


async def open_visit(request: web.Request) -> web.Response:
    """From the own page to the visit's door: a link of its own, since none is stored in the clear."""
    clinic, now = context.clinic(request), context.now(request)
    patient_id = _patient_id(request)
    async with context.database(request).writing() as session:
        appointment = await service.get_appointment(session, clinic, request.match_info["appointment"])
        if appointment.patient_id != patient_id:
            raise not_found()
        if appointment.status not in ("booked", "arrived"):
            raise DomainError(Code.VISIT_OVER)
        token = await links.new_link(
            session, clinic_id=clinic.id, kind=LinkKind.VISIT, subject_id=appointment.id, now=now
        )
    return see_other(f"/v/{token}")


_HOME = "/c/{clinic}/patients/{patient}/home"
ROUTES = [
    Route("GET", "/c/{clinic}/my", show_mine, is_patient, "mine"),
    Route("GET", _HOME, show_home, is_patient, "mine.home"),
    Route("POST", _HOME + "/visits/{appointment}", open_visit, is_patient, "mine.open_visit"),
]


def _patient_id(request: web.Request) -> str:
    """The patient of the address, if this session opened their page; else it isn't there."""
    wanted = request.match_info["patient"]
    if wanted not in context.actor(request).patients:
        raise not_found()
    return wanted


def before(request: web.Request) -> datetime | None:
    """From where the notes go on; anything else than a moment of ours begins at the newest."""
    try:
        moment = datetime.fromisoformat(request.query.get("before", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _is_upcoming(line: Line, now: datetime) -> bool:
    """Until half a day after its end: a late start doesn't make a visit a past one."""
    return line.standing not in CLOSED and now < line.appointment.ends_at + STILL_TODAY
