"""The entry points, each with sound inputs to begin from and what of it might grow.

`feed` may do anything but raise; what the node does with its answer is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from aioice import stun

from media import ice, payload, rtcp, rtp
from media.api import Source, UpOffer
from media.connection import Shared
from media.counts import Counts
from media.dtls import Certificate
from media.negotiate import MID, TRANSPORT_CC, plan_down, plan_up
from media.paths import TcpPath
from media.publisher import Publisher, read_up
from media.sdp import LONGEST_DESCRIPTION, SdpError, read
from media.sdpwrite import Local, write_answer
from media.subscriber import Subscriber
from media.tasks import Tasks
from tests.bench.relay import describe
from tests.media.descriptions import corpus, sources_of

UFRAG, PASSWORD = "abcd", "x" * 24
KEY, DELTA = b"\x90\x80\x81\x23\x00key", b"\x90\x80\x81\x24\x01delta"
STEP_NS = 3_000_000
PACKETS_A_TICK = 20


@dataclass
class Target:
    """`state` counts what is kept after inputs, and may never be above `bound`."""

    name: str
    sound: list[bytes]
    feed: Callable[[bytes], object]
    state: Callable[[], int] = lambda: 0
    bound: int = 0
    longest: int = 2048


class Registry:
    """Stands where the endpoint is."""

    def __init__(self) -> None:
        self.candidates: list[str] = []

    def register(self, ufrag: str, connection: object) -> None: ...
    def unregister(self, ufrag: str) -> None: ...


def targets() -> list[Target]:
    return [_stun(), _rtp(), _rtx(), _rtcp_up(), _rtcp_down(), _payloads(), _tcp(), _sdp()]


# ---- STUN


def _stun() -> Target:
    limit = ice.RateLimit()
    counted = iter(range(1 << 40))

    def feed(data: bytes) -> None:
        if ice.is_binding_request(data):
            ice.answer(data, ("192.0.2.7", 4000), {UFRAG: PASSWORD}.get)
        number = next(counted)
        limit.may_answer(f"192.0.{number >> 8 & 255}.{number & 255}-{number >> 16}", number / 1000)

    return Target("stun", [_request(**words) for words in _REQUESTS], feed, lambda: len(limit._seen), 4096)


_REQUESTS: list[dict[str, Any]] = [
    {"USERNAME": f"{UFRAG}:other", "PRIORITY": 7, "ICE-CONTROLLING": 5, "USE-CANDIDATE": None},
    {"USERNAME": f"{UFRAG}:other", "PRIORITY": 7, "ICE-CONTROLLED": 5},
    {"USERNAME": "nobody:other", "PRIORITY": 7, "ICE-CONTROLLING": 5},
    {"SOFTWARE": "a browser"},
    {},
]


def _request(**attributes: Any) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=b"123456789012")
    message.attributes.update(attributes)
    if "USERNAME" in attributes:
        message.add_message_integrity(PASSWORD.encode())
    return bytes(message)


# ---- RTP, RTX and RTCP of an up connection


@dataclass
class _Up:
    """A publisher that has answered a real offer."""

    publisher: Publisher
    voice: int
    picture: int
    repair: int
    ids: dict[str, int]
    now_ns: int = 10**9
    taken: int = 0
    sent: list[bytes] = field(default_factory=list)

    def rtp(self, data: bytes) -> None:
        self.now_ns += STEP_NS
        self.taken += 1
        self.publisher.handle_rtp(data, self.now_ns)
        if self.taken % PACKETS_A_TICK == 0:
            self.sent.clear()
            self.publisher.tick(self.now_ns, 0)

    def rtcp(self, data: bytes) -> None:
        self.now_ns += STEP_NS
        self.publisher.handle_rtcp(data, self.now_ns)

    def kept(self) -> int:
        streams = self.publisher.streams
        return (
            len(streams.by_ssrc)
            + len(streams.by_repair)
            + len(self.publisher.connection.ssrcs)
            + len(self.publisher._arrivals._numbers)
            + sum(len(layer.nacks) + layer.ring._bytes // 1024 for layer in streams.by_ssrc.values())
            + len(self.sent)
        )

    def packet(self, ssrc: int, number: int, body: bytes, *, kind: int = 96, mid: bytes = b"1") -> bytes:
        parts = bytes((self.ids[TRANSPORT_CC] << 4 | 1,)) + struct.pack("!H", number)
        parts += bytes((self.ids[MID] << 4 | len(mid) - 1,)) + mid
        parts += bytes(-len(parts) % 4)
        head = struct.pack("!BBHII", 0x90, kind, number, number * 3000, ssrc)
        return head + struct.pack("!HH", 0xBEDE, len(parts) // 4) + parts + body


def _shared() -> Shared:
    return Shared(cast(Any, Registry()), Certificate(), Tasks(lambda _: None), asyncio.Semaphore(8))


def _up() -> _Up:
    text = dict(corpus())["chromium-156-plain"]
    shared = _shared()
    publisher = Publisher(
        "a",
        "up",
        Counts(),
        shared,
        on_tracks=lambda: None,
        on_layer=lambda _: None,
        on_begun=lambda _: None,
        on_connected=lambda _: None,
        on_closed=lambda _, __: None,
    )
    publisher.is_admitted = publisher.connection.is_connected = True
    offer = UpOffer(connection_id="up", revision=0, sdp=text, sources=sources_of(text))
    publisher.offer(offer, read_up(offer))
    sections = read(text).sections
    picture, repair = next(iter(sections[1].repairs.items()))
    made = _Up(publisher, next(iter(sections[0].ssrcs)), picture, repair, sections[1].extensions)
    cast(Any, publisher.connection).send_rtcp = made.sent.append
    return made


def _rtp() -> Target:
    up = _up()
    sound = [up.packet(up.picture, number, KEY if number % 9 == 0 else DELTA) for number in range(20)]
    sound += [up.packet(up.voice, number, b"voice", kind=111, mid=b"0") for number in range(5)]
    sound += [up.packet(4711, 7, DELTA), bytes((0xA0, 96)) + sound[0][2:] + b"\0\0\3"]
    return Target("rtp", sound, up.rtp, up.kept, 2500)


def _rtx() -> Target:
    up = _up()
    up.rtp(up.packet(up.picture, 100, KEY))
    sound = [up.packet(up.repair, number, struct.pack("!H", 90 + number) + DELTA, kind=97) for number in range(20)]
    sound += [up.packet(up.repair, 3, tail, kind=97) for tail in (b"", b"\0", b"\0\x50")]
    sound += [up.packet(up.picture, number, DELTA) for number in range(101, 130, 4)]
    return Target("rtx", sound, up.rtp, up.kept, 2500)


def _rtcp_up() -> Target:
    up = _up()
    up.rtp(up.packet(up.picture, 100, KEY))
    report = rtcp.sender_report(up.picture, 1 << 60, 9000, packets=5, octets=500, cname=b"name")
    answer = rtcp.packet(rtcp.XR, 0, struct.pack("!IBBHIII", 5, 5, 0, 3, 1, 2, 3))
    goodbye = rtcp.packet(rtcp.BYE, 1, struct.pack("!I", up.picture))
    return Target("rtcp up", [report, answer, report + answer, goodbye], up.rtcp, up.kept, 2500)


def _rtcp_down() -> Target:
    up = _up()
    subscriber = Subscriber("down", Counts(), _shared(), on_connected=lambda _: None, on_closed=lambda _, __: None)
    sent: list[bytes] = []

    def send(packet: bytes, *, copied: bool = False) -> bytes:
        sent.append(packet)
        return packet

    cast(Any, subscriber.connection).send_rtp = send
    subscriber.want({track.key: track for track in up.publisher.tracks.values()}, {"a": "cname"})
    leg = SimpleNamespace(host="192.0.2.1", port=5, ufrag=UFRAG, password=PASSWORD, certificate=Certificate())
    answer = describe.answer(cast(Any, leg), subscriber.offer().sdp)
    subscriber.connection.is_connected = True
    subscriber.answer(plan_down(read(answer)))
    for number in range(100, 160):
        up.rtp(up.packet(up.picture, number, KEY if number == 100 else DELTA))
    forward = up.publisher.tracks[Source.CAMERA].forwards[0]
    block = rtcp.block(ssrc=forward.ssrc, fraction=9, lost=3, highest=160, jitter=4, lsr=5, dlsr=6)
    highest = forward.highest_out
    sound = [
        rtcp.receiver_report(5, [block, block]),
        rtcp.nack(5, forward.ssrc, list(range(highest - 20, highest))),
        rtcp.picture_loss(5, forward.ssrc),
        rtcp.remb(5, 700_000, [forward.ssrc]),
        rtcp.packet(rtcp.PSFB, rtcp.FIR, struct.pack("!IIII", 5, 0, forward.ssrc, 1 << 24)),
    ]
    sound.append(b"".join(sound))

    def feed(data: bytes) -> None:
        up.now_ns += STEP_NS
        sent.clear()
        subscriber.handle_rtcp(data, up.now_ns)

    return Target("rtcp down", sound, feed, lambda: len(sent) + len(forward._ciphertexts), 256)


# ---- payloads, frames of TCP, descriptions


def _payloads() -> Target:
    def feed(data: bytes) -> None:
        rtp.is_vp8_key_frame(data)
        rtp.vp8_renumber(data, 5, 3)
        rtp.is_h264_key_frame(data)
        payload.vp8_picture_id(data)
        payload.vp8_payload_offset(data)
        payload.begins_key_frame("H264", data)
        payload.h264_units([data, data])

    sound = [KEY, DELTA, b"\xf0\xf0\x81\x23\x07\x21\x00rest", b"\x10\x00", b"\x80\xff\x12\x34\x56"]
    sound += [b"\x78\x00\x02\x67\x42\x00\x03\x68\x01\x02", b"\x7c\x85abc", b"\x65abc", b"\x7c\x45abc"]
    return Target("vp8 and h264", sound, feed)


class _Listener:
    """Stands where the endpoint is for a TCP connection; a fault within a frame is counted and not hidden."""

    faults = 0

    def handle_stun(self, data: bytes, address: object, path: object) -> None: ...
    def accept(self, path: object) -> bool:
        return True

    def forget(self, path: object) -> None: ...
    def count_drop(self) -> None:
        self.faults += 1


def _tcp() -> Target:
    listener = _Listener()
    paths = [TcpPath(cast(Any, listener))]

    def feed(data: bytes) -> None:
        paths[0].data_received(data)
        if data and data[0] > 5:  # a frame longer than allowed ends a connection; another begins
            paths[0] = TcpPath(cast(Any, listener))

    frames = [struct.pack("!H", len(one)) + one for one in (_request(), b"", b"\x80" * 30, b"\x16" * 1500)]
    sound = [*frames, b"".join(frames), frames[0][:7], frames[0][7:]]
    return Target("tcp", sound, feed, lambda: len(paths[0]._pending) + listener.faults * 10_000, 1502 + 4096)


def _sdp() -> Target:
    local = Local("ufrag", PASSWORD, Certificate().fingerprint, ["1 1 udp 1 192.0.2.1 5 typ host"])

    def feed(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        with suppress(SdpError):
            description = read(text)
            with suppress(SdpError):
                plan_down(description)
            write_answer(plan_up(description, sources_of(text)), local, 1, 2)

    sound = [text.encode() for _, text in corpus()]
    return Target("sdp", sound, feed, longest=LONGEST_DESCRIPTION)
