"""Pages behind an invitation: a password and an authenticator app, or a new app alone, then recovery codes once.

Opening the link changes nothing; only the right code from the app, posted, does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from server import context
from server.accounts import invitations, rules, secondfactor, sessions
from server.accounts.forms import JoinForm
from server.accounts.invitations import Invited
from server.accounts.passwords import PASSWORDS
from server.accounts.service import get_clinic
from server.accounts.throttle import THROTTLE
from server.errors import DomainError, FormError
from server.forms import parse_form
from server.middleware import client_address
from server.pages import render
from server.permissions import anybody
from server.routing import Route
from signaling.words import N_, Code

WRONG_CODE = N_("That isn't the code your app shows just now. Wait for the next one and enter it.")
WRONG_PASSWORD = N_("That isn't your password.")
NOT_TWICE = N_("The two passwords differ. Type the same one twice.")


async def show(request: web.Request) -> web.Response:
    return _page(request, await _look(request), {})


async def accept(request: web.Request) -> web.Response:
    """Checks password and code, then sets both; the answer shows the recovery codes, this once."""
    await request.app[THROTTLE].check("join", client_address(request), request.match_info["token"])
    invited = await _look(request)
    try:
        form = await parse_form(request, JoinForm)
        password_hash = await _password(request, invited, form)
    except FormError as error:
        return _page(request, invited, error.fields, status=422)
    now = context.now(request)
    step = secondfactor.step_of(invited.secret, form.code, now)
    if step is None:
        await _count_wrong(request, invited)
        return _page(request, invited, {"code": WRONG_CODE}, status=422)
    async with context.database(request).writing() as session:
        codes = await invitations.accept(session, invited, step=step, password_hash=password_hash, now=now)
        ended = await sessions.revoke_all(session, invited.person.id, now)
    if codes is None:
        raise DomainError(Code.LINK_CLOSED)
    for session_id in ended:
        await context.signaling(request).revoke_session(sessions.as_signaling(session_id))
    return render(request, "accounts/joined.html", {"codes": codes})


ROUTES = [
    Route("GET", "/join/{token}", show, anybody, "join.show"),
    Route("POST", "/join/{token}", accept, anybody, "join"),
]


async def _look(request: web.Request) -> Invited:
    vault, now = context.vault(request).installation(), context.now(request)
    async with context.database(request).reading() as session:
        invited = await invitations.look(session, vault, request.match_info["token"], now)
        request[context.CLINIC] = await get_clinic(session, invited.invitation.clinic_id)
    return invited


async def _password(request: web.Request, invited: Invited, form: JoinForm) -> str | None:
    """The hash of the new password; None where the one on file stands, which is asked for then. Raises FormError."""
    passwords = request.app[PASSWORDS]
    if not invited.is_joining:
        if not await passwords.is_right(invited.person.password_hash, form.password):
            await _count_wrong(request, invited)
            raise FormError({"password": WRONG_PASSWORD})
        return None
    if form.password != form.password_again:
        raise FormError({"password_again": NOT_TWICE})
    known = (invited.person.name, invited.person.email or "", context.clinic(request).name)
    try:
        await asyncio.to_thread(rules.check_password, form.password, known)
    except ValueError as error:
        raise FormError({"password": str(error)}) from None
    return await passwords.hash(form.password)


async def _count_wrong(request: web.Request, invited: Invited) -> None:
    async with context.database(request).writing() as session:
        await invitations.count_wrong(session, invited, context.now(request))


def _page(request: web.Request, invited: Invited, errors: Mapping[str, str], *, status: int = 200) -> web.Response:
    values = {
        "errors": errors,
        "invited": invited,
        "picture": secondfactor.picture(invited.secret, invited.person.email or invited.person.name),
        "secret": " ".join(invited.secret[n : n + 4] for n in range(0, len(invited.secret), 4)),
        "token": request.match_info["token"],
    }
    return render(request, "accounts/join.html", values, status=status)
