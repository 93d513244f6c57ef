"""Which pictures a receiver gets, and in which layer: as good as fits its link, sound always before pictures.

Pure over forwards and times; the switch itself, on a key frame, is the forward's. What fits is `estimate`'s to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from media.api import Source
from media.feedback import MS
from media.forward import Forward
from media.track import Layer

SWITCH_APART_NS = 2_000 * MS
# The first falling short of a link that was fine may be a moment's; pictures are taken away after this long.
SHORT_FOR_NS = 1_000 * MS
PAUSED_FOR_NS = 5_000 * MS
# A picture that comes back in vain stays away for longer.
PAUSED_MAX_NS = 15_000 * MS
IN_VAIN_WITHIN_NS = 15_000 * MS
# Shares of the budget, which after a fall lies 15 % under what came through: held on to above it, raised only below,
# brought back only far below.
HOLD, RAISE, RESUME = 1.15, 0.9, 0.75
# A wish is for a little more, or what it brings would stand on the edge.
WISH_MORE = 1.05
# Less than this makes no picture worth looking at.
PICTURE_FLOOR_BPS = 90_000
PAUSED = -1


@dataclass(frozen=True)
class Stream:
    """One picture: what each of its layers takes, lowest first. One that may not pause gets its lowest at any price."""

    rates: tuple[int, ...]
    may_pause: bool = True


@dataclass(frozen=True)
class Needs:
    """`picture_first` names whose pictures go first and are never dropped for sound; `never_pause` says the same of
    everybody's, for a receiver who needs to see."""

    picture_first: frozenset[str] = frozenset()
    never_pause: bool = False


def allocate(streams: Sequence[Stream], budget_bps: int) -> list[int]:
    """The layer of each stream, most important first: everybody's lowest, then better ones as far as they fit."""
    levels = []
    left = budget_bps
    for stream in streams:
        fits = stream.rates[0] <= left or not stream.may_pause
        levels.append(0 if fits else PAUSED)
        left -= stream.rates[0] if fits else 0
    for place, stream in enumerate(streams):
        while PAUSED < levels[place] < len(stream.rates) - 1:
            more = stream.rates[levels[place] + 1] - stream.rates[levels[place]]
            if more > left:
                break
            levels[place] += 1
            left -= more
    return levels


@dataclass
class _History:
    switched_ns: int = 0
    short_since_ns: int = 0
    paused_ns: int = 0
    paused_for_ns: int = PAUSED_FOR_NS
    resumed_ns: int = 0


@dataclass
class _Wanted:
    forward: Forward
    layers: list[Layer]
    stream: Stream

    @property
    def level(self) -> int:
        """As it stands; a picture not yet chosen for counts as its best."""
        if self.forward.is_paused:
            return PAUSED
        target = self.forward.target
        return self.layers.index(target) if target is not None and target in self.layers else len(self.layers) - 1


