"""Putting work on the job table, moving and cancelling it, and looking at how far it is.

Each function runs in the transaction that causes the work. Claiming and running is `loop.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from server.db import new_id
from server.jobs.models import Job


async def enqueue(
    session: AsyncSession, kind: str, subject: str, due_at: datetime, *, clinic_id: str | None = None
) -> None:
    """Asks for work once: an unfinished job of this kind and subject stands; if it is running, it runs again after."""
    row = {
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
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(Job).values(**row)
    statement = statement.on_conflict_do_update(
        index_elements=[Job.kind, Job.subject],
        index_where=Job.finished_at.is_(None),
        set_={"again": Job.lease_owner.is_not(None), "cancelled": False},
    )
    await session.execute(statement)


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
