"""A film with stretches taken out, which a patient may watch in its place: ordered, made by a job, made anew, closed.

Who decides, and what is taken out, is `records/requests.py`; blackening and silencing is `media.compose.redact`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import obstore
from obstore.store import ObjectStore
from sqlalchemy.ext.asyncio import AsyncSession

from media.compose.process import Work
from server import jobs
from server.db import new_id
from server.encounters import films
from server.encounters.composing import compose, failure_of
from server.encounters.filmstore import (
    FilmDamagedError,
    SealedFilm,
    open_recordings,
    put_film,
    read_film,
    redacted_folder,
)
from server.encounters.recording_models import Film, FilmRedaction
from server.encounters.rules import Stretch
from server.encounters.workfolders import work_folder
from server.jobs import JobContext, JobFailed
from server.vault import KEY_BYTES, ClinicVault

JOB = "redact"
FILM_CHANGED = "film_changed"


async def load(session: AsyncSession, clinic_id: str, film_id: str) -> FilmRedaction | None:
    return await session.get(FilmRedaction, (clinic_id, film_id))


async def order(
    session: AsyncSession, film: Film, patient_id: str, stretches: Sequence[Stretch], *, by: str, now: datetime
) -> None:
    """This patient watches the film without these; a job makes it."""
    row = FilmRedaction(
        clinic_id=film.clinic_id,
        film_id=film.id,
        patient_id=patient_id,
        stretches=json.dumps([[one.start_s, one.end_s] for one in stretches]),
        state="asked",
        decided_by=by,
        decided_at=now,
    )
    session.add(row)
    await session.flush()
    await jobs.reschedule(session, JOB, film.id, now, clinic_id=film.clinic_id)


async def close(session: AsyncSession, film: Film, *, is_whole: bool) -> None:
    """With the film: nothing opens any more, and only from another film it is made anew."""
    row = await load(session, film.clinic_id, film.id)
    if row is not None:
        row.state, row.path, row.size_bytes, row.wrapped_key = "gone" if is_whole else "asked", None, None, None


async def film_made(session: AsyncSession, film: Film, now: datetime) -> None:
    """Another film is there now: what is watched in its place is made from that one."""
    row = await load(session, film.clinic_id, film.id)
    if row is not None and row.state != "gone":
        await close(session, film, is_whole=False)
        await jobs.reschedule(session, JOB, film.id, now, clinic_id=film.clinic_id)


def opened(vault: ClinicVault, row: FilmRedaction) -> SealedFilm | None:
    """Where it lies and what opens it; None while there is none."""
    if row.state != "ready" or row.path is None or row.wrapped_key is None:
        return None
    return SealedFilm(row.path, row.size_bytes or 0, vault.unwrap_key(films.key_name(row.path), row.wrapped_key))


# ── The job ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def make(job: JobContext) -> None:
    """The job `redact`: its subject is the film."""
    async with job.database.reading() as session:
        row = await load(session, job.clinic_id or "", job.subject)
        film = await session.get(Film, (job.clinic_id or "", job.subject))
    if row is None or film is None or row.state not in ("asked", "failed") or film.state != "ready":
        return
    store = open_recordings(job.settings)
    try:
        async with work_folder(job.settings.var, f"redact-{film.id}") as folder:
            source = await _fetch(job, film, store, folder / "film.mp4")
            stretches = tuple((start, end) for start, end in json.loads(row.stretches))
            work = Work((source,), folder / "redacted.mp4", {}, {}, taken_out=stretches)
            if await compose(job, work):
                await _keep(job, row, film, store, work.output)
    except obstore.exceptions.BaseError:
        await _say_failed(job, "store_unreachable")
        raise JobFailed("store_unreachable") from None
    except Exception as error:
        failed = failure_of(error)
        await _say_failed(job, failed.code)
        raise failed from error


async def given_up(job: JobContext, code: str) -> None:
    """Also where its process died each time, and could say nothing itself."""
    await _say_failed(job, code)


async def _fetch(job: JobContext, film: Film, store: ObjectStore, target: Path) -> Path:
    path = film.path or ""
    key = job.vault.clinic(film.clinic_id).unwrap_key(films.key_name(path), film.wrapped_key or b"")
    sealed = SealedFilm(path, film.size_bytes or 0, key)
    try:
        with target.open("wb") as file:
            async for piece in read_film(store, sealed, 0, sealed.size):
                await asyncio.to_thread(file.write, piece)
    except FilmDamagedError:
        raise JobFailed("film_damaged") from None
    return target


async def _keep(job: JobContext, row: FilmRedaction, film: Film, store: ObjectStore, made: Path) -> None:
    """Sealed and stored, then said so, unless the film was closed or made anew meanwhile; older ones go last."""
    folder = redacted_folder(film.id)
    size = (await asyncio.to_thread(made.stat)).st_size
    sealed = SealedFilm(f"{folder}{new_id()}.film", size, os.urandom(KEY_BYTES))
    await put_film(store, sealed, made)
    wrapped = job.vault.clinic(film.clinic_id).wrap_key(films.key_name(sealed.path), sealed.key)
    async with job.database.writing() as session:
        now_film = await films.get_film(session, film.clinic_id, film.id)
        found = await load(session, film.clinic_id, film.id)
        is_wanted = found is not None and found.state in ("asked", "failed") and now_film.path == film.path
        if found is not None and is_wanted:
            found.state, found.code, found.made_at = "ready", None, job.now()
            found.path, found.size_bytes, found.wrapped_key = sealed.path, sealed.size, wrapped
    await _delete_others(store, folder, sealed.path if is_wanted else None)
    if not is_wanted:
        raise JobFailed(FILM_CHANGED)


async def _delete_others(store: ObjectStore, folder: str, keep: str | None) -> None:
    async for page in obstore.list(store, prefix=folder):
        for found in page:
            if found["path"] != keep:
                await obstore.delete_async(store, found["path"])


async def _say_failed(job: JobContext, code: str) -> None:
    async with job.database.writing() as session:
        row = await load(session, job.clinic_id or "", job.subject)
        if row is not None and row.state == "asked":
            row.state, row.code = "failed", code
