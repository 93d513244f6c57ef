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
    """`path` under `/c/{clinic}/` runs in that clinic's scope; `may` is asked with the actor of that scope.

    `nav` is the words of its entry in the pages' navigation, shown to whoever may go there.
    `uses_camera` opens camera, microphone and screen to the page by its Permissions-Policy.
    """

    method: str
    path: str
    handler: Handler
    may: Predicate
    name: str
    nav: str | None = None
    uses_camera: bool = False
    needs_identity: bool = True
    """False for what has no visitor (health checks, assets, sockets): no session is looked up."""


ROUTES = web.AppKey("routes", dict[str, Route])
"""Every route of the application by its name."""
RESOURCES = web.AppKey("resources", dict[web.AbstractRoute, Route])
"""The same by aiohttp's own object, as a matched request names it."""


def prepare_routes(app: web.Application) -> None:
    """Makes the application's two tables, empty."""
    by_name: dict[str, Route] = {}
    by_match: dict[web.AbstractRoute, Route] = {}
    app[ROUTES] = by_name
    app[RESOURCES] = by_match


def add_routes(app: web.Application, routes: list[Route]) -> None:
    """Adds routes with their permissions, each GET answering HEAD too (RFC 9110 §9.3.2).

    A name used twice is a mistake and raises ValueError.
    """
    for route in routes:
        if route.name in app[ROUTES]:
            raise ValueError(f"two routes are called {route.name}")
        app[ROUTES][route.name] = route
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            app[RESOURCES][app.router.add_route(method, route.path, route.handler)] = route


def route_of(request: web.Request) -> Route | None:
    """The route this request matched, or None where nothing of ours did."""
    return request.app[RESOURCES].get(request.match_info.route)


def see_other(url: str) -> web.Response:
    """The answer to a form that was taken: look there now (a reload repeats nothing)."""
    return web.Response(status=303, headers={"Location": url})
