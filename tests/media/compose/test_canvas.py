"""The picture: fitted, labelled, carded, always of one size."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from media.compose import FilmOptions
from media.compose.canvas import Canvas, fitted
from media.compose.encode import PartWriter
from media.compose.glyphs import drawn
from media.compose.layout import Tile

TILE = Tile("anna", "camera", 64, 32, 96, 64)


def picture(width: int, height: int, rgb: tuple[int, int, int]) -> av.VideoFrame:
    image = np.full((height, width, 3), rgb, np.uint8)
    return av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")


def seen(canvas: Canvas) -> np.ndarray:
    return canvas.to_frame().to_ndarray(format="rgb24").astype(int)


@pytest.mark.parametrize("size", [(96, 64), (33, 17), (17, 33), (1, 1), (640, 2), (1921, 1081)])
def test_pictures_of_any_size_stay_inside_their_tile(size: tuple[int, int]) -> None:
    canvas = Canvas(256, 128, {})
    canvas.show(TILE, picture(*size, (200, 40, 40)))
    image = seen(canvas)
    lit = image[:, :, 0] > 80
    assert lit[TILE.y : TILE.y + TILE.height, 112].any()
    lit[TILE.y : TILE.y + TILE.height, TILE.x : TILE.x + TILE.width] = False
    assert not lit.any()


def test_a_tile_changes_only_when_told_and_what_was_encoded_stays(tmp_path: Path) -> None:
    """The canvas is one picture, painted over and over: the encoder keeps none of it, however far it looks ahead."""
    canvas = Canvas(256, 128, {})
    options = FilmOptions(width=256, height=128, frame_rate=25)
    with PartWriter(tmp_path / "part", options) as part:
        for number in range(60):
            canvas.show(TILE, picture(96, 64, (200, 40, 40)) if number < 30 else None)
            part.picture(canvas.to_frame())
    with av.open(str(tmp_path / "part")) as container:
        reds = [frame.to_ndarray(format="rgb24")[64, 112, 0] > 150 for frame in container.decode(video=0)]
    assert reds == [True] * 30 + [False] * 30


def test_a_name_is_written_into_its_own_tile_only() -> None:
    plain, named = Canvas(256, 128, {}), Canvas(256, 128, {"anna": "Zoë"})
    for canvas in (plain, named):
        canvas.show(TILE, picture(96, 64, (200, 40, 40)))
    differs = np.abs(seen(plain) - seen(named)).sum(axis=2) > 60
    assert differs[TILE.y + TILE.height // 2 :, TILE.x :].any()
    differs[TILE.y : TILE.y + TILE.height, TILE.x : TILE.x + TILE.width] = False
    assert not differs.any()


def test_letters_that_have_no_dots_are_left_out() -> None:
    assert drawn("", 1) is None
    assert drawn("   ", 1) is None
    assert drawn("王 小", 1) is None
    one, other = drawn("Müller", 1), drawn("MULLER", 1)
    assert one is not None
    assert other is not None
    assert np.array_equal(one, other)


def test_a_very_long_name_stays_in_the_tile() -> None:
    canvas = Canvas(256, 128, {"anna": "A" * 500})
    canvas.show(TILE, picture(96, 64, (200, 40, 40)))
    image = seen(canvas)
    assert image[:, TILE.x + TILE.width + 2 :].max() < 30


def test_the_aspect_is_kept() -> None:
    assert fitted(1280, 720, 640, 720) == (640, 360)
    assert fitted(720, 1280, 640, 720) == (404, 720)
    assert fitted(1, 10_000, 64, 64) == (2, 64)
