"""A film's sealed form in the recordings store: fixed blocks, each bound to its object, its place and the whole length.

Nonce = the block's index under a key used for this object alone. Who may watch is `films.py`; the key's wrapping is
the vault's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import obstore
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from obstore.store import LocalStore, ObjectStore, from_url

from server.config import Settings

BLOCK_BYTES = 64 * 1024
TAG_BYTES = 16
READ_BLOCKS = 16
"""Fetched at once while streaming: what one listener costs in memory."""


class FilmDamagedError(Exception):
    """A block was altered, moved, cut off, or is not of this film."""


@dataclass(frozen=True, slots=True)
class SealedFilm:
    """Where a film lies and what opens it; `size` is the film's own, in bytes."""

    path: str
    size: int
    key: bytes

    def associated(self, index: int) -> bytes:
        return f"bedside film v1\0{self.path}\0{index}\0{self.size}".encode()


def open_recordings(settings: Settings) -> ObjectStore:
    """The recordings store: a folder or a bucket; by default a folder under `var`."""
    url = settings.recordings_url
    if url is not None and "://" in url:
        return from_url(url)
    folder = Path(url) if url is not None else settings.var / "recordings"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(folder)


def film_path(film_id: str, name: str) -> str:
    return f"films/{film_id}/{name}.film"


def tracks_folder(recording_id: str) -> str:
    """Beside the logs: whatever deletes those deletes what was copied from them."""
    return f"logs/{recording_id}/tracks/"


def redacted_folder(film_id: str) -> str:
    """Not beside the film: its own newer versions leave this one alone until it is made from them."""
    return f"redacted/{film_id}/"


async def put_film(store: ObjectStore, film: SealedFilm, source: Path) -> None:
    """Seals the file block by block into the store; whole or not at all."""
    await obstore.put_async(store, film.path, _sealed_blocks(film, source), chunk_size=5 * 1024 * 1024)


async def read_film(store: ObjectStore, film: SealedFilm, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes [start, end) in order, in pieces. Raises FilmDamagedError before a piece that doesn't open."""
    index, last = start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
    while index <= last:
        count = min(READ_BLOCKS, last - index + 1)
        plain = _open_blocks(film, index, await _fetch(store, film, index, count))
        base = index * BLOCK_BYTES
        yield plain[max(0, start - base) : end - base]
        index += count


async def fetch_object(store: ObjectStore, path: str, target: Path) -> None:
    """An object as a file. Raises FileNotFoundError, obstore's BaseError."""
    found = await obstore.get_async(store, path)
    with target.open("wb") as file:
        async for piece in found.stream():
            await asyncio.to_thread(file.write, piece)


async def delete_others(store: ObjectStore, film_id: str, keep: str | None) -> None:
    """Deletes what earlier tries and earlier versions of this film left in the store."""
    async for page in obstore.list(store, prefix=f"films/{film_id}/"):
        for found in page:
            if found["path"] != keep:
                await obstore.delete_async(store, found["path"])


def _sealed_blocks(film: SealedFilm, source: Path) -> Iterator[bytes]:
    aead = AESGCM(film.key)
    with source.open("rb") as file:
        for index in range(_blocks(film.size)):
            plain = file.read(BLOCK_BYTES)
            yield aead.encrypt(_nonce(index), plain, film.associated(index))


async def _fetch(store: ObjectStore, film: SealedFilm, index: int, count: int) -> memoryview:
    sealed = BLOCK_BYTES + TAG_BYTES
    start, end = index * sealed, min((index + count) * sealed, film.size + _blocks(film.size) * TAG_BYTES)
    try:
        data = memoryview(bytes(await obstore.get_range_async(store, film.path, start=start, end=end)))
    except (FileNotFoundError, obstore.exceptions.BaseError) as error:
        raise FilmDamagedError("the film is not where it was put") from error
    if len(data) != end - start:
        raise FilmDamagedError("the film is cut short")
    return data


def _open_blocks(film: SealedFilm, index: int, data: memoryview) -> bytes:
    aead, sealed = AESGCM(film.key), BLOCK_BYTES + TAG_BYTES
    pieces = []
    for n, at in enumerate(range(0, len(data), sealed), start=index):
        try:
            pieces.append(aead.decrypt(_nonce(n), bytes(data[at : at + sealed]), film.associated(n)))
        except InvalidTag as error:
            raise FilmDamagedError(f"block {n} does not open") from error
    return b"".join(pieces)


def _blocks(size: int) -> int:
    return -(-size // BLOCK_BYTES)


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")
