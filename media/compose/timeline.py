"""Lays segments, grants and tracks on one line: film time, in seconds, from the moment the first grant took effect.

When a packet was captured comes from `clocks.py`; what is shown and heard at each moment is `layout.py`'s and others'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from media.compose.clocks import Float64s, Placed, place_tracks
from media.compose.reader import SegmentLog, TrackIndex

CAMERA_GAP_S, SCREEN_GAP_S, HOLD_S = 3.0, 15.0, 1.0
EDGE_S = 2.0
LONGEST_S = 12 * 3600.0
BETWEEN_S = 2 * 3600.0
"""Longer than that nobody waits for a visit to be carried on at another machine."""
UTC_OFF_S = 1.0
"""What machines whose UTC is kept may be apart; more is said."""


@dataclass(frozen=True, slots=True)
class Span:
    start_s: float
    end_s: float

    def holds(self, at_s: float) -> bool:
        return self.start_s <= at_s < self.end_s

    def overlaps(self, other: Span) -> bool:
        return self.start_s < other.end_s and other.start_s < self.end_s


@dataclass(frozen=True, slots=True)
class Pause:
    """Time of the film in which nothing was recorded; `kind` is `paused`, or `between` two segments.

    `reason` is the code that the grant gave, empty where it gave none.
    """

    span: Span
    kind: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """Somebody whose part was deleted, and where they had been; `at_utc_s` when, 0 where the log doesn't say."""

    participant_id: str
    spans: tuple[Span, ...]
    at_utc_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FilmTrack:
    """A track laid on the film: `times_s` when each packet of its index was captured; `active` when it was sending."""

    segment: SegmentLog
    index: TrackIndex
    times_s: Float64s
    active: tuple[Span, ...]
    residual_s: float
    by_reports: bool

    @property
    def participant_id(self) -> str:
        return self.index.record.participant_id

    @property
    def source(self) -> str:
        return self.index.record.source

    @property
    def is_video(self) -> bool:
        return self.index.record.kind == "video"


@dataclass(frozen=True, slots=True)
class Timeline:
    """`participants` in the order in which they were first seen or heard, each with the span of their presence."""

    length_s: float
    started_at_utc_s: float
    tracks: tuple[FilmTrack, ...]
    pauses: tuple[Pause, ...]
    participants: tuple[tuple[str, Span], ...]
    incomplete: str | None
    removed: tuple[Removed, ...] = ()


def build_timeline(segments: Sequence[SegmentLog]) -> Timeline | None:
    """None when the logs hold no packet: nothing was recorded."""
    segments = [one for one in segments if any(len(track.sequence) for track in one.tracks)]
    segments.sort(key=lambda one: (one.header.segment, one.anchor[0]))
    if not segments:
        return None
    first = segments[0]
    zero_ns = min((start for start, _, _ in _running_ns(first)), default=first.anchor[1])
    zero_utc_s = (first.anchor[0] + zero_ns - first.anchor[1]) / 1e9
    running: list[list[_Running]] = []
    tracks: list[FilmTrack] = []
    removed: list[Removed] = []
    named: list[tuple[str, Span]] = []
    for segment in segments:
        shift_s = _film_shift(segment, first, zero_ns / 1e9, zero_utc_s)
        shift_s += _behind_s(segment, first, shift_s, running)
        spans = [
            _Running(Span(start / 1e9 + shift_s, end / 1e9 + shift_s), why) for start, end, why in _running_ns(segment)
        ]
        running.append([one for one in spans if one.span.end_s > one.span.start_s])
        tracks += _lay_tracks(segment, shift_s)
        removed += _removed(segment, shift_s)
        named += _named(segment, shift_s)
    length_s = min(LONGEST_S, max((one.span.end_s for spans in running for one in spans), default=0.0))
    return Timeline(
        length_s=length_s,
        started_at_utc_s=zero_utc_s,
        tracks=tuple(tracks),
        pauses=tuple(_pauses(running)),
        participants=tuple(_presence(tracks, named, {one.participant_id for one in removed}, length_s)),
        incomplete=_incomplete(segments),
        removed=tuple(removed),
    )


@dataclass(frozen=True, slots=True)
class _Running:
    """Capture ran for this long, and the code with which it ended."""

    span: Span
    why: str


def _running_ns(segment: SegmentLog) -> list[tuple[int, int, str]]:
    """When capture ran, by the grant's marks, and why it ended; a stop that is missing is the last moment told of."""
    spans: list[tuple[int, int, str]] = []
    since: int | None = None
    for mark in segment.marks:
        if mark.kind == "running" and since is None:
            since = mark.at_ns
        elif mark.kind in ("paused", "stopped") and since is not None:
            spans.append((since, mark.at_ns, str(mark.detail.get("code") or "")))
            since = None
    if since is not None:
        spans.append((since, segment.last_ns, ""))
    return spans


def _removed(segment: SegmentLog, shift_s: float) -> Iterable[Removed]:
    """Whose part is gone, and when the grants had named them. Where they had been stays, what they sent does not."""
    marked = {mark.participant_id: mark for mark in segment.marks if mark.kind == "removed"}
    for who in sorted({one for one in marked if one} | segment.sealed_away):
        spans = tuple(_named_spans(segment, who, shift_s))
        told = marked[who].detail.get("utc_s") if who in marked else None
        yield Removed(who, spans, float(told) if isinstance(told, int) and 0 < told < 2**40 else 0.0)


