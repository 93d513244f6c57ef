"""Tells the middleware which clinic an address names and who this browser is there, in one short read."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts import idle, proxies, sessions
from server.accounts.models import Person
from server.accounts.service import get_clinic, load_clinic
from server.accounts.sessions import SessionKind
from server.context import ClinicScope, Identity, Viewer
from server.errors import not_found
from server.permissions import NOBODY, Actor


async def identify(request: web.Request) -> Identity:
    """Raises not_found when the address names a clinic that isn't there."""
    slug = request.match_info.get("clinic")
    if slug is None and not _has_session(request):
        return Identity(None, NOBODY, None)
    now = context.now(request)
    async with context.database(request).reading() as session:
        clinic = await _clinic(session, slug)
        clinic_id = clinic.id if clinic else None
        row = await sessions.load_session(session, request.cookies, SessionKind.STAFF, now)
        is_idle = row is not None and await idle.is_idle(request, session, row, clinic_id)
        actor = await sessions.load_actor(session, request.cookies, clinic_id, now)
        if actor.page_session_id is not None and clinic_id is not None:
            mine = await proxies.load_acts(session, actor.page_session_id, clinic_id, now)
            actor = replace(actor, acts_for=mine)
        was_signed_off = row is None and await sessions.load_signed_off(session, request.cookies, now) is not None
        viewer = None if is_idle else await _viewer(session, actor)
        clinic = clinic or await _clinic_of_place(request, session, actor)
    if row is not None and is_idle:
        await idle.sign_off(request, row, clinic_id)
        actor = replace(actor, person_id=None, session_id=None, roles=frozenset())
    elif row is not None:
        await idle.touch(request, row)
    return Identity(clinic, actor, viewer, is_idle or was_signed_off)


def _has_session(request: web.Request) -> bool:
    return any(name in request.cookies for name in sessions.COOKIES.values())


async def _clinic(session: AsyncSession, slug: str | None) -> ClinicScope | None:
    if slug is None:
        return None
    clinic = await load_clinic(session, slug)
    if clinic is None:
        raise not_found()
    return clinic


async def _clinic_of_place(request: web.Request, session: AsyncSession, actor: Actor) -> ClinicScope | None:
    """Whose visit the address names: whoever is refused there must be told whom to ring."""
    place = request.match_info.get("participation_id")
    clinic_id = await sessions.load_clinic_of_place(session, actor, place) if place is not None else None
    return await get_clinic(session, clinic_id) if clinic_id is not None else None


async def _viewer(session: AsyncSession, actor: Actor) -> Viewer | None:
    if actor.person_id is None or not actor.roles:
        return None
    person = await session.get(Person, actor.person_id)
    return Viewer(person.name, tuple(sorted(actor.roles))) if person else None
