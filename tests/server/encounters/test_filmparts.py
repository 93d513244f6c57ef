"""What a film in the making has so far lies sealed in the store, belongs to one work alone, and ends with its key."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from media.compose import FilmOptions, Part
from media.compose.process import Work
from server.encounters import filmparts
from server.encounters.filmparts import FilmParts, open_parts
from server.encounters.filmstore import open_recordings
from server.jobs import JobFailed
from tests.server.encounters.recorded import Recorded, context_of

WORK = Work((Path("a"),), Path("film.mp4"), {b"label": b"key"}, {"anna": "Anna"})
PATHS = ["logs/a"]


def part(folder: Path, first: int, content: bytes) -> Part:
    path = folder / f"made-{first}"
    path.write_bytes(content)
    return Part(path, first, 750, 2, {"seen": {"error_s": 0.1 + first}, "holes": []})


async def opened(recorded: Recorded, work: Work = WORK, paths: list[str] = PATHS) -> FilmParts:
    store = open_recordings(recorded.house.settings)
    return await open_parts(context_of(recorded), await recorded.film(), store, work, paths)


def objects(recorded: Recorded) -> list[Path]:
    return sorted((recorded.store / "films").rglob("*.part"))


@pytest.fixture
async def contents(recorded: Recorded, tmp_path: Path) -> list[bytes]:
    """Two parts that a job had kept when it was killed."""
    await recorded.seal()
    await recorded.stop()
    made = [b"picture" + os.urandom(70_000), b"picture" + os.urandom(10)]
    parts = await opened(recorded)
    assert await parts.fetch(tmp_path) == ()
    for number, content in enumerate(made):
        recorded.house.cast.clock.forward(seconds=20)
        await parts.keep(part(tmp_path, number * 750, content))
    return made


async def test_another_process_goes_on_with_the_very_same_parts(
    recorded: Recorded, contents: list[bytes], tmp_path: Path
) -> None:
    assert all(b"picture" not in one.read_bytes() for one in objects(recorded)), "sealed"
    recorded.house.cast.clock.forward(hours=3)
    again = await opened(recorded)
    fetched = await again.fetch(tmp_path)
    spent = recorded.house.cast.clock() - again.began_at
    assert spent.total_seconds() == 40, "the break between them is no work: what is left is told by this"
    assert [one.path.read_bytes() for one in fetched] == contents
    before = [part(tmp_path, 0, b""), part(tmp_path, 750, b"")]
    assert [replace(one, path=two.path) for one, two in zip(fetched, before, strict=True)] == before


@pytest.mark.parametrize(
    ("work", "paths"),
    [
        (WORK, ["logs/a", "logs/b"]),
        (replace(WORK, keys={b"another": b"key"}), PATHS),
        (replace(WORK, names={}), PATHS),
        (replace(WORK, options=FilmOptions(show_clock=True)), PATHS),
    ],
)
async def test_parts_of_another_work_are_nobodys(
    recorded: Recorded, contents: list[bytes], tmp_path: Path, work: Work, paths: list[str]
) -> None:
    assert await (await opened(recorded, work, paths)).fetch(tmp_path) == ()
    assert objects(recorded) == [], "nor kept"


async def test_a_part_that_was_altered_or_lost_is_made_again_with_all_behind_it(
    recorded: Recorded, contents: list[bytes], tmp_path: Path
) -> None:
    paths = [recorded.store / row["path"] for row in (await opened(recorded)).kept]
    paths[1].unlink()
    assert len(await (await opened(recorded)).fetch(tmp_path)) == 1
    paths[0].write_bytes(paths[0].read_bytes()[:-1] + b"x")
    assert await (await opened(recorded)).fetch(tmp_path) == ()


async def test_deleting_ends_them(recorded: Recorded, contents: list[bytes], tmp_path: Path) -> None:
    """Their key at once, their bytes by the job; a process that still composes keeps no further part."""
    composing = await opened(recorded)
    await recorded.withdraw(recorded.patient)
    await recorded.choose(recorded.patient, "delete_mine")
    film = await recorded.film()
    assert (film.parts, film.parts_key) == (None, None)
    await recorded.erase()
    assert objects(recorded) == []
    with pytest.raises(JobFailed, match=filmparts.KEYS_CHANGED):
        await composing.keep(part(tmp_path, 1500, b"late"))
    assert objects(recorded) == []


async def test_a_part_whose_composing_has_ended_is_not_missed(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.stop()
    parts = await opened(recorded)
    await parts.keep(replace(part(tmp_path, 0, b""), path=tmp_path / "gone"))
    assert parts.kept == []
