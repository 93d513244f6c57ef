"""What a doctor does with a signed note: let it go, take it back, print it.

Signing and adding are `signing_views.py`, answering a patient is `answering_views.py`. For everybody but a doctor of
the visit each of these is the same 404.
"""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, Field

from server import context, uploads
from server.accounts.models import Patient
from server.audit import AuditAction
from server.encounters.visits import Visit
from server.errors import DomainError, not_found
from server.forms import parse_form
from server.pages import render, translate
from server.permissions import is_somebody
from server.records import attachments, reading, release, requests, service, sheets, start, withdrawing
from server.records.service import Writing
from server.records.sheets import Occasion
from server.routing import Route, see_other
from server.scheduling.wording import when


class OfferForm(BaseModel):
    visit: Annotated[str, Field(max_length=36, title="the right visit")]


def writing_of(request: web.Request) -> Writing:
    clinic = context.clinic(request)
    vault = context.vault(request).clinic(clinic.id)
    return Writing(clinic, context.actor(request), context.now(request), context.events(request), vault)


async def own_visit(request: web.Request) -> Visit:
    """Before anything of the request is read. Raises not_found."""
    writing = writing_of(request)
    async with context.database(request).reading() as session:
        return await service.get_own_visit(session, writing.clinic, writing.actor, _encounter_id(request))


async def readable_visit(request: web.Request) -> Visit:
    """As `own_visit`, also for a doctor who handed it to a colleague."""
    writing = writing_of(request)
    async with context.database(request).reading() as session:
        return await service.get_readable_visit(session, writing.clinic, writing.actor, _encounter_id(request))


async def show_start(request: web.Request) -> web.Response:
    """The start line as of now, for the room's one tap."""
    visit = await own_visit(request)
    language = context.clinic(request).language
    async with context.database(request).reading() as session:
        line = await start.start_line(session, visit, language, lambda words: translate(request, words))
    return web.json_response({"text": line}, headers={"Cache-Control": "no-store"})


async def let_go(request: web.Request) -> web.Response:
    await own_visit(request)
    async with context.database(request).writing() as session:
        await release.let_go(session, writing_of(request), _encounter_id(request))
        await requests.note_let_go(session, writing_of(request), _encounter_id(request))
    return back(request)


async def show_withdraw(request: web.Request) -> web.Response:
    """What taking back means, before it is done; afterwards, where the text may go."""
    writing, visit = writing_of(request), await own_visit(request)
    async with context.database(request).reading() as session:
        note = await service.load_note(session, visit.encounter)
        versions = await reading.load_readable(session, writing.vault, note) if note else []
        withdrawal = await reading.load_withdrawal(session, note) if note else None
        candidates = await withdrawing.load_candidates(session, writing, visit) if withdrawal else []
        patient = await session.get(Patient, (writing.clinic.id, visit.encounter.patient_id))
    if note is None or note.signed_at is None:
        raise not_found()
    language, zone = writing.clinic.language, visit.encounter.zone
    values: dict[str, Any] = {
        "base": _base(request),
        "patient": patient,
        "versions": versions,
        "withdrawal": withdrawal,
        "candidates": [(one, f"{name}, {when(at, zone, language)['clock']}") for one, name, at in candidates],
    }
    return render(request, "records/withdraw.html", values)


async def withdraw(request: web.Request) -> web.Response:
    await own_visit(request)
    async with context.database(request).writing() as session:
        await withdrawing.withdraw(session, writing_of(request), _encounter_id(request))
    return see_other(f"{_base(request)}/note/withdrawal")


async def offer(request: web.Request) -> web.Response:
    """The withdrawn text with its files becomes a draft of the right visit, whose page opens."""
    await own_visit(request)
    form = await parse_form(request, OfferForm)
    writing, place = writing_of(request), uploads.open_uploads(context.settings(request))
    async with context.database(request).reading() as session:
        files = await withdrawing.load_files(session, writing, _encounter_id(request))
    copies = await attachments.copy(place, writing.vault, files)
    try:
        async with context.database(request).writing() as session:
            await withdrawing.offer(session, writing, _encounter_id(request), form.visit, copies)
    except DomainError:
        for one in copies:
            await uploads.remove(place, writing.clinic.id, one.id)
        raise
    return see_other(f"/c/{context.clinic(request).slug}/visits/{form.visit}/summary")


async def show_file(request: web.Request) -> web.Response:
    """One version to print or keep."""
    writing, visit = writing_of(request), await readable_visit(request)
    async with context.database(request).writing() as session:
        note = await service.load_note(session, visit.encounter)
        patient = await session.get(Patient, (writing.clinic.id, visit.encounter.patient_id))
        if note is None or patient is None:
            raise not_found()
        versions = await reading.load_readable(session, writing.vault, note)
        await service.enter(session, writing, AuditAction.NOTE_PRINTED, note.id)
    occasion = Occasion(visit.appointment.starts_at, visit.encounter.zone, patient)
    async with context.database(request).reading() as session:
        return await sheets.answer(request, session, occasion, versions, request.match_info["n"])


def _encounter_id(request: web.Request) -> str:
    return request.match_info["encounter_id"]


def _base(request: web.Request) -> str:
    return f"/c/{context.clinic(request).slug}/visits/{_encounter_id(request)}"


def back(request: web.Request) -> web.Response:
    return see_other(f"{_base(request)}/summary#note")


_NOTE = "/c/{clinic}/visits/{encounter_id}/note"
ROUTES = [
    Route("GET", _NOTE + "/start", show_start, is_somebody, "note_start"),
    Route("POST", _NOTE + "/release", let_go, is_somebody, "note_release"),
    Route("GET", _NOTE + "/withdrawal", show_withdraw, is_somebody, "note_withdrawal"),
    Route("POST", _NOTE + "/withdrawal", withdraw, is_somebody, "note_withdraw"),
    Route("POST", _NOTE + "/withdrawal/offer", offer, is_somebody, "note_offer"),
    Route("GET", _NOTE + "/versions/{n}/file", show_file, is_somebody, "note_file"),
]
