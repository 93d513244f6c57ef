"""In whose name a page of the staff acts. What the act does is each service's."""

from __future__ import annotations

from aiohttp import web

from server import context
from server.permissions import is_staff
from server.scheduling.history import Act


def act_of(request: web.Request) -> Act:
    """In the name of the signed-in member of staff, now."""
    actor = context.actor(request)
    return Act(
        clinic=context.clinic(request),
        by=actor.person_id,
        now=context.now(request),
        events=context.events(request),
        is_staff=is_staff(actor),
    )
