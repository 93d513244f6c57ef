"""The film of a recording: expected once the recording has ended, made by a job, watched by those who may.

Making it is `jobs.py`, its sealed form `filmstore.py`, sending it `playback.py`.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import jobs
from server.db import new_id
from server.encounters import rules
from server.encounters.keeping_models import RecordingHold
from server.encounters.models import Encounter
from server.encounters.recording_models import Film, FilmGrant, Recording, SegmentKey, StoredLog
from server.errors import not_found

JOB = "film"
TRACKS_JOB = "tracks"
CANCELLED = "cancelled"
DELETED = "deleted"
"""The code of a film that is gone on somebody's word or at its date."""
LOG_EXPECTED_WITHIN = timedelta(seconds=3)
"""A node stores its log when capture stops; none by then means that nothing was recorded, until one comes after all."""
OTHERS_EXPECTED_WITHIN = timedelta(minutes=2)
"""Where some segments' logs are there and others not: the film waits so long before it is made without them."""


async def expect(session: AsyncSession, recording: Recording, now: datetime) -> Film:
    """The recording ended, or another of its logs came: its film is to be made. Told twice is told once."""
    film = await load_film(session, recording)
    if film is None:
        film = Film(
            clinic_id=recording.clinic_id,
            id=new_id(),
            recording_id=recording.id,
            encounter_id=recording.encounter_id,
            state="queued",
            progress=0.0,
            composed_from="[]",
            created_at=now,
        )
        session.add(film)
        await session.flush()
    if recording.deleted_at is not None:
        film.state, film.code = "empty", DELETED
        return film
    if recording.logs_deleted_at is not None:
        return film  # it stays what it is: there is nothing left to make another one of
    if film.state in ("empty", "failed"):
        film.state, film.code = "queued", None
    due = now + await _wait_for_logs(session, recording)
    await jobs.reschedule(session, JOB, recording.id, due, clinic_id=recording.clinic_id)
    return film


async def _wait_for_logs(session: AsyncSession, recording: Recording) -> timedelta:
    if not await load_logs(session, recording):
        return LOG_EXPECTED_WITHIN
    return OTHERS_EXPECTED_WITHIN if await load_missing(session, recording) else timedelta()


def say_failed(film: Film, code: str) -> None:
    """It could not be made. One that was made before, of fewer logs or without names, stays what it was and plays."""
    if film.path is not None:
        film.state = "ready"
    else:
        film.state, film.code = "failed", code


def key_name(path: str) -> str:
    """What the wrapped key of a sealed film is bound to."""
    return f"film/{path}"


async def load_film(session: AsyncSession, recording: Recording) -> Film | None:
    query = select(Film).where(Film.clinic_id == recording.clinic_id, Film.recording_id == recording.id)
    return (await session.scalars(query)).first()


async def load_logs(session: AsyncSession, recording: Recording) -> list[StoredLog]:
    """In the order they are played."""
    query = select(StoredLog).where(StoredLog.clinic_id == recording.clinic_id, StoredLog.recording_id == recording.id)
    return list(await session.scalars(query.order_by(StoredLog.segment, StoredLog.path)))


async def load_missing(session: AsyncSession, recording: Recording) -> list[int]:
    """The segments that a node was given keys for, and whose log has not come: their machine may be off.

    One whose keys are all destroyed is waited for no longer.
    """
    granted = {one.segment for one in await load_keys(session, recording)}
    return sorted(granted - {one.segment for one in await load_logs(session, recording)})


async def load_keys(session: AsyncSession, recording: Recording) -> list[SegmentKey]:
    query = select(SegmentKey).where(
        SegmentKey.clinic_id == recording.clinic_id, SegmentKey.recording_id == recording.id
    )
    return list(await session.scalars(query))


def label_of(key: SegmentKey) -> bytes:
    """How a log names this key: by the form it was wrapped in when the log was begun."""
    return key.label or hashlib.sha256(key.wrapped).digest()


def _is_strangers() -> ColumnElement[bool]:
    """Somebody who turned out not to be the patient is in it: also once the hold on it was lifted."""
    return exists().where(
        RecordingHold.clinic_id == Film.clinic_id,
        RecordingHold.recording_id == Film.recording_id,
        RecordingHold.reason == rules.STRANGER,
    )


async def load_films(session: AsyncSession, encounter: Encounter) -> list[Film]:
    """Those that belong to the visit's record."""
    query = select(Film).where(
        Film.clinic_id == encounter.clinic_id, Film.encounter_id == encounter.id, ~_is_strangers()
    )
    return list(await session.scalars(query.order_by(Film.created_at)))


async def get_shown_film(session: AsyncSession, clinic_id: str, film_id: str) -> Film:
    """One that may be shown to somebody. Raises not_found."""
    film = await get_film(session, clinic_id, film_id)
    if await session.scalar(select(_is_strangers()).where(Film.clinic_id == clinic_id, Film.id == film_id)):
        raise not_found()
    return film


async def get_film(session: AsyncSession, clinic_id: str, film_id: str) -> Film:
    """Raises not_found."""
    film = await session.get(Film, (clinic_id, film_id))
    if film is None:
        raise not_found()
    return film


async def load_granted(session: AsyncSession, film: Film) -> frozenset[str]:
    """The patients who may watch it."""
    query = select(FilmGrant.patient_id).where(FilmGrant.clinic_id == film.clinic_id, FilmGrant.film_id == film.id)
    return frozenset(await session.scalars(query))


async def load_granted_films(session: AsyncSession, clinic_id: str, patient_id: str) -> list[Film]:
    """What a patient's page may offer."""
    query = (
        select(Film)
        .join(FilmGrant, (FilmGrant.clinic_id == Film.clinic_id) & (FilmGrant.film_id == Film.id))
        .where(
            FilmGrant.clinic_id == clinic_id,
            FilmGrant.patient_id == patient_id,
            Film.state == "ready",
            ~_is_strangers(),
        )
    )
    return list(await session.scalars(query.order_by(Film.created_at)))


async def grant(session: AsyncSession, film: Film, patient_id: str, by_person_id: str, now: datetime) -> bool:
    """Lets the patient watch; false when they already may."""
    if await session.get(FilmGrant, (film.clinic_id, film.id, patient_id)) is not None:
        return False
    session.add(
        FilmGrant(
            clinic_id=film.clinic_id,
            film_id=film.id,
            patient_id=patient_id,
            granted_by=by_person_id,
            granted_at=now,
        )
    )
    await session.flush()
    return True
