"""Writes down what somebody known was refused, by route and id; strangers without a session leave no entry."""

from __future__ import annotations

import re

from aiohttp import web

from server import audit, context
from server.audit import AuditAction
from server.routing import route_of
from signaling.words import Code, Refused

NOTED = frozenset({Code.NOT_ALLOWED, Code.NOT_FOUND})
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def note_refusal(request: web.Request, refused: Refused) -> None:
    """One entry an attempt: which route, which id, who."""
    route, actor, scope = route_of(request), context.actor(request), request.get(context.CLINIC)
    if refused.code not in NOTED or route is None or scope is None or request.method == "HEAD":
        return
    if actor.person_id is None and not actor.patients and not actor.participations:
        return
    wanted = next((value for value in request.match_info.values() if ID.fullmatch(value)), "-")
    async with context.database(request).writing() as session:
        await audit.enter(
            session,
            clinic_id=scope.id,
            actor_person_id=actor.person_id,
            actor_participation_id=next(iter(sorted(actor.participations)), None),
            action=AuditAction.REFUSED,
            subject=(route.name[:40], wanted),
            detail={"code": refused.code.value, "page": actor.page_session_id},
            now=context.now(request),
        )
