"""Signing staff in and out: one form for name, password and code, one answer for whatever is wrong with it.

The way back after being signed off is `again.py`; a patient's page has its own door in `views.py`.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from sqlalchemy import select

from server import audit, context
from server.accounts import again, known, rules, secondfactor, sessions
from server.accounts.forms import SignInForm
from server.accounts.models import Person
from server.accounts.passwords import PASSWORDS
from server.accounts.service import note_sign_in
from server.accounts.sessions import Opened, SessionKind
from server.accounts.throttle import THROTTLE
from server.audit import AuditAction
from server.errors import FormError
from server.forms import parse_form
from server.middleware import client_address
from server.pages import render
from server.permissions import anybody, is_staff
from server.routing import Route, see_other
from signaling.words import N_

WRONG_SIGN_IN = N_("E-mail address, password and code don't go together. Check all three and try again.")


async def show_sign_in(request: web.Request) -> web.Response:
    return _page(request, {}, next_path=request.query.get("next", ""))


async def sign_in(request: web.Request) -> web.Response:
    """Signs staff in under a new session; whatever is wrong, the answer is the same."""
    try:
        form = await parse_form(request, SignInForm)
    except FormError as error:
        return _page(request, error.fields, status=422)
    email = form.email.strip().lower()
    hold_s = await request.app[THROTTLE].check("sign-in", client_address(request), email, known.knows(request, email))
    await asyncio.sleep(hold_s)
    opened, has_parked = await _try(request, email, form)
    if opened is None:
        return _page(request, {"email": WRONG_SIGN_IN}, email=form.email, next_path=form.next, status=422)
    slug = context.clinic(request).slug
    response = see_other(f"/c/{slug}/again" if has_parked else rules.way_back(form.next, slug))
    sessions.set_cookie(response, opened)
    known.remember(response, context.vault(request).installation(), email, context.now(request))
    return response


async def _try(request: web.Request, email: str, form: SignInForm) -> tuple[Opened | None, bool]:
    """The new session, and whether something waits to be sent again."""
    scope, now, vault = context.clinic(request), context.now(request), context.vault(request).installation()
    async with context.database(request).reading() as session:
        person = (await session.scalars(select(Person).where(Person.email == email))).first()
        roles = await sessions.load_roles(session, scope.id, person.id if person else None)
    fits = await request.app[PASSWORDS].is_right(person.password_hash if person else None, form.password)
    async with context.database(request).writing() as session:
        if fits and roles and person and await secondfactor.is_right(session, vault, person.id, form.code, now):
            old = await sessions.load_signed_off(session, request.cookies, now)
            opened = await sessions.open_session(
                session,
                SessionKind.STAFF,
                now,
                person_id=person.id,
                device=rules.device_words(request.headers.get("User-Agent")),
            )
            has_parked = await again.take_over(session, old, opened.id, person.id)
            if old is not None:
                await sessions.revoke(session, old.id, now)
            await note_sign_in(session, scope.id, person.id, opened, now)
            return opened, has_parked
        await audit.enter(
            session,
            clinic_id=scope.id,
            actor_person_id=None,
            action=AuditAction.SIGN_IN_REFUSED,
            subject=("person", person.id if person else "unknown"),
            now=now,
        )
    return None, False


async def show_again(request: web.Request) -> web.Response:
    """Back in place: one button sends what was being sent."""
    actor, slug = context.actor(request), context.clinic(request).slug
    async with context.database(request).reading() as session:
        parked = await again.load_parked(session, context.vault(request).installation(), actor.session_id)
    if parked is None or rules.way_back(parked.path, slug) != parked.path:
        return see_other(f"/c/{slug}/")
    return render(request, "accounts/again.html", {"parked": parked})


async def sign_out(request: web.Request) -> web.Response:
    """Ends this browser's staff and page sessions; its sockets go at once, on every server."""
    scope, actor, now = context.clinic(request), context.actor(request), context.now(request)
    ended = [found for found in (actor.session_id, actor.page_session_id) if found]
    async with context.database(request).writing() as session:
        if actor.person_id is not None:
            await again.forget(session, actor.person_id)
        for session_id in ended:
            await sessions.revoke(session, session_id, now)
            await audit.enter(
                session,
                clinic_id=scope.id,
                actor_person_id=actor.person_id,
                action=AuditAction.SIGNED_OUT,
                subject=("session", session_id),
                now=now,
            )
    for session_id in ended:
        await context.signaling(request).revoke_session(sessions.as_signaling(session_id))
    response = see_other(f"/c/{scope.slug}/sign-in")
    sessions.clear_cookie(response, SessionKind.STAFF)
    sessions.clear_cookie(response, SessionKind.PAGE)
    return response


ROUTES = [
    Route("GET", "/c/{clinic}/sign-in", show_sign_in, anybody, "sign_in.show"),
    Route("POST", "/c/{clinic}/sign-in", sign_in, anybody, "sign_in"),
    Route("GET", "/c/{clinic}/again", show_again, is_staff, "sign_in.again"),
    Route("POST", "/c/{clinic}/sign-out", sign_out, anybody, "sign_out"),
]


def _page(
    request: web.Request, errors: dict[str, str], *, email: str = "", next_path: str = "", status: int = 200
) -> web.Response:
    values = {"errors": errors, "email": email, "next_path": next_path, "signed_off": False, "is_kept": False}
    return render(request, "accounts/sign_in.html", values, status=status)
