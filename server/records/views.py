"""Pages of the visit's note: the doctor's room with the note beside the picture, the visit's page, signing, adding.

For everybody but a doctor of the visit all of these are the same 404 as for a visit that doesn't exist.
"""

from __future__ import annotations

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
from server.pages import render
from server.permissions import is_somebody
from server.records import reading, service, visit_page
from server.records.models import Note
from server.records.rules import NOTE_LIMIT_CHARACTERS, Kind
from server.records.service import DraftConflictError, Writing
from server.routing import Route, see_other
from signaling.words import TEXT, Code, Role

DRAFT_LIMIT_BYTES = 8 * NOTE_LIMIT_CHARACTERS
NO_STORE = {"Cache-Control": "no-store"}


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: str


class SignForm(BaseModel):
    """`text` is what the page's own field holds; the room's page saves first and sends the revision alone."""

    revision: Annotated[int, Field(ge=0, le=2**31 - 1)]
    text: Annotated[str | None, Field(max_length=NOTE_LIMIT_CHARACTERS, title="the note")] = None


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
        if note is not None:
            await service.enter(session, writing, AuditAction.NOTE_OPENED, note.id)
    base = _base(writing, visit)
    if rules.room_phase(visit.encounter.status) == "ended" and _is_over(visit, writing):
        return see_other(f"{base}/summary")
    config = room_page.config(
        visit,
        participation=place.id,
        role=Role.DOCTOR,
        env=context.settings(request).env,
        clinic=writing.clinic.slug,
        clinic_phone=writing.clinic.phone,
        back_url=f"/c/{writing.clinic.slug}/",
        closing_url=f"{base}/summary",
        note=None if note is not None and note.signed_at is not None else _note_config(base, note),
        purposes=purposes,
        guest_link_url=f"{base}/guests",
        film_url=f"{base}/summary",
    )
    title = next((one.name for one in visit.participants if one.role == Role.PATIENT), "")
    return render(request, "visit/room.html", {"config": config, "visit_title": title})


def _is_over(visit: Visit, writing: Writing) -> bool:
    """Ended so long ago that nothing is left to undo in the room."""
    ended_at = visit.encounter.ended_at
    return ended_at is None or writing.now > ended_at + rules.UNDO_LASTS + rules.UNDO_GRACE


def _note_config(base: str, note: Note | None) -> dict[str, Any]:
    return {
        "url": f"{base}/note",
        "draft_url": f"{base}/note/draft",
        "sign_url": f"{base}/note/sign",
        "revision": note.revision if note else 0,
        "text": note.draft if note else "",
    }


# ── The note ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def show_note(request: web.Request) -> web.Response:
    """The note as the server holds it, for scripts; people see it on the visit's page."""
    writing = _writing(request)
    async with context.database(request).writing() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, _encounter_id(request))
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
    form = await parse_form(request, SignForm)
    # A field that was emptied is not a field that isn't there: what stood in it before must not be signed.
    on_screen = (form.text or "") if "text" in await request.post() else None
    try:
        async with context.database(request).writing() as session:
            await service.sign(session, writing, encounter_id, form.revision, on_screen)
    except DraftConflictError as conflict:
        async with context.database(request).reading() as session:
            visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id)
        values = {
            "base": _base(writing, visit),
            "held": conflict.held,
            "revision": conflict.revision,
            "yours": on_screen,
        }
        return render(request, "records/not_signed.html", values, status=409)
    return see_other(f"/c/{writing.clinic.slug}/visits/{encounter_id}/summary")


async def add(request: web.Request) -> web.Response:
    """An addendum, late entry or correction to a signed note."""
    writing, encounter_id = await _own_writing(request), _encounter_id(request)
    try:
        form = await parse_form(request, AddForm)
    except FormError as error:
        typed = {key: str(value) for key, value in (await request.post()).items()}
        return await _visit_page(request, errors=error.fields, typed=typed)
    async with context.database(request).writing() as session:
        await service.add(session, writing, encounter_id, Kind(form.kind), text=form.text, reason=form.reason)
    return see_other(f"/c/{writing.clinic.slug}/visits/{encounter_id}/summary#note")


async def refuse_change(request: web.Request) -> web.Response:
    """Signed text has no other door: whatever would change it is refused; an unsigned note knows its draft alone."""
    writing = _writing(request)
    async with context.database(request).reading() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, _encounter_id(request))
        note = await service.load_note(session, visit.encounter)
        versions = await reading.load_versions(session, note) if note is not None else []
    n = request.match_info.get("n")
    if not versions or (n is not None and n not in {str(one.n) for one in versions}):
        raise not_found()
    raise DomainError(Code.NOTE_SIGNED)


# ── The visit's page ─────────────────────────────────────────────────────────────────────────────────────────────


async def show_visit(request: web.Request) -> web.Response:
    """What is left of a visit: what was said at the door, chat, films, the note and its versions."""
    return await _visit_page(request)


async def _visit_page(
    request: web.Request, *, errors: dict[str, str] | None = None, typed: dict[str, str] | None = None
) -> web.Response:
    writing = _writing(request)
    vault = context.vault(request).clinic(writing.clinic.id)
    async with context.database(request).writing() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, _encounter_id(request))
        values = await visit_page.load_values(session, writing, visit, vault)
        await _enter_opened(session, writing, visit, values)
    base, place = _base(writing, visit), visit.place_of(writing.actor.person_id)
    values |= {"base": base, "place": place.id if place else "", "note_config": _note_config(base, values["note"])}
    values |= {"errors": errors or {}, "typed": typed or {}}
    return render(request, "records/visit.html", values, status=422 if errors else 200)


async def _enter_opened(session: AsyncSession, writing: Writing, visit: Visit, values: dict[str, Any]) -> None:
    note = values["note"]
    if note is not None:
        await service.enter(session, writing, AuditAction.NOTE_OPENED, note.id)
    if values["chat"]:
        await service.enter(session, writing, AuditAction.CHAT_READ, visit.encounter.id)


def _writing(request: web.Request) -> Writing:
    return Writing(context.clinic(request), context.actor(request), context.now(request), context.events(request))


async def _own_writing(request: web.Request) -> Writing:
    """Before anything of the request is read: for a stranger no form is good or bad. Raises not_found."""
    writing = _writing(request)
    async with context.database(request).reading() as session:
        await service.get_own_visit(session, writing.clinic, writing.actor, _encounter_id(request))
    return writing


def _encounter_id(request: web.Request) -> str:
    return request.match_info["encounter_id"]


def _base(writing: Writing, visit: Visit) -> str:
    return f"/c/{writing.clinic.slug}/visits/{visit.encounter.id}"


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
]
