"""RTCP on the wire (RFC 3550 §6, RFC 4585, RFC 3611, REMB, transport-wide feedback).

Readers are bounded by the datagram and leave out what is malformed; what to say and when is `feedback`'s.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

SR, RR, SDES, BYE, RTPFB, PSFB, XR = 200, 201, 202, 203, 205, 206, 207
NACK, TRANSPORT_CC = 1, 15
PLI, FIR, APPLICATION = 1, 4, 15
NTP_EPOCH_S = 2_208_988_800

_U32 = struct.Struct("!I")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")


def is_rtcp(data: bytes) -> bool:
    """RFC 5761 §4, on a datagram of at least 2 bytes."""
    return 192 <= data[1] <= 223


def parts(data: bytes) -> list[tuple[int, int, int, int]]:
    """The compound's packets as (type, count or format, body from, body to); stops at the first that lies."""
    found = []
    at, size = 0, len(data)
    while at + 4 <= size:
        first, kind, words = data[at], data[at + 1], data[at + 2] << 8 | data[at + 3]
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > size:
            break
        body_end = end
        if first & 0x20:
            body_end = end - data[end - 1]
            if body_end < at + 4:
                break
        found.append((kind, first & 0x1F, at + 4, body_end))
        at = end
    return found


def sender_info(data: bytes, from_: int, to: int) -> tuple[int, int, int] | None:
    """(SSRC, NTP 64 bit, RTP time) of a sender report."""
    if to - from_ < 24:
        return None
    ssrc, ntp, timestamp, _, _ = _SENDER.unpack_from(data, from_)
    return ssrc, ntp, timestamp


def report_blocks(data: bytes, from_: int, to: int, count: int) -> list[tuple[int, int, int, int]]:
    """(SSRC, fraction lost of 256, LSR, DLSR) of a sender or receiver report whose blocks begin at `from_`."""
    blocks = []
    for at in range(from_, from_ + 24 * count, 24):
        if at + 24 > to:
            break
        ssrc, lost, _, _, lsr, dlsr = _BLOCK.unpack_from(data, at)
        blocks.append((ssrc, lost >> 24, lsr, dlsr))
    return blocks


def media_ssrc(data: bytes, from_: int, to: int) -> int | None:
    return _U32.unpack_from(data, from_ + 4)[0] if to - from_ >= 8 else None


