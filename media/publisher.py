"""The up connection of a participant: its answers, its packets, the feedback that goes to it.

Packets leave through `Layer.deliver`; who may receive them is the room's decision.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from media import rtcp
from media.api import Leg, Source, UpAnswer, UpOffer
from media.connection import Connection, Shared
from media.counts import Counts
from media.feedback import MS, RTT_DEFAULT_NS, Arrivals, Cap
from media.negotiate import UpPlan, plan_up
from media.rtp import HEADER, NO_MARK, elements, layout, marks
from media.sdp import read
from media.sdpwrite import write_answer
from media.streams import Streams
from media.track import Layer, Track

ARRIVALS_EVERY_NS = 100 * MS
REPORT_EVERY_NS = 1000 * MS
CAP_APART_NS = 200 * MS
SILENT_LEVEL = 127


class Publisher:
    """Made for one connection id; `offer` may be called again for re-offers and ICE restarts."""

    def __init__(
        self,
        participant_id: str,
        connection_id: str,
        counts: Counts,
        shared: Shared,
        *,
        on_tracks: Callable[[], None],
        on_layer: Callable[[Layer], None],
        on_begun: Callable[[Layer], None],
        on_connected: Callable[[Leg], None],
        on_closed: Callable[[Leg, str], None],
    ) -> None:
        self.participant_id = participant_id
        self.counts = counts
        self.connection = Connection(Leg.UP, connection_id, counts, shared, self)
        self.streams = Streams(participant_id, self.connection, self, on_layer)
        self.is_admitted = False
        # What receivers are told; the browser's own is for capture.
        self.cname = secrets.token_urlsafe(12)
        self.source_cname = ""
        self.rtt_ns = 0
        self._on_tracks = on_tracks
        self._on_begun = on_begun
        self._on_connected = on_connected
        self._on_closed = on_closed
        self._arrivals = Arrivals()
        self._cap = Cap(shared.ceilings.up_bps)
        self._ssrc = secrets.randbelow(0xFFFFFFFE) + 1
        self._session_id = secrets.randbits(62)
        self._answered: tuple[UpOffer, UpAnswer] | None = None
        self._arrivals_ns = self._report_ns = self._capped_ns = 0
        self._has_rcvr_rtt = False

    @property
    def tracks(self) -> dict[Source, Track]:
        return self.streams.tracks

    # ---- descriptions

    @property
    def revision(self) -> int:
        return self._answered[0].revision if self._answered is not None else -1

    def repeated(self, offer: UpOffer) -> UpAnswer | None:
        """The answer already given to this very offer."""
        return self._answered[1] if self._answered is not None and self._answered[0] == offer else None

    def differs_from(self, plan: UpPlan) -> bool:
        """Whether the other side has a new certificate or role, so that a new session is needed."""
        now, then = plan.remote, self.connection.remote
        if now is None or then is None:
            return False
        return now.fingerprint != then.fingerprint or (now.setup == "passive") != (then.setup == "passive")

    def offer(self, offer: UpOffer, plan: UpPlan) -> UpAnswer:
        """Take the sections of a plan and answer; an ICE restart is seen by its new ufrag."""
        remote = plan.remote
        if remote is not None:
            if self.connection.remote is not None and self.connection.remote.ufrag != remote.ufrag:
                self.connection.restart()
            self.connection.set_remote(remote)
        self.streams.take(plan)
        self.source_cname = plan.cname or self.source_cname
        self._has_rcvr_rtt = any(section.rcvr_rtt for section in plan.accepted.values())
        text = write_answer(plan, self.connection.local(), self._session_id, offer.revision + 1)
        answer = UpAnswer(connection_id=offer.connection_id, revision=offer.revision, sdp=text, sections=plan.answered)
        self._answered = (offer, answer)
        self._on_tracks()
        return answer

    def close(self) -> None:
        self.streams.close()
        self.connection.close()

    # ---- packets (Owner)

    def handle_rtp(self, packet: bytes, now_ns: int) -> None:
        span = layout(packet)
        if span is None:
            return
        _, second, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
        from_, to, start, end = span
        streams = self.streams
        wide = level = NO_MARK
        if to > from_:
            wide, level = marks(packet, from_, to, streams.wide_id, streams.level_id)
        if wide >= 0:
            self._arrivals.add(wide, now_ns)
        layer = streams.by_ssrc.get(ssrc)
        repaired: Layer | None = None
        payload = packet[start:end]
        if layer is None:
            repaired = streams.by_repair.get(ssrc)
            if repaired is None:
                names = {name: packet[at:stop] for name, at, stop in elements(packet, from_, to)}
                layer, repaired = streams.learn(ssrc, second & 0x7F, names)
            if repaired is not None:
                self.counts.rtx_in += 1
                if len(payload) < 2:
                    return
                sequence, payload, layer = payload[0] << 8 | payload[1], payload[2:], repaired
        if layer is None or not self.is_admitted or not layer.take(sequence, now_ns):
            return
        layer.reception.arrived(timestamp, now_ns)
        layer.marker, layer.timestamp, layer.payload = second & 0x80, timestamp, payload
        layer.level = level if level >= 0 else SILENT_LEVEL
        layer.is_repair = repaired is not None
        if layer.has_begun:
            layer.deliver(self.counts)
        else:
            self._begin(layer)

    def handle_rtcp(self, packet: bytes, now_ns: int) -> None:
        for kind, _, from_, to in rtcp.parts(packet):
            if kind == rtcp.SR:
                self._take_report(packet, from_, to, now_ns)
            elif kind == rtcp.XR:
                self._take_round_trip(packet, from_, to)

    def handle_connected(self, connection: Connection) -> None:
        self._on_connected(connection.leg)

    def handle_closed(self, connection: Connection, reason: str) -> None:
        self._on_closed(connection.leg, reason)

    # ---- feedback

    def want_key_frame(self, layer: Layer) -> None:
        if layer.key_frames.want(time.monotonic_ns()):
            self._ask_key_frame(layer)

    def tick(self, now_ns: int, rtt_ns: int) -> None:
        """Every 20 ms: repeat NACKs and key frame requests, report arrivals and reception when due."""
        if not self.is_admitted or not self.connection.is_connected:
            return
        rtt_ns = self.rtt_ns or rtt_ns or RTT_DEFAULT_NS
        for layer in self.streams.by_ssrc.values():
            if len(layer.nacks):
                self._ask_again(layer, now_ns, rtt_ns)
            if layer.key_frames.tick(now_ns):
                self._ask_key_frame(layer)
            elif layer.capture_needs_key_frame():
                self.want_key_frame(layer)
            if layer.track.cap_changed and now_ns - self._capped_ns >= CAP_APART_NS:
                layer.track.cap_changed = False
                self._capped_ns = now_ns
                self._announce_rate()
        if now_ns - self._arrivals_ns >= ARRIVALS_EVERY_NS:
            self._arrivals_ns = max(self._arrivals_ns + ARRIVALS_EVERY_NS, now_ns - ARRIVALS_EVERY_NS // 2)
            self._report_arrivals()
        if now_ns - self._report_ns >= REPORT_EVERY_NS:
            self._report_ns = now_ns
            self._report(now_ns)

    # ---- inside

    def _begin(self, layer: Layer) -> None:
        """The packet at hand of a layer of which nothing whole has come so far."""
        layer.deliver(self.counts)
        if layer.is_key or not layer.track.is_video:
            layer.has_begun = True
            self._on_begun(layer)
        elif not layer.key_frames.is_wanted:
            self.want_key_frame(layer)

    def _take_report(self, packet: bytes, from_: int, to: int, now_ns: int) -> None:
        info = rtcp.sender_info(packet, from_, to)
        layer = self.streams.by_ssrc.get(info[0]) if info is not None else None
        if info is None or layer is None or not self.is_admitted:
            return
        _, ntp, timestamp = info
        layer.reception.reported(ntp, now_ns)
        layer.report = (ntp, timestamp)
        if layer.capture is not None:
            layer.capture.sender_report(layer.capture_track, now_ns, ntp, timestamp)
        for forward in layer.track.forwards:
            forward.pass_report(layer, now_ns)

    def _take_round_trip(self, packet: bytes, from_: int, to: int) -> None:
        now = _ntp_now() >> 16 & 0xFFFFFFFF
        for _, last, delay in rtcp.dlrr(packet, from_, to):
            round_trip = (now - last - delay) & 0xFFFFFFFF
            if last and round_trip < 0x80000:
                self.rtt_ns = max(MS, round_trip * 1_000_000_000 >> 16)

    def _ask_key_frame(self, layer: Layer) -> None:
        self.counts.pli_out += 1
        self.connection.send_rtcp(rtcp.picture_loss(self._ssrc, layer.ssrc))

    def _ask_again(self, layer: Layer, now_ns: int, rtt_ns: int) -> None:
        numbers, gave_up = layer.nacks.due(now_ns, rtt_ns)
        if numbers:
            self.counts.nack_out += len(numbers)
            self.connection.send_rtcp(rtcp.nack(self._ssrc, layer.ssrc, numbers))
        if gave_up:
            self.want_key_frame(layer)
            if layer.capture is not None:
                layer.capture.mark("gap", self.participant_id, {"track": layer.capture_track})

    def _report_arrivals(self) -> None:
        taken = self._arrivals.take()
        if taken and self.streams.by_ssrc:
            media = next(iter(self.streams.by_ssrc))
            self.connection.send_rtcp(rtcp.transport_cc(self._ssrc, media, self._arrivals.count, taken))

    def _report(self, now_ns: int) -> None:
        heard = [layer for layer in self.streams.by_ssrc.values() if layer.reception.highest >= 0]
        if not heard:
            return
        blocks = [rtcp.block(ssrc=layer.ssrc, **self._figures(layer, now_ns)) for layer in heard]
        for layer in heard:
            layer.meter.tick(now_ns)
        packet = rtcp.receiver_report(self._ssrc, blocks) + rtcp.source_description(self._ssrc, b"node")
        if self._has_rcvr_rtt:
            packet += rtcp.reference_time(self._ssrc, _ntp_now())
        self.connection.send_rtcp(packet + self._remb())

    def _remb(self) -> bytes:
        rate = self._rate()
        videos = [layer.ssrc for layer in self.streams.by_ssrc.values() if layer.track.is_video and layer.last_ns]
        return rtcp.remb(self._ssrc, rate, videos) if rate is not None else b""

    def _announce_rate(self) -> None:
        """Between two reports, when a receiver can suddenly use much less."""
        cap = self._remb()
        if cap:
            self.connection.send_rtcp(rtcp.receiver_report(self._ssrc, []) + cap)

    def _figures(self, layer: Layer, now_ns: int) -> dict[str, int]:
        """What is reported to the publisher. Of a voice the larger of both ways' losses: its in-band repairs (Opus
        FEC) must cover the way to the listener too. Pictures are repaired on each way by itself."""
        figures = layer.reception.figures(now_ns)
        if not layer.track.is_video:
            figures["fraction"] = max(figures["fraction"], layer.track.worst_loss(layer, now_ns))
        return figures

    def _rate(self) -> int | None:
        """What to cap the publisher at: the sum over video tracks of what their best receiver can use."""
        videos = [track for track in self.tracks.values() if track.is_video]
        usable = [track.usable_bps() for track in videos]
        known = [bps for bps in usable if bps is not None]
        sent = sum(layer.meter.bps for track in videos for layer in track.layers.values())
        audio = sum(
            layer.meter.bps for track in self.tracks.values() if not track.is_video for layer in track.layers.values()
        )
        return self._cap.decide(sum(known) if known and len(known) == len(usable) else None, sent, audio)


def _ntp_now() -> int:
    return int((time.time() + rtcp.NTP_EPOCH_S) * 4294967296)


def read_up(offer: UpOffer) -> UpPlan:
    """The plan for an offer; raises SdpError."""
    return plan_up(read(offer.sdp), offer.sources)
