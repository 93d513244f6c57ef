"""Pages of the visit's note: the doctor's room with the note beside the picture, the visit's page, signing, adding.

For everybody but a doctor of the visit all of these are the same 404 as for a visit that doesn't exist.
"""

from __future__ import annotations

import base64
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.audit import AuditAction
from server.encounters import recordings, room_page, rules
from server.encounters.bodies import parse_json
from server.encounters.visits import Visit
from server.error_pages import wants_json
from server.errors import DomainError, FormError, not_found
from server.forms import parse_form
from server.pages import render, translate
from server.permissions import is_somebody
from server.records import (
    after_views,
    attach_views,
    clinic_views,
    fresh,
    handed,
    officer_views,
    reading,
    release,
    rights_views,
    service,
    start,
    visit_page,
)
from server.records.models import Note
from server.records.release import Readers, Release
from server.records.rules import NOTE_LIMIT_CHARACTERS, Kind
from server.records.service import DraftConflictError, Writing
from server.routing import Route, see_other
from signaling.words import N_, TEXT, Code, Role

DRAFT_LIMIT_BYTES = 8 * NOTE_LIMIT_CHARACTERS
SUMMARY_LIMIT_CHARACTERS = 5000
NO_STORE = {"Cache-Control": "no-store"}
REVIEW_AFTER = timedelta(days=14)
WRONG_CODE = N_("That code is not right, or was used already. Nothing was signed.")


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: str


class SignForm(BaseModel):
    """`text` is what the page's own field holds; the room's page saves first and sends the revision alone."""

    revision: Annotated[int, Field(ge=0, le=2**31 - 1)]
    text: Annotated[str | None, Field(max_length=NOTE_LIMIT_CHARACTERS, title="the note")] = None
    summary: Annotated[str | None, Field(max_length=SUMMARY_LIMIT_CHARACTERS, title="the summary")] = None
    readers: Readers = Readers.EVERYBODY
    reason: Annotated[str | None, Field(max_length=16, title="why it isn't read yet")] = None
    review_on: Annotated[date | None, Field(title="the day of the review")] = None
    code: Annotated[str | None, Field(max_length=40, title="the code")] = None


class AddForm(BaseModel):
    kind: Literal["addendum", "late_entry", "correction"]
    text: Annotated[str, Field(min_length=1, max_length=NOTE_LIMIT_CHARACTERS, title="what is added")]
    reason: Annotated[str, Field(min_length=1, max_length=1000, title="the reason")]


# ── The room ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def show_room(request: web.Request) -> web.Response:
    """The doctor's room: the visit with its note beside the picture."""
    writing = _writing(request)
    async with context.database(request).writing() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, _encounter_id(request))
        place = visit.place_of(writing.actor.person_id)
        if place is None:
            raise not_found()
        note = await service.load_note(session, visit.encounter)
        purposes = await recordings.load_purposes(session, writing.clinic.id)
        writable = note is None or note.signed_at is None
        note_config = await _note_config(session, request, writing, visit, note) if writable else None
        if note is not None:
            await service.enter(session, writing, AuditAction.NOTE_OPENED, note.id)
    base = _base(writing, visit)
    ended = visit.encounter
    if rules.is_over_for_good(ended.status, ended.outcome, ended.ended_at, writing.now):
        return see_other(f"{base}/summary")
    title = next((one.name for one in visit.participants if one.role == Role.PATIENT), "")
    config = room_page.config(
        visit,
        participation=place.id,
        role=Role.DOCTOR,
        title=title,
        now=writing.now,
        env=context.settings(request).env,
        clinic=writing.clinic.slug,
        clinic_phone=writing.clinic.phone,
        back_url=f"/c/{writing.clinic.slug}/",
        closing_url=f"{base}/summary",
        note=note_config,
        purposes=purposes,
        guest_link_url=f"{base}/guests",
        film_url=f"{base}/summary",
    )
    shown = None if request.get(context.NAMES_HIDDEN, False) else title
    return render(request, "visit/room.html", {"config": config, "visit_title": shown})


