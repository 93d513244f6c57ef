"""When packets were captured, out of arrivals and sender reports whose truth the test knows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.compose.clocks import place_tracks, unwrap_rtp
from media.compose.reader import TrackIndex
from media.logformat import ReportRecord, TrackRecord

NTP_0 = 3_900_000_000.0
MONO_0 = 4_000.0


class Sender:
    """One participant's clocks: `ntp_of` and each track's RTP clock as functions of true time."""

    def __init__(self, ntp_of: Callable[[np.ndarray], np.ndarray] = lambda t: NTP_0 + t, seed: int = 1) -> None:
        self.ntp_of = ntp_of
        self.random = np.random.default_rng(seed)

    def track(
        self,
        kind: str,
        times: np.ndarray,
        *,
        rtp_of: Callable[[np.ndarray], np.ndarray] | None = None,
        delay: Callable[[np.ndarray], np.ndarray] = lambda t: np.full(len(t), 0.03),
        report_times: np.ndarray | None = None,
        report_delay: float = 0.03,
    ) -> TrackIndex:
        rate = 48_000 if kind == "audio" else 90_000
        rtp = rtp_of or (lambda t: 1000 + t * rate)
        sent_rtp = np.round(rtp(times)).astype(np.int64) % 2**32
        arrived = np.round((MONO_0 + times + delay(times)) * 1e9).astype(np.int64)
        report_at = np.zeros(0) if report_times is None else report_times
        reports = [
            ReportRecord(
                1, round((MONO_0 + at + report_delay) * 1e9), round(float(ntp) * 2**32), round(float(media)) % 2**32
            )
            for at, ntp, media in zip(report_at, self.ntp_of(report_at), rtp(report_at), strict=True)
        ]
        record = TrackRecord(1, 0, "anna", "x", kind, "x", 1, rate, "", "c", "")
        return TrackIndex(record, 1, np.arange(len(times)), arrived, sent_rtp, reports)

    def jitter(self, largest: float = 0.02, base: float = 0.03) -> Callable[[np.ndarray], np.ndarray]:
        return lambda t: base + largest * self.random.random(len(t)) ** 2


def seconds(end: float, step: float) -> np.ndarray:
    return np.arange(0, end, step)


def errors(placed_s: np.ndarray, times: np.ndarray, base: float = 0.03) -> np.ndarray:
    """How far off, the shortest way's constant delay being nobody's to know."""
    return placed_s - (MONO_0 + base + times)


def test_sound_and_picture_of_one_sender_fall_together_however_late_the_picture_arrives() -> None:
    sender = Sender(lambda t: NTP_0 + 72_000 + t)
    audio_t, video_t = seconds(30, 0.02), seconds(30, 0.033)
    audio = sender.track("audio", audio_t, delay=sender.jitter(), report_times=seconds(30, 5) + 1)
    video = sender.track("video", video_t, delay=sender.jitter(base=0.4), report_times=seconds(30, 1) + 0.2)
    placed = place_tracks([audio, video])
    assert np.abs(errors(placed[0].captured_s, audio_t)).max() < 0.003
    assert np.abs(errors(placed[1].captured_s, video_t)).max() < 0.003
    assert all(one.by_reports for one in placed)


def test_without_reports_the_fastest_arrivals_speak() -> None:
    sender = Sender()
    times = seconds(30, 0.02)
    (placed,) = place_tracks([sender.track("audio", times, delay=sender.jitter())])
    assert not placed.by_reports
    assert np.abs(errors(placed.captured_s, times)).max() < 0.003


@pytest.mark.parametrize("ppm", [100, -100])
def test_an_hours_drift_of_a_hundred_ppm_is_followed(ppm: int) -> None:
    """The sender's sound card drifts against its wall clock, and that against the node's."""
    clock, card = 1 + ppm * 1e-6, 1 - 0.7 * ppm * 1e-6
    sender = Sender(lambda t: NTP_0 + t * clock)
    audio_t, video_t = seconds(3600, 0.1), seconds(3600, 0.3)
    audio = sender.track(
        "audio", audio_t, rtp_of=lambda t: 7 + t * 48_000 * card, delay=sender.jitter(), report_times=seconds(3600, 5)
    )
    video = sender.track("video", video_t, delay=sender.jitter(base=0.1), report_times=seconds(3600, 1))
    placed = place_tracks([audio, video])
    assert np.abs(errors(placed[0].captured_s, audio_t)).max() < 0.01
    assert np.abs(errors(placed[1].captured_s, video_t)).max() < 0.01


@pytest.mark.parametrize("step", [72_000.0, -3600.0, 1.5])
def test_a_wall_clock_that_is_set_anew_in_mid_call_changes_nothing(step: float) -> None:
    sender = Sender(lambda t: NTP_0 + t + step * (t > 31))
    audio_t, video_t = seconds(60, 0.02), seconds(60, 0.033)
    audio = sender.track("audio", audio_t, delay=sender.jitter(), report_times=seconds(60, 5))
    video = sender.track("video", video_t, delay=sender.jitter(), report_times=seconds(60, 1) + 0.3)
    late_t = audio_t[audio_t > 40]
    late = sender.track("audio", late_t, delay=sender.jitter(), report_times=np.array([42.0, 47.0]))
    placed = place_tracks([audio, video, late])
    for one, times in zip(placed, (audio_t, video_t, late_t), strict=True):
        assert np.abs(errors(one.captured_s, times)).max() < 0.01


@pytest.mark.parametrize("reported", [True, False])
def test_a_microphone_that_stalled_is_found_again(reported: bool) -> None:
    sender = Sender()
    times = np.concatenate((seconds(10, 0.02), 22 + seconds(10, 0.02)))
    audio = sender.track(
        "audio",
        times,
        rtp_of=lambda t: 1000 + (t - 12.0 * (t > 15)) * 48_000,
        delay=sender.jitter(),
        report_times=np.array([1.0, 6.0, 24.0, 29.0]) if reported else None,
    )
    (placed,) = place_tracks([audio])
    assert np.abs(errors(placed.captured_s, times)).max() < 0.03


@pytest.mark.parametrize("reported", [True, False])
def test_a_network_that_stalled_moves_nothing(reported: bool) -> None:
    """Two seconds of packets arrive at once; the sender's clock never stood still."""
    sender = Sender()
    times = seconds(30, 0.02)

    def delay(t: np.ndarray) -> np.ndarray:
        return sender.jitter()(t) + np.where((t > 10) & (t < 12), 12 - t, 0)

    audio = sender.track("audio", times, delay=delay, report_times=seconds(30, 5) if reported else None)
    (placed,) = place_tracks([audio])
    assert np.abs(errors(placed.captured_s, times)).max() < 0.005


