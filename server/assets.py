"""Serves the built client: names that hold their content's hash, so browsers keep them for good."""

from __future__ import annotations

from aiohttp import web

from server.errors import not_found
from server.pages import PAGES
from server.permissions import anybody
from server.routing import Route

FOR_EVER = "public, max-age=31536000, immutable"


async def serve(request: web.Request) -> web.StreamResponse:
    """One file of the manifest; any other name is not found, whatever lies in the folder."""
    pages = request.app[PAGES]
    name = request.match_info["name"]
    if name not in pages.manifest.values():
        raise not_found()
    return web.FileResponse(pages.dist / name, headers={"Cache-Control": FOR_EVER})


ROUTES = [Route("GET", "/static/{name}", serve, anybody, "static", needs_identity=False)]
