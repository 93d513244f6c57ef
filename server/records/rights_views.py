"""A patient's rights on their own page: a copy of the record, what is withheld from it, having a note erased.

Proxies get a copy of what their scope opens and nothing else. What is somebody else's isn't there.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, Field, StringConstraints, field_validator
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context, jobs, uploads
from server.accounts import links, pagecodes
from server.accounts.links import LinkKind
from server.accounts.models import Patient
from server.accounts.service import get_patient
from server.accounts.throttle import THROTTLE
from server.audit import AuditAction
from server.encounters.filmstore import FilmDamagedError, open_recordings, read_film
from server.errors import FormError, not_found
from server.forms import parse_form
from server.middleware import client_address
from server.pages import language_of, render
from server.permissions import is_patient, is_proxy
from server.records import attachments, exports, reading, requests
from server.records.exports import Asker
from server.records.rights_models import RecordExport
from server.routing import Route, see_other
from server.scheduling.wording import when
from signaling.words import N_

WRONG = N_("That isn't right, or the code is too old. Check both, or have another code sent.")
FILE_HEADERS = {
    "Content-Type": "application/zip",
    "Content-Disposition": 'attachment; filename="record.zip"',
    "Content-Security-Policy": "sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}


class FreshForm(BaseModel):
    """What a sign-in that is no longer fresh is made fresh with."""

    token: Annotated[str, StringConstraints(max_length=64)]
    birth_date: date = Field(title=N_("the date of birth"))
    code: Annotated[str, StringConstraints(max_length=20)] = Field(title=N_("the code"))

    @field_validator("code")
    @classmethod
    def _digits(cls, value: str) -> str:
        return "".join(character for character in value if character.isdigit())


async def show(request: web.Request) -> web.Response:
    """Copies, what was asked for with its due date or answer, and the notes that erasing can be asked of."""
    asker, patient = await _asker(request)
    clinic, now = context.clinic(request), context.now(request)
    vault = context.vault(request).clinic(clinic.id)
    if asker.proxy is None:
        request[context.LANGUAGE_ON_FILE] = patient.language
    language = language_of(request)
    async with context.database(request).reading() as session:
        copies = [await _values(request, session, row) for row in await exports.load_of(session, asker, now)]
        asked, notes = [], []
        if asker.proxy is None:
            asked = await requests.load_of_patient(session, vault, clinic.id, patient.id)
            notes = await reading.load_released_notes(session, vault, clinic, patient.id)
    erased = {one.row.subject_id for one in asked if one.row.kind == "erase"}
    values = {
        "patient": patient,
        "is_own": asker.proxy is None,
        "home": _home(request),
        "copies": copies,
        "asked": [(one, when(one.starts_at, one.zone, language), _day(one.row.due_on, language)) for one in asked],
        "why": requests.WHY,
        "notes": [
            (note, when(note.starts_at, note.zone, language))
            for note in notes
            if note.note_id not in erased and any(version.text is not None for version in note.versions)
        ],
        "is_done": "done" in request.query,
    }
    return render(request, "records/copy.html", values)


async def ask(request: web.Request) -> web.Response:
    """A copy, as of when the job makes it; what it must leave out is asked for in the same transaction."""
    asker, patient = await _asker(request)
    if asker.proxy is None:
        request[context.LANGUAGE_ON_FILE] = patient.language
    clinic, now, language = context.clinic(request), context.now(request), language_of(request)
    async with context.database(request).writing() as session:
        await exports.ask(session, asker, language, now)
        if asker.proxy is None:
            await requests.ask_for_withheld(session, clinic, patient.id, now)
    return see_other(f"{_home(request)}/copy")


async def show_state(request: web.Request) -> web.Response:
    """How far one copy is: the page asks for this piece again until it is made."""
    asker, _ = await _asker(request)
    async with context.database(request).reading() as session:
        rows = await exports.load_of(session, asker, context.now(request))
        row = next((one for one in rows if one.id == request.match_info["export"]), None)
        if row is None:
            raise not_found()
        values = await _values(request, session, row)
    return render(request, "records/copy_one.html", {"one": values, "home": _home(request)})


async def send_code(request: web.Request) -> web.Response:
    """A code to the phone on file, for a sign-in that is too old to fetch anything."""
    asker, patient = await _asker(request)
    now = context.now(request)
    await request.app[THROTTLE].check("page-code", client_address(request), asker.proxy_id or patient.id)
    kind = LinkKind.PROXY if asker.proxy else LinkKind.PAGE
    async with context.database(request).writing() as session:
        row = await exports.get_ready(session, asker, request.match_info["export"], now)
        subject_id = asker.proxy_id or patient.id
        token = await links.new_link(session, clinic_id=asker.clinic_id, kind=kind, subject_id=subject_id, now=now)
        await pagecodes.ask_for_code(session, context.events(request), token, now)
    return _code_page(request, row, token)


async def fetch(request: web.Request) -> web.StreamResponse:
    """The file, after a fresh sign-in alone; each fetch is an entry of the audit."""
    asker, patient = await _asker(request)
    now, page_session = context.now(request), context.actor(request).page_session_id
    async with context.database(request).writing() as session:
        row = await exports.get_ready(session, asker, request.match_info["export"], now)
        is_fresh = await exports.is_fresh(session, page_session, now)
    if not is_fresh:
        try:
            form = await parse_form(request, FreshForm)
        except FormError as error:
            token = str((await request.post()).get("token", ""))[:64]
            return _code_page(request, row, token, error.fields if token else {})
        if not await _make_fresh(request, asker, patient, form):
            return _code_page(request, row, form.token, {"code": WRONG})
    async with context.database(request).writing() as session:
        row = await exports.get_ready(session, asker, row.id, now)
        await exports.enter(session, row, AuditAction.EXPORT_FETCHED, asker.person_id, now)
    return await _send(request, row)


async def ask_to_erase(request: web.Request) -> web.Response:
    _, patient = await _asker(request)
    clinic, now = context.clinic(request), context.now(request)
    async with context.database(request).writing() as session:
        await requests.ask_to_erase(session, clinic, patient.id, request.match_info["note"], now)
    return see_other(f"{_home(request)}/copy?done=asked#asked-title")


async def show_file(request: web.Request) -> web.Response:
    """What is attached to a note that this asker reads."""
    asker, patient = await _asker(request)
    clinic, now = context.clinic(request), context.now(request)
    vault = context.vault(request).clinic(clinic.id)
    for_proxy = asker.proxy is not None
    if asker.proxy is not None and "read_notes" not in asker.scopes:
        raise not_found()
    async with context.database(request).writing() as session:
        note = await reading.get_released_note(
            session, vault, clinic, patient.id, request.match_info["note"], for_proxy=for_proxy
        )
        files = await attachments.load_of_notes(session, vault, clinic.id, [note])
        attached = next((one for one in files if one.upload.id == request.match_info["upload"]), None)
        if attached is None:
            raise not_found()
        await audit.enter(
            session,
            clinic_id=clinic.id,
            actor_person_id=asker.person_id,
            action=AuditAction.DOCUMENT_READ,
            subject=("upload", attached.upload.id),
            detail={"proxy": asker.proxy_id} if asker.proxy_id else None,
            now=now,
        )
    content = await uploads.read(uploads.open_uploads(context.settings(request)), vault, attached.upload)
    return uploads.download(attached.name, attached.upload.kind, content)


# ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _asker(request: web.Request) -> tuple[Asker, Patient]:
    """The patient of the address, or the proxy who acts for them here. Raises not_found for everybody else."""
    actor, clinic, wanted = context.actor(request), context.clinic(request), request.match_info["patient"]
    acting = next(
        (one for one in sorted(actor.acts_for, key=lambda one: one.proxy_id) if one.patient_id == wanted), None
    )
    is_proxy_page = _home(request).endswith("/proxy")
    if (acting is None) if is_proxy_page else (wanted not in actor.patients):
        raise not_found()
    async with context.database(request).reading() as session:
        patient = await get_patient(session, clinic.id, wanted)
    if is_proxy_page:
        return Asker(clinic.id, wanted, None, acting), patient
    return Asker(clinic.id, wanted, patient.person_id), patient


async def _values(request: web.Request, session: AsyncSession, row: RecordExport) -> dict[str, Any]:
    clinic, language = context.clinic(request), language_of(request)
    job = await jobs.load_job(session, exports.JOB, row.id) if row.state == "asked" else None
    is_failed = row.state == "failed" or (job is not None and job.finished_at is not None and bool(job.error))
    return {
        "id": row.id,
        "state": "failed" if is_failed else row.state,
        "percent": round((job.progress if job else 0.0) * 100),
        "asked": when(row.asked_at, clinic.zone, language),
        "until": when(row.expires_at, clinic.zone, language) if row.expires_at else None,
        "kilobytes": -(-(row.size_bytes or 0) // 1000),
    }


async def _make_fresh(request: web.Request, asker: Asker, patient: Patient, form: FreshForm) -> bool:
    """Whether birth date and code are right, and open this very page to this very asker."""
    now, page_session = context.now(request), context.actor(request).page_session_id
    await request.app[THROTTLE].check("page", client_address(request), form.token)
    async with context.database(request).writing() as session:
        opener = await pagecodes.check(session, form.token, form.birth_date, form.code, now)
        proxy_id = opener.proxy.id if opener and opener.proxy else None
        if opener is None or (opener.patient.id, proxy_id) != (patient.id, asker.proxy_id) or page_session is None:
            return False
        await exports.note_fresh(session, page_session, now)
    return True


def _code_page(
    request: web.Request, row: RecordExport, token: str, errors: dict[str, str] | None = None
) -> web.Response:
    values = {"export": row, "token": token, "errors": errors or {}, "home": _home(request)}
    return render(request, "records/copy_code.html", values, status=422 if errors else 200)


async def _send(request: web.Request, row: RecordExport) -> web.StreamResponse:
    """Opened block by block: never whole in memory, never in the clear on a disk."""
    sealed = exports.opened(context.vault(request).clinic(row.clinic_id), row)
    response = web.StreamResponse(headers=FILE_HEADERS)
    response.content_length = sealed.size
    await response.prepare(request)
    try:
        async for piece in read_film(open_recordings(context.settings(request)), sealed, 0, sealed.size):
            await response.write(piece)
    except FilmDamagedError:
        if request.transport is not None:
            request.transport.abort()
        raise
    await response.write_eof()
    return response


def _day(day: date, language: str) -> str:
    return when(datetime.combine(day, time(12), UTC), "UTC", language)["date"]


def _home(request: web.Request) -> str:
    side = request.path.split("/")[5]
    return f"/c/{context.clinic(request).slug}/patients/{request.match_info['patient']}/{side}"


_HOME, _PROXY = "/c/{clinic}/patients/{patient}/home", "/c/{clinic}/patients/{patient}/proxy"
_FILE = "/notes/{note}/attachments/{upload}"
ROUTES = [
    Route("GET", _HOME + "/copy", show, is_patient, "mine.copy"),
    Route("POST", _HOME + "/copy", ask, is_patient, "mine.copy_ask"),
    Route("GET", _HOME + "/copy/{export}", show_state, is_patient, "mine.copy_state"),
    Route("POST", _HOME + "/copy/{export}/code", send_code, is_patient, "mine.copy_code"),
    Route("POST", _HOME + "/copy/{export}/file", fetch, is_patient, "mine.copy_file"),
    Route("POST", _HOME + "/notes/{note}/erase", ask_to_erase, is_patient, "mine.note_erase"),
    Route("GET", _HOME + _FILE, show_file, is_patient, "mine.note_attachment"),
    Route("GET", _PROXY + "/copy", show, is_proxy, "proxy.copy"),
    Route("POST", _PROXY + "/copy", ask, is_proxy, "proxy.copy_ask"),
    Route("GET", _PROXY + "/copy/{export}", show_state, is_proxy, "proxy.copy_state"),
    Route("POST", _PROXY + "/copy/{export}/code", send_code, is_proxy, "proxy.copy_code"),
    Route("POST", _PROXY + "/copy/{export}/file", fetch, is_proxy, "proxy.copy_file"),
    Route("GET", _PROXY + _FILE, show_file, is_proxy, "proxy.note_attachment"),
]
