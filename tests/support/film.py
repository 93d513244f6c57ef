"""Reads a composed film as a viewer would: who is in the picture when, which tones sound, how flash and beep lie.

It decodes with PyAV and knows marks; where the film comes from and what should be on it is the test's affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.support.marks import COLOUR_DISTANCE, Mark

RATE = 48_000
WIDTH, HEIGHT = 160, 90
HOP = RATE // 200
WINDOW = RATE // 50
TONE_S = 0.4
"""With a Hann window over this, tones 28 Hz apart are told from each other by more than 40 dB."""
PRESENT_SHARE = 0.02
"""A mark is in the picture when its colour covers this share of it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Flash:
    """One flash of a mark on the film, and how late it is against the nearest beep of the same mark."""

    at_s: float
    late_ms: float


class Film:
    """A whole film in memory, its pictures shrunk to 160 × 90, its sound mixed to one channel at 48 kHz."""

    def __init__(self, path: Path) -> None:
        with av.open(str(path)) as container:
            self.container_duration_s = float(container.duration or 0) / 1_000_000
            self.codecs = {stream.type: stream.codec_context.name for stream in container.streams}
            self.times, self.pictures = _pictures(container)
        with av.open(str(path)) as container:
            self.sound = _sound(container)

    @property
    def duration_s(self) -> float:
        return self.container_duration_s

    def share(self, mark: Mark, picture: int) -> float:
        """The share of the picture that has the colour of `mark`."""
        return float(self._mask(mark, picture).mean())

    def _mask(self, mark: Mark, picture: int) -> NDArray[np.bool_]:
        far = np.abs(self.pictures[picture].astype(np.int16) - np.array(mark.rgb, dtype=np.int16)).sum(axis=2)
        return np.asarray(far < COLOUR_DISTANCE)

    def shows(self, mark: Mark, at_s: float) -> bool:
        """Whether `mark` is in the picture within 0.3 s of `at_s` (a flash hides it for a moment)."""
        near = np.flatnonzero(np.abs(self.times - at_s) <= 0.3)
        return any(self.share(mark, int(n)) > PRESENT_SHARE for n in near)

    def shown_seconds(self, mark: Mark) -> list[int]:
        """The whole seconds of the film during which `mark` is in the picture."""
        return [second for second in range(int(self.duration_s)) if self.shows(mark, second + 0.5)]

    def level(self, hz: float, hop_s: float = 0.005) -> Floats:
        """The amplitude of a tone over time, one value for each 5 ms."""
        count = len(self.sound)
        wave = np.exp(-2j * np.pi * hz * np.arange(count) / RATE) * self.sound
        total = np.concatenate([[0], np.cumsum(wave)])
        starts = np.arange(0, max(0, count - WINDOW), HOP)
        return np.asarray(2 * np.abs(total[starts + WINDOW] - total[starts]) / WINDOW)

    def sounds(self, mark: Mark, at_s: float, floor: float = 0.01) -> bool:
        """Whether the steady tone of `mark` is there around `at_s`, and not only its neighbour's."""
        begin, end = (max(0, round((at_s + by) * RATE)) for by in (-TONE_S / 2, TONE_S / 2))
        part = self.sound[begin:end]
        if len(part) < RATE * TONE_S / 2:
            return False
        window = np.hanning(len(part))
        wave = np.exp(-2j * np.pi * mark.tone_hz * np.arange(len(part)) / RATE)
        return bool(2 * abs(np.sum(part * window * wave)) / np.sum(window) > floor)

    def beeps(self, mark: Mark) -> list[float]:
        """When each beep of `mark` begins, in seconds."""
        levels = self.level(mark.beep_hz)
        return _rises(np.arange(len(levels)) * HOP / RATE + WINDOW / RATE / 2, levels, apart_s=0.5)

    def flashes(self, mark: Mark) -> list[float]:
        """When each flash in the tile of `mark` begins: the tile is where its colour was last."""
        began: list[float] = []
        tile: NDArray[np.bool_] | None = None
        was_white = True
        for n, at_s in enumerate(self.times):
            mask = self._mask(mark, n)
            if mask.mean() > PRESENT_SHARE:
                tile, was_white = mask, False
                continue
            is_white = tile is not None and bool(np.median(self.pictures[n][tile].min(axis=1)) > 180)
            if is_white and not was_white:
                began.append(float(at_s))
            was_white = was_white or is_white
        return began

    def flash_to_beep(self, mark: Mark) -> list[Flash]:
        """Every flash with a beep within half a second, with their distance."""
        beeps = np.array(self.beeps(mark))
        found = []
        for at_s in self.flashes(mark):
            if len(beeps) == 0:
                break
            nearest = beeps[np.argmin(np.abs(beeps - at_s))]
            if abs(nearest - at_s) < 0.5:
                found.append(Flash(at_s, (at_s - float(nearest)) * 1000))
        return found


def _rises(times: Floats, levels: Floats, apart_s: float) -> list[float]:
    """Times at which the level crosses half of its own strong value upwards, at least `apart_s` apart."""
    if len(levels) == 0:
        return []
    strong = float(np.quantile(levels, 0.97))
    if strong < 0.01:
        return []
    up = np.flatnonzero((levels[1:] >= strong / 2) & (levels[:-1] < strong / 2)) + 1
    found: list[float] = []
    for n in up:
        at_s = float(times[n])
        if not found or at_s - found[-1] >= apart_s:
            found.append(at_s)
    return found


def _pictures(container: Any) -> tuple[Floats, NDArray[np.uint8]]:
    times: list[float] = []
    pictures: list[NDArray[np.uint8]] = []
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    for frame in container.decode(stream):
        times.append(float(frame.pts * stream.time_base))
        pictures.append(frame.reformat(width=WIDTH, height=HEIGHT, format="rgb24").to_ndarray())
    return np.array(times), np.stack(pictures)


def _sound(container: Any) -> Floats:
    if not container.streams.audio:
        return np.zeros(0)
    stream = container.streams.audio[0]
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    blocks: list[Floats] = []
    first: float | None = None
    for frame in container.decode(stream):
        if first is None:
            first = float(frame.pts * stream.time_base)
        blocks += [part.to_ndarray()[0].astype(np.float64) for part in resampler.resample(frame)]
    blocks += [part.to_ndarray()[0].astype(np.float64) for part in resampler.resample(None)]
    sound = np.concatenate(blocks) if blocks else np.zeros(0)
    shift = round((first or 0.0) * RATE)
    return np.concatenate([np.zeros(shift), sound]) if shift > 0 else sound[-shift:] if shift < 0 else sound
