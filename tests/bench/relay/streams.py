"""What the load sends and how it counts what arrives: RTP, RTX, SR, RR, REMB, NACK and PLI as Chromium sends them.

Pictures are never decoded. Numbers are read in the clear; a few packets are unprotected to learn by how much the
server moved them, so that a packet's way can be timed from one end of the process to the other.
"""

from __future__ import annotations

import random
import secrets
import struct
import time
from array import array
from collections import OrderedDict, deque

from media import rtcp
from media.feedback import NackList
from media.rtp import abs_send_time, layout, unwrap
from tests.bench.relay.describe import AUDIO, LEVEL, MID, REPAIR, SEND_TIME, VIDEO, WIDE, Answered, Ssrcs
from tests.bench.relay.leg import Leg
from tests.bench.relay.loops import DESCRIPTOR_BYTES, FRAME_RATE, Loop

HISTORY = 1024
NUMBERS = 1 << 16
LEARN_AMONG = 400
ESTIMATE_BPS = 4_000_000
DELAYS_MAX = 200_000
NTP_EPOCH_NS = 2_208_988_800 * 1_000_000_000
_RTP = struct.Struct("!BBHII")


def ntp_now() -> int:
    return ((time.time_ns() + NTP_EPOCH_NS) << 32) // 1_000_000_000


class Outgoing:
    """One stream of a publisher: its numbers, when each packet left, and what is kept for repairs."""

    def __init__(self, kind: str, ssrc: int, payload_type: int, clock_rate: int) -> None:
        self.kind, self.ssrc, self.payload_type, self.clock_rate = kind, ssrc, payload_type, clock_rate
        self.sequence = secrets.randbelow(1 << 14)
        self.timestamp = secrets.randbits(32)
        self.left_ns = array("q", [0]) * NUMBERS
        self.packets = self.octets = 0
        self.kept: OrderedDict[int, tuple[int, int, bytes]] = OrderedDict()
        self.recent: deque[tuple[bytes, int]] = deque(maxlen=LEARN_AMONG)


