"""Decodes video tracks as the film goes by, and says which picture of a person's camera or screen shows at a moment.

Where it is painted is `canvas.py`'s; which frames can be decoded at all is found in `frames.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import av
import av.error
import numpy as np

from media.compose.frames import EncodedFrame, assemble
from media.compose.reader import one_by_one
from media.compose.timeline import FilmTrack, Span

EDGE_S = 0.02
HOLE_S = 1.0
BEHIND_S = 0.25
"""A layer whose picture is that much older than another's has lost its way or was turned off: the other one shows."""
BLANK_LUMA = 18
LARGEST_PIXELS = 4096 * 2304  # a key frame may claim 16383 × 16383, hundreds of megabytes each


@dataclass(frozen=True, slots=True)
class Picture:
    """`is_blank`: all black, as browsers send for a camera that is switched off; a covered lens still has noise."""

    captured_s: float
    frame: av.VideoFrame
    is_blank: bool


class TrackPictures:
    """One track's pictures in order. Opened at its first moment, so that a hundred rejoins hold no hundred decoders."""

    def __init__(self, track: FilmTrack) -> None:
        self.track = track
        self.holes: list[Span] = []
        self._captured_s: float | None = None
        self._pictures: Iterator[Picture] | None = None
        self._current: Picture | None = None
        self._next: Picture | None = None
        self._ended = False

    def at(self, at_s: float) -> Picture | None:
        """The newest picture not after this moment; None while the track sends nothing. Moments only ever rise."""
        span = next((one for one in self.track.active if one.start_s - EDGE_S <= at_s < one.end_s), None)
        if span is None:
            return None
        self._advance(at_s)
        current = self._current
        if current is not None and current.is_blank and self.track.source == "camera":
            return None
        return current if current is not None and current.captured_s >= span.start_s - EDGE_S else None

    def _advance(self, at_s: float) -> None:
        if self._pictures is None:
            self._pictures = self._decode()
        while not self._ended:
            if self._next is None:
                self._next = next(self._pictures, None)
                self._ended = self._next is None
            if self._next is None or self._next.captured_s > at_s:
                return
            self._current, self._next = self._next, None

    def _decode(self) -> Iterator[Picture]:
        index = self.track.index
        packets = zip(self.track.segment.packets(index), one_by_one(self.track.times_s), strict=False)
        codec = index.record.codec.lower()
        decoder = _decoder(codec)
        times: dict[int, float] = {}
        for number, frame in enumerate(assemble(codec, packets)):
            times[number] = frame.captured_s
            yield from self._pictures_of(decoder, _packet(frame, number), times)
        yield from self._pictures_of(decoder, None, times)

    def _pictures_of(
        self, decoder: av.VideoCodecContext, packet: av.Packet[Any] | None, times: dict[int, float]
    ) -> Iterator[Picture]:
        try:
            frames = decoder.decode(packet)
        except av.error.FFmpegError:
            return
        for frame in frames:
            captured_s = times.pop(frame.pts, None) if frame.pts is not None else None
            if captured_s is not None and not frame.is_corrupt:
                self._note_hole(captured_s)
                yield Picture(captured_s, frame, _is_blank(frame))

    def _note_hole(self, captured_s: float) -> None:
        """A second and more without a picture while the track was sending: a loss that only a key frame ended."""
        span = next((one for one in self.track.active if one.start_s <= captured_s < one.end_s), None)
        if span is not None:
            since = max(span.start_s, self._captured_s if self._captured_s is not None else span.start_s)
            if captured_s - since > HOLE_S:
                self.holes.append(Span(since, captured_s))
        self._captured_s = captured_s


class SourcePictures:
    """What one person's camera (or screen) shows: over rejoins and segments, the best layer that keeps up."""

    def __init__(self, tracks: Sequence[TrackPictures]) -> None:
        self.tracks = tracks

    def at(self, at_s: float) -> Picture | None:
        shown = [picture for track in self.tracks if (picture := track.at(at_s)) is not None]
        newest_s = max((one.captured_s for one in shown), default=0.0)
        shown = [one for one in shown if one.captured_s >= newest_s - BEHIND_S]
        return max(shown, key=lambda one: (one.frame.width * one.frame.height, one.captured_s), default=None)


def open_pictures(tracks: Sequence[FilmTrack]) -> dict[tuple[str, str], SourcePictures]:
    """By participant and source, for every video track."""
    sources: dict[tuple[str, str], list[TrackPictures]] = {}
    for track in tracks:
        if track.is_video:
            sources.setdefault((track.participant_id, track.source), []).append(TrackPictures(track))
    return {key: SourcePictures(value) for key, value in sources.items()}


def _is_blank(frame: av.VideoFrame) -> bool:
    plane = frame.planes[0]
    data = memoryview(plane)
    if data[frame.height // 2 * plane.line_size + frame.width // 2] > BLANK_LUMA:
        return False  # as nearly always: one point is enough to know
    luma = np.frombuffer(data, np.uint8).reshape(-1, plane.line_size)
    return int(luma[: frame.height : 8, : frame.width : 8].max()) <= BLANK_LUMA


def _decoder(codec: str) -> av.VideoCodecContext:
    decoder = cast(av.VideoCodecContext, av.CodecContext.create(codec, "r"))
    decoder.thread_type = "AUTO"
    decoder.options = {"max_pixels": str(LARGEST_PIXELS)}
    return decoder


def _packet(frame: EncodedFrame, number: int) -> av.Packet[Any]:
    packet: av.Packet[Any] = av.Packet(frame.data)
    packet.pts = packet.dts = number
    return packet