async def _note_config(
    session: AsyncSession, request: web.Request, writing: Writing, visit: Visit, note: Note | None
) -> dict[str, Any]:
    base = _base(writing, visit)
    return {
        "url": f"{base}/note",
        "draft_url": f"{base}/note/draft",
        "sign_url": f"{base}/note/sign",
        "start_url": f"{base}/note/start",
        "attached_url": f"{base}/note/attachments",
        "attached": await attach_views.load_values(session, writing, visit),
        "keep_key": base64.b64encode(
            context.vault(request).browser_key(writing.clinic.id, writing.person_id, visit.encounter.id)
        ).decode(),
        "revision": note.revision if note else 0,
        "text": note.draft if note else "",
        "template": await _template(session, request, visit),
        "release": await _release_config(session, request, writing, visit),
    }


async def _release_config(
    session: AsyncSession, request: web.Request, writing: Writing, visit: Visit
) -> dict[str, Any]:
    """What stands beside Sign: who reads it, by name, and why somebody may not."""
    patient = next((one.name for one in visit.participants if one.role == Role.PATIENT), "")
    proxies = await release.load_proxies(session, writing.clinic, visit.encounter, writing.now)
    return {
        "patient": patient,
        "proxies": [{"name": one.name, "reads": reads} for one, reads in proxies],
        "reasons": [[code, translate(request, words)] for code, words in release.REASONS.items()],
        "review_on": (writing.now + REVIEW_AFTER).date().isoformat(),
    }


# ── The note ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def show_note(request: web.Request) -> web.Response:
    """The note as the server holds it, for scripts; people see it on the visit's page."""
    writing = _writing(request)
    async with context.database(request).writing() as session:
        visit = await service.get_readable_visit(session, writing.clinic, writing.actor, _encounter_id(request))
        note = await service.load_note(session, visit.encounter)
        if note is not None:
            await service.enter(session, writing, AuditAction.NOTE_OPENED, note.id)
    if not wants_json(request):
        return see_other(f"{_base(writing, visit)}/summary")
    body = {
        "revision": note.revision if note else 0,
        "text": note.draft if note else "",
        "is_signed": note is not None and note.signed_at is not None,
    }
    return web.json_response(body, headers=NO_STORE)


async def save_draft(request: web.Request) -> web.Response:
    """Committed before it is answered. 428 without If-Match; 409 answers the text held, so that both can be kept."""
    writing = await _own_writing(request)
    based_on = _if_match(request)
    if based_on is None:
        raise DomainError(Code.PRECONDITION_MISSING)
    draft = await parse_json(request, Draft, limit_bytes=DRAFT_LIMIT_BYTES)
    try:
        async with context.database(request).writing() as session:
            revision = await service.save_draft(session, writing, _encounter_id(request), draft.text, based_on)
    except DraftConflictError as conflict:
        body = {
            "error": conflict.code.value,
            "message": TEXT[conflict.code],
            "revision": conflict.revision,
            "text": conflict.held,
            "yours": draft.text,
        }
        return web.json_response(body, status=409, headers=NO_STORE)
    return web.json_response({"revision": revision}, headers={**NO_STORE, "ETag": f'"{revision}"'})


