"""Pages of the visit's note: the doctor's room with the note beside the picture, the visit's page, drafts.

For everybody but a doctor of the visit all of these are the same 404 as for a visit that doesn't exist.
"""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from server import context
from server.audit import AuditAction
from server.encounters import room_page, rules, wordings
from server.encounters.bodies import parse_json
from server.error_pages import wants_json
from server.errors import DomainError, not_found
from server.pages import render
from server.permissions import is_somebody
from server.records import (
    after_views,
    answering_views,
    attach_views,
    clinic_views,
    handed,
    officer_views,
    page_views,
    reading,
    rights_views,
    service,
    signing_views,
)
from server.records.rules import NOTE_LIMIT_CHARACTERS
from server.records.service import DraftConflictError
from server.routing import Route, see_other
from signaling.words import TEXT, Code, Role

DRAFT_LIMIT_BYTES = 8 * NOTE_LIMIT_CHARACTERS
NO_STORE = {"Cache-Control": "no-store"}


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: str


# ── The room ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def show_room(request: web.Request) -> web.Response:
    """The doctor's room: the visit with its note beside the picture."""
    writing = page_views.writing_of(request)
    async with context.database(request).writing() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, page_views.encounter_id_of(request))
        place = visit.place_of(writing.actor.person_id)
        if place is None:
            raise not_found()
        note = await service.load_note(session, visit.encounter)
        purposes = await wordings.load_open_purposes(session, writing.clinic.id)
        writable = note is None or note.signed_at is None
        note_config = await page_views.load_note_config(session, request, writing, visit, note) if writable else None
        if note is not None:
            await service.enter(session, writing, AuditAction.NOTE_OPENED, note.id)
    base = page_views.base_of(writing, visit.encounter.id)
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


# ── The note ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def show_note(request: web.Request) -> web.Response:
    """The note as the server holds it, for scripts; people see it on the visit's page."""
    writing = page_views.writing_of(request)
    async with context.database(request).writing() as session:
        visit = await service.get_readable_visit(
            session, writing.clinic, writing.actor, page_views.encounter_id_of(request)
        )
        note = await service.load_note(session, visit.encounter)
        if note is not None:
            await service.enter(session, writing, AuditAction.NOTE_OPENED, note.id)
    if not wants_json(request):
        return see_other(f"{page_views.base_of(writing, visit.encounter.id)}/summary")
    body = {
        "revision": note.revision if note else 0,
        "text": note.draft if note else "",
        "is_signed": note is not None and note.signed_at is not None,
    }
    return web.json_response(body, headers=NO_STORE)


async def save_draft(request: web.Request) -> web.Response:
    """Committed before it is answered. 428 without If-Match; 409 answers the text held, so that both can be kept."""
    writing = await page_views.own_writing(request)
    based_on = _if_match(request)
    if based_on is None:
        raise DomainError(Code.PRECONDITION_MISSING)
    draft = await parse_json(request, Draft, limit_bytes=DRAFT_LIMIT_BYTES)
    try:
        async with context.database(request).writing() as session:
            revision = await service.save_draft(
                session, writing, page_views.encounter_id_of(request), draft.text, based_on
            )
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


async def refuse_change(request: web.Request) -> web.Response:
    """Signed text has no other door: whatever would change it is refused; an unsigned note knows its draft alone."""
    writing = page_views.writing_of(request)
    async with context.database(request).reading() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, page_views.encounter_id_of(request))
        note = await service.load_note(session, visit.encounter)
        versions = await reading.load_versions(session, writing.vault, note) if note is not None else []
    n = request.match_info.get("n")
    if not versions or (n is not None and n not in {str(one.n) for one in versions}):
        raise not_found()
    raise DomainError(Code.NOTE_SIGNED)


# ── The visit's page ─────────────────────────────────────────────────────────────────────────────────────────────


async def show_visit(request: web.Request) -> web.Response:
    """What is left of a visit: what was said at the door, chat, films, the note and its versions."""
    return await handed.show(request) or await page_views.show(request)


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
    Route("PUT", f"{VISIT}/note", refuse_change, is_somebody, "note_put"),
    Route("PATCH", f"{VISIT}/note", refuse_change, is_somebody, "note_patch"),
    Route("DELETE", f"{VISIT}/note", refuse_change, is_somebody, "note_delete"),
    Route("PATCH", f"{VISIT}/note/versions/{{n}}", refuse_change, is_somebody, "note_version_patch"),
    Route("DELETE", f"{VISIT}/note/versions/{{n}}", refuse_change, is_somebody, "note_version_delete"),
    *signing_views.ROUTES,
    *after_views.ROUTES,
    *answering_views.ROUTES,
    *attach_views.ROUTES,
    *clinic_views.ROUTES,
    *rights_views.ROUTES,
    *officer_views.ROUTES,
]
