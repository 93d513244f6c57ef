"""Composing that was broken off goes on behind the parts that were done, and the film is the very same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from media.compose import CancelledError, FilmOptions, FilmReport, Part, compose_film
from media.compose.film import PICTURE_SHARE
from tests.media.golden import GoldenLog, audio, flat, tone, video

OPTIONS = FilmOptions(width=160, height=90, frame_rate=10, part_s=1)
"""With the preset of real films, whose frames are decoded in another order than they are shown."""
SECONDS, DONE = 8, 5


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> GoldenLog:
    """A camera with a hole that ends before the work is broken off, one that goes black over it, a card, two voices."""
    made = GoldenLog(tmp_path_factory.mktemp("parts") / "one.bedlog")
    made.mark(0.0, "running")
    made.mark(7.0, "paused")
    made.mark(7.5, "running")

    def moving(at_s: float) -> np.ndarray:
        picture = flat(64, 48, (200, 30, 30) if at_s < 3.5 else (0, 0, 0))(at_s)
        picture[:, 8 if at_s >= 3.5 else int(at_s * 8) % 60] = 90
        return picture

    ended = [one for one in video(flat(64, 48, (30, 60, 200)), times(0, 3.5), keys=[28]) if one.captured_s != 1.0]
    made.send(made.track("anna", "camera"), video(moving, [one for one in times(0, SECONDS) if not 7.0 <= one < 7.5]))
    made.send(made.track("doctor", "camera"), ended)
    for who, hz in (("anna", 440.0), ("doctor", 880.0)):
        made.send(made.track(who, "microphone"), audio(tone(hz), 0, 2))
    made.write(float(SECONDS))
    return made


def times(start_s: float, end_s: float) -> list[float]:
    return [start_s + number / 10 for number in range(round((end_s - start_s) * 10))]


def compose(log: GoldenLog, film: Path, **more: object) -> FilmReport:
    return compose_film(
        [log.path],
        film,
        unwrap=log.unwrap,
        options=OPTIONS,
        **more,  # type: ignore[arg-type]
    )


def keeping(folder: Path, kept: list[Part]) -> Callable[[Part], None]:
    """Copies each part away, as whoever means to go on does."""

    def keep(part: Part) -> None:
        copy = folder / f"kept-{part.first}"
        shutil.copyfile(part.path, copy)
        kept.append(replace(part, path=copy))

    return keep


@pytest.fixture(scope="module")
def whole(log: GoldenLog) -> FilmReport:
    return compose(log, log.path.with_name("whole.mp4"))


@pytest.fixture(scope="module")
def kept(log: GoldenLog) -> list[Part]:
    """What a run had done when it was broken off."""
    parts: list[Part] = []
    with pytest.raises(CancelledError):
        compose(
            log,
            log.path.with_name("broken.mp4"),
            part_done=keeping(log.path.parent, parts),
            cancelled=lambda: len(parts) == DONE,
        )
    return parts


def test_it_goes_on_behind_the_last_part_and_the_film_is_the_same(
    log: GoldenLog, whole: FilmReport, kept: list[Part], tmp_path: Path
) -> None:
    assert [(one.first, one.frames) for one in kept] == [(10 * number, 10) for number in range(DONE)]
    said: list[float] = []
    made: list[Part] = []
    report = compose(log, tmp_path / "film.mp4", parts=kept, part_done=made.append, progress=said.append)
    assert report == whole, "also to the last byte"
    assert [one.first for one in made] == [50, 60, 70]
    assert said[0] >= PICTURE_SHARE * DONE / SECONDS
    assert [(one.kind, one.participant_id) for one in report.gaps] == [("picture", "doctor")]
    assert [(one.start_s < DONE, one.end_s > DONE) for one in report.black] == [(True, True)]
    assert [one.name for one in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("wrong", ["gone", "longer", "later"])
def test_parts_that_do_not_fit_are_made_again(
    log: GoldenLog, whole: FilmReport, kept: list[Part], tmp_path: Path, wrong: str
) -> None:
    third = {
        "gone": replace(kept[2], path=tmp_path / "nowhere"),
        "longer": replace(kept[2], frames=11),
        "later": replace(kept[2], first=21),
    }[wrong]
    made: list[Part] = []
    parts = [*kept[:2], third, *kept[3:]]
    assert compose(log, tmp_path / "film.mp4", parts=parts, part_done=made.append) == whole
    assert made[0].first == 20
