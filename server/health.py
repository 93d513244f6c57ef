"""`/livez` and `/readyz` of a process: alive is answering at all, ready is able to do its work now.

What readiness means for a process is told to it as checks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from server.permissions import anybody
from server.routing import Route

Check = Callable[[], Awaitable[bool]]
CHECKS = web.AppKey("checks", dict[str, Check])


async def livez(request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def readyz(request: web.Request) -> web.Response:
    """200 when every check holds, else 503 with the names of those that don't."""
    failing = [name for name, check in request.app[CHECKS].items() if not await _holds(check)]
    if failing:
        return web.Response(status=503, text="not ready: " + ", ".join(failing) + "\n", headers={"Retry-After": "2"})
    return web.Response(text="ready\n")


async def _holds(check: Check) -> bool:
    try:
        return await check()
    except Exception:
        return False


ROUTES = [
    Route("GET", "/livez", livez, anybody, "livez", needs_identity=False),
    Route("GET", "/readyz", readyz, anybody, "readyz", needs_identity=False),
]
