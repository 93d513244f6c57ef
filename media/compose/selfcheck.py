"""Reads the finished file's packets and says whether the film is what it should be: length, order, offsets, checksum.

The figures that only composing can know (placement, silence, black) are gathered in `Watch` while it goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from media.compose.report import FilmOptions, Stretch
from media.compose.sound import RATE, Samples

SILENT_PEAK, SILENT_FROM_S = 0.001, 5.0
BLACK_LUMA, BLACK_FROM_S = 20.0, 2.0


@dataclass(frozen=True, slots=True)
class FileFigures:
    """`video_start_s`, `audio_start_s`: where the file itself lets each begin, encoder priming taken into account."""

    video_s: float
    audio_s: float
    video_start_s: float
    audio_start_s: float
    video_frames: int
    holes: tuple[Stretch, ...]
    decoding_order_broken: bool
    index_first: bool
    bytes: int
    sha256: str


@dataclass(slots=True)
class _Lasting:
    kind: str
    at_least_s: float
    since_s: float | None = None
    found: list[Stretch] = field(default_factory=list)

    def note(self, at_s: float, holds: bool) -> None:
        if holds and self.since_s is None:
            self.since_s = at_s
        elif not holds and self.since_s is not None:
            if at_s - self.since_s >= self.at_least_s:
                self.found.append(Stretch(round(self.since_s, 3), round(at_s, 3), self.kind))
            self.since_s = None


class Watch:
    """Told of every frame and block that goes into the encoder."""

    def __init__(self) -> None:
        self._silent = _Lasting("silent", SILENT_FROM_S)
        self._black = _Lasting("black", BLACK_FROM_S)
        self.largest_picture_error_s = 0.0

    def see(self, at_s: float, mean_luma: float) -> None:
        self._black.note(at_s, mean_luma < BLACK_LUMA)

    def hear(self, at_s: float, samples: Samples, *, paused: bool) -> None:
        quiet = len(samples) == 0 or float(np.abs(samples).max()) < SILENT_PEAK
        self._silent.note(at_s, quiet and not paused)

    def placed(self, error_s: float) -> None:
        self.largest_picture_error_s = max(self.largest_picture_error_s, abs(error_s))

    def seen(self) -> dict[str, Any]:
        """What was watched of the picture so far, as JSON, to be gone on with by `resume`."""
        found = [[one.start_s, one.end_s] for one in self._black.found]
        return {"error_s": self.largest_picture_error_s, "black_since_s": self._black.since_s, "black": found}

    def resume(self, seen: Mapping[str, Any]) -> None:
        self.largest_picture_error_s = float(seen["error_s"])
        self._black.since_s = seen["black_since_s"]
        self._black.found = [Stretch(start_s, end_s, "black") for start_s, end_s in seen["black"]]

    def end(self, at_s: float) -> tuple[tuple[Stretch, ...], tuple[Stretch, ...]]:
        """Silent and black stretches."""
        self._silent.note(at_s, False)
        self._black.note(at_s, False)
        return tuple(self._silent.found), tuple(self._black.found)


def examine(path: Path, options: FilmOptions) -> FileFigures:
    with av.open(str(path)) as container:
        video, audio = _packet_times(container, 0), _packet_times(container, 1)
    frame_s = 1 / options.frame_rate
    return FileFigures(
        video_s=_length(video),
        audio_s=_length(audio),
        video_start_s=video.starts_s[0] if video.starts_s else 0.0,
        audio_start_s=audio.starts_s[0] if audio.starts_s else 0.0,
        video_frames=len(video.starts_s),
        holes=(*_holes(video, 1.5 * frame_s, "video"), *_holes(audio, 0.03, "audio")),
        decoding_order_broken=video.disordered or audio.disordered,
        index_first=is_index_first(path),
        bytes=path.stat().st_size,
        sha256=_checksum(path),
    )


@dataclass(slots=True)
class _Times:
    starts_s: list[float]
    ends_s: list[float]
    disordered: bool


def _packet_times(container: av.container.InputContainer, stream: int) -> _Times:
    """When each packet plays, in playing order; `disordered` when decoding times do not rise strictly."""
    spans: list[tuple[int, int]] = []
    before, disordered = None, False
    container.seek(0)
    for packet in container.demux(container.streams[stream]):
        pts, dts = packet.pts, packet.dts
        if pts is None:
            continue
        disordered = disordered or (before is not None and dts is not None and dts <= before)
        before = dts
        spans.append((pts, pts + (packet.duration or 0)))
    spans.sort()
    tick_s = float(container.streams[stream].time_base or 0)
    return _Times([start * tick_s for start, _ in spans], [end * tick_s for _, end in spans], disordered)


def _length(times: _Times) -> float:
    return max(times.ends_s, default=0.0) - max(0.0, min(times.starts_s, default=0.0))


def _holes(times: _Times, at_least_s: float, kind: str) -> Sequence[Stretch]:
    pairs = zip(times.ends_s, times.starts_s[1:], strict=False)
    return [Stretch(round(end, 3), round(start, 3), kind) for end, start in pairs if start - end > at_least_s]


def is_index_first(path: Path) -> bool:
    """Whether `moov` stands before `mdat` (ISO/IEC 14496-12 §8.2)."""
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            size, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind in (b"moov", b"mdat"):
                return kind == b"moov"
            if size == 1:
                size = int.from_bytes(file.read(8), "big") - 8
            if size < 8:
                return False
            file.seek(size - 8, 1)
    return False


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def audio_samples_for(frame: int, frame_rate: int) -> int:
    """How many samples the film holds before this frame: the two never drift apart."""
    return frame * RATE // frame_rate
