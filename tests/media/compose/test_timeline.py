"""Film time: where it begins and ends, and what happened when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media.compose.reader import SegmentLog
from media.compose.timeline import Timeline, active_spans, build_timeline
from tests.media.golden import GoldenLog, Rtp


def sound(start_s: float, end_s: float) -> list[Rtp]:
    """Packets that nobody will decode."""
    return [
        Rtp(start_s + n * 0.02, round(start_s * 50) + n, round(start_s * 48_000) + n * 960, False, b"x")
        for n in range(round((end_s - start_s) * 50))
    ]


def laid(*logs: GoldenLog) -> Timeline:
    timeline = build_timeline([SegmentLog(log.path, log.unwrap) for log in logs])
    assert timeline is not None
    return timeline


def pauses(timeline: Timeline) -> list[tuple[float, float, str]]:
    return [(round(one.span.start_s, 3), round(one.span.end_s, 3), one.kind) for one in timeline.pauses]


def test_the_first_grant_is_zero_and_a_fuller_one_is_no_pause(golden: GoldenLog) -> None:
    golden.mark(1.0, "running")
    golden.mark(3.0, "running")
    golden.send(golden.track("anna", "microphone"), sound(2, 5), delay=lambda _: 0.0)
    golden.write(6.0)
    timeline = laid(golden)
    assert timeline.length_s == pytest.approx(5.0)
    assert timeline.started_at_utc_s == pytest.approx(golden.utc_0 / 1e9 + 1.0)
    assert timeline.tracks[0].times_s[0] == pytest.approx(1.0, abs=1e-6)
    assert pauses(timeline) == []
    assert timeline.incomplete is None


def test_pauses_lie_between_and_a_last_one_ends_the_film(golden: GoldenLog) -> None:
    for at, kind in ((0.0, "running"), (2.0, "paused"), (3.0, "running"), (5.0, "paused")):
        golden.mark(at, kind)
    golden.send(golden.track("anna", "microphone"), sound(0, 2) + sound(3, 5))
    golden.write(60.0)
    timeline = laid(golden)
    assert timeline.length_s == pytest.approx(5.0)
    assert pauses(timeline) == [(2.0, 3.0, "paused")]


def test_a_pause_knows_why(golden: GoldenLog) -> None:
    golden.mark(0.0, "running")
    golden.mark(2.0, "paused", code="examination")
    golden.mark(3.0, "running")
    golden.send(golden.track("anna", "microphone"), sound(0, 2) + sound(3, 5))
    golden.write(5.0)
    assert [one.reason for one in laid(golden).pauses] == ["examination"]


def test_where_a_removed_person_had_been_stays_known(golden: GoldenLog) -> None:
    golden.mark(0.0, "running", participants=["anna", "guest"])
    golden.mark(2.0, "paused", participants=["anna", "guest"])
    golden.mark(3.0, "running", participants=["anna", "guest"])
    golden.mark(4.0, "running", participants=["anna"])
    golden.mark(5.0, "removed", "guest", utc_s=1_790_000_000)
    golden.mark(5.0, "removed", "nobody", utc_s="soon")
    golden.send(golden.track("anna", "microphone"), sound(0, 2) + sound(3, 6))
    golden.write(6.0)
    guest, nobody = laid(golden).removed
    assert [(round(span.start_s, 3), round(span.end_s, 3)) for span in guest.spans] == [(0.0, 2.0), (3.0, 4.0)]
    assert (guest.participant_id, guest.at_utc_s) == ("guest", 1_790_000_000)
    assert (nobody.participant_id, nobody.spans, nobody.at_utc_s) == ("nobody", (), 0.0)


@pytest.mark.parametrize(("clock", "between"), [("boot-1", 7.0), ("boot-2", 4.0)])
def test_segments_are_joined_by_the_same_clock_or_else_by_utc(
    golden: GoldenLog, tmp_path: Path, clock: str, between: float
) -> None:
    """The wall clock was set back three seconds between them; only the same boot's monotonic clock knows better."""
    golden.send(golden.track("anna", "microphone"), sound(0, 2))
    golden.write(2.0)
    other = GoldenLog(
        tmp_path / "two.bedlog",
        segment=2,
        mono_0=golden.mono_0 + 9_000_000_000,
        utc_0=golden.utc_0 + 6_000_000_000,
        clock=clock,
    )
    other.send(other.track("anna", "microphone"), sound(0, 2))
    other.write(2.0)
    assert pauses(laid(golden, other)) == [(2.0, 2.0 + between, "between")]


