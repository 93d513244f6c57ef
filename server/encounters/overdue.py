"""Orders to delete that are not done in time: asked for again and again, and told to whoever looks after the clinic.

Who orders is `keeping.py`, the job itself `erasing.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import jobs
from server.encounters import alarms
from server.encounters.keeping_models import RecordingDeletion

JOB = "erase"
ORDERED_AGAIN_AFTER = timedelta(minutes=15)
"""So long after its job was given up, an order that isn't done is asked for once more."""
LATE_AFTER = timedelta(hours=1)


async def order_again(session: AsyncSession, now: datetime) -> None:
    """The store was away for longer than a job tries, or a log can't be read: nothing that was ordered is forgotten."""
    query = select(RecordingDeletion).where(
        RecordingDeletion.done_at.is_(None), RecordingDeletion.ordered_at <= now - ORDERED_AGAIN_AFTER
    )
    for ordered in list(await session.scalars(query)):
        job = await jobs.load_job(session, JOB, ordered.id)
        if job is None or (job.finished_at is not None and job.finished_at <= now - ORDERED_AGAIN_AFTER):
            await jobs.enqueue(session, JOB, ordered.id, now, clinic_id=ordered.clinic_id)
        if ordered.ordered_at <= now - LATE_AFTER:
            await alarms.deletion_late(session, ordered, now)
