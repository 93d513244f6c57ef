"""What a film in the making has so far: its parts, sealed into the recordings store, so that a killed job goes on.

Each part has a key of its own, derived from one that lies wrapped in the film's row: deleting that row's key is the end
of all of them. What a part is, is `media.compose`'s; when there is a film to make is `films.py`'s.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.store import ObjectStore

from media.compose import Part
from media.compose.process import Work
from server import logs
from server.db import new_id
from server.encounters import films
from server.encounters.filmstore import FilmDamagedError, SealedFilm, delete_others, put_film, read_film
from server.encounters.recording_models import Film
from server.jobs import JobContext, JobFailed
from server.logs import Event
from server.vault import KEY_BYTES, VaultError

FORM = 1
"""Of the parts themselves: another one makes those of an older release worthless."""
KEYS_CHANGED = "keys_changed"


@dataclass
class FilmParts:
    """The parts of one film, made of one work. `kept` is what stands in the film's row."""

    job: JobContext
    film_id: str
    store: ObjectStore
    of: str
    key: bytes
    began_at: datetime
    """When this work would have begun, had it gone on without a break: what is left of it is told by that."""
    kept: list[dict[str, Any]] = field(default_factory=list)

    async def keep(self, part: Part) -> None:
        """Seals it into the store, then says so. Raises JobFailed where the film was closed meanwhile."""
        try:
            sealed = self._sealed(f"films/{self.film_id}/{new_id()}.part", part.path.stat().st_size)
            await put_film(self.store, sealed, part.path)
        except FileNotFoundError:
            return  # composing has ended already
        except obstore.exceptions.BaseError:
            raise JobFailed("store_unreachable") from None
        about = {"first": part.first, "frames": part.frames, "delay": part.delay, "watched": part.watched}
        kept = [*self.kept, {"path": sealed.path, "size": sealed.size, **about}]
        async with self.job.database.writing() as session:
            film = await films.get_film(session, self.job.clinic_id or "", self.film_id)
            is_wanted = film.parts_key is not None and json.loads(film.parts or "{}").get("of") == self.of
            if is_wanted:
                spent_s = (self.job.now() - self.began_at).total_seconds()
                film.parts = json.dumps({"of": self.of, "spent_s": spent_s, "kept": kept})
        if not is_wanted:
            await obstore.delete_async(self.store, sealed.path)
            raise JobFailed(KEYS_CHANGED)
        self.kept = kept

    async def fetch(self, folder: Path) -> tuple[Part, ...]:
        """As files, up to the first that is not as it was put there."""
        parts: list[Part] = []
        for row in self.kept:
            target = folder / f"{row['first']:08d}.kept"
            try:
                await self._open(row, target)
            except (FilmDamagedError, KeyError):
                break
            parts.append(Part(target, row["first"], row["frames"], row["delay"], row["watched"]))
        if len(parts) < len(self.kept):
            del self.kept[len(parts) :]
            self.began_at = self.job.now()
        if parts:
            logs.log_info(Event.FILM_RESUMED, kind=self.job.kind, subject=self.job.subject, count=len(parts))
        return tuple(parts)

    async def _open(self, row: dict[str, Any], target: Path) -> None:
        with target.open("wb") as file:
            async for piece in read_film(self.store, self._sealed(row["path"], row["size"]), 0, row["size"]):
                file.write(piece)

    def _sealed(self, path: str, size: int) -> SealedFilm:
        return SealedFilm(path, size, hmac.digest(self.key, path.encode(), hashlib.sha256))


async def open_parts(job: JobContext, film: Film, store: ObjectStore, work: Work, paths: list[str]) -> FilmParts:
    """Those that an earlier run left of this very work; of any other nothing is kept."""
    of = fingerprint(work, paths)
    found = _load(job, film, of)
    if found is not None:
        return FilmParts(job, film.id, store, of, *found)
    await delete_others(store, film.id, film.path)
    key = os.urandom(KEY_BYTES)
    async with job.database.writing() as session:
        row = await films.get_film(session, job.clinic_id or "", film.id)
        row.parts = json.dumps({"of": of, "kept": []})
        row.parts_key = job.vault.clinic(film.clinic_id).wrap_key(key_name(film.id), key)
    return FilmParts(job, film.id, store, of, key, job.now())


def key_name(film_id: str) -> str:
    """What the wrapped key of a film's parts is bound to."""
    return f"parts/{film_id}"


def fingerprint(work: Work, paths: list[str]) -> str:
    """Of all that a film is made from: with anything else, its parts would be those of another film."""
    told = [FORM, paths, sorted(label.hex() for label in work.keys), sorted(work.names.items()), repr(work.options)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _load(job: JobContext, film: Film, of: str) -> tuple[bytes, datetime, list[dict[str, Any]]] | None:
    if film.parts is None or film.parts_key is None:
        return None
    told = json.loads(film.parts)
    if told.get("of") != of:
        return None
    try:
        key = job.vault.clinic(film.clinic_id).unwrap_key(key_name(film.id), film.parts_key)
    except VaultError:
        return None
    return key, job.now() - timedelta(seconds=told.get("spent_s", 0.0)), list(told["kept"])
