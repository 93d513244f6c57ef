"""Finds when each packet was captured, on the node's monotonic clock: pure arithmetic over arrivals and sender reports.

Within a participant sender reports tie the tracks together; between participants the fastest arrivals do. Which
moment is the film's zero is `timeline.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from media.compose.reader import TrackIndex

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

JUMP_S = 0.15
SHIFT_S = 0.25
WINDOW_S = 5.0
STEP_S = 0.05
MAD_S = 0.2
BOGUS_S = 5.0
DRIFT_SPAN_S = 60.0
DRIFT_LIMIT = 1e-3


@dataclass(frozen=True, slots=True)
class Reports:
    """Sender reports of a track, in seconds: arrival, the sender's NTP clock, and RTP time on the track's scale."""

    arrived: Float64s
    ntp: Float64s
    media: Float64s


@dataclass(frozen=True, slots=True)
class Placed:
    """`captured_s` for each packet of the track's index, on the node's clock; `residual_s` how well reports agree."""

    captured_s: Float64s
    residual_s: float
    by_reports: bool


@dataclass(slots=True)
class _Work:
    media: Float64s
    arrived: Float64s
    reports: Reports
    piece: Int64s


def unwrap_rtp(rtp: Int64s) -> Int64s:
    """32-bit timestamps in sequence order, carried on over each wrap (and over a step back)."""
    if len(rtp) == 0:
        return rtp
    steps = (np.diff(rtp) + 2**31) % 2**32 - 2**31
    unwrapped: Int64s = rtp[0] + np.concatenate((np.zeros(1, np.int64), np.cumsum(steps)))
    return unwrapped


def place_tracks(tracks: list[TrackIndex]) -> list[Placed]:
    """Capture times for the tracks of one participant and CNAME (one sender's clock) within one segment."""
    work = [_prepare(track) for track in tracks]
    _take_out_ntp_steps(work)
    sender_times = [_to_sender_clock(one) for one in work]
    known = [(time, one.arrived) for (time, _), one in zip(sender_times, work, strict=True) if time is not None]
    slope, offset = 0.0, 0.0
    if known:
        slope, offset, origin = _lower_envelope(
            np.concatenate([time for time, _ in known]), np.concatenate([arrived for _, arrived in known])
        )
    placed = []
    for (time, residual), one in zip(sender_times, work, strict=True):
        if time is None:
            placed.append(Placed(_by_arrival(one), 0.0, by_reports=False))
        else:
            placed.append(Placed(time + offset + slope * (time - origin), residual, by_reports=True))
    return placed


def _prepare(track: TrackIndex) -> _Work:
    rate = float(track.record.clock_rate)
    rtp = unwrap_rtp(track.rtp)
    arrived = track.arrived_ns / 1e9
    media = rtp / rate
    reports = _usable_reports(track, rtp, arrived, rate)
    work = _Work(media, arrived, reports, np.zeros(len(media), np.int64))
    work.piece = _pieces(work)
    return work


def _usable_reports(track: TrackIndex, rtp: Int64s, arrived: Float64s, rate: float) -> Reports:
    """Reports on the packets' own scale; one whose RTP time is nowhere near the packets around it is bogus."""
    if len(rtp) == 0 or not track.reports:
        nothing = np.zeros(0)
        return Reports(nothing, nothing, nothing)
    at = np.array([report.arrived_ns / 1e9 for report in track.reports])
    ntp = np.array([report.ntp / 2**32 for report in track.reports])
    raw = np.array([report.rtp for report in track.reports], np.int64)
    order = np.argsort(arrived, kind="stable")
    near = order[np.clip(np.searchsorted(arrived[order], at), 0, len(rtp) - 1)]
    before = order[np.clip(np.searchsorted(arrived[order], at) - 1, 0, len(rtp) - 1)]
    near = np.where(np.abs(arrived[before] - at) < np.abs(arrived[near] - at), before, near)
    steps = (raw - rtp[near] + 2**31) % 2**32 - 2**31
    media = (rtp[near] + steps) / rate
    beside = np.abs((at - arrived[near]) - steps / rate)
    good = (beside < BOGUS_S) & (ntp > 0)
    return Reports(at[good], ntp[good], media[good])


def _pieces(work: _Work) -> Int64s:
    """Numbers the stretches within which RTP time runs with real time.

    A microphone that stalled goes on with contiguous timestamps, a source that starts anew jumps: the delay
    (arrival − RTP time) then shifts for good. A stalled network shifts it for a moment only, or the reports say that
    the sender's own clock saw no shift.
    """
    delay = work.arrived - work.media
    piece = np.zeros(len(delay), np.int64)
    start = 0
    for index in np.flatnonzero(np.abs(np.diff(delay)) > JUMP_S) + 1:
        if _is_break(work, delay, start, int(index)):
            piece[index:] += 1
            start = int(index)
    return piece


def _is_break(work: _Work, delay: Float64s, start: int, index: int) -> bool:
    now = work.arrived[index]
    before = delay[max(start, index - 500) : index]
    after = delay[index : index + 1000]
    after = after[work.arrived[index : index + 1000] < now + WINDOW_S]
    shift = float(after.min() - before.min()) if len(after) and len(before) else 0.0
    confirmed = _shift_by_reports(work, float(work.arrived[index - 1]), float(now))
    if confirmed is not None:
        return abs(confirmed) > STEP_S and abs(shift) > JUMP_S
    return abs(shift) > SHIFT_S


def _shift_by_reports(work: _Work, last: float, now: float) -> float | None:
    """How far NTP − RTP time moved over a jump between two arrivals; None without a report on each side."""
    reports = work.reports
    earlier = np.flatnonzero(reports.arrived <= last)
    later = np.flatnonzero(reports.arrived >= now)
    if not len(earlier) or not len(later):
        return None
    one, two = int(earlier[-1]), int(later[0])
    moved = (reports.ntp[two] - reports.media[two]) - (reports.ntp[one] - reports.media[one])
    by_arrival = (reports.ntp[two] - reports.arrived[two]) - (reports.ntp[one] - reports.arrived[one])
    return None if abs(by_arrival) > SHIFT_S and abs(moved - by_arrival) < abs(moved) / 2 else float(moved)


def _take_out_ntp_steps(work: list[_Work]) -> None:
    """A sender whose wall clock was set anew: every report behind the step is moved back by it, in all its tracks."""
    steps: list[tuple[float, float]] = []
    for one in work:
        reports = one.reports
        piece = _piece_of_reports(one)
        for index in range(1, len(reports.ntp)):
            if piece[index] != piece[index - 1]:
                continue
            against_media = _change(reports.ntp - reports.media, index)
            against_arrival = _change(reports.ntp - reports.arrived, index)
            if abs(against_media) > STEP_S and abs(against_arrival - against_media) < abs(against_media) / 2:
                steps.append((float(reports.arrived[index]), against_media))
    for at, size in _same_steps(steps):
        for one in work:
            one.reports.ntp[one.reports.arrived >= at] -= size


def _same_steps(steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Several tracks see the same step, each at its own next report."""
    kept: list[tuple[float, float]] = []
    for at, size in sorted(steps):
        if not any(at - other < 3 * WINDOW_S and abs(size - other_size) < STEP_S for other, other_size in kept):
            kept.append((at, size))
    return kept


def _change(values: Float64s, index: int) -> float:
    return float(values[index] - values[index - 1])


def _piece_of_reports(work: _Work) -> Int64s:
    """Which piece each report speaks of: that of the last packet before it."""
    if len(work.reports.arrived) == 0:
        return np.zeros(0, np.int64)
    latest = np.maximum.accumulate(work.arrived)
    index = np.clip(np.searchsorted(latest, work.reports.arrived, side="right") - 1, 0, len(latest) - 1)
    return work.piece[index]


def _to_sender_clock(work: _Work) -> tuple[Float64s | None, float]:
    """The packets' times on the sender's NTP clock, and how far reports stray; None when there is no report.

    The offset NTP − RTP time is followed from report to report: a sound card drifts, and one that loses a few samples
    now and then drifts by steps.
    """
    if len(work.reports.ntp) == 0:
        return None, 0.0
    times, residual = np.empty(len(work.media)), 0.0
    of_report = _piece_of_reports(work)
    reported = np.unique(of_report)
    for piece in reported:
        mine, here = of_report == piece, work.piece == piece
        order = np.argsort(work.reports.media[mine], kind="stable")
        media, offsets = work.reports.media[mine][order], (work.reports.ntp - work.reports.media)[mine][order]
        smooth = _smoothed(offsets)
        residual = max(residual, float(np.percentile(np.abs(offsets - smooth), 75)))
        times[here] = work.media[here] + np.interp(work.media[here], media, smooth)
    for piece in np.setdiff1d(work.piece, reported):
        _place_beside(work, times, int(piece), int(reported[np.argmin(np.abs(reported - piece))]))
    return times, residual


def _smoothed(offsets: Float64s) -> Float64s:
    """The median of each value and its two neighbours; a first or last one counts unless it is mad."""
    smooth = offsets.copy()
    if len(offsets) > 2:
        smooth[1:-1] = np.median(np.lib.stride_tricks.sliding_window_view(offsets, 3), axis=1)
        for edge, beside in ((0, smooth[1]), (-1, smooth[-2])):
            if abs(offsets[edge] - beside) > MAD_S:
                smooth[edge] = beside
    return smooth


def _place_beside(work: _Work, times: Float64s, piece: int, neighbour: int) -> None:
    """A piece too short for a report of its own keeps the delay that a neighbouring piece had."""
    here, there = work.piece == piece, work.piece == neighbour
    delay = float((work.arrived[there] - times[there]).min())
    times[here] = work.media[here] + float((work.arrived[here] - work.media[here]).min()) - delay


def _by_arrival(work: _Work) -> Float64s:
    """No report at all: the fastest arrivals of each piece tie RTP time to the node's clock."""
    captured = np.empty(len(work.media))
    for piece in np.unique(work.piece):
        here = work.piece == piece
        slope, offset, origin = _lower_envelope(work.media[here], work.arrived[here])
        captured[here] = work.media[here] + offset + slope * (work.media[here] - origin)
    return captured


def _lower_envelope(sent: Float64s, arrived: Float64s) -> tuple[float, float, float]:
    """(slope, offset, origin): the line offset + slope·(sent − origin) close under all delays arrived − sent.

    That is the edge of the lower convex hull over the middle; drift only where there is time enough to see it.
    """
    origin = float(sent.min())
    delay = arrived - sent
    if float(sent.max()) - origin < DRIFT_SPAN_S:
        return 0.0, float(delay.min()), origin
    bucket = (sent - origin).astype(np.int64)
    order = np.lexsort((delay, bucket))
    _, first = np.unique(bucket[order], return_index=True)
    least = order[first]
    x, y = sent[least] - origin, delay[least]
    hull = _lower_hull(x, y)
    middle = float(x.mean())
    for left, right in pairwise(hull):
        if x[left] <= middle <= x[right]:
            slope = float((y[right] - y[left]) / (x[right] - x[left]))
            if abs(slope) <= DRIFT_LIMIT:
                return slope, float(y[left] - slope * x[left]), origin
    return 0.0, float(y.min()), origin


def _lower_hull(x: Float64s, y: Float64s) -> list[int]:
    hull: list[int] = []
    for index in range(len(x)):
        while len(hull) > 1:
            one, two = hull[-2], hull[-1]
            turn = (x[two] - x[one]) * (y[index] - y[one]) - (y[two] - y[one]) * (x[index] - x[one])
            if turn > 0:
                break
            hull.pop()
        hull.append(index)
    return hull
