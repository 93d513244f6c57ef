"""What capture and compose must know of RTP payloads: where frames begin, and how their parts join.

Nothing here decodes, and nothing raises: a payload that makes no sense is simply no frame.
"""

from __future__ import annotations

from media.rtp import is_h264_key_frame, is_vp8_key_frame, vp8_frame_at

_H264_STAP_A, _H264_FU_A = 24, 28
_START_CODE = b"\x00\x00\x00\x01"


def vp8_payload_offset(payload: bytes) -> int | None:
    """Length of the VP8 payload descriptor (RFC 7741 §4.2); None when it is cut off or nothing follows it."""
    offset = vp8_frame_at(payload)
    return offset if offset < len(payload) else None


def vp8_begins_frame(payload: bytes) -> bool:
    """The start of the first partition: S set and partition index 0."""
    return len(payload) > 0 and payload[0] & 0x17 == 0x10


def begins_key_frame(codec: str, payload: bytes) -> bool:
    """Whether this packet begins a key frame of VP8 or H.264; of any other codec none does."""
    name = codec.lower()
    return (name == "vp8" and is_vp8_key_frame(payload)) or (name == "h264" and is_h264_key_frame(payload))


def vp8_picture_id(payload: bytes) -> tuple[int, int] | None:
    """The picture id and its width in bits (7 or 15), where the descriptor carries one."""
    if len(payload) < 3 or not payload[0] & 0x80 or not payload[1] & 0x80:
        return None
    if not payload[2] & 0x80:
        return payload[2], 7
    return (int.from_bytes(payload[2:4], "big") & 0x7FFF, 15) if len(payload) > 3 else None


def h264_units(payloads: list[bytes]) -> bytes | None:
    """One access unit as an Annex B stream out of its RTP payloads (RFC 6184 §5.6–5.8); None when they don't fit."""
    stream = bytearray()
    for payload in payloads:
        kind = payload[0] & 0x1F if payload else 0
        if kind == _H264_STAP_A:
            if not _take_aggregate(payload, stream):
                return None
        elif kind == _H264_FU_A and len(payload) > 2:
            if payload[1] & 0x80:
                stream += _START_CODE + bytes(((payload[0] & 0xE0) | (payload[1] & 0x1F),))
            stream += payload[2:]
        elif 1 <= kind < _H264_STAP_A:
            stream += _START_CODE + payload
        else:
            return None
    return bytes(stream)


def _take_aggregate(payload: bytes, stream: bytearray) -> bool:
    offset = 1
    while offset + 2 <= len(payload):
        size = int.from_bytes(payload[offset : offset + 2], "big")
        unit = payload[offset + 2 : offset + 2 + size]
        if size == 0 or len(unit) < size:
            return False
        stream += _START_CODE + unit
        offset += 2 + size
    return offset == len(payload)
