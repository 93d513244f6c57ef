"""The visit's page as it answers, also with what was typed and could not be taken; and what stands beside Sign.

Whose visit it is, is asked before; what the page says is gathered in `visit_page.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.audit import AuditAction
from server.encounters.visits import Visit
from server.pages import render, translate
from server.records import attach_views, release, service, start, visit_page
from server.records.models import Note
from server.records.service import Writing
from signaling.words import Role

REVIEW_AFTER = timedelta(days=14)
NOTHING: Mapping[str, str] = MappingProxyType({})
TYPED_BESIDE_SIGN = ("summary", "readers", "reason", "review_on")


async def show(
    request: web.Request,
    errors: Mapping[str, str] = NOTHING,
    typed: Mapping[str, str] = NOTHING,
    status: int = 422,
    *,
    of: str = "",
) -> web.Response:
    """The visit of this doctor; with `errors`, `status` and what was typed where something of it could not be taken.

    `of` names the patient's request that was being answered; else it was the note, or something added to it.
    """
    writing = writing_of(request)
    vault = context.vault(request).clinic(writing.clinic.id)
    async with context.database(request).writing() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id_of(request))
        values = await visit_page.load_values(session, writing, visit, vault)
        await _enter_opened(session, writing, visit, values)
        config = await load_note_config(session, request, writing, visit, values["note"])
    place = visit.place_of(writing.actor.person_id)
    values |= {"base": base_of(writing, visit.encounter.id), "place": place.id if place else "", "note_config": config}
    answering = {"of": of, "errors": errors, "typed": typed}
    if of:
        errors, typed = {f"{name}-{of}" if name else "": said for name, said in errors.items()}, NOTHING
    config["release"]["typed"] = {name: typed[name] for name in TYPED_BESIDE_SIGN if name in typed}
    values |= {"errors": errors, "typed": typed, "answering": answering}
    return render(request, "records/visit.html", values, status=status if errors else 200)


async def _enter_opened(session: AsyncSession, writing: Writing, visit: Visit, values: dict[str, Any]) -> None:
    note = values["note"]
    if note is not None:
        await service.enter(session, writing, AuditAction.NOTE_OPENED, note.id)
    if values["chat"]:
        await service.enter(session, writing, AuditAction.CHAT_READ, visit.encounter.id)


async def load_note_config(
    session: AsyncSession, request: web.Request, writing: Writing, visit: Visit, note: Note | None
) -> dict[str, Any]:
    base = base_of(writing, visit.encounter.id)
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
        "template": await load_template(session, request, visit),
        "release": await load_release_config(session, request, writing, visit),
    }


async def load_release_config(
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
        "typed": {},
    }


async def load_release(request: web.Request, writing: Writing, encounter_id: str) -> dict[str, Any]:
    async with context.database(request).reading() as session:
        visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id)
        return await load_release_config(session, request, writing, visit)


async def typed_in(request: web.Request) -> dict[str, str]:
    """The form as it was sent, but for the code."""
    return {key: str(value) for key, value in (await request.post()).items() if key != "code"}


async def load_template(session: AsyncSession, request: web.Request, visit: Visit) -> str:
    type_id = visit.appointment.visit_type_id
    return await start.load_template(
        session, visit.encounter.clinic_id, type_id, lambda words: translate(request, words)
    )


def writing_of(request: web.Request) -> Writing:
    clinic = context.clinic(request)
    vault = context.vault(request).clinic(clinic.id)
    return Writing(clinic, context.actor(request), context.now(request), context.events(request), vault)


async def own_writing(request: web.Request) -> Writing:
    """Before anything of the request is read: for a stranger no form is good or bad. Raises not_found."""
    writing = writing_of(request)
    async with context.database(request).reading() as session:
        await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id_of(request))
    return writing


def encounter_id_of(request: web.Request) -> str:
    return request.match_info["encounter_id"]


def base_of(writing: Writing, encounter_id: str) -> str:
    return f"/c/{writing.clinic.slug}/visits/{encounter_id}"
