"""Stretches taken out of a film: nothing of them is seen or heard, and nothing else is missing or moved."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from media.compose import selfcheck
from media.compose.encode import FilmWriter, PartWriter
from media.compose.redact import MARGIN_S, redact_film
from media.compose.report import FilmOptions, Part
from media.compose.sound import RATE

OPTIONS = FilmOptions(width=64, height=48)
SECONDS, TONE_HZ = 4, 1000
GREY = 150


def make_film(path: Path) -> Path:
    """Four seconds of grey and a tone, as composing writes them."""
    frames = SECONDS * OPTIONS.frame_rate
    picture = np.full((OPTIONS.height * 3 // 2, OPTIONS.width), 128, np.uint8)
    picture[: OPTIONS.height] = GREY
    part = path.with_suffix(".part")
    with PartWriter(part, OPTIONS) as writer:
        for _ in range(frames):
            writer.picture(av.VideoFrame.from_ndarray(picture, format="yuv420p"))
    block = RATE // OPTIONS.frame_rate
    with FilmWriter(path, OPTIONS, [Part(part, 0, frames, writer.delay, {})]) as film:
        for number in range(frames):
            at = np.arange(number * block, (number + 1) * block) / RATE
            film.pictures(number)
            film.sound((0.5 * np.sin(2 * np.pi * TONE_HZ * at)).astype(np.float32))
        film.pictures(frames)
    part.unlink()
    return path


def seen(path: Path) -> dict[float, float]:
    """How bright each frame is, by its moment."""
    with av.open(str(path)) as film:
        return {float(one.time or 0): float(one.to_ndarray(format="gray").mean()) for one in film.decode(video=0)}


def heard(path: Path) -> dict[float, float]:
    """How loud each block of sound is, by its moment."""
    with av.open(str(path)) as film:
        return {float(one.time or 0): float(np.abs(one.to_ndarray()).max()) for one in film.decode(audio=0)}


def test_what_is_taken_out_is_black_and_silent_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    source, output = make_film(tmp_path / "film.mp4"), tmp_path / "redacted.mp4"
    told: list[float] = []
    blanked = redact_film(source, output, [(1.0, 2.0), (3.5, 4.0)], progress=told.append, options=OPTIONS)
    assert blanked >= OPTIONS.frame_rate * (1.5 + 2 * MARGIN_S)
    bright, loud = seen(output), heard(output)
    assert len(bright) == SECONDS * OPTIONS.frame_rate
    for start, end in ((1.0, 2.0), (3.5, 4.0)):
        assert max(value for at, value in bright.items() if start <= at < end) < 30
        assert max(value for at, value in loud.items() if start <= at < end) < 0.01
    for start, end in ((0.1, 0.7), (2.4, 3.2)):
        assert min(value for at, value in bright.items() if start <= at < end) > GREY - 25
        assert min(value for at, value in loud.items() if start <= at < end) > 0.3
    figures = selfcheck.examine(output, OPTIONS)
    assert (figures.index_first, figures.decoding_order_broken, figures.holes) == (True, False, ())
    assert figures.video_s == pytest.approx(SECONDS, abs=0.05)
    assert figures.audio_s == pytest.approx(SECONDS, abs=0.1)
    assert told[-1] == 1.0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["film.mp4", "redacted.mp4"]


@pytest.mark.parametrize("content", [b"", b"not a film at all" * 100])
def test_what_is_no_film_leaves_nothing_behind(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "film.mp4"
    source.write_bytes(content)
    with pytest.raises(av.error.FFmpegError):
        redact_film(source, tmp_path / "out.mp4", [(0.0, 1.0)], options=OPTIONS)
    assert [one.name for one in tmp_path.iterdir()] == ["film.mp4"]
