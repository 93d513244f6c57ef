"""Signs staff off who have been idle: noticed with the next request of any kind, told apart from looking by a script.

How they come back without losing what they typed is `again.py`.
"""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context
from server.accounts import sessions
from server.accounts.models import Session
from server.accounts.trust_models import ClinicPolicy
from server.audit import AuditAction

TOUCH_EVERY = timedelta(minutes=1)
IDLE = timedelta(minutes=30)
"""Where the clinic says nothing else, and on pages of no clinic."""


async def is_idle(request: web.Request, session: AsyncSession, row: Session, clinic_id: str | None) -> bool:
    """Whether this session has been idle for longer than the clinic of the address allows."""
    now = context.now(request)
    policy = await session.get(ClinicPolicy, clinic_id) if clinic_id else None
    allowed = timedelta(minutes=policy.idle_min) if policy else IDLE
    if now - row.seen_at < allowed or row.person_id is None:
        return False
    busy = await request.app[context.LAST_BUSY](session, row.person_id, now)
    return busy is None or now - busy >= allowed


def counts_as_activity(request: web.Request) -> bool:
    """A person did something: not a page that asks again by itself."""
    return request.method != "HEAD" and not (request.method == "GET" and "HX-Request" in request.headers)


async def sign_off(request: web.Request, row: Session, clinic_id: str | None) -> None:
    """Once, whoever notices first; its sockets go on every server."""
    now = context.now(request)
    async with context.database(request).writing() as session:
        done = await session.execute(
            update(Session)
            .where(Session.id == row.id, Session.locked_at.is_(None), Session.seen_at == row.seen_at)
            .values(locked_at=now)
            .returning(Session.id)
        )
        if done.scalar_one_or_none() is None:
            return
        if clinic_id is not None:
            await audit.enter(
                session,
                clinic_id=clinic_id,
                actor_person_id=row.person_id,
                action=AuditAction.SIGNED_OFF,
                subject=("session", row.id),
                now=now,
            )
    await context.signaling(request).revoke_session(sessions.as_signaling(row.id))


async def touch(request: web.Request, row: Session) -> None:
    """Notes that its owner is there, at most once a minute."""
    now = context.now(request)
    if not counts_as_activity(request) or now - row.seen_at < TOUCH_EVERY:
        return
    async with context.database(request).writing() as session:
        await session.execute(update(Session).where(Session.id == row.id, Session.seen_at < now).values(seen_at=now))
