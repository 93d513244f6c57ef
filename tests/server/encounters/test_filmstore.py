"""Sealed blocks of a film: any part opens, and nothing that was altered does."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.encounters.filmstore import (
    BLOCK_BYTES,
    READ_BLOCKS,
    FilmDamagedError,
    SealedFilm,
    open_recordings,
    put_film,
    read_film,
)
from tests.server.visits import House


async def gathered(store: object, film: SealedFilm, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in read_film(store, film, start, end)])  # type: ignore[arg-type]


async def test_any_part_of_a_sealed_film_opens_piece_by_piece(house: House, tmp_path: Path) -> None:
    """However long the film is, a listener costs the memory of one piece."""
    store = open_recordings(house.settings)
    for size in (1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 40 * BLOCK_BYTES + 5):
        plain = bytes(n * 7 % 251 for n in range(1000)) * (size // 1000 + 1)
        (tmp_path / "plain").write_bytes(plain[:size])
        film = SealedFilm(f"films/a/{size}.film", size, bytes(32))
        await put_film(store, film, tmp_path / "plain")
        for start, end in {(0, size), (size - 1, size), (0, 1), (size // 2, size // 2 + 1), (size // 3, size)}:
            pieces = [piece async for piece in read_film(store, film, start, end)]
            assert b"".join(pieces) == plain[start:end]
            assert max(map(len, pieces)) <= READ_BLOCKS * BLOCK_BYTES


async def test_altered_swapped_cut_or_foreign_blocks_are_refused(house: House, tmp_path: Path) -> None:
    size, block = 3 * BLOCK_BYTES, BLOCK_BYTES + 16
    (tmp_path / "plain").write_bytes(bytes(size))
    store, film = open_recordings(house.settings), SealedFilm("films/a/b.film", size, bytes(32))
    await put_film(store, film, tmp_path / "plain")
    path = house.settings.var / "recordings" / film.path
    whole = path.read_bytes()
    for changed in (
        bytes([whole[0] ^ 1]) + whole[1:],
        whole[block : 2 * block] + whole[:block] + whole[2 * block :],
        whole[:-1],
        whole[: 2 * block],
    ):
        path.write_bytes(changed)
        with pytest.raises(FilmDamagedError):
            await gathered(store, film, 0, size)
    path.write_bytes(whole)
    for other in (
        SealedFilm(film.path, size, bytes([1]) * 32),
        SealedFilm(film.path, size - 1, film.key),
    ):
        with pytest.raises(FilmDamagedError):
            await gathered(store, other, 0, other.size)
    moved = SealedFilm("films/a/c.film", size, film.key)
    path.rename(path.with_name("c.film"))
    with pytest.raises(FilmDamagedError):
        await gathered(store, moved, 0, size)
    with pytest.raises(FilmDamagedError):
        await gathered(store, film, 0, size)