def _named(segment: SegmentLog, shift_s: float) -> Iterable[tuple[str, Span]]:
    """Everybody whom a grant names, whether or not they ever sent anything, and when capture ran with them there."""
    people = {who for mark in segment.marks if mark.kind == "running" for who in _granted(mark.detail)}
    return [(who, span) for who in sorted(people) for span in _named_spans(segment, who, shift_s)]


def _named_spans(segment: SegmentLog, who: str, shift_s: float) -> Iterable[Span]:
    runs = is_named = False
    is_there = True
    since: int | None = None
    for mark in segment.marks:
        if mark.kind == "running":
            runs, is_named = True, who in _granted(mark.detail)
        elif mark.kind in ("paused", "stopped"):
            runs = False
        elif mark.participant_id == who and mark.kind in ("joined", "left"):
            is_there = mark.kind == "joined"
        is_on = runs and is_named and is_there
        if is_on and since is None:
            since = mark.at_ns
        elif since is not None and not is_on:
            yield Span(since / 1e9 + shift_s, mark.at_ns / 1e9 + shift_s)
            since = None
    if since is not None:
        yield Span(since / 1e9 + shift_s, segment.last_ns / 1e9 + shift_s)


def _granted(detail: Mapping[str, object]) -> frozenset[str]:
    people = detail.get("participants")
    return frozenset(str(one) for one in people) if isinstance(people, list) else frozenset()


def _film_shift(segment: SegmentLog, first: SegmentLog, zero_s: float, zero_utc_s: float) -> float:
    """What to add to the segment's monotonic clock. UTC joins segments written under different clocks."""
    if segment.header.clock == first.header.clock:
        return -zero_s
    return (segment.anchor[0] - segment.anchor[1]) / 1e9 - zero_utc_s


def _behind_s(segment: SegmentLog, first: SegmentLog, shift_s: float, running: Sequence[Sequence[_Running]]) -> float:
    """How much later, to come behind what ran before: by a UTC that is off it would lie over that, or far away."""
    began_s = min((start / 1e9 + shift_s for start, _, _ in _running_ns(segment)), default=None)
    ended_s = max((one.span.end_s for spans in running for one in spans), default=None)
    if began_s is None or ended_s is None or segment.header.clock == first.header.clock:
        return 0.0
    if ended_s <= began_s <= ended_s + BETWEEN_S:
        return 0.0
    if abs(began_s - ended_s) > UTC_OFF_S:
        segment.problems.add("clock_differs")
    return ended_s - began_s


def _lay_tracks(segment: SegmentLog, shift_s: float) -> list[FilmTrack]:
    senders: dict[tuple[str, str], list[TrackIndex]] = {}
    for track in segment.tracks:
        if len(track.sequence):
            senders.setdefault((track.record.participant_id, track.record.cname), []).append(track)
    laid = []
    for tracks in senders.values():
        for track, placed in zip(tracks, place_tracks(tracks), strict=True):
            laid.append(_film_track(segment, track, placed, shift_s))
    return laid


def _film_track(segment: SegmentLog, track: TrackIndex, placed: Placed, shift_s: float) -> FilmTrack:
    times_s = placed.captured_s + shift_s
    gap_s = SCREEN_GAP_S if track.record.source == "screen" else CAMERA_GAP_S
    return FilmTrack(
        segment, track, times_s, active_spans(times_s, gap_s, HOLD_S), placed.residual_s, placed.by_reports
    )


def active_spans(times_s: Float64s, gap_s: float, hold_s: float) -> tuple[Span, ...]:
    """Where something came at least every `gap_s`; after the last of each stretch it is held for `hold_s`."""
    ordered = np.sort(times_s)
    cuts = np.flatnonzero(np.diff(ordered) > gap_s)
    starts = np.concatenate((ordered[:1], ordered[cuts + 1]))
    ends = np.concatenate((ordered[cuts], ordered[-1:]))
    return tuple(Span(float(start), float(end) + hold_s) for start, end in zip(starts, ends, strict=True))


def _pauses(running: Iterable[list[_Running]]) -> Iterable[Pause]:
    spans = [(one, number) for number, ran in enumerate(running) for one in ran]
    spans.sort(key=lambda item: item[0].span.start_s)
    for (left, one), (right, two) in pairwise(spans):
        if right.span.start_s > left.span.end_s:
            gap = Span(left.span.end_s, right.span.start_s)
            yield Pause(gap, "paused" if one == two else "between", left.why)


def _presence(
    tracks: Iterable[FilmTrack], named: Iterable[tuple[str, Span]], removed: set[str], length_s: float
) -> list[tuple[str, Span]]:
    """From a person's first packet to their last; of who sends nothing, from the first grant that names them.

    Small differences at the film's edges don't make the picture jump.
    """
    sent = [(one.participant_id, Span(float(one.times_s.min()), float(one.times_s.max()))) for one in tracks]
    senders = {who for who, _ in sent}
    seen: dict[str, Span] = {}
    for who, span in [*sent, *((who, span) for who, span in named if who not in senders | removed)]:
        known = seen.get(who, span)
        seen[who] = Span(min(span.start_s, known.start_s), max(span.end_s, known.end_s))
    presence = []
    for participant_id, span in sorted(seen.items(), key=lambda item: (round(item[1].start_s), item[0])):
        start = 0.0 if span.start_s < EDGE_S else span.start_s
        end = length_s if span.end_s > length_s - EDGE_S else span.end_s + HOLD_S
        presence.append((participant_id, Span(start, end)))
    return presence


def _incomplete(segments: Iterable[SegmentLog]) -> str | None:
    for segment in segments:
        if segment.end is None:
            return "end_missing"
        if not segment.end.complete:
            return segment.end.reason
    return None
