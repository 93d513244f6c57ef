"""What a participant publishes: a track a source, one layer an encoding, each layer with its books and its packet.

The packet at hand is held in the layer's own fields, so that the packet path makes no object for it;
who receives it is in `Track.forwards`, and the publisher feeds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from media.api import Source
from media.counts import Counts
from media.feedback import KeyFrames, NackList, Reception
from media.ring import PacketRing, RateMeter
from media.rtp import HEADER, is_h264_key_frame, is_vp8_key_frame
from media.sdp import Codec

if TYPE_CHECKING:
    from media.capture import CaptureSession
    from media.forward import Forward

ACTIVE_WITHIN_NS = 1_000_000_000
REPORTED_WITHIN_NS = 5_000_000_000
_STAMP_PER_NS = 262144 / 1e9


def _never(_: bytes) -> bool:
    return False


_KEY_FRAME: dict[str, Callable[[bytes], bool]] = {"vp8": is_vp8_key_frame, "h264": is_h264_key_frame}


class KeyFrameSource(Protocol):
    """What a track asks of its publisher."""

    def want_key_frame(self, layer: Layer) -> None: ...


class Layer:
    """One encoding, that is one SSRC (and the SSRC of its repairs)."""

    __slots__ = (
        "capture",
        "capture_track",
        "has_begun",
        "is_key",
        "is_repair",
        "key_frames",
        "last_ns",
        "level",
        "marker",
        "meter",
        "nacks",
        "now_ns",
        "number",
        "payload",
        "reception",
        "report",
        "rid",
        "ring",
        "ssrc",
        "stamp",
        "timestamp",
        "track",
    )

    def __init__(self, track: Track, rid: str, ssrc: int) -> None:
        self.track = track
        self.rid = rid
        self.ssrc = ssrc
        self.reception = Reception(track.codec.clock_rate)
        self.ring = PacketRing()
        self.nacks = NackList()
        self.key_frames = KeyFrames()
        self.meter = RateMeter()
        self.report: tuple[int, int] | None = None
        self.capture: CaptureSession | None = None
        self.capture_track = 0
        self.has_begun = False
        self.last_ns = 0
        # The packet at hand.
        self.number = self.timestamp = self.marker = self.level = self.stamp = self.now_ns = 0
        self.is_key = self.is_repair = False
        self.payload = b""

    def is_active(self, now_ns: int) -> bool:
        return now_ns - self.last_ns < ACTIVE_WITHIN_NS

    def capture_needs_key_frame(self) -> bool:
        """Capture waits for one that nobody has asked for yet."""
        if self.capture is None or self.key_frames.is_wanted or not self.last_ns:
            return False
        return self.capture.wants_key_frame(self.capture_track)

    def take(self, sequence: int, now_ns: int) -> bool:
        """Place a sequence number; False for a duplicate or a number that makes no sense."""
        reception = self.reception
        before = reception.highest
        self.now_ns = now_ns
        if before >= 0 and (before + 1) & 0xFFFF == sequence:  # as nearly always: the next one
            self.number = reception.highest = before + 1
            reception.suspects = 0
            return True
        number = reception.place(sequence)
        if number < 0 or self.ring.has(number):
            return False
        if self.track.has_repairs and before >= 0:
            if number > before + 1:
                self.nacks.miss(range(max(before + 1, number - 256), number), now_ns)
            elif number < before:
                self.nacks.found(number)
        self.number = number
        return True

    def deliver(self, counts: Counts) -> None:
        """The packet at hand goes to capture and to every receiver."""
        track, payload, now_ns = self.track, self.payload, self.now_ns
        self.last_ns = now_ns
        self.meter.bytes += len(payload)
        if not payload:
            self.ring.put(self.number, 0, self.timestamp, payload, now_ns)
            for forward in track.forwards:
                forward.close_over(self)
            return
        if track.is_video:
            self.ring.put(self.number, self.marker, self.timestamp, payload, now_ns)
            self.is_key = track.is_key_frame(payload)
            if self.is_key:
                self.nacks.clear_before(self.number)
                self.key_frames.passed()
        else:
            self.ring.note(self.number)
        if self.capture is not None:
            header = HEADER.pack(
                0x80, track.codec.payload_type | self.marker, self.number & 0xFFFF, self.timestamp, self.ssrc
            )
            if self.capture.packet(self.capture_track, now_ns, self.number, header, payload):
                counts.captured += 1
        # 24 bits of 6.18 fixed point seconds.
        self.stamp = int(now_ns * _STAMP_PER_NS) & 0xFFFFFF
        for forward in track.forwards:
            forward.relay(self)


class Track:
    """One source of one participant, for as long as one up connection carries it."""

    def __init__(
        self, participant_id: str, source: Source, codec: Codec, publisher: KeyFrameSource, rids: list[str]
    ) -> None:
        self.participant_id = participant_id
        self.source = source
        self.codec = codec
        self.is_video = source in (Source.CAMERA, Source.SCREEN)
        self.has_repairs = self.is_video and "nack" in codec.feedback
        self.is_key_frame = _KEY_FRAME.get(codec.name, _never)
        # In the offer's order, lowest first.
        self.rids = rids
        self.layers: dict[str, Layer] = {}
        self.forwards: list[Forward] = []
        # A receiver can use much less than before: the publisher is told without waiting for its next report.
        self.cap_changed = False
        self._publisher = publisher

    @property
    def key(self) -> tuple[str, Source]:
        return self.participant_id, self.source

    def layers_upwards(self) -> list[Layer]:
        return [self.layers[rid] for rid in (self.rids or [""]) if rid in self.layers]

    def usable_bps(self) -> int | None:
        """The most that any of its receivers can use now; None when that isn't known of all.

        With several layers there is nothing to cap: who can use less gets a lower layer.
        """
        if self.rids:
            return None
        known = [forward.usable_bps for forward in self.forwards]
        if not known or None in known:
            return None
        return max(bps for bps in known if bps is not None)

    def worst_loss(self, layer: Layer, now_ns: int) -> int:
        """The largest share, of 256, that a receiver of this layer has lately reported as lost on its own way."""
        lately_ns = now_ns - REPORTED_WITHIN_NS
        told = (one.fraction_lost for one in self.forwards if one.layer is layer and one.heard_ns > lately_ns)
        return max(told, default=0)

    def want_key_frame(self, layer: Layer | None = None) -> None:
        """Ask for a key frame of one layer, or of all that have sent anything."""
        if not self.is_video:
            return
        for one in [layer] if layer is not None else list(self.layers.values()):
            if one.last_ns:
                self._publisher.want_key_frame(one)
