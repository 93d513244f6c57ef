"""Looks in the store for logs that nobody told of: a node put one there, and was gone before any server had heard.

What becomes of a log that was found is what becomes of one that was told: `recordings.log_stored`.
"""

from __future__ import annotations

import re
from datetime import timedelta

import obstore
from obstore.store import ObjectStore
from sqlalchemy import exists, select

from media.api import StoredLog
from server import logs
from server.encounters import films, recordings, visits
from server.encounters.filmstore import open_recordings
from server.encounters.recording_models import Recording, SegmentKey
from server.encounters.recording_models import StoredLog as StoredLogRow
from server.jobs import JobContext
from server.logs import Event

LOOKED_FOR = timedelta(days=30)
"""After a recording was begun. A log that is told later is taken all the same."""
_NAME = re.compile(r"logs/[^/]+/(\d{1,9})-[^/]+\.bedlog")


async def find_logs(job: JobContext) -> int:
    """Of each recording that lacks a segment's log; how many were found. A store that is away is looked into later."""
    async with job.database.reading() as session:
        came = exists().where(
            StoredLogRow.clinic_id == SegmentKey.clinic_id,
            StoredLogRow.recording_id == SegmentKey.recording_id,
            StoredLogRow.segment == SegmentKey.segment,
        )
        lacking = exists().where(
            SegmentKey.clinic_id == Recording.clinic_id, SegmentKey.recording_id == Recording.id, ~came
        )
        query = select(Recording.id).where(
            Recording.deleted_at.is_(None),
            Recording.logs_deleted_at.is_(None),
            Recording.asked_at >= job.now() - LOOKED_FOR,
            lacking,
        )
        wanted = list(await session.scalars(query))
    count = 0
    try:
        store = open_recordings(job.settings)
        for recording_id in wanted:
            for log in await _logs_there(store, recording_id):
                count += await _take(job, log)
    except (OSError, obstore.exceptions.BaseError) as error:
        logs.log_error(Event.JOB_FAILED, error, kind=job.kind, subject=job.subject, code="store_unreachable")
    return count


async def _logs_there(store: ObjectStore, recording_id: str) -> list[StoredLog]:
    found = []
    async for page in obstore.list(store, prefix=f"logs/{recording_id}/"):
        for one in page:
            if name := _NAME.fullmatch(one["path"]):
                found.append(
                    StoredLog(
                        recording_id=recording_id,
                        segment=int(name[1]),
                        path=one["path"],
                        bytes=one["size"],
                        packets=0,
                        complete=False,
                    )
                )
    return sorted(found, key=lambda log: log.path)


async def _take(job: JobContext, log: StoredLog) -> bool:
    async with job.database.writing() as session:
        recording = await recordings.get_recording(session, log.recording_id)
        if log.path in {one.path for one in await films.load_logs(session, recording)}:
            return False
        encounter = await visits.get_encounter(session, recording.encounter_id, lock=True)
        await recordings.log_stored(session, encounter, recording, log, job.now())
    return True
