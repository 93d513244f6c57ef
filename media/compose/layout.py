"""Decides who is where in the picture, and when that changes: pure, on the timeline alone.

Painting is `canvas.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from media.compose.timeline import FilmTrack, Pause, Span, Timeline

STRIP_PARTS = 5
REMOVED = "removed"
"""The `source` of a tile in which nothing is shown any more."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of the canvas, all numbers even, that shows one person's camera or screen."""

    participant_id: str
    source: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Scene:
    """What the picture is made of for a while; `pause` is set where a card stands instead of tiles."""

    span: Span
    tiles: tuple[Tile, ...]
    pause: Pause | None = None


def arrange(present: Sequence[str], screen: str | None, width: int, height: int) -> tuple[Tile, ...]:
    """Everybody in a tile of the same size; with a screen shared, the screen large and people in a strip beside it."""
    if screen is None:
        return _grid(present, 0, 0, width, height)
    strip = _even(width / STRIP_PARTS)
    large = Tile(screen, "screen", 0, 0, width - strip, height)
    return (large, *_column(present, width - strip, strip, height))


def scenes(timeline: Timeline, width: int, height: int) -> list[Scene]:
    """The film from 0 to its end without a hole; neighbours with the same tiles are one scene."""
    made: list[Scene] = []
    for start, end in pairwise(_changes(timeline)):
        middle = (start + end) / 2
        pause = next((one for one in timeline.pauses if one.span.holds(middle)), None)
        tiles: tuple[Tile, ...] = ()
        if pause is None:
            present = [who for who, span in timeline.participants if span.holds(middle)]
            gone = [one.participant_id for one in timeline.removed if any(span.holds(middle) for span in one.spans)]
            gone = [who for who in dict.fromkeys(gone) if who not in present]
            tiles = arrange([*present, *gone], _screen_at(timeline.tracks, middle), width, height)
            tiles = tuple(replace(one, source=REMOVED) if one.participant_id in gone else one for one in tiles)
        same = made and made[-1].tiles == tiles and made[-1].pause == pause
        begins = made.pop().span.start_s if same else start
        made.append(Scene(Span(begins, end), tiles, pause))
    return made


def _changes(timeline: Timeline) -> list[float]:
    spans = [span for _, span in timeline.participants]
    spans += [pause.span for pause in timeline.pauses]
    spans += [span for one in timeline.removed for span in one.spans]
    spans += [span for track in timeline.tracks if track.source == "screen" and track.is_video for span in track.active]
    times = {0.0, timeline.length_s}
    times.update(time for span in spans for time in (span.start_s, span.end_s) if 0.0 < time < timeline.length_s)
    return sorted(times)


def _screen_at(tracks: Sequence[FilmTrack], at_s: float) -> str | None:
    """Whose screen is large: the one shared last."""
    shared = [
        (span.start_s, track.participant_id)
        for track in tracks
        if track.source == "screen" and track.is_video
        for span in track.active
        if span.holds(at_s)
    ]
    return max(shared)[1] if shared else None


def _grid(present: Sequence[str], x: int, y: int, width: int, height: int) -> tuple[Tile, ...]:
    count = len(present)
    columns = next(one for one in range(1, 17) if one * one >= count)
    rows = max(1, -(-count // columns))
    wide, high = _even(width / columns), _even(height / rows)
    tiles = []
    for number, who in enumerate(present):
        row, column = divmod(number, columns)
        in_row = min(columns, count - row * columns)
        inset = (width - in_row * wide) // 4 * 2
        tiles.append(Tile(who, "camera", x + inset + column * wide, y + row * high, wide, high))
    return tuple(tiles)


def _column(present: Sequence[str], x: int, width: int, height: int) -> tuple[Tile, ...]:
    high = min(_even(width * 3 / 4), _even(height / max(1, len(present))))
    top = (height - high * len(present)) // 4 * 2
    return tuple(Tile(who, "camera", x, top + number * high, width, high) for number, who in enumerate(present))


def _even(size: float) -> int:
    return max(2, int(size) // 2 * 2)
