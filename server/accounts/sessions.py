"""Browsers' sessions: a random token in a `__Host-` cookie, hashed in our table, turned into an Actor per clinic.

Three kinds: staff, visits (places in visits) and page (patients' pages). What an actor may do is `permissions.py`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from aiohttp import web
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Membership, Session, SessionParticipation, SessionPatient
from server.accounts.trust_models import SessionProxy
from server.db import new_id
from server.permissions import Actor, StaffRole
from signaling.words import SessionId

TOKEN_BYTES = 32
DEVICE_MAX = 100
TAKEN_UP_WITHIN = timedelta(hours=1)
"""So long after its end a session's browser is still asked to go on where it was."""


class SessionKind(StrEnum):
    STAFF = "staff"
    VISITS = "visits"
    PAGE = "page"


COOKIES = {
    SessionKind.STAFF: "__Host-staff",
    SessionKind.VISITS: "__Host-visits",
    SessionKind.PAGE: "__Host-page",
}
LIVES = {
    SessionKind.STAFF: timedelta(hours=12),
    SessionKind.VISITS: timedelta(days=30),
    SessionKind.PAGE: timedelta(hours=1),
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A session in hand. `token` is set when the browser must be given it as its cookie."""

    id: str
    kind: SessionKind
    token: str | None = None


def token_of(cookies: Mapping[str, str], kind: SessionKind) -> str | None:
    return cookies.get(COOKIES[kind])


def set_cookie(response: web.StreamResponse, opened: Opened) -> None:
    """Gives the browser its session, when it is a new one."""
    if opened.token is None:
        return
    response.set_cookie(
        COOKIES[opened.kind],
        opened.token,
        max_age=int(LIVES[opened.kind].total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="Lax",
    )


def clear_cookie(response: web.StreamResponse, kind: SessionKind) -> None:
    response.del_cookie(COOKIES[kind], path="/", secure=True, httponly=True, samesite="Lax")


async def load_session(
    session: AsyncSession, cookies: Mapping[str, str], kind: SessionKind, now: datetime
) -> Session | None:
    """The live session that the browser's cookie of this kind names; one that was signed off isn't."""
    found = await _named(session, cookies, kind)
    return None if found is None or found.locked_at is not None or found.expires_at <= now else found


async def load_signed_off(session: AsyncSession, cookies: Mapping[str, str], now: datetime) -> Session | None:
    """The staff session that was signed off for being idle, or ended with its time a moment ago."""
    found = await _named(session, cookies, SessionKind.STAFF)
    if found is None or now >= found.expires_at + TAKEN_UP_WITHIN:
        return None
    return found if found.locked_at is not None or found.expires_at <= now else None


async def _named(session: AsyncSession, cookies: Mapping[str, str], kind: SessionKind) -> Session | None:
    token = token_of(cookies, kind)
    if not token:
        return None
    query = select(Session).where(Session.token_hash == _hash(token), Session.kind == kind.value)
    found = (await session.scalars(query)).first()
    return None if found is None or found.revoked_at is not None else found


async def open_session(
    session: AsyncSession,
    kind: SessionKind,
    now: datetime,
    *,
    person_id: str | None = None,
    device: str | None = None,
) -> Opened:
    """A new session under a new id and token (as at every sign-in)."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = Session(
        id=new_id(),
        token_hash=_hash(token),
        kind=kind.value,
        person_id=person_id,
        created_at=now,
        seen_at=now,
        expires_at=now + LIVES[kind],
        device=device[:DEVICE_MAX] if device else None,
    )
    session.add(row)
    await session.flush()
    return Opened(row.id, kind, token)


async def open_visits(
    session: AsyncSession, cookies: Mapping[str, str], *, clinic_id: str, participation_id: str, now: datetime
) -> Opened:
    """Gives this browser a place in a visit, beside those it holds; `set_cookie` the answer."""
    found = await load_session(session, cookies, SessionKind.VISITS, now)
    opened = Opened(found.id, SessionKind.VISITS) if found else await open_session(session, SessionKind.VISITS, now)
    if await session.get(SessionParticipation, (opened.id, participation_id)) is None:
        session.add(
            SessionParticipation(
                session_id=opened.id, participation_id=participation_id, clinic_id=clinic_id, opened_at=now
            )
        )
        await session.flush()
    return opened


async def open_page(
    session: AsyncSession,
    cookies: Mapping[str, str],
    *,
    clinic_id: str,
    patient_id: str,
    now: datetime,
    device: str | None = None,
) -> Opened:
    """Opens a patient's page for this browser, after birth date and code; always under a new session id.

    Pages of other patients that it opened within the hour come along: two share a device.
    """
    found = await load_session(session, cookies, SessionKind.PAGE, now)
    opened = await open_session(session, SessionKind.PAGE, now, device=device)
    session.add(SessionPatient(session_id=opened.id, clinic_id=clinic_id, patient_id=patient_id, opened_at=now))
    if found is not None:
        await _bring_along(session, found.id, opened.id, now)
        await revoke(session, found.id, now)
    await session.flush()
    return opened


async def open_proxy_page(
    session: AsyncSession, cookies: Mapping[str, str], *, clinic_id: str, proxy_id: str, now: datetime
) -> Opened:
    """As `open_page`, for somebody who acts for the patient: what they may is asked with every request."""
    found = await load_session(session, cookies, SessionKind.PAGE, now)
    opened = await open_session(session, SessionKind.PAGE, now)
    if found is not None:
        await _bring_along(session, found.id, opened.id, now)
        await revoke(session, found.id, now)
    session.add(SessionProxy(session_id=opened.id, clinic_id=clinic_id, proxy_id=proxy_id, opened_at=now))
    await session.flush()
    return opened


