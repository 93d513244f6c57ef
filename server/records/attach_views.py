"""What is attached to a visit's note before it is signed: files, and lines taken over from the chat.

From the room these are asked for by its script, which gets the list back; forms lead to the visit's page. For everybody
but a doctor of the visit each is the same 404. What is signed keeps all it was signed with, and takes no more.
"""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context, uploads
from server.audit import AuditAction
from server.encounters import chat
from server.encounters.visits import Visit
from server.error_pages import wants_json
from server.errors import DomainError, not_found
from server.forms import parse_form
from server.pages import translate
from server.permissions import is_somebody
from server.records import attachments, reading, service
from server.records.after_views import back, own_visit, readable_visit, writing_of
from server.records.attachments import ATTACHMENTS_MAX
from server.records.service import ATTACHED_TO, Writing
from server.routing import Route
from server.scheduling.wording import when
from server.uploads import Received, Upload
from signaling.ports import StoredChat
from signaling.words import N_, Code

NO_STORE = {"Cache-Control": "no-store"}
FROM_CHAT = N_("From the chat.txt")


class LinesForm(BaseModel):
    line: Annotated[list[int], Field(min_length=1, max_length=500, title=N_("the lines"))]


async def attach(request: web.Request) -> web.Response:
    visit = await own_visit(request)
    await _refuse_signed(request, visit)
    return await _keep(request, visit, await uploads.receive(request))


async def show_lines(request: web.Request) -> web.Response:
    """The visit's chat, for choosing what the note takes over."""
    visit, writing = await own_visit(request), writing_of(request)
    async with context.database(request).writing() as session:
        lines = await chat.load_all(session, visit.encounter, writing.vault)
        await _enter_chat(session, writing, visit)
    clocks = _clocks(request, visit, lines)
    told = [
        {"n": line.n, "at": at, "name": line.name.reveal(), "text": line.text.reveal()}
        for at, line in zip(clocks, lines, strict=True)
    ]
    return web.json_response({"lines": told}, headers=NO_STORE)


async def take_lines(request: web.Request) -> web.Response:
    """The chosen lines become a file of the note, in their order, with times and names."""
    visit, writing = await own_visit(request), writing_of(request)
    await _refuse_signed(request, visit)
    form = await parse_form(request, LinesForm)
    async with context.database(request).writing() as session:
        lines = [one for one in await chat.load_all(session, visit.encounter, writing.vault) if one.n in form.line]
        await _enter_chat(session, writing, visit)
    if not lines:
        raise not_found()
    taken = attachments.from_chat(lines, translate(request, FROM_CHAT), _clocks(request, visit, lines))
    return await _keep(request, visit, taken)


async def show(request: web.Request) -> web.Response:
    writing, visit = writing_of(request), await readable_visit(request)
    async with context.database(request).writing() as session:
        row = await _attachment(session, visit, request.match_info["upload"])
        await _enter(session, writing, AuditAction.DOCUMENT_READ, row.id)
    content = await uploads.read(uploads.open_uploads(context.settings(request)), writing.vault, row)
    return uploads.download(uploads.name_of(writing.vault, row), row.kind, content)


async def remove(request: web.Request) -> web.Response:
    """Gone with its key while the note is a draft; of a signed note nothing is, known id or not."""
    writing, visit = writing_of(request), await own_visit(request)
    await _refuse_signed(request, visit)
    async with context.database(request).writing() as session:
        await _lock_unsigned(session, writing, visit)
        row = await _attachment(session, visit, request.match_info["upload"])
        await uploads.forget(session, row, writing.now)
        await _enter(session, writing, AuditAction.DOCUMENT_DELETED, row.id)
    place = uploads.open_uploads(context.settings(request))
    await uploads.remove(place, writing.clinic.id, request.match_info["upload"])
    return await _answer(request, visit)


async def load_attachments(session: AsyncSession, visit: Visit) -> list[Upload]:
    """What is attached to the note of this visit, in the order it came."""
    return await uploads.load_of(session, visit.encounter.clinic_id, (ATTACHED_TO, visit.encounter.id))