@pytest.mark.parametrize(
    ("utc_off_s", "length_s", "problems"),
    [
        (-2.5, 4.0, set()),
        (-5.0, 4.0, {"clock_differs"}),
        (-3600, 4.0, {"clock_differs"}),
        (86_400, 4.0, {"clock_differs"}),
    ],
)
def test_a_segment_of_a_machine_whose_time_is_wrong_comes_behind_the_one_before(
    golden: GoldenLog, tmp_path: Path, utc_off_s: float, length_s: float, problems: set[str]
) -> None:
    """Never laid over it, nor a day away: it began two seconds after that one had ended."""
    golden.send(golden.track("anna", "microphone"), sound(0, 2))
    golden.write(2.0)
    utc_0 = golden.utc_0 + round((4 + utc_off_s) * 1e9)
    other = GoldenLog(tmp_path / "two.bedlog", segment=2, mono_0=5 * 10**9, utc_0=utc_0, clock="boot-2")
    other.send(other.track("anna", "microphone"), sound(0, 2))
    other.write(2.0)
    segments = [SegmentLog(log.path, log.unwrap) for log in (golden, other)]
    timeline = build_timeline(segments)
    assert timeline is not None
    assert timeline.length_s == pytest.approx(length_s)
    assert sorted(float(track.times_s.min()) // 1 for track in timeline.tracks) == [0, 2]
    assert segments[1].problems == problems


def test_a_log_without_an_end_ends_at_the_last_thing_it_tells(golden: GoldenLog) -> None:
    golden.send(golden.track("anna", "microphone"), sound(0, 2), delay=lambda _: 0.0)
    golden.write(None)
    timeline = laid(golden)
    assert timeline.length_s == pytest.approx(1.98)
    assert timeline.incomplete == "end_missing"


def test_c50_a_missing_stop_is_the_visits_end_however_little_was_sent(golden: GoldenLog) -> None:
    """Started at 10, joined at 12, left at 300, over at 305; a microphone that never sent, and no stop."""
    golden.mark(10.0, "running")
    golden.mark(12.0, "join", "P")
    golden.track("P", "microphone", at_s=12.0)
    golden.send(golden.track("P", "screen_audio", at_s=12.0), sound(12, 12.1))
    golden.mark(300.0, "leave", "P")
    golden.mark(305.0, "leave", "doctor")
    golden.write(None)
    timeline = laid(golden)
    assert timeline.length_s == pytest.approx(295.0)
    assert timeline.incomplete == "end_missing"


def test_presence_begins_and_ends_with_what_a_person_sent(golden: GoldenLog) -> None:
    golden.send(golden.track("anna", "microphone"), sound(0, 20))
    golden.send(golden.track("guest", "microphone"), sound(5, 10))
    golden.track("silent", "microphone")
    golden.write(20.0)
    timeline = laid(golden)
    spans = {who: (round(span.start_s, 1), round(span.end_s, 1)) for who, span in timeline.participants}
    assert spans == {"anna": (0.0, 20.0), "guest": (5.0, 11.0)}


def test_c40_who_sends_nothing_was_there_as_long_as_the_grants_named_them(golden: GoldenLog) -> None:
    """No camera, no microphone: they watched and listened, and the film tells of it. Who left is no longer there."""
    golden.mark(0.0, "running", participants=["anna", "doctor", "guest"])
    golden.mark(6.0, "left", "guest")
    golden.mark(9.0, "joined", "guest")
    golden.mark(12.0, "paused", participants=["anna", "doctor", "guest"])
    golden.mark(14.0, "running", participants=["anna", "doctor"])
    golden.send(golden.track("anna", "microphone"), sound(0, 12) + sound(14, 20))
    golden.track("doctor", "camera")
    golden.write(20.0)
    timeline = laid(golden)
    spans = {who: (round(span.start_s, 1), round(span.end_s, 1)) for who, span in timeline.participants}
    assert spans == {"anna": (0.0, 20.0), "doctor": (0.0, 20.0), "guest": (0.0, 13.0)}
    assert timeline.length_s == pytest.approx(20.0)


def test_only_long_gaps_end_a_stretch() -> None:
    times = np.array([0.0, 1.0, 3.5, 8.0, 9.0])
    spans = [(one.start_s, one.end_s) for one in active_spans(times, gap_s=3.0, hold_s=1.0)]
    assert spans == [(0.0, 4.5), (8.0, 10.0)]


def test_logs_without_a_packet_make_no_timeline(golden: GoldenLog) -> None:
    golden.track("anna", "microphone")
    golden.write(5.0)
    assert build_timeline([SegmentLog(golden.path, golden.unwrap)]) is None
    assert build_timeline([]) is None
