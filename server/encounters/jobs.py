"""Makes the film of a recording: fetches the logs, composes in a slower process, seals, keeps what came out.

Killed, it goes on behind the last part that was done (`filmparts.py`). The process is `composing.py`'s; when a film is
due is `films.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.store import ObjectStore
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from media.compose import FilmOptions, FilmReport
from media.compose.process import Work
from server.accounts.service import get_clinic
from server.db import new_id
from server.encounters import alarms, erasing, filmparts, films, filmwords, keeping, redacting
from server.encounters.composing import compose, failure_of
from server.encounters.filmstore import (
    SealedFilm,
    delete_others,
    fetch_object,
    film_path,
    open_recordings,
    put_film,
    tracks_folder,
)
from server.encounters.models import Encounter, Participant
from server.encounters.recording_models import Film, Recording
from server.encounters.recordings import get_recording, key_name
from server.encounters.rules import FINAL_PHASES
from server.encounters.workfolders import work_folder
from server.jobs import Handlers, JobContext, JobFailed, OrElse
from server.vault import KEY_BYTES, VaultError
from signaling.words import Refused

UNREACHABLE = "store_unreachable"
NOTHING_OPENS = "nothing_opens"
"""There is a film, and of what it was made from nothing is left that can be opened."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came out, and the logs it came from."""

    file: Path
    report: FilmReport
    paths: list[str]
    labels: frozenset[bytes]
    """Of the keys it was made with."""


async def make_film(job: JobContext) -> None:
    """The job `film`: its subject is the recording."""
    found = await _load(job)
    if found is None:
        return
    recording, film, paths = found
    if not paths:
        await _finish_empty(job, film.id, frozenset(), composed_from="[]")
        return
    try:
        async with work_folder(job.settings.var, f"film-{film.id}") as folder:
            await _make(job, recording, film, paths, folder)
    except obstore.exceptions.BaseError:
        await _say_failed(job, film.id, UNREACHABLE)
        raise JobFailed(UNREACHABLE) from None
    except Exception as error:
        failed = failure_of(error)
        await _say_failed(job, film.id, failed.code)
        raise failed from error


async def film_given_up(job: JobContext, code: str) -> None:
    """Also where its process died each time, and could say nothing itself."""
    async with job.database.reading() as session:
        film = await films.load_film(session, await get_recording(session, job.subject))
    if film is not None:
        await _say_failed(job, film.id, code)


async def _make(job: JobContext, recording: Recording, film: Film, paths: list[str], folder: Path) -> None:
    await _mark_composing(job, film.id, job.now())
    store = open_recordings(job.settings)
    work = await _prepare(job, recording, store, paths, folder)
    parts = await filmparts.open_parts(job, film, store, work, paths)
    work = replace(work, parts=await parts.fetch(folder))
    await _mark_composing(job, film.id, parts.began_at)
    report = await compose(job, work, parts.keep)
    if isinstance(report, FilmReport):
        await _keep(job, film.id, store, Made(work.output, report, paths, frozenset(work.keys)))


async def _load(job: JobContext, *, again: bool = False) -> tuple[Recording, Film, list[str]] | None:
    """None when there is nothing to do: it still runs, there is nothing left to make a film of, a part is being deleted
    (which asks for the film again), or (unless `again`) its film is made from these very logs."""
    async with job.database.reading() as session:
        try:
            recording = await get_recording(session, job.subject)
        except Refused:
            raise JobFailed("recording_gone", for_good=True) from None
        film = await films.load_film(session, recording)
        paths = [log.path for log in await films.load_logs(session, recording)]
        is_waiting = await keeping.is_deleting(session, recording)
    if film is None or recording.phase not in FINAL_PHASES:
        return None
    if is_waiting or recording.deleted_at is not None or recording.logs_deleted_at is not None:
        return None
    if not again and film.state == "ready" and film.composed_from == json.dumps(paths):
        return None
    return recording, film, paths


async def _prepare(job: JobContext, recording: Recording, store: ObjectStore, paths: list[str], folder: Path) -> Work:
    """The logs as files, every key that still exists, and whom each tile shows."""
    vault = job.vault.clinic(recording.clinic_id)
    async with job.database.reading() as session:
        rows = await films.load_keys(session, recording)
        people = select(Participant).where(
            Participant.clinic_id == recording.clinic_id, Participant.encounter_id == recording.encounter_id
        )
        names = {one.id: one.name for one in await session.scalars(people)}
        clinic = await get_clinic(session, recording.clinic_id)
        encounter = await session.get(Encounter, (recording.clinic_id, recording.encounter_id))
        zone = encounter.zone if encounter is not None else clinic.zone
        film = await films.load_film(session, recording)
    keys = {}
    for row in rows:
        with contextlib.suppress(VaultError):
            name = key_name(recording.id, row.segment, row.participant_id)
            keys[films.label_of(row)] = vault.unwrap_key(name, row.wrapped)
    logs = []
    for n, path in enumerate(paths):
        target = folder / f"{n:04d}.log"
        await _fetch(store, path, target)
        logs.append(target)
    if film is not None and not film.with_names:
        names = {}
    with_clock = film is not None and film.with_clock
    options = FilmOptions(zone=zone, show_clock=with_clock, words=filmwords.cards(clinic.language))
    return Work(tuple(logs), folder / "film.mp4", keys, names, options)


async def _fetch(store: ObjectStore, path: str, target: Path) -> None:
    try:
        await fetch_object(store, path, target)
    except FileNotFoundError:
        raise JobFailed("log_missing") from None