class Publisher:
    """Sends one picture and one voice until told to stop; `lose` is the share of packets dropped on their way up."""

    def __init__(self, leg: Leg, ssrcs: Ssrcs, told: Answered, loop: Loop, lose: float) -> None:
        self.leg, self.told, self.loop, self.lose = leg, told, loop, lose
        self.audio = Outgoing("audio", ssrcs.audio, AUDIO, 48_000)
        self.video = Outgoing("video", ssrcs.video, VIDEO, 90_000)
        self.feedbacks = self.plis = self.nacked = self.repaired = self.sent = self.dropped = 0
        self._by_ssrc = {stream.ssrc: stream for stream in (self.audio, self.video)}
        self._repair_ssrc, self._repair_sequence = ssrcs.repair, secrets.randbelow(1 << 14)
        self._wide = secrets.randbelow(1 << 16)
        self._frame = self._sound = self._picture = 0
        self._wants_key = True

    def send_frame(self) -> None:
        if self._wants_key or self._frame >= len(self.loop.frames):
            self._frame, self._wants_key = 0, False
        parts = self.loop.frames[self._frame]
        self._frame += 1
        self._picture = (self._picture + 1) & 0x7FFF
        self.video.timestamp = (self.video.timestamp + 90_000 // FRAME_RATE) & 0xFFFFFFFF
        tail = (0x8000 | self._picture).to_bytes(2, "big")
        last = len(parts) - 1
        for place, part in enumerate(parts):
            head = (b"\x90\x80" if place == 0 else b"\x80\x80") + tail
            self._send(self.video, head + part, place == last)

    def send_sound(self) -> None:
        sound = self.loop.sounds[self._sound % len(self.loop.sounds)]
        self._sound += 1
        self.audio.timestamp = (self.audio.timestamp + 960) & 0xFFFFFFFF
        self._send(self.audio, sound, False)

    def report(self) -> None:
        for stream in (self.audio, self.video):
            packet = rtcp.sender_report(
                stream.ssrc,
                ntp_now(),
                stream.timestamp,
                packets=stream.packets,
                octets=stream.octets,
                cname=b"load",
            )
            self.leg.send_rtcp(packet)

    def handle(self, data: bytes, _: int) -> None:
        if not rtcp.is_rtcp(data) or self.leg.inbound is None:
            return
        packet = self.leg.inbound.unprotect_rtcp(data)
        for kind, count, from_, to in rtcp.parts(packet):
            if kind == rtcp.RTPFB and count == rtcp.TRANSPORT_CC:
                self.feedbacks += 1
            elif kind == rtcp.RTPFB and count == rtcp.NACK:
                self._repair(rtcp.nack_numbers(packet, from_, to))
            elif kind == rtcp.PSFB and count in (rtcp.PLI, rtcp.FIR):
                self.plis += 1
                self._wants_key = True

    def _send(self, stream: Outgoing, payload: bytes, marker: bool) -> None:
        stream.sequence = sequence = (stream.sequence + 1) & 0xFFFF
        stream.packets += 1
        stream.octets += len(payload)
        stream.recent.append((payload, sequence))
        if stream.kind == "video":
            stream.kept[sequence] = (int(marker), stream.timestamp, payload)
            if len(stream.kept) > HISTORY:
                stream.kept.popitem(last=False)
        packet = self._packet(stream, stream.ssrc, stream.payload_type | marker << 7, sequence, payload)
        self.sent += 1
        stream.left_ns[sequence] = time.time_ns()
        if self.lose and random.random() < self.lose:
            self.dropped += 1
            return
        self.leg.send(packet)

    def _packet(self, stream: Outgoing, ssrc: int, second: int, sequence: int, payload: bytes) -> bytes:
        ids = self.told.extensions
        parts = b""
        if SEND_TIME in ids:
            parts += bytes((ids[SEND_TIME] << 4 | 2,)) + abs_send_time(time.time()).to_bytes(3, "big")
        if WIDE in ids:
            self._wide = (self._wide + 1) & 0xFFFF
            parts += bytes((ids[WIDE] << 4 | 1,)) + self._wide.to_bytes(2, "big")
        if stream.kind == "audio" and LEVEL in ids:
            parts += bytes((ids[LEVEL] << 4, 30))
        if stream.packets < 100 and MID in ids:
            parts += bytes((ids[MID] << 4,)) + (b"0" if stream.kind == "audio" else b"1")
        if not parts:
            return _RTP.pack(0x80, second, sequence, stream.timestamp, ssrc) + payload
        parts += bytes(-len(parts) % 4)
        head = _RTP.pack(0x90, second, sequence, stream.timestamp, ssrc)
        return head + b"\xbe\xde" + (len(parts) // 4).to_bytes(2, "big") + parts + payload

    def _repair(self, numbers: list[int]) -> None:
        self.nacked += len(numbers)
        for number in numbers:
            held = self.video.kept.get(number)
            if held is None:
                continue
            self.repaired += 1
            self._repair_sequence = (self._repair_sequence + 1) & 0xFFFF
            marker, timestamp, payload = held
            body = number.to_bytes(2, "big") + payload
            now, self.video.timestamp = self.video.timestamp, timestamp
            packet = self._packet(self.video, self._repair_ssrc, REPAIR | marker << 7, self._repair_sequence, body)
            self.video.timestamp = now
            if self.lose and random.random() < self.lose:
                continue
            self.leg.send(packet)


class Incoming:
    """One stream of a subscriber: which numbers came, and by how much they differ from the publisher's."""

    def __init__(self, ssrc: int, source: Outgoing) -> None:
        self.ssrc, self.source = ssrc, source
        self.first = self.highest = -1
        self.moved: int | None = None
        self.nacks = NackList()
        self.received = self.repaired = 0
        self.missing: set[int] = set()
        self.report_lsr = self.report_ns = 0

    def take(self, sequence: int, now_ns: int, *, may_ask: bool) -> None:
        if self.highest < 0:
            self.first = self.highest = sequence + NUMBERS
            self.received += 1
            return
        number = unwrap(self.highest, sequence)
        if number > self.highest:
            gap = range(self.highest + 1, number)
            self.missing.update(gap)
            if may_ask:
                self.nacks.miss(gap, now_ns)
            self.highest = number
        elif number in self.missing:
            self.missing.discard(number)
            self.nacks.found(number)
        else:
            return
        self.received += 1

    def learn(self, payload: bytes, sequence: int) -> None:
        """Payloads go through untouched, so the publisher's own number of this one tells the difference."""
        found = next((number for known, number in reversed(self.source.recent) if _same(known, payload)), None)
        if found is not None:
            self.moved = (sequence - found) & 0xFFFF


def _same(known: bytes, payload: bytes) -> bool:
    return known == payload or (known[DESCRIPTOR_BYTES:] == payload[DESCRIPTOR_BYTES:] and len(known) > 40)


class Subscriber:
    """Receives a publisher's two streams; asks for what is lost, and says once a second what it has."""

    def __init__(self, leg: Leg, told: Answered, source: Publisher, lose: float) -> None:
        self.leg, self.told, self.source, self.lose = leg, told, source, lose
        self.streams: dict[int, Incoming] = {}
        self.delays = array("q")
        self.received = self.rtx = self.reports = self.asked = self.dropped = 0
        self.key_ns = 0
        self._ssrc = secrets.randbits(31) + 1

    def handle(self, data: bytes, arrived_ns: int) -> None:
        if rtcp.is_rtcp(data):
            self._take_report(data)
            return
        if self.lose and random.random() < self.lose:
            self.dropped += 1
            return
        self.received += 1
        payload_type, ssrc = data[1] & 0x7F, data[8:12]
        if payload_type in self.told.repair_types:
            self._take_repair(data)
            return
        number = int.from_bytes(ssrc, "big")
        stream = self.streams.get(number)
        if stream is None:
            is_video = payload_type in self.told.video_types
            source = self.source.video if is_video else self.source.audio
            stream = self.streams[number] = Incoming(number, source)
        sequence = data[2] << 8 | data[3]
        stream.take(sequence, time.monotonic_ns(), may_ask=stream.source.kind == "video")
        if stream.moved is None and stream.received < LEARN_AMONG:
            self._learn(stream, data, sequence)
        elif stream.moved is not None and len(self.delays) < DELAYS_MAX:
            left_ns = stream.source.left_ns[(sequence - stream.moved) & 0xFFFF]
            self.delays.append(arrived_ns - left_ns)
        if not self.key_ns and stream.source.kind == "video":
            self._watch_key(data, arrived_ns)

    def tick(self, now_ns: int) -> None:
        """Every 20 ms: ask for what is missing."""
        for stream in self.streams.values():
            if len(stream.nacks):
                numbers, gave_up = stream.nacks.due(now_ns, 20_000_000)
                if numbers:
                    self.asked += len(numbers)
                    self.leg.send_rtcp(rtcp.nack(self._ssrc, stream.ssrc, numbers))
                if gave_up:
                    self.leg.send_rtcp(rtcp.picture_loss(self._ssrc, stream.ssrc))

    def report(self) -> None:
        now_ns = time.monotonic_ns()
        blocks = []
        for stream in self.streams.values():
            lost = len(stream.missing)
            since = (now_ns - stream.report_ns) * 65536 // 1_000_000_000 if stream.report_ns else 0
            blocks.append(
                rtcp.block(
                    ssrc=stream.ssrc,
                    fraction=0,
                    lost=lost,
                    highest=stream.highest,
                    jitter=20,
                    lsr=stream.report_lsr,
                    dlsr=since,
                )
            )
        if blocks:
            videos = [one.ssrc for one in self.streams.values() if one.source.kind == "video"]
            self.leg.send_rtcp(rtcp.receiver_report(self._ssrc, blocks) + rtcp.remb(self._ssrc, ESTIMATE_BPS, videos))

    def _take_report(self, data: bytes) -> None:
        if self.leg.inbound is None:
            return
        packet = self.leg.inbound.unprotect_rtcp(data)
        for kind, _, from_, to in rtcp.parts(packet):
            info = rtcp.sender_info(packet, from_, to) if kind == rtcp.SR else None
            stream = self.streams.get(info[0]) if info is not None else None
            if info is not None and stream is not None:
                self.reports += 1
                stream.report_lsr, stream.report_ns = info[1] >> 16 & 0xFFFFFFFF, time.monotonic_ns()

    def _plain(self, data: bytes) -> bytes:
        assert self.leg.inbound is not None
        packet = self.leg.inbound.unprotect(data)
        span = layout(packet)
        return packet[span[2] : span[3]] if span is not None else b""

    def _learn(self, stream: Incoming, data: bytes, sequence: int) -> None:
        payload = self._plain(data)
        if payload:
            stream.learn(payload, sequence)

    def _take_repair(self, data: bytes) -> None:
        self.rtx += 1
        payload = self._plain(data)
        stream = next((one for one in self.streams.values() if one.source.kind == "video"), None)
        if stream is not None and len(payload) > 2:
            stream.repaired += 1
            stream.take(payload[0] << 8 | payload[1], time.monotonic_ns(), may_ask=False)

    def _watch_key(self, data: bytes, arrived_ns: int) -> None:
        """A subscriber begins on a key frame, so its first whole frame is one: up to the first marker."""
        if data[1] & 0x80:
            self.key_ns = arrived_ns
