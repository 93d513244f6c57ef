"""The film reader, against films drawn here: it must be right about what a viewer of ours will be promised."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.film import RATE, Film
from tests.support.marks import Mark, draw_marks

FRAMES_PER_S = 25
SECONDS = 6


def draw_film(path: Path, left: Mark, right: Mark, late_ms: float) -> None:
    """Two tiles; `left` from the start, `right` from second 2; each flash `late_ms` after its beep."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FRAMES_PER_S)
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        for n in range(SECONDS * FRAMES_PER_S):
            at_s = n / FRAMES_PER_S
            picture = np.zeros((360, 640, 3), dtype=np.uint8)
            flash = 0 <= (at_s - late_ms / 1000) % 1 < 0.16
            picture[40:320, 20:310] = 255 if flash else left.rgb
            if at_s >= 2:
                picture[40:320, 330:620] = 255 if flash else right.rgb
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, FRAMES_PER_S)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        t = np.arange(SECONDS * RATE) / RATE
        sound = _voice(left, t) + np.where(t >= 2, _voice(right, t), 0)
        block = av.AudioFrame.from_ndarray(sound.astype(np.float32).reshape(1, -1), format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(audio.encode(block))
        container.mux(audio.encode(None))


def _voice(mark: Mark, t: np.ndarray) -> np.ndarray:
    beep = np.where(t % 1 < 0.1, 0.4 * np.sin(2 * np.pi * mark.beep_hz * t), 0)
    return 0.1 * np.sin(2 * np.pi * mark.tone_hz * t) + beep


@pytest.mark.parametrize("late_ms", [0, 40, 120])
def test_tiles_tones_and_the_offset_of_flash_and_beep_are_read_from_a_film(tmp_path: Path, late_ms: int) -> None:
    left, right, absent = draw_marks(["left", "right", "absent"], random.Random()).values()
    draw_film(tmp_path / "film.mp4", left, right, late_ms)

    film = Film(tmp_path / "film.mp4")

    assert film.duration_s == pytest.approx(SECONDS, abs=0.1)
    assert film.shown_seconds(left) == [0, 1, 2, 3, 4, 5]
    assert film.shown_seconds(right) == [2, 3, 4, 5]
    assert film.shown_seconds(absent) == []
    assert [film.sounds(right, 1.0), film.sounds(right, 3.0), film.sounds(absent, 3.0)] == [False, True, False]
    offsets = [flash.late_ms for flash in film.flash_to_beep(left)]
    assert len(offsets) >= SECONDS - 2
    assert offsets == pytest.approx([late_ms] * len(offsets), abs=25)
