"""What became of each packet of a picture between two browsers and a node: lost where, asked for, repaired when.

Two lossy links tell what they lost, the node of this process what it took and sent. All times are monotonic seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from media import rtcp
from media.forward import Forward
from media.track import Layer
from tests.support.udplink import UdpLink

REPAIRED_WITHIN_S = 0.3
Number = tuple[int, int]
Span = tuple[float, float]


@dataclass
class Books:
    """By (SSRC, 16-bit number)."""

    one_way_s: float
    asked: set[Number] = field(default_factory=set)
    # Our number → whose packet it carries; when it went out, and when and as what repairs of it.
    carried: dict[Number, Number] = field(default_factory=dict)
    sent: dict[Number, list[tuple[float, Number]]] = field(default_factory=dict)

    def listen(self, patch: pytest.MonkeyPatch) -> None:
        send, repair, nack = Forward._send, Forward._send_repair, rtcp.nack

        def noted_send(forward: Forward, layer: Layer, out: int) -> None:
            number = forward.ssrc, out & 0xFFFF
            self.carried[number] = layer.ssrc, layer.number & 0xFFFF
            self.sent.setdefault(number, []).append((time.monotonic(), number))
            send(forward, layer, out)

        def noted_repair(forward: Forward, out: int, stamp: int) -> int:
            size = repair(forward, out, stamp)
            if size:
                as_what = forward.repair_ssrc or 0, forward._repair_number & 0xFFFF
                self.sent.setdefault((forward.ssrc, out & 0xFFFF), []).append((time.monotonic(), as_what))
            return size

        def noted_nack(sender: int, ssrc: int, numbers: Sequence[int]) -> bytes:
            self.asked.update((ssrc, number & 0xFFFF) for number in numbers)
            return nack(sender, ssrc, numbers)

        patch.setattr(Forward, "_send", noted_send)
        patch.setattr(Forward, "_send_repair", noted_repair)
        patch.setattr(rtcp, "nack", noted_nack)

    def slow_losses(self, up: UdpLink, down: UdpLink, video: Number) -> list[float]:
        """When each packet was first lost that was asked for, and that its receiver had too late or never; `video` are
        the SSRCs of the picture on its way up and down."""
        lost_up = {number: at_s for at_s, number in lost(up, up=True) if number[0] == video[0]}
        lost_down = {number: at_s for at_s, number in lost(down, up=False)}
        found, seen = [], set()
        for out, carried in self.carried.items():
            if out[0] != video[1] or not (carried in lost_up or out in lost_down):
                continue
            seen.add(carried)
            first_s = min(lost_up.get(carried, 1e18), lost_down.get(out, 1e18))
            came = [sent_s + self.one_way_s for sent_s, as_what in self.sent[out] if as_what not in lost_down]
            was_asked = carried in self.asked if carried in lost_up else len(self.sent[out]) > 1
            if was_asked and not any(at_s <= first_s + REPAIRED_WITHIN_S for at_s in came):
                found.append(first_s)
        found += [at_s for number, at_s in lost_up.items() if number in self.asked and number not in seen]
        return sorted(found)


def lost(link: UdpLink, *, up: bool) -> Iterator[tuple[float, Number]]:
    """RTP packets that this link lost, one way."""
    for loss in link.losses:
        if loss.towards_target == up and 127 < loss.head[0] < 192 and not 192 <= loss.head[1] <= 223:
            yield loss.at_s, (int.from_bytes(loss.head[8:12]), int.from_bytes(loss.head[2:4]))


def freezes(shown: list[float]) -> list[Span]:
    gaps = list(pairwise(shown))
    average = (shown[-1] - shown[0]) / max(1, len(gaps))
    return [(one, other) for one, other in gaps if other - one > max(3 * average, average + 0.15)]


def is_excused(freeze: Span, slow: list[float], late: list[Span]) -> bool:
    """By a loss shortly before or in it that wasn't repaired in time; or the machine itself stood still."""
    began_s, ended_s = freeze
    if any(began_s - 1.0 < at_s < ended_s for at_s in slow):
        return True
    return any(from_s < ended_s and to_s > began_s - REPAIRED_WITHIN_S for from_s, to_s in late)
