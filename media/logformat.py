"""The packet log's bytes: frames of the file, and the records inside a sealed chunk (`media/README.md` is the page).

Leaves sealing to `vault.py`, writing to `logwriter.py` and all meaning of the records to `compose/`.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, BinaryIO, NamedTuple, TypeVar

MAGIC = b"BEDSIDE\x01"
VERSION = 1
SUFFIX = ".bedlog"

FRAME_LIMIT_BYTES = 4 * 1024 * 1024
RTP_HEADER_BYTES = 12
PAYLOAD_LIMIT_BYTES = 60_000

_FRAME = struct.Struct(">IBI")
FRAME_PREFIX_BYTES = _FRAME.size
_CHUNK_NUMBERS = struct.Struct(">IIQBqq")
_RECORD = struct.Struct(">BHIQ")
_PACKET_BODY = struct.Struct(">Q")
_REPORT_BODY = struct.Struct(">QI")
PACK_PACKET = struct.Struct(">BHIQQ").pack
PACKET_OVERHEAD_BYTES = 8 + RTP_HEADER_BYTES


T = TypeVar("T")


class LogDamagedError(Exception):
    """The bytes are no packet log, or a part of one that cannot be read."""


class FrameKind(IntEnum):
    HEADER = 1
    KEY = 2
    CHUNK = 3
    MARK = 4
    END = 5


class RecordKind(IntEnum):
    PACKET = 1
    TRACK = 2
    SENDER_REPORT = 3
    MARK = 4


@dataclass(frozen=True, slots=True)
class Frame:
    kind: int
    body: bytes
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class LogHeader:
    """Who wrote the log, and one moment on both clocks: UTC and the node's monotonic one, in nanoseconds.

    Two logs with the same `clock` were written under the same monotonic clock (one boot of one machine).
    """

    recording_id: str
    segment: int
    room_id: str
    node_id: str
    log_id: str
    clock: str
    utc_ns: int
    mono_ns: int


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """Opens `stream`: the chunks of one participant under one key; `wrapped` is that key under the clinic's keyset."""

    stream: int
    participant_id: str
    wrapped: str


@dataclass(frozen=True, slots=True)
class MarkRecord:
    """Something that happened to the room or to one participant, readable without a key: ids and codes only."""

    at_ns: int
    kind: str
    participant_id: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EndRecord:
    at_ns: int
    reason: str
    packets: int
    complete: bool


@dataclass(frozen=True, slots=True)
class ChunkHead:
    """The clear part of a chunk; all of it is associated data of the sealed part."""

    recording_id: str
    node_id: str
    participant_id: str
    segment: int
    stream: int
    index: int
    final: bool
    utc_ns: int
    mono_ns: int


@dataclass(frozen=True, slots=True)
class TrackRecord:
    track: int
    at_ns: int
    participant_id: str
    source: str
    kind: str
    codec: str
    payload_type: int
    clock_rate: int
    fmtp: str
    cname: str
    rid: str


class PacketRecord(NamedTuple):
    """One RTP packet: `sequence` unwrapped to 48 bits, `header` the 12 bytes of RFC 3550 §5.1 without extensions.

    A tuple, since an hour holds a million of them and each is made twice.
    """

    track: int
    arrived_ns: int
    sequence: int
    header: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class ReportRecord:
    track: int
    arrived_ns: int
    ntp: int
    rtp: int


@dataclass(frozen=True, slots=True)
class ChunkMark:
    track: int
    at_ns: int
    kind: str
    detail: dict[str, Any]


Record = TrackRecord | PacketRecord | ReportRecord | ChunkMark


# ---- frames of the file


def frame(kind: int, body: bytes) -> bytes:
    return _FRAME.pack(len(body), kind, _checksum(kind, body)) + body


def json_frame(kind: FrameKind, record: LogHeader | KeyRecord | MarkRecord | EndRecord) -> bytes:
    return frame(kind, _json(asdict(record)))


