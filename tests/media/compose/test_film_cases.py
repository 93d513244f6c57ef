"""The recording cases that end in a film, by their numbers: a golden log each, and the right value."""

from __future__ import annotations

import av
import numpy as np
import pytest

from media.compose import FilmOptions, compose_film
from tests.media.compose.films import GREEN, RED, SLOW, SMALL, WHITE, composed, frames
from tests.media.compose.shown import near
from tests.media.golden import GoldenLog, audio, flat, tone, video


def test_c42_frames_closer_than_the_films_clock_end_nothing(golden: GoldenLog) -> None:
    times = {
        "fast": [number / 60 for number in range(180)],
        "jitter": [number / 30 + (-0.0233 if number == 40 else 0.0) for number in range(90)],
        "twice": sorted([*frames(0, 3), 1.0]),
    }
    for who, at in times.items():
        golden.send(golden.track(who, "camera"), video(flat(64, 48, RED), at))
    golden.write(3.0)
    report, film = composed(golden)
    assert report.passed
    assert film.duration_s == pytest.approx(3.0, abs=0.1)
    assert np.diff(film.times_s).min() > 0
    for x, y in ((0.25, 0.25), (0.75, 0.25), (0.5, 0.75)):
        assert near(film.colour(0.1, x, y), RED)
        assert near(film.colour(2.9, x, y), RED)


@pytest.mark.parametrize("starts_s", [0.5, 15.0])
def test_c44_a_camera_that_comes_later_starts_later(golden: GoldenLog, starts_s: float) -> None:
    golden.send(golden.track("anna", "microphone"), audio(tone(440), 0, starts_s + 1))
    camera = golden.track("anna", "camera", at_s=starts_s)
    golden.send(camera, video(flat(1280, 720, RED), frames(starts_s, starts_s + 1, 10)))
    golden.write(starts_s + 1)
    report, film = composed(
        golden, options=FilmOptions(width=1280, height=720, preset="ultrafast", frame_rate=10 if starts_s > 1 else 25)
    )
    (first,) = film.moments(0.5, 0.5, RED)
    assert first == pytest.approx(starts_s, abs=0.05)
    assert film.pictures[0].shape == (720, 1280, 3)
    assert film.level(440, 0.1, starts_s + 0.9) > 0.2
    assert report.passed


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_c46_a_picture_that_changes_size_keeps_canvas_and_aspect(golden: GoldenLog, codec: str) -> None:
    sizes = [(320, 180), (640, 360), (161, 91), (90, 160)]
    if codec == "H264":
        sizes[2] = (160, 90)

    def picture(at_s: float) -> np.ndarray:
        width, height = sizes[min(3, int(at_s + 1e-6))]
        return flat(width, height, GREEN)(at_s)

    camera = golden.track("anna", "camera", codec=codec)
    golden.send(camera, video(picture, frames(0, 4, 30), codec=codec))
    golden.write(4.0)
    report, film = composed(golden, options=FilmOptions(width=320, height=180, preset="ultrafast", frame_rate=30))
    assert report.passed
    assert {one.shape for one in film.pictures} == {(180, 320, 3)}
    assert len(film.pictures) == 120
    for second in range(3):
        assert near(film.colour(second + 0.5, 0.5, 0.5), GREEN)
        assert near(film.colour(second + 0.5, 0.05, 0.5), GREEN)
    assert near(film.colour(3.5, 0.5, 0.1), GREEN)
    assert near(film.colour(3.5, 0.2, 0.5), (0, 0, 0))


def test_c48_nothing_recorded_makes_no_film(golden: GoldenLog) -> None:
    golden.track("anna", "camera")
    golden.write(30.0)
    output = golden.path.with_name("film.mp4")
    report = compose_film([golden.path], output, unwrap=golden.unwrap, options=SMALL)
    assert report.empty
    assert report.passed
    assert list(golden.path.parent.iterdir()) == [golden.path]


