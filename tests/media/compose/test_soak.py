"""An hour as real visits are: one packet in a hundred lost, mutes, a new picture size, drifting clocks a day apart.

Each person flashes and beeps at the same moments; the film is measured where it is seen and heard. The hour is a soak
(`make soak-recording`); a few seconds of the same go with every run, to keep the measuring itself alive.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import av
import numpy as np
import pytest

from media.compose import FilmOptions, FilmReport, compose_film
from tests.media.golden import GoldenLog, Rtp, audio, flat, tone, video

OPTIONS = FilmOptions(width=160, height=90, preset="ultrafast", video_bitrate_bps=200_000)
RATE, CAMERA_RATE = 48_000, 14
"""Fourteen pictures a second fall on places spread evenly between two frames of the film."""
FASTEST_S = 0.0214
"""No recorder can know the fastest packet's way: all of the film is later by it. So much, no moment of the fourteen
falls exactly between two frames, where either of them would be right."""
WINDOW, STEP, TONE, HEARD_FROM = 240, 48, 0.4, 0.1
LOST = 0.01
PPM_100, A_DAY_APART_S = 1.0001, 20 * 3600.0
HERTZ = {"anna": 500.0, "doctor": 1100.0}
TILE_X = {"anna": 0.25, "doctor": 0.75}
AROUND_S = (0.4, 0.7)


@dataclass
class Story:
    """When what happens; all in seconds of the film."""

    seconds: int
    every: int

    @cached_property
    def moments(self) -> list[float]:
        """Each at another place between two frames of the film, always at a frame of the camera."""
        whole = range(2, self.seconds - 2, self.every)
        return [at + (n % CAMERA_RATE) / CAMERA_RATE for n, at in enumerate(whole)]

    @property
    def mutes(self) -> list[tuple[float, float]]:
        """Between two moments, so that none of them is muted."""
        places = [self.moments[len(self.moments) * part // 4] for part in (1, 2, 3)]
        return [(at + 0.5, at + self.every - 1.5) for at in places]

    def size(self, at_s: float) -> tuple[int, int]:
        return (64, 48) if at_s < self.seconds / 2 else (96, 72)


def write(story: Story, log: GoldenLog, chance: random.Random) -> Path:
    for who, drift, ntp_0 in (("anna", 1.0, 3.9e9), ("doctor", PPM_100, 3.9e9 + A_DAY_APART_S)):
        camera, microphone = log.track(who, "camera"), log.track(who, "microphone")
        times = [n / CAMERA_RATE for n in range(story.seconds * CAMERA_RATE)]
        moments = {round(at * CAMERA_RATE) for at in story.moments}
        keys = [n for n in range(len(times)) if n in moments or n % (4 * CAMERA_RATE) == 0]
        colour = (180, 40, 40) if who == "anna" else (40, 60, 180)

        def picture(at_s: float, rgb: tuple[int, int, int] = colour) -> np.ndarray:
            return flat(*story.size(at_s), rgb, _near(story, at_s))(at_s)

        pictures = video(picture, times, keys=keys, clock=drift)
        jitter = _jitter(chance)
        log.send(camera, _lossy(pictures, story, chance), delay=lambda _, late=jitter: 0.06 + late())
        log.send(
            microphone,
            _lossy(_sound(story, who, drift), story, chance),
            delay=lambda _, late=jitter: FASTEST_S + late(),
        )
        for track in (camera, microphone):
            told = [0.4 + 1.0 * n for n in range(story.seconds - 1)]
            log.reports(track, told, delay=FASTEST_S, clock=drift, ntp_clock=drift, ntp_0=ntp_0)
    return log.write(float(story.seconds))


def _jitter(chance: random.Random) -> Callable[[], float]:
    """Mostly a few milliseconds, at times a burst."""
    return lambda: min(0.2, chance.expovariate(1 / 0.004))


def _lossy(packets: list[Rtp], story: Story, chance: random.Random) -> Iterator[Rtp]:
    """One in a hundred is lost, but not the moments themselves: their loss would say nothing of placement."""
    for one in packets:
        is_moment = any(at - 0.1 <= one.captured_s <= at + 0.3 for at in _near(story, one.captured_s))
        if is_moment or chance.random() >= LOST:
            yield one


def _near(story: Story, at_s: float) -> list[float]:
    number = max(0, (int(at_s) - 2) // story.every)
    return story.moments[max(0, number - 1) : number + 2]


def _sound(story: Story, who: str, drift: float) -> list[Rtp]:
    """Muted by sending nothing, as a suspended microphone does; the numbers go on."""

    def signal(at_s: np.ndarray) -> np.ndarray:
        """Asked only of the beeps around: of all of them, for each packet of an hour, it takes many minutes."""
        return tone(HERTZ[who], [(at, at + 0.2) for at in _near(story, float(at_s[0]))])(at_s)

    packets = audio(signal, 0, story.seconds, clock=drift)
    kept = [one for one in packets if not any(a <= one.captured_s < b for a, b in story.mutes)]
    return [replace(one, sequence=7 + n) for n, one in enumerate(kept)]


@dataclass(frozen=True)
class Measured:
    """Milliseconds: picture against sound of one person; one person's sound against the other's."""

    within: dict[str, list[float]]
    between: list[float]
    report: FilmReport


def measure(story: Story, folder: Path, chance: random.Random) -> Measured:
    log = GoldenLog(folder / "log.bedlog")
    write(story, log, chance)
    film = folder / "film.mp4"
    report = compose_film([log.path], film, unwrap=log.unwrap, options=OPTIONS)
    beeps = {who: heard(film, HERTZ[who], story.moments) for who in HERTZ}
    flashes = seen(film, story.moments)
    within = {who: [1000 * (a - b) for a, b in zip(flashes[who], beeps[who], strict=True)] for who in HERTZ}
    between = [1000 * (a - b) for a, b in zip(beeps["anna"], beeps["doctor"], strict=True)]
    return Measured(within, between, report)


def heard(film: Path, hertz: float, moments: list[float]) -> list[float]:
    """When the tone begins near each moment, to a millisecond: where a quarter of a short window is full of it."""
    found = []
    for at_s, samples, start_s in _windows(film, moments):
        wave = samples * np.exp(-2j * np.pi * hertz * np.arange(len(samples)) / RATE)
        total = np.concatenate(([0], np.cumsum(wave)))
        starts = np.arange(0, len(samples) - WINDOW, STEP)
        loud = np.flatnonzero(2 * np.abs(total[starts + WINDOW] - total[starts]) / WINDOW > HEARD_FROM)
        assert len(loud), f"no beep of {hertz} Hz near {at_s} s"
        found.append(start_s + (starts[loud[0]] + WINDOW * (1 - HEARD_FROM / TONE)) / RATE)
    return found


def _windows(film: Path, moments: list[float]) -> Iterator[tuple[float, np.ndarray, float]]:
    """The sound around each moment; of the whole film only that much is in memory at once."""
    coming, kept, kept_from = list(moments), np.zeros(0, np.float32), None
    with av.open(str(film)) as container:
        for frame in container.decode(audio=0):
            start_s = float(frame.pts * frame.time_base)
            kept_from = start_s if kept_from is None or len(kept) == 0 else kept_from
            kept = np.concatenate((kept, frame.to_ndarray()[0]))
            while coming and kept_from + len(kept) / RATE >= coming[0] + AROUND_S[1]:
                at_s = coming.pop(0)
                first = max(0, round((at_s - AROUND_S[0] - kept_from) * RATE))
                last = round((at_s + AROUND_S[1] - kept_from) * RATE)
                yield at_s, kept[first:last], kept_from + first / RATE
            if coming and kept_from + len(kept) / RATE < coming[0] - AROUND_S[0]:
                kept = kept[:0]
            elif not coming:
                return


def seen(film: Path, moments: list[float]) -> dict[str, list[float]]:
    """When each person's tile turns white near each moment."""
    found: dict[str, list[float]] = {who: [] for who in TILE_X}
    was_white = dict.fromkeys(TILE_X, False)
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            at_s = float(frame.pts * frame.time_base)
            luma = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(-1, frame.planes[0].line_size)
            for who, x in TILE_X.items():
                is_white = int(luma[frame.height // 2, int(frame.width * x)]) > 190
                if is_white and not was_white[who] and any(abs(at_s - one) < AROUND_S[0] for one in moments):
                    found[who].append(at_s)
                was_white[who] = is_white
    return found


def judge(story: Story, measured: Measured) -> dict[str, float]:
    within = [abs(one) for errors in measured.within.values() for one in errors]
    assert len(within) == 2 * len(story.moments)
    return {
        "within_p95_ms": round(float(np.percentile(within, 95)), 1),
        "within_max_ms": round(max(within), 1),
        "between_max_ms": round(max(abs(one) for one in measured.between), 1),
        "length_off_ms": round(1000 * abs(measured.report.duration_s - story.seconds), 1),
    }


def test_the_measuring_works_on_a_few_seconds(tmp_path: Path) -> None:
    story = Story(seconds=12, every=3)
    told = judge(story, measure(story, tmp_path, random.Random(5)))
    assert told["length_off_ms"] <= 40


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_an_hour_keeps_sound_and_picture_together(tmp_path: Path) -> None:
    story, seed = Story(seconds=3600, every=10), random.randrange(10**6)
    measured = measure(story, tmp_path, random.Random(seed))
    told = judge(story, measured)
    print("\n" + json.dumps({"seed": seed, **told, "problems": list(measured.report.problems)}))
    assert told["within_p95_ms"] <= 20
    assert told["within_max_ms"] <= 40
    assert told["between_max_ms"] <= 100
    assert told["length_off_ms"] <= 40
    assert measured.report.passed
