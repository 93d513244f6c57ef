"""Putting work on the job table, moving and cancelling it, and looking at how far it is.

Each function runs in the transaction that causes the work. Claiming and running is `loop.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from server.db import new_id, plain, table_of
from server.jobs.models import Job


async def enqueue(
    session: AsyncSession, kind: str, subject: str, due_at: datetime, *, clinic_id: str | None = None
) -> None:
    """Asks for work once: an unfinished job of this kind and subject stands; if it is running, it runs again after."""
    await enqueue_each(session, kind, {subject: due_at}, clinic_id=clinic_id)


async def enqueue_each(
    session: AsyncSession, kind: str, due: Mapping[str, datetime], *, clinic_id: str | None = None
) -> None:
    """As `enqueue`, for each subject and the time when it is due."""
    rows = [
        {
            "id": new_id(),
            "kind": kind,
            "subject": subject,
            "clinic_id": clinic_id,
            "due_at": due_at,
            "created_at": due_at,
            "attempts": 0,
            "progress": 0.0,
            "again": False,
            "cancelled": False,
        }
        for subject, due_at in due.items()
    ]
    await session.flush()
    connection = await plain(session)
    await connection.execute(_insert(connection.dialect.name), rows)


@cache
def _insert(dialect: str) -> Insert:
    """Built once for each engine: what is booked, sent and composed asks for its work with it."""
    table = table_of(Job)
    insert: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[dialect]
    statement: Insert = insert(table).on_conflict_do_update(
        index_elements=[table.c.kind, table.c.subject],
        index_where=table.c.finished_at.is_(None),
        set_={"again": table.c.lease_owner.is_not(None), "cancelled": False},
    )
    return statement


async def reschedule(session: AsyncSession, kind: str, subject: str, due_at: datetime, *, clinic_id: str) -> None:
    """The same work at another time; asks for it when there is none unfinished."""
    await enqueue(session, kind, subject, due_at, clinic_id=clinic_id)
    await session.execute(
        update(Job).where(Job.kind == kind, Job.subject == subject, Job.finished_at.is_(None)).values(due_at=due_at)
    )


async def cancel(session: AsyncSession, kind: str, subject: str, now: datetime) -> None:
    """Takes waiting work back; what is running is told and stops at its next step."""
    unfinished = (Job.kind == kind, Job.subject == subject, Job.finished_at.is_(None))
    await session.execute(
        update(Job).where(*unfinished, Job.lease_owner.is_(None)).values(finished_at=now, cancelled=True)
    )
    await session.execute(update(Job).where(*unfinished).values(cancelled=True, again=False))


async def load_job(session: AsyncSession, kind: str, subject: str) -> Job | None:
    """The newest job of this kind and subject: progress while unfinished, error when it was given up."""
    query = select(Job).where(Job.kind == kind, Job.subject == subject)
    query = query.order_by(Job.finished_at.is_(None).desc(), Job.created_at.desc()).limit(1)
    return (await session.scalars(query)).first()
