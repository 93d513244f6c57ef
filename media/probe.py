"""When to send a receiver more than it gets, to see whether it could get it: short, seldom, ever more seldom in vain.

Pure over bytes and times; what the extra bytes are is the subscriber's affair.
"""

from __future__ import annotations

from media.feedback import MS

LASTS_NS = 400 * MS
# A limit shows within this time after the last extra byte.
SETTLES_NS = 600 * MS
# From begin to begin: after one that passed, the first ever, and at most after failures. What a limit's end costs in
# time is the last one; what a limit costs in delay is one small failure each time.
GOING_UP_NS = 2_000 * MS
APART_NS = 3_000 * MS
APART_MAX_NS = 6_000 * MS
# A fall this soon after a probe that seemed to pass is that probe's failure.
REGRETTED_WITHIN_NS = 5_000 * MS
STEP = 2
# A rate this near to one that failed shows that the limit has gone.
NEAR = 0.85
LEAST_BPS = 200_000
# Nothing below this brings anybody's picture back, so failing never leads there.
USEFUL_BPS = 100_000


class Probe:
    """One receiver's probes, one at a time."""

    __slots__ = (
        "_apart_ns",
        "_bytes",
        "_failed_bps",
        "_from_ns",
        "_next_ns",
        "_passed_bps",
        "_passed_ns",
        "_settles",
        "rate_bps",
    )

    def __init__(self) -> None:
        # Of the probe at hand, else 0.
        self.rate_bps = 0
        self._from_ns = self._bytes = 0
        self._settles = False
        self._next_ns = self._passed_ns = self._passed_bps = 0
        self._apart_ns = APART_NS
        self._failed_bps = 0

    @property
    def is_sending(self) -> bool:
        return self.rate_bps > 0 and not self._settles

    def want(self, wish_bps: int, known_bps: int, sent_bytes: int, now_ns: int) -> None:
        """There is use for `wish_bps` while `known_bps` is known to fit; begins when one is due."""
        if self.rate_bps or now_ns < self._next_ns:
            return
        self.rate_bps = min(wish_bps, self._next_bps(known_bps))
        self._from_ns, self._bytes, self._settles = now_ns, sent_bytes, False
        self._next_ns = now_ns + self._apart_ns

    def due(self, sent_bytes: int, now_ns: int) -> int:
        """How many extra bytes bring what was sent up to the probe's rate; its end is noticed here."""
        if not self.is_sending:
            return 0
        elapsed = now_ns - self._from_ns
        if elapsed >= LASTS_NS:
            self._settles, self._from_ns = True, now_ns
            return 0
        return max(0, self.rate_bps * elapsed // 8_000_000_000 - (sent_bytes - self._bytes))

    def fell(self, now_ns: int) -> None:
        """A limit has shown: the probe at hand stops, and the next one comes later."""
        regretted = self._passed_ns and now_ns - self._passed_ns < REGRETTED_WITHIN_NS
        if self.rate_bps or regretted:
            self._apart_ns = min(APART_MAX_NS, 2 * self._apart_ns)
            self._failed_bps = self.rate_bps or self._passed_bps
        self.rate_bps, self._settles, self._passed_ns = 0, False, 0
        self._next_ns = max(self._next_ns, now_ns + self._apart_ns)

    def verdict(self, now_ns: int) -> int:
        """The rate that has just been shown to fit, or 0."""
        if not self._settles or now_ns - self._from_ns < SETTLES_NS:
            return 0
        shown, self.rate_bps, self._settles = self.rate_bps, 0, False
        self._passed_ns, self._passed_bps = now_ns, shown
        if shown >= self._failed_bps * NEAR:
            self._failed_bps = 0
        self._next_ns = min(self._next_ns, now_ns - LASTS_NS - SETTLES_NS + GOING_UP_NS)
        return shown

    def rest(self) -> None:
        """Everything fits, for good: the next time begins with short distances again."""
        self._apart_ns, self._failed_bps = APART_NS, 0

    def _next_bps(self, known_bps: int) -> int:
        """Twice what is known to fit, or half way to what failed, so that failing again does little harm."""
        rate = max(LEAST_BPS, STEP * known_bps)
        if self._failed_bps > known_bps:
            rate = min(rate, max(known_bps * 11 // 10, (known_bps + self._failed_bps) // 2, USEFUL_BPS))
        return rate