async def sign(request: web.Request) -> web.Response:
    """Signs the revision on the screen; a newer one on the server is shown beside it, and nothing is signed."""
    writing, encounter_id = await _own_writing(request), _encounter_id(request)
    try:
        form = await parse_form(request, SignForm)
        chosen = Release(form.readers, form.reason, form.review_on)
        missing = release.judge(chosen, writing.now, writing.clinic.zone)
        if missing:
            raise FormError(missing)
    except FormError as error:
        if "revision" in error.fields:
            raise
        return await _visit_page(request, errors=error.fields, typed=await _typed(request))
    # A field that was emptied is not a field that isn't there: what stood in it before must not be signed.
    on_screen = (form.text or "") if "text" in await request.post() else None
    if not await _is_fresh(request, writing, form.code):
        wrong = {"code": WRONG_CODE} if form.code else {}
        values = {"base": _base_of(writing, encounter_id), "typed": await _typed(request), "errors": wrong}
        return render(request, "records/sign_again.html", values, status=422)
    try:
        async with context.database(request).writing() as session:
            await _refuse_bare(session, request, writing, encounter_id, on_screen)
            note = await service.sign(
                session,
                writing,
                encounter_id,
                form.revision,
                on_screen,
                summary=form.summary,
                release_now=chosen.readers is not Readers.NOBODY,
            )
            if chosen.readers is not Readers.EVERYBODY:
                await release.hold(session, writing, note.id, chosen)
    except DraftConflictError as conflict:
        shown: dict[str, Any] = {
            "base": _base_of(writing, encounter_id),
            "held": conflict.held,
            "revision": conflict.revision,
            "yours": on_screen,
            "typed": await _typed(request),
            "release": await _load_release(request, writing, encounter_id),
        }
        return render(request, "records/not_signed.html", shown, status=409)
    return see_other(f"{_base_of(writing, encounter_id)}/summary")


async def _load_release(request: web.Request, writing: Writing, encounter_id: str) -> dict[str, Any]:
    async with context.database(request).reading() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id)
        return await _release_config(session, request, writing, visit)


async def _typed(request: web.Request) -> dict[str, str]:
    """The form as it was sent, but for the code."""
    return {key: str(value) for key, value in (await request.post()).items() if key != "code"}


async def _is_fresh(request: web.Request, writing: Writing, code: str | None) -> bool:
    """Whether this session may sign now; an old one shows its second factor again."""
    async with context.database(request).writing() as session:
        if not await fresh.needs_code(session, writing):
            return True
        vault = context.vault(request).installation()
        return bool(code) and await fresh.show_code(session, vault, writing, code or "")


async def _refuse_bare(
    session: AsyncSession, request: web.Request, writing: Writing, encounter_id: str, on_screen: str | None
) -> None:
    """Headings with nothing under them are no note. Raises malformed."""
    visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id)
    note = await service.load_note(session, visit.encounter)
    text = on_screen if on_screen is not None else note.draft if note else ""
    template = await _template(session, request, visit)
    if "".join(text.split()) == "".join(template.split()):
        raise DomainError(Code.MALFORMED, "The note is empty. Nothing was signed.")


async def _template(session: AsyncSession, request: web.Request, visit: Visit) -> str:
    type_id = visit.appointment.visit_type_id
    return await start.load_template(
        session, visit.encounter.clinic_id, type_id, lambda words: translate(request, words)
    )


async def add(request: web.Request) -> web.Response:
    """An addendum, late entry or correction to a signed note."""
    writing, encounter_id = await _own_writing(request), _encounter_id(request)
    try:
        form = await parse_form(request, AddForm)
    except FormError as error:
        return await _visit_page(request, errors=error.fields, typed=await _typed(request))
    async with context.database(request).writing() as session:
        await service.add(session, writing, encounter_id, Kind(form.kind), text=form.text, reason=form.reason)
    return see_other(f"/c/{writing.clinic.slug}/visits/{encounter_id}/summary#note")


async def refuse_change(request: web.Request) -> web.Response:
    """Signed text has no other door: whatever would change it is refused; an unsigned note knows its draft alone."""
    writing = _writing(request)
    async with context.database(request).reading() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, _encounter_id(request))
        note = await service.load_note(session, visit.encounter)
        versions = await reading.load_versions(session, writing.vault, note) if note is not None else []
    n = request.match_info.get("n")
    if not versions or (n is not None and n not in {str(one.n) for one in versions}):
        raise not_found()
    raise DomainError(Code.NOTE_SIGNED)


# ── The visit's page ─────────────────────────────────────────────────────────────────────────────────────────────


