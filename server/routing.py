"""A route and the permission it names; an application refuses to start with a route that names none.

Each area's `views.py` holds `ROUTES`; `app.py` adds them, and `middleware.py` asks `may` before the handler runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from server.permissions import Predicate

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """`path` under `/c/{clinic}/` runs in that clinic's scope; `may` is asked with the actor of that scope."""

    method: str
    path: str
    handler: Handler
    may: Predicate
    name: str
