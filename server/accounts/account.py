"""A member of staff's own page: where they are signed in, ending any of it, a new password, new recovery codes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from aiohttp import web
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context
from server.accounts import notices, rules, secondfactor, sessions, staff
from server.accounts.forms import PasswordForm
from server.accounts.models import Person
from server.accounts.notices import Notice
from server.accounts.passwords import PASSWORDS
from server.accounts.throttle import THROTTLE
from server.audit import AuditAction
from server.errors import FormError, not_found
from server.forms import parse_form
from server.middleware import client_address
from server.pages import render
from server.permissions import is_staff
from server.routing import Route, see_other
from signaling.words import N_

WRONG_PASSWORD = N_("That isn't your password.")


async def show(request: web.Request) -> web.Response:
    return await _page(request, {})


async def end_session(request: web.Request) -> web.Response:
    """One of one's own sessions, or all others; their sockets go at once, on every server."""
    actor, now, wanted = context.actor(request), context.now(request), request.match_info["session"]
    async with context.database(request).writing() as session:
        person = await staff.get_person(session, actor.person_id)
        mine = [row.id for row in await sessions.load_open(session, person.id, now)]
        ended = [one for one in mine if wanted in (one, "others") and one != actor.session_id]
        if not ended and wanted != "others":
            raise not_found()
        for session_id in ended:
            await sessions.revoke(session, session_id, now)
            await _enter(request, audit.AuditAction.SESSION_REVOKED, ("session", session_id), session)
    for session_id in ended:
        await context.signaling(request).revoke_session(sessions.as_signaling(session_id))
    return see_other(_url(request))


async def change_password(request: web.Request) -> web.Response:
    """Asks for the one on file, then ends all other sessions."""
    actor, now = context.actor(request), context.now(request)
    try:
        form = await parse_form(request, PasswordForm)
        await request.app[THROTTLE].check("password", client_address(request), actor.person_id or "")
        hashed = await _hash(request, form)
    except FormError as error:
        return await _page(request, error.fields, status=422)
    async with context.database(request).writing() as session:
        person = await staff.get_person(session, actor.person_id)
        await session.execute(update(Person).where(Person.id == person.id).values(password_hash=hashed))
        ended = await sessions.revoke_all(session, person.id, now, but=actor.session_id)
        await _enter(request, AuditAction.PASSWORD_CHANGED, ("person", person.id), session)
        await notices.tell(session, context.clinic(request).id, [person.id], Notice("password_changed"), now)
    for session_id in ended:
        await context.signaling(request).revoke_session(sessions.as_signaling(session_id))
    return see_other(_url(request) + "?changed")


async def new_codes(request: web.Request) -> web.Response:
    """Ten new recovery codes, shown this once; the old ones are void."""
    async with context.database(request).writing() as session:
        person = await staff.get_person(session, context.actor(request).person_id)
        codes = await secondfactor.new_recovery_codes(session, person.id)
        await _enter(request, AuditAction.RECOVERY_CODES_MADE, ("person", person.id), session)
        told, now = Notice("codes_made"), context.now(request)
        await notices.tell(session, context.clinic(request).id, [person.id], told, now)
    return render(request, "accounts/joined.html", {"codes": codes})


_ME = "/c/{clinic}/account"
ROUTES = [
    Route("GET", _ME, show, is_staff, "account", nav=N_("My account")),
    Route("POST", _ME + "/sessions/{session}/end", end_session, is_staff, "account.end_session"),
    Route("POST", _ME + "/password", change_password, is_staff, "account.password"),
    Route("POST", _ME + "/recovery-codes", new_codes, is_staff, "account.recovery_codes"),
]


async def _hash(request: web.Request, form: PasswordForm) -> str:
    passwords = request.app[PASSWORDS]
    async with context.database(request).reading() as session:
        person = await staff.get_person(session, context.actor(request).person_id)
    if not await passwords.is_right(person.password_hash, form.password):
        raise FormError({"password": WRONG_PASSWORD})
    try:
        known = (person.name, person.email or "", context.clinic(request).name)
        await asyncio.to_thread(rules.check_password, form.new_password, known)
    except ValueError as error:
        raise FormError({"new_password": str(error)}) from None
    return await passwords.hash(form.new_password)


async def _page(request: web.Request, errors: Mapping[str, str], *, status: int = 200) -> web.Response:
    actor, now = context.actor(request), context.now(request)
    async with context.database(request).reading() as session:
        person = await staff.get_person(session, actor.person_id)
        values = {
            "person": person,
            "sessions": await sessions.load_open(session, person.id, now),
            "codes_left": await secondfactor.recovery_codes_left(session, person.id),
            "here": actor.session_id,
            "notices": [
                (one, notices.sentences(one, name), notices.path_of(one))
                for one, name in await notices.load_newest(session, context.clinic(request).id, person.id)
            ],
            "clock": partial(rules.local_words, zone=context.clinic(request).zone),
            "changed": "changed" in request.query,
            "errors": errors,
        }
    return render(request, "accounts/account.html", values, status=status)


async def _enter(request: web.Request, action: AuditAction, subject: tuple[str, str], session: AsyncSession) -> None:
    await audit.enter(
        session,
        clinic_id=context.clinic(request).id,
        actor_person_id=context.actor(request).person_id,
        action=action,
        subject=subject,
        now=context.now(request),
    )


def _url(request: web.Request) -> str:
    return f"/c/{context.clinic(request).slug}/account"
