"""RTP on the wire (RFC 3550 §5, RFC 8285): reading what came, writing what goes, telling a key frame.

Readers answer None for what is no RTP and never raise; numbering and forwarding are the subscriber's work.
"""

from __future__ import annotations

from struct import Struct

HEADER = Struct("!BBHII")
HEADER_BYTES = 12
LONGEST_IN = 1500
# pylibsrtp refuses more than 1,356 bytes; 1,340 leaves a little for the future.
LONGEST_TO_PROTECT = 1340
PADDING_BYTES = 255

# The node's own extension block, the same in every section of every down offer.
AUDIO_LEVEL_ID = 1
ABS_SEND_TIME_ID = 2
ONE_BYTE = 0xBEDE
VIDEO_HEADER = Struct("!BBHIIHHI")
_AUDIO_HEADER = Struct("!BBHIIHHIHH")
STAMP = ABS_SEND_TIME_ID << 28 | 2 << 24
_LEVEL = AUDIO_LEVEL_ID << 12


def layout(data: bytes) -> tuple[int, int, int, int] | None:
    """(extensions from, to, payload from, to) with padding left out; None when the lengths contradict each other."""
    size = len(data)
    if size < HEADER_BYTES or data[0] >> 6 != 2:
        return None
    first = data[0]
    at = HEADER_BYTES + 4 * (first & 0x0F)
    from_, to = at, at
    if first & 0x10:
        if at + 4 > size:
            return None
        from_ = at + 4
        to = at = from_ + 4 * (data[at + 2] << 8 | data[at + 3])
    end = size
    if first & 0x20:
        if data[-1] == 0:
            return None
        end = size - data[-1]
    return None if at > end else (from_, to, at, end)


def elements(data: bytes, from_: int, to: int) -> list[tuple[int, int, int]]:
    """Header extension elements as (id, value from, value to); what runs over the block's end is left out."""
    found: list[tuple[int, int, int]] = []
    if to - from_ < 2:
        return found
    profile = data[from_ - 4] << 8 | data[from_ - 3]
    long_form = profile & 0xFFF0 == 0x1000
    if not long_form and profile != ONE_BYTE:
        return found
    at = from_
    while at < to:
        head = data[at]
        if head == 0:
            at += 1
            continue
        if long_form:
            if at + 2 > to:
                break
            name, value, end = head, at + 2, at + 2 + data[at + 1]
        else:
            name, value, end = head >> 4, at + 1, at + 2 + (head & 0x0F)
            if name == 15:
                break
        if end > to:
            break
        found.append((name, value, end))
        at = end
    return found


NO_MARK = -1


def marks(data: bytes, from_: int, to: int, wide_name: int, level_name: int) -> tuple[int, int]:
    """(transport-wide number, audio level) of an extension block, NO_MARK for what isn't there.

    What the packet path needs of every packet, read in place; `elements` reads everything.
    """
    wide = level = NO_MARK
    if data[from_ - 4] != ONE_BYTE >> 8:
        for name, at, end in elements(data, from_, to):
            if name == wide_name and end - at == 2:
                wide = data[at] << 8 | data[at + 1]
            elif name == level_name and end > at:
                level = data[at]
        return wide, level
    at = from_
    while at < to:
        head = data[at]
        if head == 0:
            at += 1
            continue
        end = at + 2 + (head & 0x0F)
        name = head >> 4
        if end > to or name == 15:
            break
        if name == wide_name:
            if end - at == 3:
                wide = data[at + 1] << 8 | data[at + 2]
        elif name == level_name:
            level = data[at + 1]
        at = end
    return wide, level


def unwrap(highest: int, sequence: int) -> int:
    """The unwrapped number nearest to `highest` whose low 16 bits are `sequence`."""
    return highest + ((sequence - highest + 0x8000) & 0xFFFF) - 0x8000


def abs_send_time(now_s: float) -> int:
    """24 bits, 6.18 fixed point seconds."""
    return int(now_s * 262144) & 0xFFFFFF


def write_video(payload_type: int, sequence: int, timestamp: int, ssrc: int, stamp: int) -> bytes:
    """Header and extension block; `payload_type` carries the marker in its top bit."""
    return VIDEO_HEADER.pack(
        0x90, payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, ONE_BYTE, 1, STAMP | stamp
    )


def write_padding(payload_type: int, sequence: int, timestamp: int, ssrc: int, stamp: int) -> bytes:
    """A packet of nothing but padding (RFC 3550 §5.1), as much as one may hold."""
    header = write_video(payload_type, sequence, timestamp, ssrc, stamp)
    return bytes((header[0] | 0x20,)) + header[1:] + bytes(PADDING_BYTES - 1) + bytes((PADDING_BYTES,))


def write_audio(payload_type: int, sequence: int, timestamp: int, ssrc: int, stamp: int, *, level: int) -> bytes:
    return _AUDIO_HEADER.pack(
        0x90,
        payload_type,
        sequence & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        ssrc,
        ONE_BYTE,
        2,
        STAMP | stamp,
        _LEVEL | level,
        0,
    )


def is_vp8_key_frame(payload: bytes) -> bool:
    """Whether this packet begins a key frame (RFC 7741 §4.2, §4.3)."""
    if not payload or payload[0] & 0x17 != 0x10:
        return False
    at = vp8_frame_at(payload)
    return at < len(payload) and not payload[at] & 1


def vp8_frame_at(payload: bytes) -> int:
    """Where the payload descriptor ends; may be past the payload's end."""
    if not payload or not payload[0] & 0x80:
        return 1
    if len(payload) < 2:
        return 2
    flags = payload[1]
    at = 2
    if flags & 0x80:
        at += 2 if at < len(payload) and payload[at] & 0x80 else 1
    if flags & 0x40:
        at += 1
    if flags & 0x30:
        at += 1
    return at


def vp8_numbers(payload: bytes) -> tuple[int, int]:
    """(picture id, TL0PICIDX), each -1 when absent."""
    if len(payload) < 4 or not payload[0] & 0x80:
        return -1, -1
    flags = payload[1]
    at, picture, base = 2, -1, -1
    if flags & 0x80:
        if payload[at] & 0x80:
            picture = (payload[at] & 0x7F) << 8 | payload[at + 1]
            at += 2
        else:
            picture = payload[at]
            at += 1
    if flags & 0x40 and at < len(payload):
        base = payload[at]
    return picture, base


def vp8_renumber(payload: bytes, picture_offset: int, base_offset: int) -> bytes:
    """The payload with picture id and TL0PICIDX moved; their widths stay."""
    picture, base = vp8_numbers(payload)
    out = bytearray(payload)
    at = 2
    if picture >= 0:
        if payload[at] & 0x80:
            moved = (picture + picture_offset) & 0x7FFF
            out[at] = 0x80 | moved >> 8
            out[at + 1] = moved & 0xFF
            at += 2
        else:
            out[at] = (picture + picture_offset) & 0x7F
            at += 1
    if base >= 0:
        out[at] = (base + base_offset) & 0xFF
    return bytes(out)


def is_h264_key_frame(payload: bytes) -> bool:
    """Whether this packet carries an SPS or begins an IDR slice (RFC 6184 §5)."""
    if len(payload) < 2:
        return False
    kind = payload[0] & 0x1F
    if kind == 28:
        return bool(payload[1] & 0x80) and payload[1] & 0x1F in (5, 7)
    if kind != 24:
        return kind in (5, 7)
    at = 1
    while at + 3 <= len(payload):
        if payload[at + 2] & 0x1F in (5, 7):
            return True
        at += 2 + (payload[at] << 8 | payload[at + 1])
    return False
