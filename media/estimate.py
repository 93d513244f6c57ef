"""What one receiver's link can take: told by its own estimate (REMB), by its losses, by probes that went through.

Pure over numbers and times; probes are `probe`'s, what is sent under a limit is chosen in `layers`.
"""

from __future__ import annotations

from media.feedback import MS

# A receiver's estimate follows what it gets, so a low one shows no limit; a fall, or one that no longer grows, does.
FALL = 0.97
# Of what came, that an estimate falls to; and how far beyond that limit it must have grown to be past it.
FALLS_TO = 0.85
PAST = 1.1
LEAST_BPS = 200_000
# After a fall so much is believed without proof; a receiver whose pictures were just held back shows too little.
UNPROVED_BPS = 450_000
# What was sent before a probe failed, with its ups and downs.
WENT_WELL = 1.2
GROWTH = 1.01
STALLED_AFTER_NS = 3_000 * MS
# An estimate that lags far behind what is sent tells that there is a limit, not where: then this share of it is tried.
LAGS_BELOW = 0.8
LAGGING_SHARE = 0.5
# Shares of packets. Below the second one the loss is the network's own, and lowering would not help (as Chrome's GCC).
LOSS_LIMIT = 0.10
# So much means that the line is full, and what got through is what it takes.
LOSS_FULL = 0.25
LOSS_APART_NS = 1_000 * MS
LOSS_HOLD_NS = 3_000 * MS
# A report tells of the second before; what was lost before a fall has been answered by it.
LOSS_AFTER_FALL_NS = 1_500 * MS
# Loss alone never takes pictures away.
LOSS_FLOOR_BPS = 300_000
DRAIN_NS = 1_500 * MS
DRAIN_SHARE = 0.8
CLEAR_AFTER_NS = 8_000 * MS
OLD_AFTER_NS = 8_000 * MS


class Estimate:
    """`bps` is None as long as no limit has shown."""

    __slots__ = (
        "_content_ns",
        "_drained_ns",
        "_fell_ns",
        "_grew_ns",
        "_grown_from",
        "_is_fresh",
        "_lags",
        "_limit_bps",
        "_lost_ns",
        "_remb",
        "bps",
    )

    def __init__(self) -> None:
        self.bps: int | None = None
        self._remb = self._grown_from = 0
        self._grew_ns = self._fell_ns = self._lost_ns = self._content_ns = self._limit_bps = 0
        self._is_fresh = self._lags = False
        self._drained_ns = -DRAIN_NS

    @property
    def told_bps(self) -> int | None:
        """The receiver's own figure, limit or not."""
        return self._remb or None

    def told(self, remb_bps: int, sent_bps: int, now_ns: int, *, probed_bps: int = 0) -> bool:
        """The receiver's own estimate has come; whether it shows a link that is too narrow for what is sent.

        `sent_bps` is what has been sent for a while, `probed_bps` what a probe makes of it just now.
        """
        before, self._remb = self._remb, remb_bps
        if remb_bps >= sent_bps * 0.9 or remb_bps < before * FALL or remb_bps > self._grown_from * GROWTH:
            self._grew_ns, self._grown_from = now_ns, remb_bps
        has_fallen = before and remb_bps < before * FALL and remb_bps < max(sent_bps, probed_bps) * 1.1
        if has_fallen or now_ns - self._grew_ns > STALLED_AFTER_NS:
            self._grew_ns = now_ns
            return self._limit(self._shown(before, remb_bps, (sent_bps, probed_bps), now_ns), now_ns)
        if self.bps is not None and remb_bps > self.bps and now_ns - self._lost_ns > LOSS_HOLD_NS:
            self.bps = max(self.bps, min(remb_bps, max(LEAST_BPS, sent_bps * 3 // 2)))
        return False

    def note_held(self, now_ns: int) -> None:
        """Pictures are held back from now on, for a moment."""
        self._drained_ns = now_ns

    @property
    def is_past_limit(self) -> bool:
        """More fits by now than when the limit last showed."""
        return self.bps is not None and self.bps > self._limit_bps * PAST

    def is_old(self, now_ns: int) -> bool:
        """Nothing has shown for a while that the limit still stands."""
        return now_ns - self._fell_ns > OLD_AFTER_NS

    def settle(self, sent_bps: int, now_ns: int) -> None:
        """Some time after a fall: what is sent since has shown to fit, much more than that has not."""
        if self.bps is not None and self._is_fresh and now_ns - self._fell_ns > DRAIN_NS:
            self._is_fresh = False
            self.bps = min(self.bps, max(self._remb, sent_bps), max(UNPROVED_BPS, sent_bps * 3 // 2))

    def usable_bps(self, now_ns: int) -> int | None:
        """What may be sent now: right after a fall less, so that what waits on the way can drain."""
        if self.bps is None or now_ns - self._fell_ns > DRAIN_NS:
            return self.bps
        return int(self.bps * DRAIN_SHARE)

    def lost(self, share: float, sent_bps: int, now_ns: int) -> bool:
        """What its receiver reports lost on its own way; whether that shows a limit."""
        if share <= LOSS_LIMIT or now_ns - self._lost_ns < LOSS_APART_NS:
            return False
        if self._fell_ns and now_ns - self._fell_ns < LOSS_AFTER_FALL_NS:
            return False
        held = sent_bps if self.bps is None else min(self.bps, sent_bps)
        left = (1 - share) * 0.9 if share > LOSS_FULL else 1 - share / 2
        reduced = max(LOSS_FLOOR_BPS, int(held * left))
        self._lost_ns = now_ns
        if reduced >= sent_bps or (self.bps is not None and reduced >= self.bps):
            return False
        return self._limit(reduced, now_ns)

    def has_grown(self, before_bps: int) -> bool:
        """Whether the receiver's own figure rose since: where a probe filled the link it stands still."""
        return self._remb > before_bps * GROWTH

    def proved(self, bps: int) -> None:
        """A probe of this rate has passed without a sign of a limit."""
        if self.bps is not None:
            self.bps = max(self.bps, bps)

    def rest(self, is_content: bool, now_ns: int) -> None:
        """Whether everything fits; when it has for a while, the limit is forgotten."""
        if not is_content:
            self._content_ns = 0
        elif not self._content_ns:
            self._content_ns = now_ns
        elif now_ns - self._content_ns > CLEAR_AFTER_NS:
            self.bps, self._content_ns = None, 0

    def _shown(self, before: int, remb_bps: int, rates: tuple[int, int], now_ns: int) -> int:
        """Where a limit that has just shown lies, `rates` being what was sent and what a probe made of it."""
        sent_bps, probed_bps = rates
        if probed_bps:  # what went well before the probe goes on
            shown = max(remb_bps, int(sent_bps * WENT_WELL))
            return shown if self.bps is None else min(shown, self.bps)
        if now_ns - self._drained_ns < DRAIN_NS:  # pictures were held back, so that little came: it tells no level
            return max(remb_bps, min(self.bps or remb_bps, UNPROVED_BPS))
        if not self._is_fresh:
            self._lags = before < sent_bps * LAGS_BELOW
        return max(remb_bps, int(sent_bps * LAGGING_SHARE)) if self._lags else remb_bps

    def _limit(self, bps: int, now_ns: int) -> bool:
        self.bps, self._fell_ns, self._content_ns, self._is_fresh = bps, now_ns, 0, True
        self._limit_bps = int(bps / FALLS_TO)
        return True
