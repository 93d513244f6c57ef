"""Claiming a due job, keeping its lease, and writing down how it went: each one conditional statement.

When to do which is `loop.py`; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.jobs.models import Job

LEASE = timedelta(seconds=15)
ATTEMPTS_MAX = 8
BACKOFF_FIRST = timedelta(seconds=5)
BACKOFF_MAX = timedelta(hours=1)
GIVEN_UP = "given_up"


async def is_due(session: AsyncSession, kinds: Collection[str], now: datetime) -> bool:
    """Whether a claim would find something; a read, so that idle workers never take the write lock."""
    return bool(await session.scalar(select(exists().where(_claimable(kinds, now)))))


async def claim(session: AsyncSession, kinds: Collection[str], owner: str, now: datetime) -> Job | None:
    """The job longest due, leased to `owner`; no other worker gets it while the lease lasts."""
    due = select(Job.id).where(_claimable(kinds, now)).order_by(Job.due_at).limit(1).with_for_update(skip_locked=True)
    statement = (
        update(Job)
        .where(Job.id == due.scalar_subquery(), _claimable(kinds, now))
        .values(lease_owner=owner, lease_until=now + LEASE, attempts=Job.attempts + 1, again=False)
        .returning(Job)
    )
    return (await session.scalars(statement)).first()


async def renew(session: AsyncSession, job_id: str, owner: str, now: datetime) -> bool:
    """Lengthens the lease; False when it is lost or the work is no longer wanted."""
    renewed = await session.scalar(
        update(Job).where(_held(job_id, owner), ~Job.cancelled).values(lease_until=now + LEASE).returning(Job.id)
    )
    return renewed is not None


async def note_progress(session: AsyncSession, job_id: str, owner: str, fraction: float) -> None:
    await session.execute(update(Job).where(_held(job_id, owner)).values(progress=min(max(fraction, 0.0), 1.0)))


async def finish(session: AsyncSession, job_id: str, owner: str, now: datetime, error: str | None = None) -> None:
    """Done, or given up with `error`; due again at once when it was asked for anew meanwhile."""
    anew = and_(Job.again, ~Job.cancelled)
    await session.execute(
        update(Job)
        .where(_held(job_id, owner))
        .values(
            finished_at=case((anew, None), else_=now),
            due_at=case((anew, now), else_=Job.due_at),
            attempts=case((anew, 0), else_=Job.attempts),
            progress=case((anew, 0.0), else_=Job.progress if error else 1.0),
            again=False,
            error=error,
            lease_owner=None,
            lease_until=None,
        )
    )


async def put_back(session: AsyncSession, job_id: str, owner: str, due_at: datetime, error: str | None = None) -> None:
    """Not done: due again then. Without an error it was the process that ended, and the attempt doesn't count."""
    await session.execute(
        update(Job)
        .where(_held(job_id, owner))
        .values(
            due_at=due_at,
            error=error,
            attempts=Job.attempts if error else Job.attempts - 1,
            lease_owner=None,
            lease_until=None,
        )
    )


def backoff(attempts: int) -> timedelta:
    """5 s after the first failure, doubling up to an hour."""
    return min(BACKOFF_FIRST * (1 << max(min(attempts - 1, 20), 0)), BACKOFF_MAX)


def _claimable(kinds: Collection[str], now: datetime) -> ColumnElement[bool]:
    return and_(
        Job.finished_at.is_(None),
        Job.due_at <= now,
        Job.kind.in_(sorted(kinds)),
        or_(Job.lease_until.is_(None), Job.lease_until < now),
    )


def _held(job_id: str, owner: str) -> ColumnElement[bool]:
    return and_(Job.id == job_id, Job.lease_owner == owner, Job.finished_at.is_(None))
