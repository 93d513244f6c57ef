"""What happens around every handler: request id and access line, errors to pages, no cross-site acts, who may.

Deny by default: a matched route that names no permission is refused. Who asks is told by `context.IDENTIFY`.
"""

from __future__ import annotations

import ipaddress
import time
import uuid
from collections.abc import Sequence

import structlog
from aiohttp import web

from server import context, logs
from server.error_pages import answer_to, code_of_status
from server.errors import DomainError
from server.logs import Event
from server.permissions import Actor, StaffRole, is_somebody
from server.routing import Handler, Route, route_of
from server.security import new_nonce
from signaling.words import Code, PersonId, Refused

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
QUIET = frozenset({"livez", "readyz", "static", "socket"})
SOCKET_PREFIX = "/socket.io/"


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives the request an id and writes one access line: the route's name, never its address."""
    request[context.REQUEST_ID] = uuid.uuid4().hex
    request[context.NONCE] = new_nonce()
    started = time.monotonic()
    with structlog.contextvars.bound_contextvars(request_id=request[context.REQUEST_ID]):
        response = await _answer(request, handler)
        name = _name(request)
        if name not in QUIET or response.status >= 500:
            took = round((time.monotonic() - started) * 1000)
            logs.log_info(Event.REQUEST, route=name, method=request.method, status=response.status, ms=took)
        return response


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Runs the rest; whatever it raises becomes a plain page, or JSON for who asks for it."""
    try:
        if request.app[context.STOPPING].is_set() and _name(request) not in QUIET:
            raise DomainError(Code.UNAVAILABLE)
        return await handler(request)
    except Refused as refused:
        if refused.code is Code.INTERNAL:
            logs.log_error(Event.REQUEST_FAILED, refused, route=_name(request), code=refused.code.value)
        await _note(request, refused)
        return answer_to(request, refused)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return answer_to(request, DomainError(code_of_status(error.status)), status=error.status)
    except Exception as error:
        logs.log_error(Event.REQUEST_FAILED, error, route=_name(request), code=Code.INTERNAL.value)
        return answer_to(request, DomainError(Code.INTERNAL))


async def _note(request: web.Request, refused: Refused) -> None:
    """A refusal stands even where it can't be written down; that is said in the log."""
    try:
        await request.app[context.NOTE_REFUSAL](request, refused)
    except Exception as error:
        logs.log_error(Event.REQUEST_FAILED, error, route=_name(request), code=Code.INTERNAL.value)


@web.middleware
async def refuse_cross_site(request: web.Request, handler: Handler) -> web.StreamResponse:
    """An act must come from a page of ours: by Sec-Fetch-Site, else by Origin; one that tells neither is refused."""
    if request.method not in SAFE_METHODS and not is_same_site(request):
        logs.log_warning(Event.CROSS_SITE_REFUSED, route=_name(request), code=Code.CROSS_SITE.value)
        raise DomainError(Code.CROSS_SITE)
    return await handler(request)


@web.middleware
async def check_permission(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Finds the clinic and who asks, then asks the route's permission."""
    route = route_of(request)
    if route is None:
        if request.path.startswith(SOCKET_PREFIX) and request.match_info.http_exception is None:
            return await handler(request)
        return await _refuse_unknown(request, handler)
    if route.needs_identity:
        identity = await request.app[context.IDENTIFY](request)
        request[context.ACTOR] = identity.actor
        if identity.clinic is not None:
            request[context.CLINIC] = identity.clinic
        if identity.viewer is not None:
            request[context.VIEWER] = identity.viewer
        if identity.is_signed_off and _needs_staff(route, identity.actor):
            return await request.app[context.SIGN_IN_AGAIN](request)
    if not route.may(context.actor(request)):
        raise DomainError(refusal_for(context.actor(request)))
    await _note_shared_screen(request)
    return await handler(request)


def _needs_staff(route: Route, actor: Actor) -> bool:
    """Whether the session that was signed off could have made the difference."""
    return route.may is is_somebody or not route.may(actor)


MIDDLEWARES = (observe, refuse_cross_site, check_permission)


async def _note_shared_screen(request: web.Request) -> None:
    """A page that a doctor opens while a screen is shared hides the names from its first byte, before any script."""
    actor = context.actor(request)
    if request.method == "GET" and StaffRole.DOCTOR in actor.roles and actor.person_id is not None:
        request[context.NAMES_HIDDEN] = await context.signaling(request).hides_names(PersonId(actor.person_id))


def refusal_for(actor: Actor) -> Code:
    """Somebody without any session is asked to sign in; everybody else is told that they may not."""
    known = actor.person_id or actor.participations or actor.patients or actor.acts_for
    return Code.NOT_ALLOWED if known else Code.NOT_SIGNED_IN


def is_same_site(request: web.Request) -> bool:
    """Whether a page of this installation sent it."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    settings = context.settings(request)
    allowed = {settings.origin}
    if settings.is_development:
        allowed.add(f"{request.scheme}://{request.host}")
    return origin is not None and origin in allowed


def client_address(request: web.Request) -> str:
    """Who sent the request, for limits only: X-Forwarded-For is believed from trusted proxies, from the right."""
    peer = request.remote or ""
    trusted = context.settings(request).trusted_proxies
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    while hops and _is_trusted(peer, trusted):
        peer = hops.pop()
    return peer


async def _refuse_unknown(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No route of ours: aiohttp's own answer for a wrong path or method; anything else is a route without a row."""
    if request.match_info.http_exception is not None:
        return await handler(request)
    raise DomainError(Code.NOT_FOUND)


def _is_trusted(address: str, networks: Sequence[str]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(network) for network in networks)


def _name(request: web.Request) -> str:
    route: Route | None = route_of(request)
    if route is not None:
        return route.name
    return "socket" if request.path.startswith(SOCKET_PREFIX) else "unknown"
