"""Decodes and mixes the sound so that its samples equal elapsed time, whatever the packets did.

When each packet was captured comes with the track; encoding is `encode.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import av
import av.error
import numpy as np
import numpy.typing as npt

from media.compose.reader import one_by_one
from media.compose.timeline import FilmTrack, Span

Samples = npt.NDArray[np.float32]

RATE = 48_000
LOOKAHEAD = 312  # samples that libopus, hence every browser, delays the signal by (RFC 7845 §4.2 "pre-skip")
SLACK = 240
NUDGE_FROM, NUDGE = 12, 8
FADE = 96
KNEE = 0.8
OPEN_AHEAD_S = 1.0
FRAME_S, LOST_FROM_S = 0.02, 0.06


@dataclass(frozen=True, slots=True)
class Run:
    """Samples that begin at `start` of the film; `follows` when they go on without a break."""

    start: int
    samples: Samples
    follows: bool


class TrackSound:
    """One track's samples, read block after block. `largest_error_s`: how far any frame lies from its capture time."""

    def __init__(self, track: FilmTrack) -> None:
        self.track = track
        self.decoded = 0
        self.largest_error_s = 0.0
        self.starts_at_s = float(track.times_s.min())
        self._runs: Iterator[Run] | None = None
        self._run: Run | None = None
        self.ended = False

    def add_to(self, block: Samples, start: int) -> None:
        """Add what this track has between `start` and the block's end."""
        end = start + len(block)
        if self._runs is None:
            self._runs = with_faded_edges(self._place(self._decode()))
        while not self.ended:
            if self._run is None:
                self._run = next(self._runs, None)
            run = self._run
            if run is None:
                self.ended = True
                return
            if run.start >= end:
                return
            first, last = max(run.start, start), min(run.start + len(run.samples), end)
            if last > first:
                block[first - start : last - start] += run.samples[first - run.start : last - run.start]
            if run.start + len(run.samples) > end:
                return
            self._run = None

    def _decode(self) -> Iterator[tuple[int, Samples]]:
        decoder = _opus_decoder()
        packets = self.track.segment.packets(self.track.index)
        for packet, captured_s in zip(packets, one_by_one(self.track.times_s), strict=False):
            samples = _decode_packet(decoder, packet.payload)
            if samples is not None:
                self.decoded += len(samples)
                yield round(captured_s * RATE) - LOOKAHEAD, samples

    def _place(self, decoded: Iterable[tuple[int, Samples]]) -> Iterator[Run]:
        """Frames that follow each other stay joined, drift being taken up a sample or two at a time; others jump."""
        cursor: int | None = None
        for target, samples in decoded:
            error = target - cursor if cursor is not None else SLACK + 1
            follows = abs(error) <= SLACK
            if follows and cursor is not None:
                start, placed = cursor, _nudged(samples, error)
                self.largest_error_s = max(self.largest_error_s, abs(error) / RATE)
            elif cursor is None or target >= cursor:
                start, placed = target, samples
            else:
                start, placed = cursor, samples[cursor - target :]
            if len(placed):
                yield Run(start, placed, follows)
                cursor = start + len(placed)


class Mixer:
    """The sound of everybody, in blocks; tracks are opened when their time comes and let go when they have ended."""

    def __init__(self, tracks: Sequence[FilmTrack]) -> None:
        self.tracks = sorted((TrackSound(one) for one in tracks if not one.is_video), key=lambda one: one.starts_at_s)
        self._coming = list(self.tracks)
        self._open: list[TrackSound] = []

    def block(self, start: int, size: int) -> Samples:
        until_s = (start + size) / RATE + OPEN_AHEAD_S
        while self._coming and self._coming[0].starts_at_s < until_s:
            self._open.append(self._coming.pop(0))
        block = np.zeros(size, np.float32)
        for track in self._open:
            track.add_to(block, start)
        self._open = [track for track in self._open if not track.ended]
        return limited(block)


def lost_spans(track: FilmTrack) -> list[Span]:
    """Where packets are missing for longer than a listener passes over. Meant silence misses no number."""
    missing = np.flatnonzero(np.diff(track.index.sequence) > 1)
    starts, ends = track.times_s[missing] + FRAME_S, track.times_s[missing + 1]
    return [Span(float(one), float(two)) for one, two in zip(starts, ends, strict=True) if two - one > LOST_FROM_S]


def limited(samples: Samples) -> Samples:
    """Below the knee untouched; above it bent softly, so that many voices at once never clip."""
    loud = np.abs(samples) > KNEE
    if loud.any():
        over = (np.abs(samples[loud]) - KNEE) / (1 - KNEE)
        samples[loud] = np.sign(samples[loud]) * (KNEE + (1 - KNEE) * np.tanh(over))
    return samples


def with_faded_edges(runs: Iterable[Run]) -> Iterator[Run]:
    """Two milliseconds of fade at the edge of every silence, so that none of them clicks."""
    waiting: Run | None = None
    for run in runs:
        if waiting is not None:
            yield waiting if run.follows else _faded(waiting, at_end=True)
        waiting = run if run.follows else _faded(run, at_end=False)
    if waiting is not None:
        yield _faded(waiting, at_end=True)


def _faded(run: Run, *, at_end: bool) -> Run:
    size = min(FADE, len(run.samples))
    samples = run.samples.copy()
    ramp = np.linspace(0.0, 1.0, size, dtype=np.float32)
    if at_end:
        samples[-size:] *= ramp[::-1]
    else:
        samples[:size] *= ramp
    return Run(run.start, samples, run.follows)


def _nudged(samples: Samples, error: int) -> Samples:
    if abs(error) <= NUDGE_FROM or len(samples) < 4 * NUDGE:
        return samples
    size = len(samples) + max(-NUDGE, min(NUDGE, error // NUDGE_FROM))
    at = np.linspace(0, len(samples) - 1, size)
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def _opus_decoder() -> av.AudioCodecContext:
    """Stereo, as RFC 7587 §7 says every Opus receiver decodes; the identification header is RFC 7845 §5.1."""
    decoder = av.CodecContext.create("opus", "r")
    decoder.extradata = b"OpusHead\x01\x02\x00\x00" + RATE.to_bytes(4, "little") + b"\x00\x00\x00"
    decoder.sample_rate = RATE
    return decoder


def _decode_packet(decoder: av.AudioCodecContext, payload: bytes) -> Samples | None:
    try:
        frames = decoder.decode(av.Packet(payload)) if payload else []
    except av.error.FFmpegError:
        return None
    parts = [_mono(np.asarray(frame.to_ndarray(), np.float32)) for frame in frames]
    return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else None


def _mono(channels: Samples) -> Samples:
    mono: Samples = np.add(channels[0], channels[-1])
    mono *= np.float32(0.5)
    return mono