def nack_numbers(data: bytes, from_: int, to: int) -> list[int]:
    """The 16-bit numbers a generic NACK asks for (RFC 4585 §6.2.1)."""
    numbers = []
    for at in range(from_ + 8, to - 3, 4):
        first, mask = struct.unpack_from("!HH", data, at)
        numbers.append(first)
        numbers += [(first + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1]
    return numbers


def fir_ssrcs(data: bytes, from_: int, to: int) -> list[int]:
    """RFC 5104 §4.3.1."""
    return [_U32.unpack_from(data, at)[0] for at in range(from_ + 8, to - 7, 8)]


def remb_bps(data: bytes, from_: int, to: int) -> int | None:
    if to - from_ < 16 or data[from_ + 8 : from_ + 12] != b"REMB":
        return None
    exponent = data[from_ + 13] >> 2
    mantissa = (data[from_ + 13] & 3) << 16 | data[from_ + 14] << 8 | data[from_ + 15]
    return min(mantissa << exponent, 1 << 40)


def dlrr(data: bytes, from_: int, to: int) -> list[tuple[int, int, int]]:
    """(SSRC, last RR, delay since) of an extended report's DLRR blocks (RFC 3611 §4.5)."""
    found = []
    at = from_ + 4
    while at + 4 <= to:
        kind, words = data[at], data[at + 2] << 8 | data[at + 3]
        end = at + 4 + 4 * words
        if end > to:
            break
        if kind == 5:
            found += [struct.unpack_from("!III", data, block) for block in range(at + 4, end - 11, 12)]
        at = end
    return found


def packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def receiver_report(sender: int, blocks: Sequence[bytes]) -> bytes:
    return packet(RR, len(blocks), _U32.pack(sender) + b"".join(blocks))


def block(*, ssrc: int, fraction: int, lost: int, highest: int, jitter: int, lsr: int, dlsr: int) -> bytes:
    clamped = max(-0x800000, min(0x7FFFFF, lost)) & 0xFFFFFF
    return _BLOCK.pack(ssrc, fraction << 24 | clamped, highest & 0xFFFFFFFF, jitter & 0xFFFFFFFF, lsr, dlsr)


def sender_report(ssrc: int, ntp: int, timestamp: int, *, packets: int, octets: int, cname: bytes) -> bytes:
    """A sender report with the source description that must go with it."""
    body = _SENDER.pack(ssrc, ntp, timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    return packet(SR, 0, body) + source_description(ssrc, cname)


def source_description(ssrc: int, cname: bytes) -> bytes:
    item = _U32.pack(ssrc) + bytes((1, len(cname))) + cname
    return packet(SDES, 1, item + bytes(4 - len(item) % 4))


def picture_loss(sender: int, ssrc: int) -> bytes:
    return packet(PSFB, PLI, struct.pack("!II", sender, ssrc))


def nack(sender: int, ssrc: int, numbers: Sequence[int]) -> bytes:
    """`numbers` are unwrapped and ascending."""
    body = bytearray(struct.pack("!II", sender, ssrc))
    at = 0
    while at < len(numbers):
        first, mask = numbers[at], 0
        at += 1
        while at < len(numbers) and numbers[at] - first <= 16:
            mask |= 1 << (numbers[at] - first - 1)
            at += 1
        body += struct.pack("!HH", first & 0xFFFF, mask)
    return packet(RTPFB, NACK, bytes(body))


def remb(sender: int, bitrate_bps: int, ssrcs: Sequence[int]) -> bytes:
    exponent = max(0, bitrate_bps.bit_length() - 18)
    mantissa = bitrate_bps >> exponent
    head = struct.pack("!II4sBBH", sender, 0, b"REMB", len(ssrcs), exponent << 2 | mantissa >> 16, mantissa & 0xFFFF)
    return packet(PSFB, APPLICATION, head + b"".join(map(_U32.pack, ssrcs)))


def reference_time(sender: int, ntp: int) -> bytes:
    """An extended report asking the sender for its round trip (RFC 3611 §4.4)."""
    return packet(XR, 0, struct.pack("!IBBHQ", sender, 4, 0, 2, ntp))


def transport_cc(sender: int, ssrc: int, count: int, arrivals: Sequence[tuple[int, int]]) -> bytes:
    """Transport-wide feedback on everything from the first to the last of `arrivals`.

    `arrivals`: (unwrapped number, arrival in µs), ascending by number, at least one; numbers between were not
    received. Arrivals that the format's 16-bit delta cannot reach are reported as not received.
    """
    base = arrivals[0][0]
    reference = arrivals[0][1] // 64000
    clock = reference * 64000 // 250
    statuses = bytearray(arrivals[-1][0] - base + 1)
    deltas = bytearray()
    for number, arrived in arrivals:
        delta = arrived // 250 - clock
        if 0 <= delta <= 255:
            statuses[number - base] = 1
            deltas.append(delta)
        elif -32768 <= delta <= 32767:
            statuses[number - base] = 2
            deltas += struct.pack("!h", delta)
        else:
            continue
        clock += delta
    body = struct.pack("!IIHHI", sender, ssrc, base & 0xFFFF, len(statuses), (reference & 0xFFFFFF) << 8 | count & 0xFF)
    body += b"".join(_chunks(statuses)) + deltas
    return packet(RTPFB, TRANSPORT_CC, body + bytes(-len(body) % 4))


def _chunks(statuses: bytearray) -> Iterable[bytes]:
    """Run-length chunks where a run is long, two-bit vectors elsewhere."""
    at = 0
    while at < len(statuses):
        symbol, run = statuses[at], at
        while run < len(statuses) and statuses[run] == symbol and run - at < 8191:
            run += 1
        if run - at >= 7 or run == len(statuses):
            yield struct.pack("!H", symbol << 13 | run - at)
            at = run
            continue
        vector = 0xC000
        for slot, value in enumerate(statuses[at : at + 7]):
            vector |= value << (12 - 2 * slot)
        yield struct.pack("!H", vector)
        at += 7
