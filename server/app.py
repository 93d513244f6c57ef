"""Wires one server process: settings, database, vault, areas, signaling; answers an application ready to listen.

Everything is an argument; nothing here decides anything about the clinic. Running it is `serving.py`.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import ModuleType

from aiohttp import web

from server import assets, context, health, keys
from server.accounts.again import ask_again
from server.accounts.demo import is_demo_allowed
from server.accounts.identify import identify
from server.accounts.passwords import PASSWORDS, Passwords
from server.accounts.refusals import note_refusal
from server.accounts.throttle import THROTTLE, Throttle
from server.config import Settings
from server.db import Database
from server.desk.incidentsubjects import load_subjects
from server.encounters.clinic_port import ClinicPort
from server.encounters.presence import last_in_visit
from server.events import Events
from server.jobs import Handler, Handlers
from server.middleware import MIDDLEWARES
from server.migrations import is_current
from server.pages import PAGES, Pages, load_pages
from server.routing import Route, add_routes, prepare_routes
from server.security import add_headers
from server.turn import Turn
from server.vault import Vault
from signaling.service import build_signaling
from signaling.words import Clock, utc_now

AREAS = ("accounts", "scheduling", "encounters", "records", "desk")
REQUEST_LIMIT_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Parts:
    """What a server process is made of."""

    settings: Settings
    database: Database
    vault: Vault
    clock: Clock = utc_now
    pages: Pages = field(default_factory=load_pages)


def load_models() -> None:
    """Imports every area's tables, so that the one metadata knows them all."""
    importlib.import_module("server.audit")
    importlib.import_module("server.jobs.models")
    importlib.import_module("server.uploads")
    importlib.import_module("server.accounts.trust_models")
    importlib.import_module("server.records.rights_models")
    importlib.import_module("server.scheduling.waiting_models")
    area_modules("models")


def load_handlers() -> tuple[Handlers, Handlers]:
    """Every area's jobs: those that end and those that stand."""
    handlers: dict[str, Handler] = {}
    standing: dict[str, Handler] = {}
    for module in [importlib.import_module("server.audit_chain"), *area_modules("jobs")]:
        handlers |= getattr(module, "HANDLERS", {})
        standing |= getattr(module, "STANDING", {})
    return handlers, standing


def register_handlers(events: Events) -> None:
    """Lets every area's handlers hear the earlier areas' events."""
    for module in area_modules("handlers"):
        module.register(events)


def area_routes() -> list[Route]:
    """Every area's routes, in the areas' order."""
    modules = [*area_modules("views"), *area_modules("trustviews")]
    return [route for module in modules for route in module.ROUTES]


async def build_app(parts: Parts) -> web.Application:
    """The application of a server process; it starts and stops signaling with itself."""
    load_models()
    app = web.Application(middlewares=MIDDLEWARES, client_max_size=REQUEST_LIMIT_BYTES)
    app[context.SETTINGS] = parts.settings
    app[context.DATABASE] = parts.database
    app[context.VAULT] = parts.vault
    app[context.CLOCK] = parts.clock
    app[context.EVENTS] = events = Events()
    app[context.IDENTIFY] = identify
    app[context.SIGN_IN_AGAIN] = ask_again
    app[context.NOTE_REFUSAL] = note_refusal
    app[context.LAST_BUSY] = last_in_visit
    app[context.INCIDENT_SUBJECTS] = load_subjects
    app[context.DEMO] = await is_demo_allowed(parts.settings, parts.database)
    app[context.STOPPING] = asyncio.Event()
    app[PASSWORDS] = Passwords()
    app[THROTTLE] = Throttle(parts.settings.redis)
    app[PAGES] = parts.pages
    prepare_routes(app)
    register_handlers(events)
    add_routes(app, health.ROUTES + assets.ROUTES + area_routes())
    if app[context.DEMO]:
        add_routes(app, [route for module in area_modules("demo") for route in module.ROUTES])
    app.on_response_prepare.append(add_headers)
    _add_signaling(app, parts)
    app[health.CHECKS] = _checks(app)
    return app


def _add_signaling(app: web.Application, parts: Parts) -> None:
    signaling = build_signaling(
        clinic=ClinicPort(parts.database, app[context.EVENTS], parts.vault, parts.clock),
        node_urls=parts.settings.nodes,
        node_secret=keys.node_secret(parts.settings),
        redis_url=parts.settings.redis,
        allowed_origins=_origins(parts.settings),
        ice_servers=Turn(parts.settings, parts.clock).ice_servers,
        clock=parts.clock,
    )
    app[context.SIGNALING] = signaling
    signaling.attach(app)
    app.cleanup_ctx.append(_run_signaling)


def _origins(settings: Settings) -> list[str]:
    """The public address; without one, in development, the page's own origin by whichever name it was opened."""
    return [] if settings.is_development and not settings.public_url else [settings.origin]


async def _run_signaling(app: web.Application) -> AsyncIterator[None]:
    await app[context.SIGNALING].start()
    yield
    await app[context.SIGNALING].stop()


def _checks(app: web.Application) -> dict[str, health.Check]:
    async def stays() -> bool:
        return not app[context.STOPPING].is_set()

    async def has_newest_schema() -> bool:
        return await is_current(app[context.DATABASE])

    async def has_signaling() -> bool:
        return app[context.SIGNALING].ready()

    return {"stopping": stays, "database": has_newest_schema, "signaling": has_signaling}


def area_modules(name: str) -> list[ModuleType]:
    """The modules of this name of those areas that have one, in the areas' order."""
    found = [f"server.{area}.{name}" for area in AREAS]
    return [importlib.import_module(module) for module in found if find_spec(module) is not None]
