"""Reads one segment's packet log: a first pass that indexes, then each track's packets in their order, streamed.

What the times mean is found in `clocks.py` and `timeline.py`; a key is asked for through `unwrap`, never kept.
"""

from __future__ import annotations

import base64
import contextlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from media.logformat import (
    FRAME_PREFIX_BYTES,
    EndRecord,
    Frame,
    FrameKind,
    KeyRecord,
    LogDamagedError,
    LogHeader,
    MarkRecord,
    PacketRecord,
    Record,
    ReportRecord,
    TrackRecord,
    parse_end,
    parse_header,
    parse_key,
    parse_mark,
    read_frames,
    read_records,
    split_chunk,
)
from media.vault import ChunkOpener, SealBrokenError

CODECS = {"video": ("vp8", "h264"), "audio": ("opus",)}
AT_ONCE = 4096
MARK_SLACK_NS = 2 * 3600 * 10**9  # a pause may be long, and seals nothing

Unwrap = Callable[[str, bytes], bytes]
Int64s = npt.NDArray[np.int64]


@dataclass(slots=True)
class _Stream:
    key: KeyRecord
    data_key: bytes
    places: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class TrackIndex:
    """A track's packets in sequence order, each once: when they arrived (ns) and their 32-bit RTP timestamps."""

    record: TrackRecord
    stream: int
    sequence: Int64s
    arrived_ns: Int64s
    rtp: Int64s
    reports: list[ReportRecord]


@dataclass(slots=True)
class _Gathering:
    record: TrackRecord
    stream: int
    sequence: array[int] = field(default_factory=lambda: array("q"))
    arrived_ns: array[int] = field(default_factory=lambda: array("q"))
    rtp: array[int] = field(default_factory=lambda: array("q"))
    reports: list[ReportRecord] = field(default_factory=list)

    def index(self) -> TrackIndex:
        sequence, first = np.unique(np.frombuffer(self.sequence, np.int64), return_index=True)
        arrived = np.frombuffer(self.arrived_ns, np.int64)[first]
        rtp = np.frombuffer(self.rtp, np.int64)[first]
        return TrackIndex(self.record, self.stream, sequence, arrived, rtp, self.reports)


