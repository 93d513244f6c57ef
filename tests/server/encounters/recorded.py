"""A recorded visit for tests: everybody said yes, and a node's log of two people can be put into the store."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import obstore
from sqlalchemy import select

from media.api import SealingKey, StoredLog
from server.encounters import erasing, films, jobs, keeping
from server.encounters.filmstore import SealedFilm, film_path, open_recordings, put_film
from server.encounters.keeping_models import RecordingDeletion
from server.encounters.models import Encounter
from server.encounters.recording_models import Film, SegmentKey
from server.encounters.recording_models import StoredLog as StoredLogRow
from server.jobs import JobContext
from server.jobs.loop import JobsLoop
from signaling.ports import ConsentGiven
from signaling.words import ParticipantId, RecordingId, Role
from tests.media.golden import GoldenLog, Rtp, audio, flat, tone, video
from tests.server.visits import House

SECONDS = 2
APART_S = 4
"""From the beginning of one segment to that of the next."""


@cache
def encoded(rgb: tuple[int, int, int], hz: int) -> tuple[list[Rtp], list[Rtp]]:
    """A person's picture and sound: encoded once a run, sealed anew for every log."""
    return video(flat(160, 120, rgb), [n / 10 for n in range(SECONDS * 10)]), audio(tone(hz), 0, SECONDS)


@dataclass
class WrappedLog(GoldenLog):
    """A log whose keys are the clinic's own, as a grant brings them."""

    wraps: dict[str, bytes] = field(default_factory=dict)

    def wrapped(self, participant_id: str) -> bytes:
        return self.wraps[participant_id]


@dataclass
class Recorded:
    """A visit in which everybody said yes, recording for the first segment."""

    house: House
    recording: RecordingId
    doctor: ParticipantId
    patient: ParticipantId

    async def store_log(self, folder: Path, segment: int = 1, *, tell: bool = True) -> StoredLog:
        """A node's log of two people, closed and put into the recordings store."""
        cast, keys = self.house.cast, await self.seal(segment)
        log = WrappedLog(folder / f"{segment}.bedlog", recording_id=self.recording, segment=segment)
        log.mono_0 += (segment - 1) * APART_S * 10**9
        log.utc_0 += (segment - 1) * APART_S * 10**9
        log.__post_init__()
        for who, rgb, hz in ((self.doctor, (200, 30, 30), 500), (self.patient, (30, 60, 200), 900)):
            log.keys[who] = base64.b64decode(keys[who].key)
            log.wraps[who] = base64.b64decode(keys[who].wrapped)
            camera, microphone = log.track(who, "camera"), log.track(who, "microphone")
            pictures, sound = encoded(rgb, hz)
            log.send(camera, pictures)
            log.send(microphone, sound)
        path = log.write(float(SECONDS))
        stored = StoredLog(
            recording_id=self.recording,
            segment=segment,
            path=f"logs/{self.recording}/{segment:04d}-x.bedlog",
            bytes=path.stat().st_size,
            packets=1,
            complete=True,
        )
        await obstore.put_async(open_recordings(self.house.settings), stored.path, path)
        if tell:
            await cast.port.log_stored(stored)
        return stored

    async def seal(self, segment: int = 1) -> dict[ParticipantId, SealingKey]:
        """The keys of a segment, as a grant asks for them."""
        cast = self.house.cast
        both = [self.doctor, self.patient]
        return dict(await cast.port.sealing_keys(cast.room, self.recording, segment, both))

    async def stop(self) -> None:
        await self.house.cast.port.recording_phase(self.house.cast.room, self.recording, "stopped", 1)

    async def film(self) -> Film:
        async with self.house.cast.database.reading() as session:
            return (await session.scalars(select(Film))).one()

    async def stopped(self, folder: Path) -> Path:
        """Over, with one log in the store that nobody has made a film of; where it lies."""
        log = await self.store_log(folder)
        await self.stop()
        return self.store / log.path

    async def with_film(self, folder: Path, *, code: str | None = None, content: bytes = b"film" * 1000) -> Path:
        """As if the film had been made of the logs that are there: a sealed object in the store and its row."""
        cast, path = self.house.cast, film_path((await self.film()).id, "one")
        source = folder / "any.mp4"
        source.write_bytes(content)
        await put_film(open_recordings(self.house.settings), SealedFilm(path, len(content), bytes(32)), source)
        async with cast.database.writing() as session:
            film = (await session.scalars(select(Film))).one()
            logs = await session.scalars(select(StoredLogRow.path).order_by(StoredLogRow.path))
            film.state, film.path, film.size_bytes, film.duration_s, film.code = "ready", path, len(content), 2.0, code
            film.made_at, film.composed_from = cast.clock(), json.dumps(list(logs))
            film.wrapped_key = cast.vault.clinic(cast.clinic.id).wrap_key(films.key_name(path), bytes(32))
        return self.store / path

    @property
    def store(self) -> Path:
        return self.house.settings.var / "recordings"

    async def keys(self) -> set[str]:
        """Whose part can still be opened."""
        async with self.house.cast.database.reading() as session:
            return {one.participant_id for one in await session.scalars(select(SegmentKey))}

    async def choose(self, who: ParticipantId, choice: str) -> str:
        return await self.house.cast.port.choose_withdrawn(self.house.cast.room, self.recording, who, choice)

    async def sign(self) -> None:
        cast = self.house.cast
        async with cast.database.writing() as session:
            encounter = await session.get_one(Encounter, (cast.clinic.id, cast.encounter_id))
            await keeping.note_signed(session, encounter, cast.clock())

    async def deletions(self) -> list[RecordingDeletion]:
        async with self.house.cast.database.reading() as session:
            return list(await session.scalars(select(RecordingDeletion).order_by(RecordingDeletion.ordered_at)))

    async def run_jobs(self) -> int:
        cast = self.house.cast
        loop = JobsLoop(cast.database, self.house.settings, cast.vault, cast.clock, jobs.HANDLERS)
        return await loop.run_due()

    async def erase(self) -> int:
        """The deletions that were ordered, and nothing else."""
        cast = self.house.cast
        handlers = {keeping.JOB: erasing.erase}
        return await JobsLoop(cast.database, self.house.settings, cast.vault, cast.clock, handlers).run_due()

    async def withdraw(self, who: ParticipantId) -> None:
        cast = self.house.cast
        await cast.port.record_consent(cast.room, ConsentGiven(self.recording, who, 1, False))

    async def url(self, rest: str) -> str:
        return f"/c/{self.house.cast.clinic.slug}/films/{(await self.film()).id}/{rest}"


async def make_recorded(house: House) -> Recorded:
    cast = house.cast
    doctor, patient = await cast.place(Role.DOCTOR), await cast.place(Role.PATIENT)
    _, session_id = await cast.visits_cookies(patient)
    await cast.port.arrived(cast.room, patient, session_id)
    await cast.port.admitted(cast.room, patient, doctor)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    for who in (doctor, patient):
        await cast.port.record_consent(cast.room, ConsentGiven(asked.recording_id, who, 1, True))
    await cast.port.recording_phase(cast.room, asked.recording_id, "running", 1)
    return Recorded(house, asked.recording_id, doctor, patient)


def context_of(recorded: Recorded, *, cancelled: bool = False) -> JobContext:
    cast = recorded.house.cast

    async def nothing(_: float) -> None:
        return None

    return JobContext(
        "job", films.JOB, recorded.recording, cast.clinic.id, 1, cast.database, recorded.house.settings, cast.vault,
        cast.clock, nothing, lambda: cancelled, nothing,
    )  # fmt: skip