class LayerChoice:
    """One receiver's choices."""

    def __init__(self) -> None:
        # Whether everybody is shown as well as they are sent; whether a wish is for somebody's next layer.
        self.is_content = True
        self.wants_step = False
        self._histories: dict[int, _History] = {}

    def choose(
        self,
        forwards: Sequence[Forward],
        budget_bps: int | None,
        now_ns: int,
        needs: Needs,
        *,
        cap_bps: int | None = None,
    ) -> int:
        """Sets each forward's layer; gives how much more than the budget would be of use, 0 when all fits.

        `budget_bps` is for pictures alone, None without a limit; `cap_bps` what their publishers may be told, if less.
        """
        wanted = self._wanted(forwards, now_ns, needs)
        streams = [one.stream for one in wanted]
        if budget_bps is None:
            levels = [len(one.layers) - 1 for one in wanted]
        else:
            levels = self._levels(wanted, budget_bps, now_ns)
        self._tell_usable(wanted, levels, budget_bps if cap_bps is None else cap_bps)
        for one, level in zip(wanted, levels, strict=True):
            self._apply(one, level, now_ns)
        self._forget({forward.ssrc for forward in forwards})
        self.is_content = all(level == len(one.layers) - 1 for one, level in zip(wanted, levels, strict=True))
        self.wants_step = not self.is_content
        if budget_bps is None:
            return 0
        return _wish(wanted, streams, levels, budget_bps)

    # ---- inside

    def _wanted(self, forwards: Sequence[Forward], now_ns: int, needs: Needs) -> list[_Wanted]:
        first = needs.picture_first
        videos = [forward for forward in forwards if forward.track.is_video]
        videos.sort(key=lambda one: (one.track.participant_id not in first, one.track.source is not Source.SCREEN))
        found = []
        for forward in videos:
            layers = [layer for layer in forward.track.layers_upwards() if layer.is_active(now_ns)]
            if layers:
                must = needs.never_pause or forward.track.participant_id in first
                found.append(_Wanted(forward, layers, Stream(_rates(forward, layers), not must)))
        return found

    def _levels(self, wanted: list[_Wanted], budget_bps: int, now_ns: int) -> list[int]:
        streams = [one.stream for one in wanted]
        at_most = allocate(streams, int(budget_bps * HOLD))
        raised = allocate(streams, int(budget_bps * RAISE))
        resumed = allocate(streams, int(budget_bps * RESUME))
        return [
            self._level(one, bounds, now_ns)
            for one, bounds in zip(wanted, zip(at_most, raised, resumed, strict=True), strict=True)
        ]

    def _level(self, one: _Wanted, bounds: tuple[int, int, int], now_ns: int) -> int:
        at_most, raised, resumed = bounds
        history = self._histories.setdefault(one.forward.ssrc, _History())
        level = one.level
        if level == PAUSED:
            may_resume = resumed > PAUSED and now_ns - history.paused_ns >= history.paused_for_ns
            return resumed if may_resume or not one.stream.may_pause else PAUSED
        if at_most > PAUSED:
            history.short_since_ns = 0
        elif not history.short_since_ns:
            history.short_since_ns = now_ns
        if at_most == PAUSED and now_ns - history.short_since_ns < SHORT_FOR_NS:
            at_most = 0
        if level > at_most:
            return at_most
        if level < raised and now_ns - history.switched_ns >= SWITCH_APART_NS:
            return raised
        return level

    def _apply(self, one: _Wanted, level: int, now_ns: int) -> None:
        forward, history = one.forward, self._histories.setdefault(one.forward.ssrc, _History())
        if level == PAUSED:
            if not forward.is_paused:
                in_vain = history.resumed_ns and now_ns - history.resumed_ns < IN_VAIN_WITHIN_NS
                longer = min(PAUSED_MAX_NS, 2 * history.paused_for_ns) if in_vain else PAUSED_FOR_NS
                history.paused_ns, history.paused_for_ns = now_ns, longer
                forward.pause()
            return
        chosen = one.layers[level]
        if forward.is_paused:
            history.switched_ns, history.short_since_ns, history.resumed_ns = now_ns, 0, now_ns
            forward.resume(chosen)
        elif chosen is not forward.target:
            if forward.target is not None:
                history.switched_ns = now_ns
            forward.target = chosen
            if chosen is not forward.layer:
                forward.track.want_key_frame(chosen)

    def _tell_usable(self, wanted: list[_Wanted], levels: list[int], budget_bps: int | None) -> None:
        """What each receiver could use of each track, for the cap that its publisher is told."""
        left = budget_bps
        for one, level in zip(wanted, levels, strict=True):
            one.forward.usable_bps = 0 if level == PAUSED else left
            if left is not None and level > PAUSED:
                left = max(0, left - one.layers[level].meter.bps)

    def _forget(self, alive: set[int]) -> None:
        for ssrc in [ssrc for ssrc in self._histories if ssrc not in alive]:
            del self._histories[ssrc]


def _rates(forward: Forward, layers: list[Layer]) -> tuple[int, ...]:
    """A lone layer whose only receiver this is gives way to what its publisher is told, down to the floor."""
    if len(layers) == 1 and len(forward.track.forwards) <= 1:
        return (min(layers[0].meter.bps, PICTURE_FLOOR_BPS),)
    return tuple(layer.meter.bps for layer in layers)


def _wish(wanted: list[_Wanted], streams: list[Stream], levels: list[int], budget_bps: int) -> int:
    """What the next step up would take beyond the budget: first to see everybody, then to see the first one better."""
    taken = sum(stream.rates[level] for stream, level in zip(streams, levels, strict=True) if level > PAUSED)
    for stream, level in zip(streams, levels, strict=True):
        if level == PAUSED:
            return _beyond((taken + max(stream.rates[0], PICTURE_FLOOR_BPS)) / RESUME, budget_bps)
    for stream, level in zip(streams, levels, strict=True):
        if level < len(stream.rates) - 1:
            return _beyond((taken + stream.rates[level + 1] - stream.rates[level]) / RAISE, budget_bps)
    # Lone layers have no step: their publishers send more as soon as they may.
    flowing = sum(one.layers[level].meter.bps for one, level in zip(wanted, levels, strict=True))
    is_capped = any(not one.forward.track.rids for one in wanted) and budget_bps < flowing * 1.3
    return _beyond(flowing * 2, budget_bps) if is_capped else 0


def _beyond(needed_bps: float, budget_bps: int) -> int:
    return max(0, int(needed_bps * WISH_MORE) - budget_bps)