class SegmentLog:
    """One log, indexed. `problems` are codes of what was refused; `last_ns` the latest moment anything in it names."""

    def __init__(self, path: Path, unwrap: Unwrap) -> None:
        self._path = path
        self._unwrap = unwrap
        self._streams: dict[int, _Stream] = {}
        self._gathering: dict[tuple[int, int], _Gathering] = {}
        self._ignored: set[tuple[int, int]] = set()
        self.header = self._read_first()
        self.marks: list[MarkRecord] = []
        self.end: EndRecord | None = None
        self.problems: set[str] = set()
        self.sealed_away: set[str] = set()
        self.participants: list[str] = []
        self.anchor = (self.header.utc_ns, self.header.mono_ns)
        self.last_ns = 0
        self._sealed_ns: list[int] = []
        self._scan()
        self._settle_moments()
        self.tracks = [one.index() for one in self._gathering.values()]
        self._gathering.clear()

    def packets(self, track: TrackIndex) -> Iterator[PacketRecord]:
        """The track's packets in sequence order, each once; holds back no more than what came out of order."""
        held: dict[int, PacketRecord] = {}
        expected = one_by_one(track.sequence)
        wanted = next(expected, None)
        for plain in self._plain_chunks(track.stream):
            for record in _readable(plain, track.record.track):
                if not isinstance(record, PacketRecord) or wanted is None or record.sequence < wanted:
                    continue
                held.setdefault(record.sequence, record)
                while wanted in held:
                    yield held.pop(wanted)
                    wanted = next(expected, None)

    # ---- inside

    def _read_first(self) -> LogHeader:
        with self._path.open("rb") as file:
            first = next(read_frames(file), None)
        if first is None or first.kind != FrameKind.HEADER:
            raise LogDamagedError("a log begins with its header")
        return parse_header(first.body)

    def _scan(self) -> None:
        openers: dict[int, ChunkOpener] = {}
        with self._path.open("rb") as file:
            for part in read_frames(file):
                self._scan_frame(part, openers)
        complete = self.end is not None and self.end.complete
        if any(opener.missing or (complete and not opener.finished) for opener in openers.values()):
            self.problems.add("chunks_missing")

    def _scan_frame(self, part: Frame, openers: dict[int, ChunkOpener]) -> None:
        if part.kind == FrameKind.KEY:
            self._take_key(parse_key(part.body), openers)
        elif part.kind == FrameKind.CHUNK:
            self._scan_chunk(part, openers)
        elif part.kind == FrameKind.MARK:
            self.marks.append(parse_mark(part.body))
        elif part.kind == FrameKind.END:
            self.end = parse_end(part.body)

    def _take_key(self, key: KeyRecord, openers: dict[int, ChunkOpener]) -> None:
        if key.participant_id not in self.participants:
            self.participants.append(key.participant_id)
        try:
            data_key = self._unwrap(key.participant_id, base64.b64decode(key.wrapped))
        except LookupError:
            self.sealed_away.add(key.participant_id)
            return
        self._streams[key.stream] = _Stream(key, data_key)
        openers[key.stream] = self._opener(key, data_key)

    def _opener(self, key: KeyRecord, data_key: bytes) -> ChunkOpener:
        return ChunkOpener(
            data_key, header=self.header, participant_id=key.participant_id, stream=key.stream, lenient=True
        )

    def _scan_chunk(self, part: Frame, openers: dict[int, ChunkOpener]) -> None:
        head, _, _ = split_chunk(part.body)
        opener = openers.get(head.stream)
        if opener is None:
            if head.participant_id not in self.sealed_away:
                self.problems.add("chunk_refused")
            return
        try:
            plain = opener.open(part.body)
        except SealBrokenError:
            self.problems.add("chunk_refused")
            return
        if not self._sealed_ns:
            self.anchor = (head.utc_ns, head.mono_ns)
        self._sealed_ns.append(head.mono_ns)
        self._streams[head.stream].places.append((part.offset, part.size))
        try:
            self._index(head.stream, plain)
        except LogDamagedError:
            self.problems.add("record_unreadable")

    def _settle_moments(self) -> None:
        """Marks stand in clear: none may name a moment far from those that are sealed."""
        arrivals = [one for track in self._gathering.values() if (one := track.arrived_ns)]
        sealed = [*self._sealed_ns, *(min(one) for one in arrivals), *(max(one) for one in arrivals)]
        self._sealed_ns = []
        if not sealed:
            return
        first, last = min(sealed) - MARK_SLACK_NS, max(sealed) + MARK_SLACK_NS
        if any(not first <= mark.at_ns <= last for mark in self.marks if mark.kind != "removed"):
            self.problems.add("mark_implausible")
        self.marks = [replace(mark, at_ns=min(max(mark.at_ns, first), last)) for mark in self.marks]
        told = [max(one) for one in arrivals] + [mark.at_ns for mark in self.marks if mark.kind != "removed"]
        self.last_ns = max(told)

    def _index(self, stream: int, plain: bytes) -> None:
        """Each record is checked: its track was declared in this very stream, by this stream's participant."""
        owner = self._streams[stream].key.participant_id
        for record in read_records(plain):
            gathering = self._gathering.get((stream, record.track))
            if isinstance(record, TrackRecord):
                if record.participant_id != owner:
                    self.problems.add("foreign_record")
                elif record.codec.lower() not in CODECS.get(record.kind, ()) or record.clock_rate <= 0:
                    self.problems.add("codec_unsupported")
                    self._ignored.add((stream, record.track))
                elif gathering is None:
                    self._gathering[stream, record.track] = _Gathering(record, stream)
            elif gathering is None:
                if (stream, record.track) not in self._ignored:
                    self.problems.add("foreign_record")
            elif isinstance(record, PacketRecord):
                gathering.sequence.append(record.sequence)
                gathering.arrived_ns.append(record.arrived_ns)
                gathering.rtp.append(int.from_bytes(record.header[4:8], "big"))
            elif isinstance(record, ReportRecord):
                gathering.reports.append(record)

    def _plain_chunks(self, number: int) -> Iterator[bytes]:
        """Those chunks that opened the first time, opened again."""
        stream = self._streams[number]
        opener = self._opener(stream.key, stream.data_key)
        with self._path.open("rb") as file:
            for offset, size in stream.places:
                file.seek(offset)
                body = file.read(size)[FRAME_PREFIX_BYTES:]
                yield opener.open(body)


def one_by_one(values: npt.NDArray[Any]) -> Iterator[Any]:
    """The numbers of an array as Python's own, a few at a time: an hour holds more than a million of them."""
    for start in range(0, len(values), AT_ONCE):
        yield from values[start : start + AT_ONCE].tolist()


def _readable(plain: bytes, track: int) -> Iterator[Record]:
    """A chunk's records up to one that cannot be read: the first pass has told of that."""
    with contextlib.suppress(LogDamagedError):
        yield from read_records(plain, only_track=track)
