"""What a handler may ask of its request: the application's parts, the clinic of the address, who asks, the time.

Filling these in is for `app.py` (application) and `middleware.py` (request).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit import Incident
from server.config import Settings
from server.db import Database
from server.events import Events
from server.permissions import NOBODY, Actor
from server.vault import Vault
from signaling.service import Signaling
from signaling.words import Clock, Refused

SETTINGS = web.AppKey("settings", Settings)
DATABASE = web.AppKey("database", Database)
VAULT = web.AppKey("vault", Vault)
EVENTS = web.AppKey("events", Events)
CLOCK: web.AppKey[Clock] = web.AppKey("clock")
SIGNALING = web.AppKey("signaling", Signaling)
DEMO = web.AppKey("demo", bool)
STOPPING = web.AppKey("stopping", asyncio.Event)
"""Set once the process is asked to end: not ready any more, new requests are sent elsewhere."""


@dataclass(frozen=True, slots=True)
class ClinicScope:
    """The clinic of the page's address; services take this, never a bare id."""

    id: str
    slug: str
    name: str
    neutral_name: str
    phone: str
    zone: str
    country: str
    emergency_text: str
    language: str
    is_demo: bool = False
    always_relay: bool = False


@dataclass(frozen=True, slots=True)
class Viewer:
    """The signed-in staff member as the page's head shows them."""

    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a request's address and cookies say: the clinic, who asks, and how a page's head names them."""

    clinic: ClinicScope | None
    actor: Actor
    viewer: Viewer | None
    is_signed_off: bool = False
    """Staff whose session was idle or came to its end: asked to sign in again in place."""


Identify = Callable[[web.Request], Awaitable[Identity]]
IDENTIFY: web.AppKey[Identify] = web.AppKey("identify")
"""How `middleware.py` learns who asks; `accounts.identify` knows."""

SIGN_IN_AGAIN: web.AppKey[Callable[[web.Request], Awaitable[web.StreamResponse]]] = web.AppKey("sign_in_again")
"""What somebody who was signed off is answered instead of a refusal."""
NOTE_REFUSAL: web.AppKey[Callable[[web.Request, Refused], Awaitable[None]]] = web.AppKey("note_refusal")
"""Puts into the audit what somebody known was refused."""
LastBusy = Callable[[AsyncSession, str, datetime], Awaitable[datetime | None]]
LAST_BUSY: web.AppKey[LastBusy] = web.AppKey("last_busy")
"""When a person was last in a visit (now, while they are): nobody is signed off for being idle there."""
IncidentSubjects = Callable[[AsyncSession, ClinicScope, Iterable[Incident]], Awaitable[dict[str, str]]]
INCIDENT_SUBJECTS: web.AppKey[IncidentSubjects] = web.AppKey("incident_subjects")
"""In words, by an incident's id, which visit it is about."""

ACTOR = web.RequestKey("actor", Actor)
CLINIC = web.RequestKey("clinic", ClinicScope)
VIEWER = web.RequestKey("viewer", Viewer)
LANGUAGE_ON_FILE = web.RequestKey("language_on_file", str)
"""The language of the patient whom this page is for, where the address alone has said who that is."""
NAMES_HIDDEN = web.RequestKey("names_hidden", bool)
"""Whether a screen is shared in a visit of the doctor who asks: then no page of theirs shows a patient's name."""
REQUEST_ID = web.RequestKey("request_id", str)
NONCE = web.RequestKey("csp_nonce", str)


def settings(request: web.Request) -> Settings:
    return request.app[SETTINGS]


def database(request: web.Request) -> Database:
    """For a HEAD, one that keeps nothing: it answers as its GET would and leaves no trace of a page opened."""
    found = request.app[DATABASE]
    return found.unkept() if request.method == "HEAD" else found


def vault(request: web.Request) -> Vault:
    return request.app[VAULT]


def events(request: web.Request) -> Events:
    return request.app[EVENTS]


def signaling(request: web.Request) -> Signaling:
    return request.app[SIGNALING]


def now(request: web.Request) -> datetime:
    return request.app[CLOCK]()


def actor(request: web.Request) -> Actor:
    """Who asks, in the clinic of the address; NOBODY before a session was found."""
    found: Actor = request.get(ACTOR, NOBODY)
    return found


def clinic(request: web.Request) -> ClinicScope:
    """The clinic of the address; only routes under `/c/{clinic}/` have one (KeyError elsewhere)."""
    return request[CLINIC]
