"""Puts a video track's packets together to whole frames, ready for a decoder, and knows which of them can be decoded.

Nothing is decoded here; a frame with a part missing is left out, and those behind it up to the next key frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from media.logformat import PacketRecord
from media.payload import begins_key_frame, h264_units, vp8_begins_frame, vp8_payload_offset, vp8_picture_id


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    captured_s: float
    data: bytes
    is_key: bool


@dataclass(slots=True)
class _Assembly:
    """The packets of one timestamp, in order."""

    rtp: int
    captured_s: float
    first: int
    last: int
    payloads: list[bytes] = field(default_factory=list)
    whole: bool = True
    marker: bool = False


def assemble(codec: str, packets: Iterable[tuple[PacketRecord, float]]) -> Iterator[EncodedFrame]:
    """Decodable frames in order, from packets in sequence order with their capture times."""
    broken, previous = True, None
    for one in _by_timestamp(packets):
        is_key = any(begins_key_frame(codec, payload) for payload in one.payloads[:3])
        if previous is None or not _follows(codec, previous, one):
            broken = True
        previous = one
        data = _join(codec, one) if one.whole and one.marker else None
        if data is None:
            broken = True
        elif is_key or not broken:
            broken = False
            yield EncodedFrame(one.captured_s, data, is_key)


def _by_timestamp(packets: Iterable[tuple[PacketRecord, float]]) -> Iterator[_Assembly]:
    current: _Assembly | None = None
    for packet, captured_s in packets:
        rtp = int.from_bytes(packet.header[4:8], "big")
        if current is None or rtp != current.rtp:
            if current is not None:
                yield current
            current = _Assembly(rtp, captured_s, packet.sequence, packet.sequence - 1)
        current.whole = current.whole and packet.sequence == current.last + 1
        current.last = packet.sequence
        current.payloads.append(packet.payload)
        current.marker = current.marker or bool(packet.header[1] & 0x80)
    if current is not None:
        yield current


def _follows(codec: str, previous: _Assembly, one: _Assembly) -> bool:
    """Nothing lies between: the numbers go on, or the picture ids do (left-out padding makes holes in the numbers)."""
    if one.first == previous.last + 1:
        return True
    if codec.lower() != "vp8":
        return False
    before, now = vp8_picture_id(previous.payloads[0]), vp8_picture_id(one.payloads[0])
    if before is None or now is None or before[1] != now[1]:
        return False
    return (before[0] + 1) % (1 << now[1]) == now[0]


def _join(codec: str, one: _Assembly) -> bytes | None:
    if codec.lower() == "h264":
        return h264_units(one.payloads)
    if not vp8_begins_frame(one.payloads[0]):
        return None
    parts = []
    for payload in one.payloads:
        offset = vp8_payload_offset(payload)
        if offset is None:
            return None
        parts.append(payload[offset:])
    return b"".join(parts)
