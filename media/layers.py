"""Which layer a receiver gets: the highest active one that fits what it says it can take.

Pure over forwards and times; the switch itself, on a key frame, is the forward's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from media.feedback import MS
from media.forward import Forward
from media.track import Layer

SWITCH_APART_NS = 2000 * MS
PROBE_FIRST_NS = 8_000 * MS
PROBE_MAX_NS = 120_000 * MS
FAILED_WITHIN_NS = 5_000 * MS


@dataclass
class _History:
    switched_ns: int = 0
    raised_ns: int = 0
    wait_ns: int = PROBE_FIRST_NS


class LayerChoice:
    """One receiver's choices. Its estimate stays near what is sent, so going up is tried, ever more rarely."""

    def __init__(self) -> None:
        self._histories: dict[int, _History] = {}

    def choose(
        self, forwards: Sequence[Forward], estimate_bps: int | None, now_ns: int, picture_first: frozenset[str]
    ) -> None:
        videos = [forward for forward in forwards if forward.track.is_video]
        videos.sort(key=lambda forward: forward.track.participant_id not in picture_first)
        left = estimate_bps
        for forward in videos:
            forward.usable_bps = left
            layers = [layer for layer in forward.track.layers_upwards() if layer.is_active(now_ns)]
            if not layers:
                continue
            chosen = self._pick(forward, layers, left, now_ns)
            if left is not None:
                left = max(0, left - chosen.meter.bps)
            if chosen is not forward.target:
                forward.target = chosen
                if chosen is not forward.layer:
                    forward.track.want_key_frame(chosen)
        self._forget({forward.ssrc for forward in videos})

    def _pick(self, forward: Forward, layers: list[Layer], budget_bps: int | None, now_ns: int) -> Layer:
        history = self._histories.setdefault(forward.ssrc, _History())
        current = forward.target if forward.target in layers else None
        if current is None:
            return layers[-1] if budget_bps is None else self._fitting(layers, budget_bps)
        if now_ns - history.switched_ns < SWITCH_APART_NS:
            return current
        place = layers.index(current)
        if budget_bps is not None and place > 0 and current.meter.bps > budget_bps:
            if now_ns - history.raised_ns < FAILED_WITHIN_NS:
                history.wait_ns = min(PROBE_MAX_NS, history.wait_ns * 2)
            history.switched_ns = now_ns
            return layers[place - 1]
        if place + 1 < len(layers):
            above = layers[place + 1]
            fits = budget_bps is None or above.meter.bps <= budget_bps
            if fits or now_ns - history.switched_ns > history.wait_ns:
                history.switched_ns = history.raised_ns = now_ns
                return above
        return current

    def _fitting(self, layers: list[Layer], budget_bps: int) -> Layer:
        return next((layer for layer in reversed(layers) if layer.meter.bps <= budget_bps), layers[0])

    def _forget(self, alive: set[int]) -> None:
        for ssrc in [ssrc for ssrc in self._histories if ssrc not in alive]:
            del self._histories[ssrc]
