"""The check finds what is wrong with a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from media.compose import FilmOptions, Part
from media.compose.canvas import Canvas
from media.compose.encode import FilmWriter, PartWriter
from media.compose.selfcheck import Watch, examine, is_index_first

OPTIONS = FilmOptions(width=64, height=36, preset="ultrafast")
BLOCK = 1920


def write(path: Path, *, frames: int, blocks: int) -> None:
    canvas, pictures = Canvas(64, 36, {}), path.with_name("pictures")
    with PartWriter(pictures, OPTIONS) as part:
        for _ in range(frames):
            part.picture(canvas.to_frame())
    with FilmWriter(path, OPTIONS, [Part(pictures, 0, frames, part.delay, {})]) as film:
        for number in range(max(frames, blocks)):
            film.pictures(number + 1)
            if number < blocks:
                film.sound(np.zeros(BLOCK, np.float32))
        film.pictures(frames)


def test_a_film_in_order_has_equal_lengths_and_begins_at_nought(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write(path, frames=50, blocks=50)
    figures = examine(path, OPTIONS)
    assert figures.video_s == pytest.approx(2.0, abs=0.001)
    assert figures.audio_s == pytest.approx(2.0, abs=0.03)
    assert figures.video_frames == 50
    assert figures.video_start_s == 0
    assert figures.audio_start_s <= 0, "the encoder's priming lies before the film"
    assert figures.holes == ()
    assert not figures.decoding_order_broken
    assert figures.index_first
    assert figures.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert figures.bytes == path.stat().st_size


def test_sound_that_ends_early_shows_in_the_figures(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write(path, frames=50, blocks=25)
    figures = examine(path, OPTIONS)
    assert figures.audio_s == pytest.approx(1.0, abs=0.03)
    assert figures.video_s == pytest.approx(2.0, abs=0.001)


def test_an_index_at_the_end_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    box = b"\x00\x00\x00\x0cftypisom"
    for order, first in (([b"mdat", b"moov"], False), ([b"moov", b"mdat"], True), ([], False)):
        path.write_bytes(box + b"".join(b"\x00\x00\x00\x08" + kind for kind in order))
        assert is_index_first(path) is first


def fail_within(writer: PartWriter | FilmWriter) -> None:
    with writer as begun:
        if isinstance(begun, PartWriter):
            begun.picture(Canvas(64, 36, {}).to_frame())
        raise RuntimeError


def test_an_error_while_writing_leaves_no_file(tmp_path: Path) -> None:
    path, pictures = tmp_path / "film.mp4", tmp_path / "pictures"
    with pytest.raises(RuntimeError):
        fail_within(PartWriter(pictures, OPTIONS))
    assert not pictures.exists()
    write(path, frames=5, blocks=5)
    with pytest.raises(RuntimeError):
        fail_within(FilmWriter(path, OPTIONS, [Part(pictures, 0, 5, 0, {})]))
    assert not path.exists()


def test_silence_and_black_are_told_where_they_last() -> None:
    watch = Watch()
    tone, silence = np.full(100, 0.1, np.float32), np.zeros(100, np.float32)
    for number in range(200):
        quiet, dark = 50 <= number < 110, 20 <= number < 45
        watch.see(number / 10, 16.0 if dark else 90.0)
        watch.hear(number / 10, silence if quiet else tone, paused=False)
    silent, black = watch.end(20.0)
    assert [(one.start_s, one.end_s) for one in silent] == [(5.0, 11.0)]
    assert [(one.start_s, one.end_s) for one in black] == [(2.0, 4.5)]


def test_a_pause_is_no_silence() -> None:
    watch = Watch()
    for number in range(100):
        watch.hear(number / 10, np.zeros(100, np.float32), paused=True)
    assert watch.end(10.0) == ((), ())
