"""Copies every track of a recording into one Matroska file as it was sent: nothing decoded, mixed or lost.

For whoever needs the originals; what people watch is `film.py`'s. Times are the film's.
"""

from __future__ import annotations

import heapq
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter
from pathlib import Path
from typing import Any

import av

from media.compose.frames import assemble
from media.compose.reader import SegmentLog, Unwrap, one_by_one
from media.compose.report import CancelledError
from media.compose.sound import RATE
from media.compose.timeline import FilmTrack, build_timeline

MILLISECOND = Fraction(1, 1000)
ASK_EVERY_PACKETS = 500
LEAST_SIDE = 16


@dataclass(slots=True)
class _Piece:
    """One packet of the file."""

    at_ms: int
    stream: int
    data: bytes
    is_key: bool


def remux_tracks(
    logs: Sequence[Path],
    output: Path,
    *,
    unwrap: Unwrap,
    names: Mapping[str, str] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Writes the file, whole or not at all, and answers how many tracks it holds; none makes no file.

    Raises LogDamagedError for a file that is no log, CancelledError when told to stop.
    """
    timeline = build_timeline([SegmentLog(path, unwrap) for path in logs])
    sources = [_Source(track) for track in timeline.tracks] if timeline is not None else []
    sources = [one for one in sources if one.first is not None]
    if not sources:
        return 0
    part = output.with_name(output.name + ".part")
    try:
        with av.open(str(part), "w", format="matroska") as container:
            streams = [one.add_to(container, names or {}) for one in sources]
            merged = heapq.merge(*(one.pieces(n) for n, one in enumerate(sources)), key=attrgetter("at_ms"))
            for count, piece in enumerate(merged):
                if count % ASK_EVERY_PACKETS == 0 and cancelled():
                    raise CancelledError
                container.mux(_packet(piece, streams[piece.stream]))
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    return len(sources)


class _Source:
    """One track: its packets in order, and what the file has to be told of it beforehand."""

    def __init__(self, track: FilmTrack) -> None:
        self._track = track
        self._coming = self._read()
        self.first = next(self._coming, None)

    def add_to(self, container: av.container.OutputContainer, names: Mapping[str, str]) -> Any:
        record = self._track.index.record
        codec = record.codec.lower()
        first = self.first.data if self.first is not None else b""
        stream: Any
        if codec == "h264":
            # The muxer needs the parameter sets, which only ffmpeg's own reader of the byte stream hands on.
            with av.open(io.BytesIO(first), format="h264") as template:
                stream = container.add_stream_from_template(template.streams.video[0])
        elif codec == "vp8":
            width, height = _vp8_size(first)
            stream = container.add_mux_stream(codec, rate=30, width=width, height=height)
        else:
            # Never encodes: it only knows how an Opus stream's head is written (RFC 7845 §5.1).
            stream = container.add_stream("libopus", rate=RATE, layout="stereo")
        stream.time_base = MILLISECOND
        stream.metadata["title"] = (
            f"{names.get(self._track.participant_id, self._track.participant_id)} {record.source}"
        )
        return stream

    def pieces(self, number: int) -> Iterator[_Piece]:
        """In order; a step back of the clock is closed, since a file goes one way."""
        latest = 0
        for piece in _chained(self.first, self._coming):
            latest = max(latest, piece.at_ms)
            yield _Piece(latest, number, piece.data, piece.is_key)

    def _read(self) -> Iterator[_Piece]:
        index = self._track.index
        packets = zip(self._track.segment.packets(index), one_by_one(self._track.times_s), strict=False)
        if self._track.is_video:
            for frame in assemble(index.record.codec, packets):
                yield _Piece(max(0, round(frame.captured_s * 1000)), 0, frame.data, frame.is_key)
        else:
            for packet, captured_s in packets:
                if packet.payload:
                    yield _Piece(max(0, round(captured_s * 1000)), 0, packet.payload, True)


def _chained(first: _Piece | None, rest: Iterable[_Piece]) -> Iterator[_Piece]:
    if first is not None:
        yield first
    yield from rest


def _packet(piece: _Piece, stream: Any) -> av.Packet[Any]:
    packet: av.Packet[Any] = av.Packet(piece.data)
    packet.stream, packet.time_base = stream, MILLISECOND
    packet.pts = packet.dts = piece.at_ms
    packet.is_keyframe = piece.is_key
    return packet


def _vp8_size(key_frame: bytes) -> tuple[int, int]:
    """As the key frame's head says (RFC 6386 §9.1); players follow later changes by themselves."""
    if len(key_frame) < 10 or key_frame[3:6] != b"\x9d\x01\x2a":
        return LEAST_SIDE, LEAST_SIDE
    wide, high = (int.from_bytes(key_frame[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return max(LEAST_SIDE, wide), max(LEAST_SIDE, high)
