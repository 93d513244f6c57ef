"""Watches a finished film: colours at points of the picture over time, and when tones sound."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

RATE = 48_000


class Shown:
    """All of a (short, small) film in memory: `pictures` as RGB, `times_s` when each shows, `sound` as samples."""

    def __init__(self, path: Path) -> None:
        self.pictures: list[np.ndarray] = []
        self.times_s: list[float] = []
        with av.open(str(path)) as container:
            self.duration_s = container.duration / 1_000_000
            self.streams = {stream.type: stream.codec_context.name for stream in container.streams}
            for frame in container.decode(video=0):
                self.pictures.append(frame.to_ndarray(format="rgb24"))
                self.times_s.append(float(frame.pts * frame.time_base))
        with av.open(str(path)) as container:
            parts, start_s = [], None
            for frame in container.decode(audio=0):
                start_s = float(frame.pts * frame.time_base) if start_s is None else start_s
                parts.append(frame.to_ndarray()[0])
        assert start_s is not None
        lead = round(start_s * RATE)
        sound = np.concatenate(parts)
        self.sound = sound[-lead:] if lead < 0 else np.concatenate((np.zeros(lead, np.float32), sound))

    def colour(self, at_s: float, x: float, y: float) -> tuple[int, int, int]:
        """The colour at a point, its place given as a share of the picture."""
        picture = self.pictures[self._number(at_s)]
        return tuple(int(one) for one in picture[int(y * picture.shape[0]), int(x * picture.shape[1])])

    def moments(self, x: float, y: float, rgb: tuple[int, int, int]) -> list[float]:
        """When this point turns to this colour."""
        hits = [near(tuple(p[int(y * p.shape[0]), int(x * p.shape[1])]), rgb) for p in self.pictures]
        return [
            self.times_s[number] for number, hit in enumerate(hits) if hit and (number == 0 or not hits[number - 1])
        ]

    def level(self, frequency: float, start_s: float, end_s: float) -> float:
        """How loud this tone is within the span (1 is full scale)."""
        part = self.sound[round(start_s * RATE) : round(end_s * RATE)]
        at = np.arange(len(part)) / RATE
        return float(2 * abs(np.mean(part * np.exp(-2j * np.pi * frequency * at)))) if len(part) else 0.0

    def onsets(self, frequency: float, threshold: float = 0.1) -> list[float]:
        """When this tone begins to sound, to 2 ms."""
        step, window = 96, 480
        at = np.arange(len(self.sound)) / RATE
        wave = self.sound * np.exp(-2j * np.pi * frequency * at)
        total = np.concatenate(([0], np.cumsum(wave)))
        starts = np.arange(0, len(self.sound) - window, step)
        loud = 2 * np.abs(total[starts + window] - total[starts]) / window > threshold
        rises = np.flatnonzero(loud & ~np.concatenate(([False], loud[:-1])))
        return [float(starts[one] + window / 2) / RATE for one in rises]

    def _number(self, at_s: float) -> int:
        return int(np.searchsorted(self.times_s, at_s + 1e-6, side="right")) - 1


def near(one: tuple[int, ...], other: tuple[int, ...], distance: int = 60) -> bool:
    return sum(abs(int(a) - int(b)) for a, b in zip(one, other, strict=True)) < distance