async def _bring_along(session: AsyncSession, old_id: str, new_id: str, now: datetime) -> None:
    await session.flush()
    there = {(row.clinic_id, row.patient_id) for row in await _pages(session, new_id, now)}
    for row in await _pages(session, old_id, now):
        if (row.clinic_id, row.patient_id) not in there:
            copy = SessionPatient(
                session_id=new_id, clinic_id=row.clinic_id, patient_id=row.patient_id, opened_at=row.opened_at
            )
            session.add(copy)


async def _pages(session: AsyncSession, session_id: str, now: datetime) -> list[SessionPatient]:
    query = select(SessionPatient).where(
        SessionPatient.session_id == session_id, SessionPatient.opened_at > now - LIVES[SessionKind.PAGE]
    )
    return list(await session.scalars(query))


async def revoke(session: AsyncSession, session_id: str, now: datetime) -> None:
    """Ends a session; whoever calls also tells signaling, so that its sockets go on every server."""
    await session.execute(
        update(Session).where(Session.id == session_id, Session.revoked_at.is_(None)).values(revoked_at=now)
    )


async def revoke_all(session: AsyncSession, person_id: str, now: datetime, *, but: str | None = None) -> list[str]:
    """Ends every staff session of a person (`but` one); answers their ids, for signaling."""
    query = select(Session.id).where(
        Session.person_id == person_id, Session.kind == SessionKind.STAFF.value, Session.revoked_at.is_(None)
    )
    ended = [found for found in (await session.scalars(query.order_by(Session.id))).all() if found != but]
    await session.execute(update(Session).where(Session.id.in_(ended)).values(revoked_at=now))
    return ended


async def load_open(session: AsyncSession, person_id: str, now: datetime) -> list[Session]:
    """A person's staff sessions that could still be used, the newest first."""
    query = select(Session).where(
        Session.person_id == person_id,
        Session.kind == SessionKind.STAFF.value,
        Session.revoked_at.is_(None),
        Session.expires_at > now,
    )
    return list(await session.scalars(query.order_by(Session.seen_at.desc())))


async def load_open_pages(session: AsyncSession, clinic_id: str, patient_id: str, now: datetime) -> list[Session]:
    """The browsers in which this patient's page is open, the newest first; those of who acts for them are not here."""
    query = (
        select(Session)
        .join(SessionPatient, SessionPatient.session_id == Session.id)
        .where(
            SessionPatient.clinic_id == clinic_id,
            SessionPatient.patient_id == patient_id,
            SessionPatient.opened_at > now - LIVES[SessionKind.PAGE],
            Session.revoked_at.is_(None),
            Session.expires_at > now,
        )
    )
    return list(await session.scalars(query.order_by(Session.created_at.desc())))


def as_signaling(session_id: str) -> SessionId:
    """Our session's id as signaling calls it."""
    return SessionId(session_id)


async def load_actor(session: AsyncSession, cookies: Mapping[str, str], clinic_id: str | None, now: datetime) -> Actor:
    """Who this browser is in this clinic; outside a clinic it has no roles and no patients."""
    staff = await load_session(session, cookies, SessionKind.STAFF, now)
    visits = await load_session(session, cookies, SessionKind.VISITS, now)
    page = await load_session(session, cookies, SessionKind.PAGE, now)
    person_id = staff.person_id if staff else None
    return Actor(
        person_id=person_id,
        session_id=staff.id if staff else None,
        visits_session_id=visits.id if visits else None,
        page_session_id=page.id if page else None,
        clinic_id=clinic_id,
        roles=await load_roles(session, clinic_id, person_id),
        participations=await _participations(session, visits.id if visits else None, clinic_id),
        patients=await _patients(session, page.id if page else None, clinic_id, now),
    )


async def load_roles(session: AsyncSession, clinic_id: str | None, person_id: str | None) -> frozenset[StaffRole]:
    if clinic_id is None or person_id is None:
        return frozenset()
    query = select(Membership.role).where(
        Membership.clinic_id == clinic_id, Membership.person_id == person_id, Membership.is_active
    )
    return frozenset(StaffRole(role) for role in (await session.scalars(query)).all())


async def _participations(session: AsyncSession, visits_id: str | None, clinic_id: str | None) -> frozenset[str]:
    if visits_id is None:
        return frozenset()
    query = select(SessionParticipation.participation_id).where(SessionParticipation.session_id == visits_id)
    if clinic_id is not None:
        query = query.where(SessionParticipation.clinic_id == clinic_id)
    return frozenset((await session.scalars(query)).all())


async def load_clinic_of_place(session: AsyncSession, actor: Actor, participation_id: str) -> str | None:
    """The clinic of a place in a visit that this browser holds, also of one that is closed by now."""
    if actor.visits_session_id is None or participation_id not in actor.participations:
        return None
    held = await session.get(SessionParticipation, (actor.visits_session_id, participation_id))
    return held.clinic_id if held is not None else None


async def _patients(session: AsyncSession, page_id: str | None, clinic_id: str | None, now: datetime) -> frozenset[str]:
    if page_id is None or clinic_id is None:
        return frozenset()
    return frozenset(row.patient_id for row in await _pages(session, page_id, now) if row.clinic_id == clinic_id)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
