"""The down connection of a participant: its sections, the offers that change them, and what its receiver reports.

Which tracks it should get is the room's decision; how packets are renumbered is `forward`'s.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from media import rtcp
from media.api import DownOffer, Leg, OfferedSection, Source
from media.connection import Connection, Shared
from media.counts import Counts
from media.downlink import Downlink
from media.feedback import SentReports
from media.forward import Forward
from media.negotiate import DownPlan, DownSectionAnswer
from media.rtp import abs_send_time
from media.sdpwrite import DOWN_TYPES, DownSection, write_offer
from media.track import Track

Key = tuple[str, Source]
NACKS_A_MESSAGE_MAX = 256
# Repairs may take a fifth of what the receiver says it can take, and this much at once.
REPAIR_SHARE = 5
REPAIR_BURST_BYTES = 96 * 1024
ESTIMATE_DEFAULT_BPS = 2_500_000


@dataclass
class Section:
    """One section of the down offer, kept for the connection's life and reused."""

    mid: str
    kind: Literal["audio", "video"]
    key: Key | None = None
    forward: Forward | None = None
    answered: DownSectionAnswer | None = None


class Subscriber:
    """Made for one connection id, with an audio and a video section from the start."""

    def __init__(
        self,
        connection_id: str,
        counts: Counts,
        shared: Shared,
        *,
        on_connected: Callable[[Leg], None],
        on_closed: Callable[[Leg, str], None],
    ) -> None:
        self.counts = counts
        self.connection = Connection(Leg.DOWN, connection_id, counts, shared, self)
        self.sections = [Section("0", "audio"), Section("1", "video")]
        self.outstanding: DownOffer | None = None
        self.outstanding_since_ns = 0
        self.last_answered = 0
        self.rtt_ns = 0
        self.loss = 0.0
        self.downlink = Downlink(self._attached, shared.ceilings.down_bps)
        self._on_connected = on_connected
        self._on_closed = on_closed
        self._revision = 0
        self._offered: list[tuple[str, Key | None]] = []
        self._session_id = secrets.randbits(62)
        self._by_ssrc: dict[int, Forward] = {}
        self._sent_reports = SentReports()
        self._repair_bytes = REPAIR_BURST_BYTES
        self._repair_ns = 0

    # ---- what is sent to whom

    def want(self, tracks: Mapping[Key, Track], cnames: Mapping[str, str]) -> None:
        """Receive these tracks and no others: what goes ends at once, what comes waits for its section's answer."""
        for section in self.sections:
            if section.key is None or section.forward is None:
                continue
            track = tracks.get(section.key)
            if track is None or not self._fits(section, track):
                self._release(section)
            elif track is not section.forward.track:
                section.forward.move_to(track)
        taken = {section.key for section in self.sections}
        for key, track in tracks.items():
            if key not in taken:
                self._place(key, track, cnames[key[0]])

    def close(self) -> None:
        for section in self.sections:
            if section.forward is not None:
                section.forward.detach()
        self.downlink = Downlink(tuple)  # the one in use asks for what is attached, and so refers to this
        self.connection.close()

    # ---- descriptions

    @property
    def is_stale(self) -> bool:
        """Whether the sections have changed since the last offer, and an offer may be made now."""
        return self.outstanding is None and self._offered != self._table()

    def has_waited_for_answer(self, now_ns: int, limit_ns: int) -> bool:
        return self.outstanding is not None and now_ns - self.outstanding_since_ns > limit_ns

    def offer(self) -> DownOffer:
        """A new offer, in place of one still outstanding."""
        self._revision += 1
        self._offered = self._table()
        text = write_offer(
            [self._described(section) for section in self.sections],
            self.connection.local(),
            self._session_id,
            self._revision,
        )
        self.outstanding = DownOffer(
            connection_id=self.connection.connection_id,
            revision=self._revision,
            sdp=text,
            sections=[
                OfferedSection(
                    mid=section.mid,
                    kind=section.kind,
                    participant_id=section.key[0] if section.key else None,
                    source=section.key[1] if section.key else None,
                )
                for section in self.sections
            ],
        )
        self.outstanding_since_ns = time.monotonic_ns()
        return self.outstanding

    def answer(self, plan: DownPlan) -> None:
        """The answer to the outstanding offer."""
        offered = dict(self._offered)
        self.last_answered, self.outstanding = self._revision, None
        self.connection.set_remote(plan.remote)
        for section in self.sections:
            section.answered = plan.sections.get(section.mid) if offered.get(section.mid) == section.key else None
        self._attach()

    # ---- packets (Owner)

    def handle_rtp(self, packet: bytes, now_ns: int) -> None:
        """Nobody publishes on a down connection."""

    def handle_rtcp(self, packet: bytes, now_ns: int) -> None:
        for kind, count, from_, to in rtcp.parts(packet):
            if kind == rtcp.RR:
                self._take_blocks(rtcp.report_blocks(packet, from_ + 4, to, count), now_ns)
            elif kind == rtcp.SR:
                self._take_blocks(rtcp.report_blocks(packet, from_ + 24, to, count), now_ns)
            elif kind == rtcp.RTPFB and count == rtcp.NACK:
                self._repair(packet, from_, to, now_ns)
            elif kind == rtcp.PSFB:
                self._take_request(packet, count, from_, to, now_ns)

    def handle_connected(self, connection: Connection) -> None:
        self._attach()
        self._on_connected(connection.leg)

    def handle_closed(self, connection: Connection, reason: str) -> None:
        self._on_closed(connection.leg, reason)

    def tick(self, now_ns: int, picture_first: frozenset[str], *, never_pause: bool) -> None:
        """Every 20 ms."""
        if self.connection.is_connected:
            self.downlink.tick(now_ns, picture_first, never_pause=never_pause)

    # ---- inside: sections

    def _attached(self) -> list[Forward]:
        return [section.forward for section in self.sections if section.forward and section.forward.is_attached]

    def _table(self) -> list[tuple[str, Key | None]]:
        return [(section.mid, section.key) for section in self.sections]

    def _fits(self, section: Section, track: Track) -> bool:
        """A track published anew may have another codec; the agreed payload types decide."""
        if section.answered is None:
            return True
        return DOWN_TYPES[track.codec.name][0] in section.answered.payload_types

    def _release(self, section: Section) -> None:
        forward = section.forward
        if forward is not None:
            forward.detach()
            self._by_ssrc.pop(forward.ssrc, None)
            self._by_ssrc.pop(forward.repair_ssrc or -1, None)
        section.key = section.forward = section.answered = None

    def _place(self, key: Key, track: Track, cname: str) -> None:
        kind: Literal["audio", "video"] = "video" if track.is_video else "audio"
        section = next((one for one in self.sections if one.key is None and one.kind == kind), None)
        if section is None:
            section = Section(str(len(self.sections)), kind)
            self.sections.append(section)
        section.key = key
        section.forward = Forward(self.connection, track, cname.encode(), self._sent_reports)
        self._by_ssrc[section.forward.ssrc] = section.forward
        if section.forward.repair_ssrc is not None:
            self._by_ssrc[section.forward.repair_ssrc] = section.forward

    def _described(self, section: Section) -> DownSection:
        if section.key is None or section.forward is None:
            return DownSection(section.mid, section.kind)
        participant_id, source = section.key
        # Camera and microphone are one stream, so that they are kept in sync; a screen is another.
        stream = f"{participant_id}-{'screen' if source in (Source.SCREEN, Source.SCREEN_AUDIO) else 'person'}"
        forward = section.forward
        return DownSection(
            section.mid,
            section.kind,
            forward.ssrc,
            forward.repair_ssrc,
            forward.cname.decode(),
            stream,
            f"{participant_id}-{source.value}",
        )

    def _attach(self) -> None:
        if not self.connection.is_connected:
            return
        for section in self.sections:
            forward, answered = section.forward, section.answered
            if forward is None or answered is None or not answered.receives:
                continue
            main, repair = DOWN_TYPES[forward.track.codec.name]
            if main in answered.payload_types:
                forward.attach(main, repair if repair in answered.payload_types else None)

    # ---- inside: reports

    def _take_blocks(self, blocks: list[tuple[int, int, int, int]], now_ns: int) -> None:
        losses: list[tuple[Forward, int, int]] = []
        for ssrc, fraction, lsr, dlsr in blocks:
            forward = self._by_ssrc.get(ssrc)
            if forward is None:
                continue
            if ssrc == forward.ssrc:
                forward.told(fraction, now_ns)
            losses.append((forward, ssrc, fraction))
            self.loss = fraction / 256
            round_trip = self._sent_reports.round_trip_ns(lsr, dlsr, now_ns) if lsr else None
            if round_trip is not None:
                self.rtt_ns = round_trip
        self.downlink.lost(losses, now_ns)

    def _take_request(self, packet: bytes, kind: int, from_: int, to: int, now_ns: int) -> None:
        if kind == rtcp.APPLICATION:
            estimate = rtcp.remb_bps(packet, from_, to)
            if estimate is not None:
                self.downlink.told(estimate, now_ns)
            return
        ssrcs: list[int] = []
        if kind == rtcp.PLI:
            ssrc = rtcp.media_ssrc(packet, from_, to)
            ssrcs = [ssrc] if ssrc is not None else []
        elif kind == rtcp.FIR:
            ssrcs = rtcp.fir_ssrcs(packet, from_, to)
        for ssrc in set(ssrcs):
            forward = self._by_ssrc.get(ssrc)
            if forward is not None and forward.is_attached and forward.wants_picture:
                self.counts.pli_in += 1
                forward.track.want_key_frame(forward.layer)

    def _repair(self, packet: bytes, from_: int, to: int, now_ns: int) -> None:
        ssrc = rtcp.media_ssrc(packet, from_, to)
        forward = self._by_ssrc.get(ssrc) if ssrc is not None else None
        if forward is None or not forward.is_attached or not forward.track.is_video or not forward.wants_picture:
            return
        numbers = rtcp.nack_numbers(packet, from_, to)[:NACKS_A_MESSAGE_MAX]
        self.counts.nack_in += len(numbers)
        self._refill(now_ns)
        stamp = abs_send_time(now_ns / 1e9)
        repaired = 0
        for number in numbers:
            sent = forward.repair(number, stamp) if self._repair_bytes > 0 else 0
            if sent:
                repaired += 1
                self._repair_bytes -= sent
                self.downlink.note_extra(sent)
        self.counts.rtx_out += repaired
        self.downlink.asked(repaired, now_ns)

    def _refill(self, now_ns: int) -> None:
        estimate = self.downlink.estimate.bps or ESTIMATE_DEFAULT_BPS
        gained = (now_ns - self._repair_ns) * estimate // (8 * REPAIR_SHARE * 1_000_000_000)
        self._repair_bytes = min(REPAIR_BURST_BYTES, self._repair_bytes + gained)
        self._repair_ns = now_ns