def test_a_way_that_becomes_longer_for_good_moves_nothing_where_there_are_reports() -> None:
    sender = Sender()
    times = seconds(40, 0.02)
    audio = sender.track(
        "audio", times, delay=lambda t: sender.jitter()(t) + 0.6 * (t > 20), report_times=seconds(40, 5)
    )
    (placed,) = place_tracks([audio])
    assert np.abs(errors(placed.captured_s, times)).max() < 0.005


def test_a_sound_card_that_loses_samples_now_and_then_is_followed() -> None:
    """Forty milliseconds lost every seven seconds, the timestamps none the wiser: too little to see in arrivals."""
    sender = Sender()
    times = seconds(120, 0.02)
    audio = sender.track(
        "audio",
        times,
        rtp_of=lambda t: 1000 + (t - 0.04 * np.floor(t / 7)) * 48_000,
        delay=sender.jitter(),
        report_times=seconds(120, 5),
    )
    video = sender.track("video", times, delay=sender.jitter(), report_times=seconds(120, 1))
    placed = place_tracks([audio, video])
    apart = placed[0].captured_s - placed[1].captured_s
    assert np.abs(apart).max() < 0.05


def test_reports_gone_mad_are_passed_over() -> None:
    sender = Sender()
    times = seconds(30, 0.02)
    audio = sender.track("audio", times, delay=sender.jitter(), report_times=seconds(30, 2))
    audio.reports[3] = ReportRecord(1, audio.reports[3].arrived_ns, 0, audio.reports[3].rtp)
    audio.reports[6] = ReportRecord(1, audio.reports[6].arrived_ns, audio.reports[6].ntp, 12345)
    audio.reports[9] = ReportRecord(1, audio.reports[9].arrived_ns, audio.reports[9].ntp + 2**31, audio.reports[9].rtp)
    late = audio.reports[12]
    audio.reports[12] = ReportRecord(1, late.arrived_ns, late.ntp, (late.rtp + 14_400) % 2**32)
    (placed,) = place_tracks([audio])
    assert np.abs(errors(placed.captured_s, times)).max() < 0.005


def test_the_only_report_gone_mad_is_no_report() -> None:
    sender = Sender()
    times = seconds(10, 0.02)
    audio = sender.track("audio", times, delay=sender.jitter(), report_times=np.array([5.0]))
    audio.reports[0] = ReportRecord(1, audio.reports[0].arrived_ns, audio.reports[0].ntp, 2_000_000_000)
    video = sender.track("video", times, delay=sender.jitter(), report_times=seconds(10, 1))
    placed = place_tracks([audio, video])
    assert [one.by_reports for one in placed] == [False, True]
    assert np.abs(errors(placed[0].captured_s, times)).max() < 0.005


def test_a_source_that_starts_anew_far_away_on_its_scale_goes_on() -> None:
    sender = Sender()
    times = seconds(20, 0.02)
    audio = sender.track(
        "audio", times, rtp_of=lambda t: 1000 + t * 48_000 + 1_000_000_000 * (t >= 10), delay=sender.jitter()
    )
    (placed,) = place_tracks([audio])
    assert np.abs(errors(placed.captured_s, times)).max() < 0.01


def test_one_packet_and_no_packet_are_placed_too() -> None:
    sender = Sender()
    one, none = place_tracks([sender.track("audio", np.array([1.0])), sender.track("video", np.zeros(0))])
    assert errors(one.captured_s, np.array([1.0])) == pytest.approx([0.0], abs=1e-6)
    assert len(none.captured_s) == 0


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=30))
def test_rtp_time_is_carried_over_every_wrap(start: int, steps: list[int]) -> None:
    true = start + np.concatenate(([0], np.cumsum(np.array(steps, np.int64))))
    assert unwrap_rtp(true % 2**32).tolist() == true.tolist()
