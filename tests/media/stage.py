"""A track with its layers and one forward, fed packet by packet; only the connection that sends is the test's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from aiortc.rtp import HeaderExtensionsMap, RtpPacket

from media.api import Source
from media.counts import Counts
from media.feedback import MS, SentReports
from media.forward import Forward
from media.sdp import Codec
from media.track import Layer, Track

VP8 = Codec(96, "vp8", 90000, 1, {}, {"nack"})
OPUS = Codec(111, "opus", 48000, 2)


class Link:
    """Stands where a connection sends: keeps what goes out."""

    def __init__(self) -> None:
        self.path = SimpleNamespace(is_congested=False)
        self.is_open = True
        self.packets: list[RtpPacket] = []
        self.raw: list[bytes] = []
        self.again: list[bytes] = []
        self.reports: list[bytes] = []

    def send_rtp(self, packet: bytes, *, copied: bool = False) -> bytes | None:
        if not self.is_open:
            return None
        self.packets.append(RtpPacket.parse(packet, HeaderExtensionsMap()))
        self.raw.append(packet)
        return b"sealed" + packet if copied else b""

    def send_again(self, datagram: bytes) -> None:
        self.again.append(datagram)

    def send_rtcp(self, packet: bytes) -> None:
        self.reports.append(packet)


class Asked:
    """Stands where a track asks for key frames."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []

    def want_key_frame(self, layer: Layer) -> None:
        self.layers.append(layer)


class Stage:
    """A track with its layers and one forward, fed packet by packet."""

    def __init__(self, codec: Codec = VP8, rids: list[str] | None = None, repair_type: int | None = 97) -> None:
        self.link = Link()
        self.asked = Asked()
        source = Source.CAMERA if codec is VP8 else Source.MICROPHONE
        self.track = Track("a", source, codec, self.asked, rids or [])
        self.layers = {}
        for place, rid in enumerate(rids or [""]):
            self.layers[rid] = self.track.layers[rid] = Layer(self.track, rid, 1000 + place)
        self.forward = Forward(cast(Any, self.link), self.track, b"name", SentReports())
        self.forward.attach(96 if codec is VP8 else 111, repair_type)
        self.now_ns = 10**9
        self.counts = Counts()

    def feed(
        self,
        sequence: int,
        payload: bytes = b"",
        *,
        key: bool = False,
        timestamp: int | None = None,
        rid: str = "",
        later_ms: int = 10,
        padding: bool = False,
    ) -> bool:
        """Whether the layer took the packet."""
        self.now_ns += later_ms * MS
        layer = self.layers[rid]
        if not layer.take(sequence & 0xFFFF, self.now_ns):
            return False
        layer.reception.arrived(timestamp or 0, self.now_ns)
        layer.marker, layer.level = 0, 0
        layer.timestamp = timestamp if timestamp is not None else sequence * 3000 & 0xFFFFFFFF
        if not padding:
            payload = (b"\x10\x00" if key else b"\x10\x01") + payload
        layer.payload = payload
        layer.deliver(self.counts)
        return True

    @property
    def numbers(self) -> list[int]:
        """Sequence numbers sent, counted from the first."""
        sent = [packet.sequence_number for packet in self.link.packets]
        return [(number - sent[0] + 0x8000 & 0xFFFF) - 0x8000 for number in sent]

    @property
    def payloads(self) -> list[bytes]:
        return [packet.payload[2:] for packet in self.link.packets]