def read_frames(file: BinaryIO) -> Iterator[Frame]:
    """Every whole frame in order; ends quietly at a torn tail, and passes over a frame whose checksum is wrong.

    Raises LogDamagedError when the file is no log of this version.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise LogDamagedError("not a packet log of version 1")
    offset = len(MAGIC)
    while len(prefix := file.read(_FRAME.size)) == _FRAME.size:
        length, kind, checksum = _FRAME.unpack(prefix)
        if length > FRAME_LIMIT_BYTES or not any(prefix):  # noughts: some disks leave them where the power failed
            return
        body = file.read(length)
        if len(body) < length:
            return
        size = _FRAME.size + length
        if _checksum(kind, body) == checksum:
            yield Frame(kind=kind, body=body, offset=offset, size=size)
        offset += size


def parse_header(body: bytes) -> LogHeader:
    return _parse(LogHeader, body)


def parse_key(body: bytes) -> KeyRecord:
    return _parse(KeyRecord, body)


def parse_mark(body: bytes) -> MarkRecord:
    return _parse(MarkRecord, body)


def parse_end(body: bytes) -> EndRecord:
    return _parse(EndRecord, body)


# ---- the clear head of a chunk


def pack_chunk_head(head: ChunkHead) -> bytes:
    numbers = _CHUNK_NUMBERS.pack(head.segment, head.stream, head.index, head.final, head.utc_ns, head.mono_ns)
    names = b"".join(_short(text) for text in (head.recording_id, head.node_id, head.participant_id))
    return numbers + names


def split_chunk(body: bytes) -> tuple[ChunkHead, bytes, bytes]:
    """The head, its exact bytes (the associated data) and the sealed rest; raises LogDamagedError."""
    try:
        segment, stream, index, final, utc_ns, mono_ns = _CHUNK_NUMBERS.unpack_from(body)
        end = _CHUNK_NUMBERS.size
        names = []
        for _ in range(3):
            length = body[end]
            names.append(body[end + 1 : end + 1 + length].decode("ascii"))
            end += 1 + length
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise LogDamagedError("a chunk's head cannot be read") from error
    head = ChunkHead(
        recording_id=names[0],
        node_id=names[1],
        participant_id=names[2],
        segment=segment,
        stream=stream,
        index=index,
        final=bool(final),
        utc_ns=utc_ns,
        mono_ns=mono_ns,
    )
    return head, body[:end], body[end:]


# ---- records inside a chunk


def pack_packet(packet: PacketRecord) -> bytes:
    """As `CaptureSession.packet` frames it in place."""
    size = PACKET_OVERHEAD_BYTES + len(packet.payload)
    numbers = PACK_PACKET(RecordKind.PACKET, size, packet.track, packet.arrived_ns, packet.sequence)
    return numbers + packet.header + packet.payload


def pack_track(track: TrackRecord) -> bytes:
    fields = asdict(track)
    del fields["track"], fields["at_ns"]
    return _record(RecordKind.TRACK, track.track, track.at_ns, _json(fields))


def pack_report(report: ReportRecord) -> bytes:
    body = _REPORT_BODY.pack(report.ntp, report.rtp)
    return _record(RecordKind.SENDER_REPORT, report.track, report.arrived_ns, body)


def pack_mark(mark: ChunkMark) -> bytes:
    return _record(RecordKind.MARK, mark.track, mark.at_ns, _json({"kind": mark.kind, "detail": mark.detail}))


def read_records(plain: bytes, *, only_track: int | None = None) -> Iterator[Record]:
    """The records of an opened chunk in arrival order; raises LogDamagedError on bytes our writer cannot have made."""
    offset, end = 0, len(plain)
    while offset < end:
        try:
            kind, size, track, at_ns = _RECORD.unpack_from(plain, offset)
        except struct.error as error:
            raise LogDamagedError("a record is cut off") from error
        offset += _RECORD.size
        if offset + size > end:
            raise LogDamagedError("a record is cut off")
        body = plain[offset : offset + size] if only_track is None or only_track == track else None
        offset += size
        if body is None:
            continue
        yield _read_record(kind, track, at_ns, body)


def _read_record(kind: int, track: int, at_ns: int, body: bytes) -> Record:
    if kind == RecordKind.PACKET and len(body) >= PACKET_OVERHEAD_BYTES:
        (sequence,) = _PACKET_BODY.unpack_from(body)
        return PacketRecord(track, at_ns, sequence, body[8:PACKET_OVERHEAD_BYTES], body[PACKET_OVERHEAD_BYTES:])
    if kind == RecordKind.SENDER_REPORT and len(body) == _REPORT_BODY.size:
        ntp, rtp = _REPORT_BODY.unpack(body)
        return ReportRecord(track, at_ns, ntp, rtp)
    if kind == RecordKind.TRACK:
        return _parse(TrackRecord, body, track=track, at_ns=at_ns)
    if kind == RecordKind.MARK:
        return _parse(ChunkMark, body, track=track, at_ns=at_ns)
    raise LogDamagedError("a record of unknown kind or length")


# ---- small parts


def _checksum(kind: int, body: bytes) -> int:
    return zlib.crc32(body, kind)


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _short(text: str) -> bytes:
    encoded = text.encode("ascii")
    return bytes((len(encoded),)) + encoded


def _record(kind: RecordKind, track: int, at_ns: int, body: bytes) -> bytes:
    return _RECORD.pack(kind, len(body), track, at_ns) + body


def _parse(into: type[T], body: bytes, **more: Any) -> T:
    try:
        return into(**json.loads(body), **more)
    except (ValueError, TypeError) as error:
        raise LogDamagedError(f"a {into.__name__} cannot be read") from error
