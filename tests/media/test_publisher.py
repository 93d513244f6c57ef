"""An up connection's packets: learned by MID and RID, repairs unwrapped, foreign ones left out, feedback in time."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpRtpfbPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from media import rtcp
from media.api import Source, UpOffer
from media.connection import SSRCS_MAX, Shared
from media.counts import Counts
from media.dtls import Certificate
from media.feedback import MS
from media.negotiate import MID, REPAIRED_RID, RID, TRANSPORT_CC
from media.publisher import Publisher, read_up
from media.rooms import Room, single_room
from media.sdp import read
from media.tasks import Tasks
from media.track import Layer
from tests.media.descriptions import corpus, sources_of

OFFERS = dict(corpus())
KEY, DELTA = b"\x10\x00key", b"\x10\x01delta"


class Registry:
    candidates: list[str] = []  # noqa: RUF012 — a constant of the test

    def register(self, ufrag: str, connection: object) -> None: ...
    def unregister(self, ufrag: str) -> None: ...


class Receiver:
    """Stands where a forward is: keeps what each layer delivers."""

    usable_bps = None

    def __init__(self) -> None:
        self.got: list[tuple[str, int, bytes]] = []
        self.padding = 0
        self.layer: Layer | None = None
        self.fraction_lost = self.heard_ns = 0

    def relay(self, layer: Layer) -> None:
        self.got.append((layer.rid, layer.number & 0xFFFF, layer.payload))

    def close_over(self, layer: Layer) -> None:
        self.padding += 1

    def pass_report(self, layer: Layer, now_ns: int) -> None:
        self.got.append((layer.rid, -1, b"report"))


class Bench:
    """A publisher that answered a real offer, fed with packets written by hand."""

    def __init__(self, name: str = "chromium-156-simulcast") -> None:
        self.text = OFFERS[name]
        self.begun: list[Layer] = []
        self.counts = Counts()
        self.failures: list[BaseException] = []
        shared = Shared(cast(Any, Registry()), Certificate(), Tasks(self.failures.append), asyncio.Semaphore(8))
        self.publisher = Publisher(
            "a",
            "up",
            self.counts,
            shared,
            on_tracks=lambda: None,
            on_layer=lambda _: None,
            on_begun=self.begun.append,
            on_connected=lambda _: None,
            on_closed=lambda _, __: None,
        )
        self.publisher.is_admitted = True
        self.sent: list[bytes] = []
        cast(Any, self.publisher.connection).send_rtcp = self.sent.append
        self.offer(0)
        self.video = read(self.text).sections[1]
        self.receivers = {}
        for source, track in self.publisher.tracks.items():
            self.receivers[source] = Receiver()
            track.forwards.append(cast(Any, self.receivers[source]))
        self.now_ns = time.monotonic_ns()

    def offer(self, revision: int, change: Callable[[str], str] = lambda text: text) -> None:
        sdp = change(self.text)
        offer = UpOffer(connection_id="up", revision=revision, sdp=sdp, sources=sources_of(sdp))
        self.publisher.offer(offer, read_up(offer))

    def feed(
        self,
        ssrc: int,
        sequence: int,
        payload: bytes = KEY,
        *,
        kind: int = 96,
        mid: str = "",
        rid: str = "",
        repaired: str = "",
        arrival: int | None = None,
    ) -> None:
        ids = self.video.extensions
        names = [
            (ids[MID], mid.encode()),
            (ids.get(RID, 0), rid.encode()),
            (ids.get(REPAIRED_RID, 0), repaired.encode()),
        ]
        if arrival is not None:
            names.append((ids[TRANSPORT_CC], arrival.to_bytes(2, "big")))
        block = b"".join(bytes((name << 4 | len(value) - 1,)) + value for name, value in names if value and name)
        block += bytes(-len(block) % 4)
        header = struct.pack("!BBHIIHH", 0x90, kind, sequence, sequence * 3000, ssrc, 0xBEDE, len(block) // 4)
        self.now_ns += 5 * MS
        self.publisher.handle_rtp(header + block + payload, self.now_ns)

    @property
    def camera(self) -> list[tuple[str, int, bytes]]:
        return self.receivers[Source.CAMERA].got

    def said(self) -> list[Any]:
        found = [packet for data in self.sent for packet in RtcpPacket.parse(data)]
        self.sent.clear()
        return found


async def test_layers_are_learned_by_section_and_encoding() -> None:
    bench = Bench()
    bench.feed(11, 1, mid="1", rid="h")
    bench.feed(12, 900, mid="1", rid="l")
    bench.feed(11, 2, DELTA)
    assert bench.camera == [("h", 1, KEY), ("l", 900, KEY), ("h", 2, DELTA)]
    assert [layer.rid for layer in bench.publisher.tracks[Source.CAMERA].layers_upwards()] == ["l", "h"]
    assert [layer.rid for layer in bench.begun] == ["h", "l"]


@pytest.mark.parametrize(
    ("mid", "rid", "kind"),
    [("", "", 96), ("1", "", 96), ("1", "x", 96), ("7", "h", 96), ("1", "h", 45), ("0", "h", 96)],
)
async def test_what_cannot_be_placed_is_left_out_and_forgotten(mid: str, rid: str, kind: int) -> None:
    bench = Bench()
    bench.feed(11, 1, mid=mid, rid=rid, kind=kind)
    assert bench.camera == []
    assert 11 not in bench.publisher.connection.ssrcs


async def test_a_declared_source_needs_no_names() -> None:
    bench = Bench("chromium-156-plain")
    bench.feed(2719055115, 1)
    assert bench.camera == [("", 1, KEY)]


async def test_an_undeclared_source_is_placed_by_the_only_section_with_its_payload_type() -> None:
    bench = Bench("chromium-156-plain")
    bench.feed(99, 1)
    assert bench.camera == [("", 1, KEY)]


async def test_a_repair_takes_its_original_s_place() -> None:
    bench = Bench()
    bench.feed(11, 1, mid="1", rid="h")
    bench.feed(11, 3, DELTA)
    bench.feed(21, 700, struct.pack("!H", 2) + DELTA, kind=97, mid="1", repaired="h")
    assert [number for _, number, _ in bench.camera] == [1, 3, 2]
    assert bench.counts.rtx_in == 1
    layer = bench.publisher.tracks[Source.CAMERA].layers["h"]
    assert layer.is_repair
    bench.feed(11, 2, DELTA)
    bench.feed(21, 701, struct.pack("!H", 2) + DELTA, kind=97)
    bench.feed(21, 702, b"", kind=97)
    assert len(bench.camera) == 3
    bench.feed(11, 4, DELTA)
    assert not layer.is_repair


async def test_a_repair_that_names_no_known_encoding_is_left_out() -> None:
    bench = Bench()
    bench.feed(21, 700, struct.pack("!H", 2) + DELTA, kind=97, mid="1", repaired="h")
    bench.feed(22, 700, struct.pack("!H", 2) + DELTA, kind=97, mid="1")
    assert bench.camera == []


async def test_padding_ends_here() -> None:
    bench = Bench("chromium-156-plain")
    bench.feed(2719055115, 1)
    bench.feed(2719055115, 2, b"")
    bench.feed(2719055115, 3, DELTA)
    assert [number for _, number, _ in bench.camera] == [1, 3]
    assert bench.receivers[Source.CAMERA].padding == 1


async def test_nothing_of_somebody_who_waits_is_delivered_or_answered() -> None:
    bench = Bench("chromium-156-plain")
    bench.publisher.is_admitted = False
    bench.publisher.connection.is_connected = True
    for sequence in range(1, 9):
        bench.feed(2719055115, sequence * 2, arrival=sequence)
    bench.publisher.handle_rtcp(rtcp.sender_report(2719055115, 1 << 40, 5, packets=1, octets=1, cname=b"x"), 1)
    bench.publisher.tick(bench.now_ns + 2000 * MS, 0)
    assert (bench.camera, bench.sent) == ([], [])


async def test_a_source_that_changes_its_ssrc_is_followed() -> None:
    bench = Bench()
    bench.feed(11, 1, mid="1", rid="h")
    bench.feed(31, 60000, mid="1", rid="h")
    bench.feed(11, 2)
    assert [number for _, number, _ in bench.camera] == [1, 60000]
    assert bench.publisher.connection.ssrcs == {1046583051, 31}


async def test_a_source_may_change_its_ssrc_any_number_of_times_and_nothing_of_the_old_ones_stays() -> None:
    bench = Bench("chromium-156-plain")
    bench.publisher.connection.is_connected = True
    for turn in range(3 * SSRCS_MAX):
        bench.feed(1000 + turn, 100 * turn, DELTA, mid="1")
        bench.feed(5000 + turn, turn, struct.pack("!H", 100 * turn + 1) + DELTA, mid="1", kind=97)
    streams = bench.publisher.streams
    assert (len(streams.by_repair), len(bench.publisher.connection.ssrcs)) == (1, len(streams.by_ssrc) + 1)
    assert streams.by_ssrc.keys() | streams.by_repair.keys() == bench.publisher.connection.ssrcs
    # However often it changes, the source is asked for a key frame no more often than it would answer.
    assert sum(isinstance(packet, RtcpPsfbPacket) for packet in bench.said()) == 1


async def test_one_ssrc_cannot_be_two_things() -> None:
    bench = Bench()
    bench.feed(11, 1, mid="1", rid="h")
    bench.feed(11, 2, DELTA, mid="1", rid="l")
    assert [rid for rid, _, _ in bench.camera] == ["h", "h"]
    bench.feed(1046583051, 5, mid="1", rid="l")
    assert len(bench.camera) == 2


async def test_sources_beyond_the_bound_never_reach_decryption() -> None:
    bench = Bench()
    connection = bench.publisher.connection

    class Refusing:
        def open(self, room: Room, size: int) -> bytes:
            raise AssertionError("decrypted")

    connection.ssrcs |= set(range(SSRCS_MAX))
    connection._inbound = cast(Any, Refusing())
    path, room = cast(Any, object()), single_room()
    connection.receive(room, room.fill(struct.pack("!BBHII", 0x80, 96, 1, 2, 77_000)), path, 1)
    with pytest.raises(AssertionError):
        connection.receive(room, room.fill(struct.pack("!BBHII", 0x80, 96, 1, 2, 3)), path, 1)


async def test_a_section_that_stops_sending_takes_its_streams_along() -> None:
    bench = Bench("chromium-156-plain")
    bench.feed(2719055115, 1)
    bench.offer(1, lambda text: text.replace("a=sendonly", "a=inactive"))
    assert bench.publisher.tracks == {}
    assert bench.publisher.connection.ssrcs == set()
    bench.feed(2719055115, 2, DELTA)
    assert len(bench.camera) == 1


async def test_a_re_offer_keeps_streams_and_a_restart_gives_new_names() -> None:
    bench = Bench("chromium-156-plain")
    bench.feed(2719055115, 1)
    before = bench.publisher.connection.local()
    bench.offer(1)
    assert bench.publisher.connection.local() == before
    bench.offer(2, lambda text: text.replace("a=ice-ufrag:k/8Y", "a=ice-ufrag:new1"))
    after = bench.publisher.connection.local()
    assert after.ufrag != before.ufrag
    assert after.fingerprint == before.fingerprint
    bench.feed(2719055115, 2, DELTA)
    assert [number for _, number, _ in bench.camera] == [1, 2]


async def test_losses_arrivals_and_reception_are_reported_in_time() -> None:
    bench = Bench("chromium-156-plain")
    bench.publisher.connection.is_connected = True
    for sequence in (1, 2, 3, 6):
        bench.feed(2719055115, sequence, KEY if sequence == 1 else DELTA, arrival=sequence)
    bench.publisher.tick(bench.now_ns + 20 * MS, 0)
    said = bench.said()
    lost = [packet.lost for packet in said if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == rtcp.NACK]
    assert lost == [[4, 5]]
    arrivals = [packet for packet in said if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == rtcp.TRANSPORT_CC]
    assert len(arrivals) == 1
    (report,) = [packet for packet in said if isinstance(packet, RtcpRrPacket)]
    assert (report.reports[0].ssrc, report.reports[0].packets_lost) == (2719055115, 2)
    bench.publisher.tick(bench.now_ns + 40 * MS, 0)
    assert bench.said() == []
    bench.publisher.tick(bench.now_ns + 125 * MS, 0)
    assert [packet.fmt for packet in bench.said()] == [rtcp.NACK]


async def test_a_voice_is_reported_as_lost_as_its_worst_listener_loses_it_and_a_picture_is_not() -> None:
    bench = Bench("chromium-156-plain")
    bench.publisher.connection.is_connected = True
    voice = next(iter(read(bench.text).sections[0].ssrcs))
    for number in range(1, 9):
        bench.feed(voice, number, kind=111)
        bench.feed(2719055115, number)
    for source, receiver in bench.receivers.items():
        receiver.layer = bench.publisher.tracks[source].layers[""]
        receiver.fraction_lost, receiver.heard_ns = 77, bench.now_ns

    def told(later_ms: int) -> dict[int, int]:
        bench.publisher.tick(bench.now_ns + later_ms * MS, 0)
        reports = [one for packet in bench.said() if isinstance(packet, RtcpRrPacket) for one in packet.reports]
        return {one.ssrc: one.fraction_lost for one in reports}

    assert told(1000) == {voice: 77, 2719055115: 0}
    # A listener who says nothing any more counts no longer.
    assert told(6100) == {voice: 0, 2719055115: 0}


async def test_c36_a_key_frame_is_asked_for_until_one_passes_whatever_is_lost() -> None:
    bench = Bench("chromium-156-plain")
    bench.publisher.connection.is_connected = True
    bench.feed(2719055115, 1, DELTA)
    asked = []
    for step in range(1, 120):
        bench.publisher.tick(bench.now_ns + step * 20 * MS, 0)
        asked += [step for packet in bench.said() if isinstance(packet, RtcpPsfbPacket) and packet.fmt == rtcp.PLI]
    assert 2 <= len(asked) <= 3
    bench.now_ns += 3000 * MS
    bench.feed(2719055115, 2, KEY)
    bench.publisher.tick(bench.now_ns + 5000 * MS, 0)
    assert not [packet for packet in bench.said() if isinstance(packet, RtcpPsfbPacket)]


async def test_a_sender_report_is_kept_and_passed_on() -> None:
    bench = Bench("chromium-156-plain")
    bench.feed(2719055115, 1)
    bench.publisher.handle_rtcp(rtcp.sender_report(2719055115, 7 << 32, 55, packets=1, octets=1, cname=b"x"), 5)
    assert bench.publisher.tracks[Source.CAMERA].layers[""].report == (7 << 32, 55)
    assert bench.camera[-1] == ("", -1, b"report")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(min_size=0, max_size=80), max_size=10), st.booleans())
def test_no_decrypted_packet_however_damaged_raises(packets: list[bytes], is_rtcp: bool) -> None:
    async def run() -> None:
        bench = Bench("chromium-156-plain")
        for body in packets:
            rtp_head = struct.pack("!BB", 0x90, 96)
            bench.publisher.handle_rtp(rtp_head + body, 1)
            bench.publisher.handle_rtcp(struct.pack("!BBH", 0x81, 200 if is_rtcp else 207, len(body) // 4) + body, 1)

    asyncio.run(run())