def test_c50_a_missing_stop_ends_with_the_last_thing_known(golden: GoldenLog) -> None:
    golden.track("anna", "microphone")
    camera = golden.track("anna", "camera")
    golden.send(camera, video(flat(64, 48, RED), frames(0, 2, 10)))
    golden.mark(2.5, "leave", "anna")
    golden.write(None)
    report, film = composed(golden)
    assert report.incomplete == "end_missing"
    assert film.duration_s == pytest.approx(2.5, abs=0.04)


def test_c52_the_film_seeks_and_says_how_long_it_is(golden: GoldenLog) -> None:
    golden.send(golden.track("anna", "camera"), video(flat(64, 48, RED, [5.0]), frames(0, 6, 10)))
    golden.write(6.0)
    _, film = composed(golden)
    path = golden.path.with_name("film.mp4")
    assert film.duration_s == pytest.approx(6.0, abs=0.1)
    start = path.read_bytes()
    assert start.index(b"moov") < start.index(b"mdat")
    with av.open(str(path)) as container:
        container.seek(5_000_000)
        landed = next(container.decode(video=0))
        assert 5.0 - 2.05 <= landed.time <= 5.0
        assert abs(next(one.time for one in container.decode(video=0) if one.time >= 4.99) - 5.0) < 0.05


def test_c54_silence_suppression_keeps_its_length(golden: GoldenLog) -> None:
    packets = audio(tone(440), 0, 1.0)
    rest = audio(tone(440), 2.0, 3.0, first_sequence=packets[-1].sequence + 1)
    golden.send(golden.track("anna", "microphone"), packets + rest)
    golden.write(3.0)
    report, film = composed(golden)
    assert report.passed
    assert len(film.sound) / 48_000 == pytest.approx(3.0, abs=0.03)
    assert film.onsets(440)[1:] == pytest.approx([2.0], abs=0.02)
    assert film.level(440, 1.1, 1.9) < 0.01


@pytest.mark.parametrize("with_reports", [True, False])
def test_c54_a_stalled_microphone_goes_on_where_the_clock_says(golden: GoldenLog, with_reports: bool) -> None:
    """Timestamps go on without a gap over twelve seconds of wall clock."""
    early = audio(tone(440), 0, 1.0)
    late = audio(tone(440), 13.0, 14.0, first_sequence=early[-1].sequence + 1, first_timestamp=48_000 - 12 * 48_000)
    microphone = golden.track("anna", "microphone")
    golden.send(microphone, early + late)
    if with_reports:
        golden.reports(microphone, [0.5])
        golden.reports(microphone, [13.5], first_timestamp=48_000 - 12 * 48_000)
    golden.send(golden.track("anna", "camera"), video(flat(64, 48, RED, [13.0]), frames(0, 14, 5)))
    golden.write(14.0)
    report, film = composed(golden, options=SLOW)
    assert report.passed
    assert film.onsets(440)[1:] == pytest.approx([13.0], abs=0.1)
    assert abs(film.onsets(440)[1] - film.moments(0.5, 0.5, WHITE)[0]) <= 0.08


def test_c56_a_camera_that_is_off_shows_a_placeholder_and_the_sound_goes_on(golden: GoldenLog) -> None:
    golden.send(golden.track("anna", "microphone"), audio(tone(440), 0, 18))
    times = frames(0, 6, 10) + frames(12, 18, 10)
    golden.send(golden.track("anna", "camera"), video(flat(64, 48, RED), times, keys=[60]))
    golden.write(18.0)
    report, film = composed(golden, options=SLOW)
    assert report.passed
    assert film.duration_s == pytest.approx(18.0, abs=0.1)
    assert film.onsets(440) == pytest.approx([0.0], abs=0.05)
    assert film.level(440, 6, 12) > 0.3
    assert not near(film.colour(9.0, 0.5, 0.5), RED)
    assert not near(film.colour(9.0, 0.5, 0.5), (0, 0, 0))
    assert film.moments(0.5, 0.5, RED) == pytest.approx([0.0, 12.0], abs=0.2)