async def load_values(session: AsyncSession, writing: Writing, visit: Visit) -> list[dict[str, str]]:
    """The same for the room's script."""
    rows = await load_attachments(session, visit)
    return [{"id": row.id, "name": uploads.name_of(writing.vault, row)} for row in rows]


# ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _keep(request: web.Request, visit: Visit, received: Received) -> web.Response:
    """Sealed first, outside the transaction; taken away again where the note doesn't take it."""
    writing, place = writing_of(request), uploads.open_uploads(context.settings(request))
    stored = await uploads.store(place, writing.vault, writing.clinic.id, received)
    try:
        async with context.database(request).writing() as session:
            await _lock_unsigned(session, writing, visit)
            if len(await load_attachments(session, visit)) >= ATTACHMENTS_MAX:
                raise DomainError(Code.TOO_MANY, limit=ATTACHMENTS_MAX)
            await uploads.add(
                session,
                writing.clinic.id,
                stored,
                subject=(ATTACHED_TO, visit.encounter.id),
                now=writing.now,
                by_person_id=writing.person_id,
            )
            await _enter(session, writing, AuditAction.DOCUMENT_ADDED, stored.id)
    except DomainError:
        await uploads.remove(place, writing.clinic.id, stored.id)
        raise
    return await _answer(request, visit)


async def _answer(request: web.Request, visit: Visit) -> web.Response:
    if not wants_json(request):
        return back(request)
    async with context.database(request).reading() as session:
        body: dict[str, Any] = {"attached": await load_values(session, writing_of(request), visit)}
    return web.json_response(body, headers=NO_STORE)


async def _attachment(session: AsyncSession, visit: Visit, upload_id: str) -> Upload:
    row = await uploads.get(session, visit.encounter.clinic_id, upload_id)
    if (row.subject_kind, row.subject_id) != (ATTACHED_TO, visit.encounter.id):
        raise not_found()
    note = await service.load_note(session, visit.encounter)
    if note is not None and await reading.load_withdrawal(session, note) is not None:
        raise not_found()
    return row


async def _refuse_signed(request: web.Request, visit: Visit) -> None:
    async with context.database(request).reading() as session:
        note = await service.load_note(session, visit.encounter)
    if note is not None and note.signed_at is not None:
        raise DomainError(Code.NOTE_SIGNED)


async def _lock_unsigned(session: AsyncSession, writing: Writing, visit: Visit) -> None:
    await service.get_own_visit(session, writing.clinic, writing.actor, visit.encounter.id, lock=True)
    note = await service.load_note(session, visit.encounter)
    if note is not None and note.signed_at is not None:
        raise DomainError(Code.NOTE_SIGNED)


def _clocks(request: web.Request, visit: Visit, lines: list[StoredChat]) -> list[str]:
    language = context.clinic(request).language
    return [when(line.at, visit.encounter.zone, language)["clock"] for line in lines]


async def _enter_chat(session: AsyncSession, writing: Writing, visit: Visit) -> None:
    await service.enter(session, writing, AuditAction.CHAT_READ, visit.encounter.id)


async def _enter(session: AsyncSession, writing: Writing, action: AuditAction, upload_id: str) -> None:
    await audit.enter(
        session,
        clinic_id=writing.clinic.id,
        actor_person_id=writing.actor.person_id,
        action=action,
        subject=("upload", upload_id),
        now=writing.now,
    )


_ATTACHED = "/c/{clinic}/visits/{encounter_id}/note/attachments"
ROUTES = [
    Route("POST", _ATTACHED, attach, is_somebody, "note_attach"),
    Route("GET", _ATTACHED + "/chat", show_lines, is_somebody, "note_chat"),
    Route("POST", _ATTACHED + "/chat", take_lines, is_somebody, "note_chat_take"),
    Route("GET", _ATTACHED + "/{upload}", show, is_somebody, "note_attachment"),
    Route("DELETE", _ATTACHED + "/{upload}", remove, is_somebody, "note_attachment_delete"),
    Route("POST", _ATTACHED + "/{upload}/remove", remove, is_somebody, "note_attachment_remove"),
]