async def show_visit(request: web.Request) -> web.Response:
    """What is left of a visit: what was said at the door, chat, films, the note and its versions."""
    return await handed.show(request) or await _visit_page(request)


async def _visit_page(
    request: web.Request, *, errors: dict[str, str] | None = None, typed: dict[str, str] | None = None
) -> web.Response:
    writing = _writing(request)
    vault = context.vault(request).clinic(writing.clinic.id)
    async with context.database(request).writing() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, _encounter_id(request))
        values = await visit_page.load_values(session, writing, visit, vault)
        await _enter_opened(session, writing, visit, values)
        note_config = await _note_config(session, request, writing, visit, values["note"])
    base, place = _base(writing, visit), visit.place_of(writing.actor.person_id)
    values |= {"base": base, "place": place.id if place else "", "note_config": note_config}
    values |= {"errors": errors or {}, "typed": typed or {}}
    return render(request, "records/visit.html", values, status=422 if errors else 200)


async def _enter_opened(session: AsyncSession, writing: Writing, visit: Visit, values: dict[str, Any]) -> None:
    note = values["note"]
    if note is not None:
        await service.enter(session, writing, AuditAction.NOTE_OPENED, note.id)
    if values["chat"]:
        await service.enter(session, writing, AuditAction.CHAT_READ, visit.encounter.id)


def _writing(request: web.Request) -> Writing:
    clinic = context.clinic(request)
    vault = context.vault(request).clinic(clinic.id)
    return Writing(clinic, context.actor(request), context.now(request), context.events(request), vault)


async def _own_writing(request: web.Request) -> Writing:
    """Before anything of the request is read: for a stranger no form is good or bad. Raises not_found."""
    writing = _writing(request)
    async with context.database(request).reading() as session:
        await service.get_own_visit(session, writing.clinic, writing.actor, _encounter_id(request))
    return writing


def _encounter_id(request: web.Request) -> str:
    return request.match_info["encounter_id"]


def _base(writing: Writing, visit: Visit) -> str:
    return _base_of(writing, visit.encounter.id)


def _base_of(writing: Writing, encounter_id: str) -> str:
    return f"/c/{writing.clinic.slug}/visits/{encounter_id}"


def _if_match(request: web.Request) -> int | None:
    """The revision that If-Match names, quoted or bare; None when there is none. Raises malformed."""
    header = request.headers.get("If-Match")
    if header is None:
        return None
    digits = header.strip().strip('"')
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise DomainError(Code.MALFORMED)
    return int(digits)


VISIT = "/c/{clinic}/visits/{encounter_id}"
ROUTES = [
    Route("GET", VISIT, show_room, is_somebody, "doctor_room", uses_camera=True),
    Route("GET", f"{VISIT}/summary", show_visit, is_somebody, "visit_summary"),
    Route("GET", f"{VISIT}/note", show_note, is_somebody, "note"),
    Route("PUT", f"{VISIT}/note/draft", save_draft, is_somebody, "note_draft"),
    Route("POST", f"{VISIT}/note/sign", sign, is_somebody, "note_sign"),
    Route("POST", f"{VISIT}/note/addenda", add, is_somebody, "note_add"),
    Route("PUT", f"{VISIT}/note", refuse_change, is_somebody, "note_put"),
    Route("PATCH", f"{VISIT}/note", refuse_change, is_somebody, "note_patch"),
    Route("DELETE", f"{VISIT}/note", refuse_change, is_somebody, "note_delete"),
    Route("PATCH", f"{VISIT}/note/versions/{{n}}", refuse_change, is_somebody, "note_version_patch"),
    Route("DELETE", f"{VISIT}/note/versions/{{n}}", refuse_change, is_somebody, "note_version_delete"),
    *after_views.ROUTES,
    *attach_views.ROUTES,
    *clinic_views.ROUTES,
    *rights_views.ROUTES,
    *officer_views.ROUTES,
]
