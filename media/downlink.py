"""One receiver's link: what it takes, what is sent on it, and when to try whether it takes more.

Brings `estimate`, `probe` and `layers` together over one subscriber's forwards; RTCP is read in `subscriber`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from media.estimate import LOSS_FULL, LOSS_LIMIT, Estimate
from media.feedback import MS
from media.forward import Forward
from media.layers import HOLD, LayerChoice, Needs
from media.losses import Losses
from media.probe import Probe
from media.rtp import abs_send_time

CHOOSE_EVERY_NS = 500 * MS
MEASURE_OVER_NS = 400 * MS
# Times what fits; and about what a full queue on the way takes to drain, and a publisher to send less.
HOLD_ABOVE = 1.3
HELD_FOR_NS = 500 * MS
ASKED_OVER_NS = 300 * MS
ASKED_MANY = 12
# In one turn of the clock, whatever is due.
FILLS_AT_ONCE = 40


class Downlink:
    """Fed with what its receiver reports, called on each turn of the clock; `forwards` gives those in use.

    `ceiling_bps` is the most that the receiver may be sent, whatever its link takes.
    """

    def __init__(self, forwards: Callable[[], Sequence[Forward]], ceiling_bps: int | None = None) -> None:
        self.estimate = Estimate()
        # Whose pictures are held back since the link doesn't take them.
        self.paused: frozenset[str] = frozenset()
        self._forwards = forwards
        # Layers once chosen are held on to a little above their budget.
        self._ceiling_bps = None if ceiling_bps is None else int(ceiling_bps / HOLD)
        self._choice = LayerChoice()
        self._probe = Probe()
        self._choose_ns = self._held_ns = 0
        self._extra_bytes = 0
        self._measured = (0, 0, 0, 0)
        # Of everything, and of pictures with all that is sent beside them.
        self._sent_bps = self._pictures_bps = 0
        # Pictures' packets usually sent in the time over which missing ones are counted.
        self._video_packets = 0
        self._asked = (0, 0, 0)
        # By the receiver's own estimate when the probe at hand began.
        self._told_bps = 0
        # Packets sent to each forward's SSRC when its last report came.
        self._reported: dict[int, int] = {}
        self._losses = Losses()

    # ---- what its receiver says

    def told(self, remb_bps: int, now_ns: int) -> None:
        """Its own estimate. Browsers make it from pictures alone, and repeat the last one while none come: compared
        with sound it would look like a limit for ever."""
        if self.estimate.told(remb_bps, self._pictures_bps, now_ns, probed_bps=self._probe.rate_bps):
            self._fell(now_ns)

    def lost(self, losses: Sequence[tuple[Forward, int, int]], now_ns: int) -> None:
        """Shares of 256 that it lost by forward and SSRC, repairs included. Sound is left out: its gaps may have come
        from the publisher."""
        lost = packets = 0
        for forward, ssrc, fraction in losses:
            if forward.track.is_video:
                sent = forward.packets if ssrc == forward.ssrc else forward.repaired
                count = sent - self._reported.get(ssrc, 0)
                self._reported[ssrc] = sent
                packets += count
                lost += fraction * count
        share = self._losses.surely_above(LOSS_LIMIT, lost / 256, packets, now_ns)
        if share and self.estimate.lost(share, self._sent_bps, now_ns):
            self._fell(now_ns)

    def asked(self, number: int, now_ns: int) -> None:
        """So many packets, known here, were missing there. Reports come each second; many at once tell sooner."""
        since_ns, missing, packets = self._asked
        sent = sum(forward.packets for forward in self._forwards() if forward.track.is_video)
        if now_ns - since_ns > ASKED_OVER_NS:
            since_ns, missing, packets = now_ns, 0, sent
        missing += number
        self._asked = since_ns, missing, packets
        usual = max(sent - packets, self._video_packets)
        if missing > ASKED_MANY and missing > usual * LOSS_FULL:
            share = min(0.5, missing / max(1, usual))
            self._asked = now_ns, 0, sent
            if self.estimate.lost(share, self._sent_bps, now_ns):
                self._fell(now_ns)

    def note_extra(self, sent_bytes: int) -> None:
        """Repairs, sent beside the streams."""
        self._extra_bytes += sent_bytes

    # ---- what follows

    def tick(self, now_ns: int, picture_first: frozenset[str], *, never_pause: bool) -> None:
        """Every 20 ms."""
        if self._probe.rate_bps:
            self._go_on_probing(now_ns)
        if now_ns - self._choose_ns >= CHOOSE_EVERY_NS:
            self._choose_ns = now_ns
            self._choose(now_ns, picture_first, never_pause)
        if self._held_ns and now_ns - self._held_ns > HELD_FOR_NS:
            self._let_go()

    # ---- inside

    def _fell(self, now_ns: int) -> None:
        """A limit has shown: choose at the next turn, let publishers know soon, and where far too much is on its way
        hold pictures back until it has drained, since sound waits behind them."""
        self._probe.fell(now_ns)
        self._choose_ns = 0
        is_far = self._sent_bps > HOLD_ABOVE * (self.estimate.bps or 0)
        for forward in self._forwards():
            forward.track.cap_changed = True
            if is_far and forward.track.is_video and not forward.is_held:
                forward.hold()
                self._held_ns = now_ns
                self.estimate.note_held(now_ns)

    def _let_go(self) -> None:
        self._held_ns = 0
        for forward in self._forwards():
            if forward.is_held:
                forward.let_go()

    def _choose(self, now_ns: int, picture_first: frozenset[str], never_pause: bool) -> None:
        forwards = self._forwards()
        self._measure(now_ns)
        estimate = self.estimate
        estimate.settle(self._sent_bps, now_ns)
        sound, usable = self._sound_bps(forwards), estimate.usable_bps(now_ns)
        budget, cap = self._for_pictures(estimate.bps, sound), self._for_pictures(usable, sound)
        needs = Needs(picture_first, never_pause)
        wish = self._choice.choose(forwards, budget, now_ns, needs, cap_bps=cap)
        self.paused = frozenset(forward.track.participant_id for forward in forwards if forward.is_paused)
        if estimate.bps is None:
            return
        if wish and (self._choice.wants_step or estimate.is_past_limit or estimate.is_old(now_ns)):
            self._want(estimate.bps, wish, now_ns)
        is_at_ceiling = self._ceiling_bps is not None and estimate.bps >= self._ceiling_bps
        estimate.rest((not wish and self._choice.is_content) or is_at_ceiling, now_ns)
        if estimate.bps is None:
            self._probe.rest()

    def _for_pictures(self, bps: int | None, sound_bps: int) -> int | None:
        """What sound and the ceiling leave; None when there is no limit."""
        known = [limit for limit in (bps, self._ceiling_bps) if limit is not None]
        return max(0, min(known) - sound_bps) if known else None

    def _want(self, known_bps: int, more_bps: int, now_ns: int) -> None:
        if self._ceiling_bps is not None:
            more_bps = min(more_bps, self._ceiling_bps - known_bps)
        if more_bps <= 0:
            return
        if not self._probe.rate_bps:
            self._told_bps = self.estimate.told_bps or 0
            self._probe.want(known_bps + more_bps, known_bps, self._sent_bytes(), now_ns)

    def _go_on_probing(self, now_ns: int) -> None:
        due = self._probe.due(self._sent_bytes(), now_ns)
        filler = next((one for one in self._forwards() if one.repair_type is not None), None)
        path = filler.connection.path if filler is not None else None
        if path is not None and path.is_backed_up:  # a TCP connection tells at once what else a receiver's delay shows
            self._probe.fell(now_ns)
            return
        stamp = abs_send_time(now_ns / 1e9)
        for _ in range(FILLS_AT_ONCE):
            sent = filler.fill(stamp) if filler is not None and due > 0 else 0
            if not sent:
                break
            self._extra_bytes += sent
            due -= sent
        shown = self._probe.verdict(now_ns)
        if shown and self.estimate.has_grown(self._told_bps):
            self.estimate.proved(shown)
            self._choose_ns = 0
        elif shown:
            self._probe.fell(now_ns)

    def _sent_bytes(self) -> int:
        """Payloads only, as receivers count."""
        return sum(forward.octets for forward in self._forwards()) + self._extra_bytes

    def _sound_bps(self, forwards: Sequence[Forward]) -> int:
        layers = [forward.layer for forward in forwards if not forward.track.is_video and forward.layer is not None]
        return sum(layer.meter.bps for layer in layers)

    def _measure(self, now_ns: int) -> None:
        since_ns, before, sound_before, packets_before = self._measured
        elapsed = now_ns - since_ns
        if elapsed < MEASURE_OVER_NS:
            return
        total = self._sent_bytes()
        sound = sum(forward.octets for forward in self._forwards() if not forward.track.is_video)
        packets = sum(forward.packets for forward in self._forwards() if forward.track.is_video)
        if since_ns:
            self._sent_bps = max(0, total - before) * 8_000_000_000 // elapsed
            self._pictures_bps = max(0, total - sound - before + sound_before) * 8_000_000_000 // elapsed
            self._video_packets = max(0, packets - packets_before) * ASKED_OVER_NS // elapsed
        self._measured = now_ns, total, sound, packets