async def _keep(job: JobContext, film_id: str, store: ObjectStore, made: Made) -> None:
    """Seals and stores the film, then says so in one transaction; older versions go last."""
    report, missing = made.report, await _missing(job)
    if missing and not report.empty:
        report = replace(report, passed=False, problems=(*report.problems, filmwords.SEGMENT_MISSING))
    told = {**report.to_json(), "missing_segments": missing}
    said = {"report": json.dumps(told), "composed_from": json.dumps(made.paths)}
    if made.report.empty:
        await _finish_empty(job, film_id, made.labels, **said)
        await delete_others(store, film_id, None)
        return
    key = os.urandom(KEY_BYTES)
    sealed = SealedFilm(film_path(film_id, new_id()), made.file.stat().st_size, key)
    await put_film(store, sealed, made.file)
    vault = job.vault.clinic(job.clinic_id or "")
    await _finish(
        job,
        film_id,
        made.labels,
        state="ready",
        code=None if report.passed else alarms.FILM_CODE,
        path=sealed.path,
        size_bytes=sealed.size,
        duration_s=made.report.duration_s,
        wrapped_key=vault.wrap_key(films.key_name(sealed.path), key),
        **said,
    )
    await delete_others(store, film_id, sealed.path)


async def _missing(job: JobContext) -> list[int]:
    async with job.database.reading() as session:
        return await films.load_missing(session, await get_recording(session, job.subject))


async def make_tracks(job: JobContext) -> None:
    """The job `tracks`: its subject is the recording whose originals somebody wants, while its logs are there."""
    found = await _load(job, again=True)
    if found is None or not found[2]:
        return
    recording, film, paths = found
    try:
        async with work_folder(job.settings.var, f"tracks-{film.id}") as folder:
            store = open_recordings(job.settings)
            prepared = await _prepare(job, recording, store, paths, folder)
            work = replace(prepared, output=folder / "tracks.mkv", wants_tracks=True)
            if await compose(job, work):
                await _keep_tracks(job, film.id, recording, store, work)
    except obstore.exceptions.BaseError:
        raise JobFailed(UNREACHABLE) from None


async def _keep_tracks(job: JobContext, film_id: str, recording: Recording, store: ObjectStore, work: Work) -> None:
    key = os.urandom(KEY_BYTES)
    path = f"{tracks_folder(recording.id)}{new_id()}.tracks"
    sealed = SealedFilm(path, work.output.stat().st_size, key)
    await put_film(store, sealed, work.output)
    wrapped = job.vault.clinic(recording.clinic_id).wrap_key(films.key_name(path), key)
    async with job.database.writing() as session:
        film = await films.get_film(session, recording.clinic_id, film_id)
        await _refuse_lost_keys(session, film, frozenset(work.keys))
        film.tracks_path, film.tracks_bytes, film.tracks_key = path, sealed.size, wrapped


async def _refuse_lost_keys(session: AsyncSession, film: Film, labels: frozenset[bytes]) -> None:
    """A key it was made with was destroyed meanwhile, or a part is being deleted: then what was made must not be."""
    recording = await get_recording(session, film.recording_id)
    if await keeping.is_deleting(session, recording):
        raise JobFailed(filmparts.KEYS_CHANGED)
    if labels - {films.label_of(row) for row in await films.load_keys(session, recording)}:
        raise JobFailed(filmparts.KEYS_CHANGED)


async def _mark_composing(job: JobContext, film_id: str, since: datetime) -> None:
    async with job.database.writing() as session:
        film = await films.get_film(session, job.clinic_id or "", film_id)
        if film.state != "ready":
            film.state, film.progress, film.composing_since = "composing", 0.0, since


async def _finish(job: JobContext, film_id: str, labels: frozenset[bytes], **values: Any) -> None:
    """Unless a key it was made with was destroyed meanwhile: then this film must not be."""
    async with job.database.writing() as session:
        film = await films.get_film(session, job.clinic_id or "", film_id)
        await _refuse_lost_keys(session, film, labels)
        was_known = film.made_at is not None and film.code == alarms.FILM_CODE
        cleared = dict.fromkeys(("code", "path", "size_bytes", "duration_s", "wrapped_key", "parts", "parts_key"))
        for name, value in {**cleared, "progress": 1.0, "made_at": job.now(), **values}.items():
            setattr(film, name, value)
        if film.code == alarms.FILM_CODE and not was_known:
            await alarms.check_failed(session, film, job.now())
        if film.state == "ready":
            await redacting.film_made(session, film, job.now())


async def _finish_empty(job: JobContext, film_id: str, labels: frozenset[bytes], **values: Any) -> None:
    """Nothing was recorded. A film that there is already contradicts that, and stays: somebody must look."""
    async with job.database.writing() as session:
        film = await films.get_film(session, job.clinic_id or "", film_id)
        is_there = film.path is not None
        if is_there:
            if film.code != alarms.FILM_CODE:
                await alarms.check_failed(session, film, job.now())
            film.state, film.code, film.progress = "ready", alarms.FILM_CODE, 1.0
    if is_there:
        raise JobFailed(NOTHING_OPENS, for_good=True)
    await _finish(job, film_id, labels, state="empty", **values)


async def _say_failed(job: JobContext, film_id: str, code: str) -> None:
    """Said on the visit's page."""
    async with job.database.writing() as session:
        film = await films.get_film(session, job.clinic_id or "", film_id)
        films.say_failed(film, code)


HANDLERS: Handlers = {
    films.JOB: OrElse(make_film, film_given_up),
    films.TRACKS_JOB: make_tracks,
    redacting.JOB: OrElse(redacting.make, redacting.given_up),
    keeping.JOB: erasing.erase,
}
STANDING: Handlers = {"recordings.keep": erasing.keep}
