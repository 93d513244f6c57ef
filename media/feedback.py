"""What to tell a publisher and when: losses to repeat, arrivals, reception figures, key frames, a rate.

Each class keeps one kind of books over numbers and times given to it; packets are written in `rtcp` and sent by
`publisher` and `subscriber`.
"""

from __future__ import annotations

from collections.abc import Iterable

MS = 1_000_000
NACK_LIST_MAX = 256
NACK_TRIES_MAX = 10
NACK_FIRST_AFTER_NS = 5 * MS
RTT_DEFAULT_NS = 100 * MS
JUMP = 3000
RESTART_AFTER = 8
# Ticks; a step of a transit time that is no jitter.
JITTER_STRAY = 1 << 30
KEY_FRAME_INTERVAL_NS = 300 * MS
KEY_FRAME_REPEAT_NS = 1000 * MS
ARRIVALS_MAX = 500
REPORTS_KEPT = 16
REMB_FLOOR_BPS = 150_000
REMB_CEILING_BPS = 2_500_000
REMB_RELEASED_BPS = 50_000_000
REMB_RELEASES = 3


class NackList:
    """Numbers that are missing, how often they were asked for, and when next."""

    __slots__ = ("_missing", "gave_up")

    def __init__(self) -> None:
        # number → [tries, due]
        self._missing: dict[int, list[int]] = {}
        self.gave_up = 0

    def __len__(self) -> int:
        return len(self._missing)

    def miss(self, numbers: Iterable[int], now_ns: int) -> None:
        for number in numbers:
            self._missing.setdefault(number, [0, now_ns + NACK_FIRST_AFTER_NS])

    def found(self, number: int) -> None:
        self._missing.pop(number, None)

    def clear_before(self, number: int) -> None:
        """A key frame begins at `number`: what is older is no longer wanted."""
        for old in [other for other in self._missing if other < number]:
            del self._missing[old]

    def due(self, now_ns: int, rtt_ns: int) -> tuple[list[int], bool]:
        """(ascending numbers to ask for now, whether any was given up and only a key frame helps)."""
        asked, lost = [], 0
        for number, state in list(self._missing.items()):
            if state[0] >= NACK_TRIES_MAX:
                if now_ns >= state[1]:
                    del self._missing[number]
                    lost += 1
            elif now_ns >= state[1]:
                state[0] += 1
                state[1] = now_ns + max(rtt_ns, 20 * MS)
                asked.append(number)
        if len(self._missing) > NACK_LIST_MAX:
            lost += len(self._missing)
            self._missing.clear()
            asked = []
        self.gave_up += lost
        return sorted(asked), lost > 0


