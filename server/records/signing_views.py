"""Signing the note of a visit, and adding to one that is signed: whatever stops it, what was typed comes back.

What a signature is, is `service.py`. For everybody but a doctor of the visit both are the same 404.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts.throttle import THROTTLE
from server.error_pages import wants_json
from server.errors import DomainError, FormError, status_of
from server.forms import limit_for, parse_form
from server.middleware import client_address
from server.pages import render, translate
from server.permissions import is_somebody
from server.records import fresh, page_views, release, service
from server.records.release import Readers, Release
from server.records.rules import NOTE_LIMIT_CHARACTERS, Kind
from server.records.service import DraftConflictError, Writing
from server.routing import Route, see_other
from signaling.words import N_, TEXT, Code

SUMMARY_LIMIT_CHARACTERS = 5000
FORM_LIMIT_BYTES = limit_for(NOTE_LIMIT_CHARACTERS, SUMMARY_LIMIT_CHARACTERS)
WRONG_CODE = N_("That code is not right, or was used already. Nothing was signed.")


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


async def sign(request: web.Request) -> web.Response:
    """Signs the revision on the screen; a newer one on the server is shown beside it, and nothing is signed."""
    writing, encounter_id = await page_views.own_writing(request), page_views.encounter_id_of(request)
    try:
        form = await parse_form(request, SignForm, limit_bytes=FORM_LIMIT_BYTES)
        chosen = Release(form.readers, form.reason, form.review_on)
        missing = release.judge(chosen, writing.now, writing.clinic.zone)
        if missing:
            raise FormError(missing)
    except FormError as error:
        if "revision" in error.fields:
            raise
        return await page_views.show(request, error.fields, await page_views.typed_in(request))
    # A field that was emptied is not a field that isn't there: what stood in it before must not be signed.
    on_screen = (form.text or "") if "text" in await request.post() else None
    try:
        if not await _is_fresh(request, writing, form.code):
            return await _ask_for_code(request, WRONG_CODE if form.code else None, 422)
    except DomainError as error:
        if error.code is not Code.TOO_MANY:
            raise
        return await _ask_for_code(request, TEXT[error.code], status_of(error))
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
            "base": page_views.base_of(writing, encounter_id),
            "held": conflict.held,
            "revision": conflict.revision,
            "yours": on_screen,
            "typed": await page_views.typed_in(request),
            "release": await page_views.load_release(request, writing, encounter_id),
        }
        return render(request, "records/not_signed.html", shown, status=409)
    except DomainError as error:
        return await _say_why(request, error)
    return see_other(f"{page_views.base_of(writing, encounter_id)}/summary")


async def _say_why(request: web.Request, error: DomainError) -> web.Response:
    """On the visit's page, where everything that was typed stands again. Raises the error where no page is wanted."""
    if error.code is Code.NOT_FOUND or wants_json(request):
        raise error
    said = {"": translate(request, error.message or TEXT[error.code])}
    return await page_views.show(request, said, await page_views.typed_in(request), status_of(error))


async def _ask_for_code(request: web.Request, wrong: str | None, status: int) -> web.Response:
    """The form comes along, so that nothing of it is typed twice."""
    values = {
        "base": page_views.base_of(page_views.writing_of(request), page_views.encounter_id_of(request)),
        "typed": await page_views.typed_in(request),
        "errors": {"code": wrong} if wrong else {},
    }
    return render(request, "records/sign_again.html", values, status=status)


async def _is_fresh(request: web.Request, writing: Writing, code: str | None) -> bool:
    """Whether this session may sign now; an old one shows its second factor again. Raises too_many.

    Codes are counted for the person, from wherever they come: only who is signed in as them gets here at all.
    """
    if code:
        await request.app[THROTTLE].check(
            "sign-note code", client_address(request), writing.person_id, writing.person_id
        )
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
    template = await page_views.load_template(session, request, visit)
    if "".join(text.split()) == "".join(template.split()):
        raise DomainError(Code.MALFORMED, "The note is empty. Nothing was signed.")


async def add(request: web.Request) -> web.Response:
    """An addendum, late entry or correction to a signed note."""
    writing, encounter_id = await page_views.own_writing(request), page_views.encounter_id_of(request)
    try:
        form = await parse_form(request, AddForm, limit_bytes=FORM_LIMIT_BYTES)
    except FormError as error:
        return await page_views.show(request, error.fields, await page_views.typed_in(request))
    async with context.database(request).writing() as session:
        await service.add(session, writing, encounter_id, Kind(form.kind), text=form.text, reason=form.reason)
    return see_other(f"/c/{writing.clinic.slug}/visits/{encounter_id}/summary#note")


_NOTE = "/c/{clinic}/visits/{encounter_id}/note"
ROUTES = [
    Route("POST", _NOTE + "/sign", sign, is_somebody, "note_sign"),
    Route("POST", _NOTE + "/addenda", add, is_somebody, "note_add"),
]
