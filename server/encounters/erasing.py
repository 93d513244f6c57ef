"""The job that takes a recording's bytes away: a person out of every log, or all of it; and writes down the proof.

The order and the keys' end are `keeping.py`'s. It may run again at any point: what is gone stays gone.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.store import ObjectStore
from sqlalchemy import delete, select

from media.compose import LogDamagedError
from media.vault import delete_participant, participants_of
from server.encounters import films, finding, keeping
from server.encounters.filmstore import fetch_object, open_recordings, redacted_folder, tracks_folder
from server.encounters.keeping_models import RecordingDeletion
from server.encounters.recording_models import Recording, StoredLog
from server.encounters.workfolders import sweep, work_folder
from server.jobs import JobContext, JobFailed

LOOK_EVERY_S = 60.0


async def erase(job: JobContext) -> None:
    """The job `erase`: its subject is the order to delete. Of one that is done it looks whether anything came since."""
    async with job.database.reading() as session:
        query = select(RecordingDeletion).where(RecordingDeletion.id == job.subject)
        ordered = (await session.scalars(query)).one_or_none()
        if ordered is None:
            return
        recording = await keeping.get_recording(session, ordered.clinic_id, ordered.recording_id)
        film = await films.load_film(session, recording)
        logs = [one.path for one in await films.load_logs(session, recording)]
    is_part_again = ordered.participant_id is not None and ordered.done_at is not None  # its film has none of them
    store = open_recordings(job.settings)
    try:
        proof: dict[str, Any] = {}
        if ordered.cause != "log_done" and film is not None and not is_part_again:
            proof["films"] = await _empty(store, f"films/{film.id}/")
            proof["redacted"] = await _empty(store, redacted_folder(film.id))
        if ordered.participant_id is None:
            proof["logs"] = await _empty(store, f"logs/{recording.id}/")
        else:
            proof["tracks"] = await _empty(store, tracks_folder(recording.id))
            utc_s = int(job.now().timestamp())
            async with work_folder(job.settings.var, f"erase-{ordered.id}") as folder:
                proof["copies"] = await _without(store, logs, ordered.participant_id, folder, utc_s)
        # Before it is said to be done: a job that was killed may have left the film in the clear on this machine.
        await asyncio.to_thread(sweep, job.settings.var)
    except obstore.exceptions.BaseError:
        raise JobFailed("store_unreachable") from None
    except LogDamagedError:
        raise JobFailed("log_damaged", for_good=True) from None
    await _write_down(job, ordered, proof)


async def _empty(store: ObjectStore, prefix: str) -> dict[str, Any]:
    """Deletes everything under the prefix and looks again: what is said to be gone was looked for."""
    gone = await _paths(store, prefix)
    for path in gone:
        await obstore.delete_async(store, path)
    left = await _paths(store, prefix)
    if left:
        raise JobFailed("store_keeps_it")
    return {"deleted": gone, "left": 0}


async def _paths(store: ObjectStore, prefix: str) -> list[str]:
    found: list[str] = []
    async for page in obstore.list(store, prefix=prefix):
        found += [one["path"] for one in page]
    return sorted(found)


async def _without(
    store: ObjectStore, logs: list[str], participant_id: str, folder: Path, utc_s: int
) -> list[dict[str, Any]]:
    """Each log replaced by a copy without this person, and read back from the store."""
    proofs: list[dict[str, Any]] = []
    before, after, again = folder / "before", folder / "after", folder / "again"
    for path in logs:
        try:
            await fetch_object(store, path, before)
        except FileNotFoundError:
            proofs.append({"path": path, "chunks": 0, "missing": True})
            continue
        await asyncio.to_thread(after.unlink, True)
        removed = await asyncio.to_thread(_copy, before, after, participant_id, utc_s)
        if removed is not None:
            await obstore.put_async(store, path, after)
            await fetch_object(store, path, again)
            if await asyncio.to_thread(_names, again, participant_id):
                raise JobFailed("store_keeps_it")
        proofs.append({"path": path, "chunks": removed or 0})
    return proofs


def _names(log: Path, participant_id: str) -> bool:
    return participant_id in participants_of(log)


def _copy(before: Path, after: Path, participant_id: str, utc_s: int) -> int | None:
    """None when the log holds nothing of them: then it stays as it is."""
    if participant_id not in set(participants_of(before)):
        return None
    return delete_participant(before, after, participant_id, utc_s=utc_s)


async def _write_down(job: JobContext, ordered: RecordingDeletion, proof: dict[str, Any]) -> None:
    now = job.now()
    async with job.database.writing() as session:
        row = await session.get(RecordingDeletion, (ordered.clinic_id, ordered.id))
        recording = await keeping.get_recording(session, ordered.clinic_id, ordered.recording_id)
        if row is None:
            return
        if ordered.participant_id is None:
            await session.execute(
                delete(StoredLog).where(
                    StoredLog.clinic_id == recording.clinic_id, StoredLog.recording_id == recording.id
                )
            )
        before = json.loads(row.proof) if row.proof else {}
        after = _merged(before, proof)
        if row.done_at is None or after != before:
            row.done_at, row.proof = now, json.dumps(after, sort_keys=True)
        if ordered.participant_id is not None and recording.deleted_at is None:
            await _make_again(session, recording, now)


def _merged(before: dict[str, Any], proof: dict[str, Any]) -> dict[str, Any]:
    """What is proved by a second look, beside what was by the first: nothing that was said to be gone is forgotten."""
    merged = {**before, **proof}
    for what, found in before.items():
        if isinstance(found, dict) and what in proof:
            merged[what] = {"deleted": sorted({*found["deleted"], *proof[what]["deleted"]}), "left": 0}
    if "copies" in before and "copies" in proof:
        chunks = {one["path"]: one for one in before["copies"]}
        for one in proof["copies"]:
            earlier = chunks.get(one["path"], {}).get("chunks", 0)
            chunks[one["path"]] = {**one, "chunks": one["chunks"] + earlier}
        merged["copies"] = [chunks[path] for path in sorted(chunks)]
    return merged


async def _make_again(session: Any, recording: Recording, now: datetime) -> None:
    if await films.load_film(session, recording) is not None:
        await films.expect(session, recording, now)


async def keep(job: JobContext) -> None:
    """The standing job: gives the orders whose date has come, and looks for logs of which nobody has told."""
    while not job.cancelled():
        async with job.database.writing() as session:
            await keeping.order_due(session, job.now())
        await finding.find_logs(job)
        await asyncio.to_thread(sweep, job.settings.var)
        await job.pause(LOOK_EVERY_S)
