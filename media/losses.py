"""Whether what a receiver lost shows more than chance: of few packets, several may be lost on a line that is not full.

Pure over counts and times; what a loss means for the link is `estimate`'s to say.
"""

from __future__ import annotations

from collections import deque
from math import sqrt

from media.feedback import MS

# Reports come each second.
WITHIN_NS = 3_200 * MS
# Standard deviations of a count, by which more must have been lost than the limit allows.
SURE = 2.0


class Losses:
    """What one receiver reported lately."""

    __slots__ = ("_reports",)

    def __init__(self) -> None:
        # (when, lost, packets), oldest first
        self._reports: deque[tuple[int, float, int]] = deque()

    def surely_above(self, limit: float, lost: float, packets: int, now_ns: int) -> float:
        """The share lost over the last report or few, where that is above `limit` by more than chance; else 0."""
        reports = self._reports
        reports.append((now_ns, lost, packets))
        while now_ns - reports[0][0] > WITHIN_NS:
            reports.popleft()
        all_lost, all_packets = 0.0, 0
        for _, some_lost, some_packets in reversed(reports):
            all_lost += some_lost
            all_packets += some_packets
            if all_lost - SURE * sqrt(all_lost) > limit * all_packets:
                reports.clear()
                return all_lost / all_packets
        return 0.0