class Reception:
    """One source's numbers: unwrapping, gaps, restarts, and the figures of its receiver report (RFC 3550 §6.4.1)."""

    __slots__ = (
        "_expected_before",
        "_first",
        "_jitter",
        "_received_before",
        "_suspect",
        "_ticks_per_ns",
        "_transit",
        "clock_rate",
        "highest",
        "received",
        "report_lsr",
        "report_ns",
        "suspects",
    )

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.highest = -1
        self.received = 0
        self.report_lsr = 0
        self.report_ns = 0
        self._first = 0
        self._suspect = -1
        self.suspects = 0
        self._ticks_per_ns = clock_rate / 1e9
        self._transit = -1e18
        self._jitter = 0.0
        self._expected_before = 0
        self._received_before = 0

    def place(self, sequence: int) -> int:
        """The unwrapped number, or -1 for one that makes no sense (yet).

        A source that jumps far, or begins again lower, is followed once eight packets in a row agree; its numbers
        then go on in a later cycle, so that unwrapped numbers never repeat.
        """
        highest = self.highest
        if highest < 0:
            self.highest = self._first = number = sequence + 0x10000
            return number
        number = highest + ((sequence - highest + 0x8000) & 0xFFFF) - 0x8000
        if number > highest:
            if number - highest < JUMP:
                self.highest = number
                self.suspects = 0
                return number
        elif highest - number < 512:
            self.suspects = 0
            return number
        self.suspects = self.suspects + 1 if sequence == (self._suspect + 1) & 0xFFFF else 1
        self._suspect = sequence
        if self.suspects < RESTART_AFTER:
            return -1
        self.suspects = 0
        number = ((highest >> 16) + 2 << 16) | sequence
        self._first += number - highest - 1
        self.highest = number
        return number

    def arrived(self, timestamp: int, now_ns: int) -> None:
        """A packet with a sound number and a new one; keeps the jitter, in floats since their arithmetic is cheaper."""
        self.received += 1
        transit = now_ns * self._ticks_per_ns - timestamp
        delta = abs(transit - self._transit)
        self._transit = transit
        if delta > JITTER_STRAY:  # the first packet, or the source's clock wrapped
            return
        self._jitter += (delta - self._jitter) * 0.0625

    def reported(self, ntp: int, now_ns: int) -> None:
        """The source sent a sender report."""
        self.report_lsr = ntp >> 16 & 0xFFFFFFFF
        self.report_ns = now_ns

    @property
    def lost(self) -> int:
        return max(0, self.highest - self._first + 1 - self.received) if self.highest >= 0 else 0

    def figures(self, now_ns: int) -> dict[str, int]:
        """The fields of a report block since the last one."""
        expected = self.highest - self._first + 1
        new = expected - self._expected_before
        missing = new - (self.received - self._received_before)
        self._expected_before, self._received_before = expected, self.received
        return {
            "fraction": min(255, max(0, missing * 256 // new)) if new > 0 else 0,
            "lost": expected - self.received,
            "highest": self.highest - 0x10000,
            "jitter": int(self._jitter),
            "lsr": self.report_lsr,
            "dlsr": (now_ns - self.report_ns) * 65536 // 1_000_000_000 & 0xFFFFFFFF if self.report_ns else 0,
        }


class Arrivals:
    """Transport-wide numbers and when they came, until they are reported. `add` is on the packet path."""

    __slots__ = ("_highest", "_next", "_numbers", "_times", "count")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._times: list[int] = []
        self._highest = -1
        self._next = -1
        self.count = 0

    def add(self, sequence: int, now_ns: int) -> None:
        if len(self._numbers) < ARRIVALS_MAX:
            self._numbers.append(sequence)
            self._times.append(now_ns)

    def take(self) -> list[tuple[int, int]]:
        """(number, arrival in µs) ascending, from where the last report ended or from a late one before it."""
        if not self._numbers:
            return []
        ordered = self._unwrapped()
        first = min(self._next, ordered[0][0])
        if ordered[-1][0] - first >= ARRIVALS_MAX:
            first = ordered[-1][0] - ARRIVALS_MAX + 1
            ordered = [item for item in ordered if item[0] >= first]
        self._next = ordered[-1][0] + 1
        self.count += 1
        return ordered

    def _unwrapped(self) -> list[tuple[int, int]]:
        numbers, times = self._numbers, self._times
        self._numbers, self._times = [], []
        highest = self._highest
        if highest < 0:
            highest = self._next = numbers[0] + 0x10000
        found: dict[int, int] = {}
        for sequence, at_ns in zip(numbers, times, strict=True):
            number = highest + ((sequence - highest + 0x8000) & 0xFFFF) - 0x8000
            highest = max(highest, number)
            found[number] = at_ns // 1000
        self._highest = highest
        return sorted(found.items())


class KeyFrames:
    """When to ask a source for a key frame: at once, then within the browser's own limit, until one passes."""

    __slots__ = ("_asked_ns", "_wanted")

    def __init__(self) -> None:
        self._wanted = False
        self._asked_ns = 0

    @property
    def is_wanted(self) -> bool:
        return self._wanted

    def want(self, now_ns: int) -> bool:
        """Somebody needs one; True when to ask now, else `tick` will."""
        self._wanted = True
        return self._ask(now_ns, KEY_FRAME_INTERVAL_NS)

    def tick(self, now_ns: int) -> bool:
        """Called often: True when a held-back request is due, or the last one had no effect for a second."""
        if not self._wanted:
            return False
        return self._ask(now_ns, KEY_FRAME_INTERVAL_NS if self._asked_ns < 0 else KEY_FRAME_REPEAT_NS)

    def passed(self) -> None:
        """A key frame began."""
        self._wanted = False
        self._asked_ns = abs(self._asked_ns)

    def _ask(self, now_ns: int, interval_ns: int) -> bool:
        # A negative time marks a request that came while the limit held the last one.
        asked = abs(self._asked_ns)
        if asked and now_ns - asked < interval_ns:
            if interval_ns == KEY_FRAME_INTERVAL_NS:
                self._asked_ns = -asked
            return False
        self._asked_ns = now_ns
        return True


class SentReports:
    """The last sender reports sent to one receiver, to know the round trip from what comes back (RFC 3550 §6.4.1)."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: dict[int, int] = {}

    def note(self, ntp: int, now_ns: int) -> None:
        self._sent[ntp >> 16 & 0xFFFFFFFF] = now_ns
        if len(self._sent) > REPORTS_KEPT:
            del self._sent[next(iter(self._sent))]

    def round_trip_ns(self, lsr: int, dlsr: int, now_ns: int) -> int | None:
        sent = self._sent.get(lsr)
        if sent is None:
            return None
        round_trip = now_ns - sent - dlsr * 1_000_000_000 // 65536
        return round_trip if 0 <= round_trip < 10_000_000_000 else None


class Cap:
    """REMB to a publisher: begins when a receiver can use less than is sent, and ends when all can use all again.

    With a ceiling, which holds for pictures and sound together, it never ends.
    """

    __slots__ = ("_ceiling_bps", "_releases", "is_on")

    def __init__(self, ceiling_bps: int | None = None) -> None:
        self.is_on = False
        self._ceiling_bps = ceiling_bps
        self._releases = 0

    def decide(self, usable_bps: int | None, sent_bps: int, audio_bps: int) -> int | None:
        """The rate to announce now, or None. `usable_bps`: the most any receiver of the video can use, if known."""
        ceiling_bps = self._ceiling_bps
        if ceiling_bps is not None:
            most_bps = ceiling_bps - audio_bps
            return max(REMB_FLOOR_BPS, most_bps if usable_bps is None else min(usable_bps, most_bps)) + audio_bps
        if usable_bps is None:
            return self._release()
        if not self.is_on and usable_bps < sent_bps:
            self.is_on = True
        if self.is_on and usable_bps < REMB_CEILING_BPS:
            return max(usable_bps, REMB_FLOOR_BPS) + audio_bps
        return self._release()

    def _release(self) -> int | None:
        if self.is_on:
            self.is_on, self._releases = False, REMB_RELEASES
        if self._releases:
            self._releases -= 1
            return REMB_RELEASED_BPS
        return None
