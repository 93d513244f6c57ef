"""Sound on the film's clock: what is where, to the sample, and nothing that clicks or clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from media.compose.reader import SegmentLog
from media.compose.sound import RATE, Mixer, Run, limited, with_faded_edges
from media.compose.timeline import build_timeline
from tests.media.golden import GoldenLog, Rtp, audio, tone


def mixer(golden: GoldenLog) -> Mixer:
    timeline = build_timeline([SegmentLog(golden.path, golden.unwrap)])
    assert timeline is not None
    return Mixer(timeline.tracks)


def mixed(golden: GoldenLog, end_s: float, block: int = 1920) -> np.ndarray:
    made = mixer(golden)
    return np.concatenate([made.block(start, block) for start in range(0, round(end_s * RATE), block)])


def loud(samples: np.ndarray) -> np.ndarray:
    """Per 10 ms, how loud."""
    return np.abs(samples[: len(samples) // 480 * 480]).reshape(-1, 480).max(axis=1)


def test_a_beep_is_heard_when_it_was_captured(golden: GoldenLog) -> None:
    golden.send(golden.track("anna", "microphone"), audio(tone(1000, [(1.0, 1.2)]), 0, 2), delay=lambda _: 0.0)
    golden.write(2.0)
    samples = mixed(golden, 2)
    assert np.flatnonzero(np.abs(samples) > 0.2)[0] / RATE == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize("block", [480, 1601, 1920, 48_000])
def test_blocks_of_any_size_give_the_same_sound(golden: GoldenLog, block: int) -> None:
    golden.send(golden.track("anna", "microphone"), audio(tone(300), 0, 1))
    golden.write(1.0)
    whole = mixed(golden, 1, 960)[:40_000]
    assert np.allclose(mixed(golden, 1, block)[:40_000], whole)


@pytest.mark.parametrize("clock", [1.001, 0.999])
def test_a_sound_card_that_drifts_neither_tears_nor_wanders(golden: GoldenLog, clock: float) -> None:
    """A thousandth too fast or slow for eight seconds: 8 ms taken up sample by sample."""
    microphone = golden.track("anna", "microphone")
    packets = [replace(one, captured_s=one.captured_s / clock) for one in audio(tone(400), 0, 8)]
    golden.send(microphone, packets, delay=lambda _: 0.0)
    golden.reports(microphone, [0.5 * n for n in range(17)], clock=clock)
    golden.write(8.0)
    made = mixer(golden)
    samples = np.concatenate([made.block(start, 1920) for start in range(0, 8 * RATE, 1920)])
    assert loud(samples[4800:-9600]).min() > 0.2
    assert np.abs(np.diff(samples[4800:-9600])).max() < 0.1, "a tear would show as a jump"
    assert made.tracks[0].largest_error_s < 0.002


def test_lost_packets_leave_a_silence_of_their_length(golden: GoldenLog) -> None:
    packets = audio(tone(400), 0, 2)
    golden.send(golden.track("anna", "microphone"), packets[:40] + packets[50:], delay=lambda _: 0.0)
    golden.write(2.0)
    quiet = np.flatnonzero(loud(mixed(golden, 2)[:90_000])[2:] < 0.01) + 2
    assert len(quiet) == pytest.approx(20, abs=2)
    assert quiet[0] == pytest.approx(80, abs=2)


def test_packets_that_are_no_opus_leave_silence_and_harm_nobody(golden: GoldenLog) -> None:
    junk = [
        Rtp(n * 0.02, n, n * 960, False, payload) for n, payload in enumerate([b"", b"\xff", b"\x03\xff", b"\x00" * 9])
    ]
    golden.send(golden.track("anna", "microphone"), junk)
    golden.send(golden.track("doctor", "microphone"), audio(tone(400), 0, 1))
    golden.write(1.0)
    assert loud(mixed(golden, 1)[4800:40_000]).min() > 0.2


def test_many_loud_voices_never_clip() -> None:
    samples = limited(np.linspace(-5, 5, 1001, dtype=np.float32))
    assert np.abs(samples).max() <= 1.0
    assert np.all(np.diff(samples) >= 0)
    quiet = np.linspace(-0.8, 0.8, 101, dtype=np.float32)
    assert np.array_equal(limited(quiet.copy()), quiet)


def test_only_the_edges_of_a_silence_are_faded() -> None:
    ones = np.ones(960, np.float32)
    first, second, third = with_faded_edges([Run(0, ones, False), Run(960, ones, True), Run(9600, ones, False)])
    assert first.samples[0] == 0
    assert first.samples[-1] == 1
    assert second.samples[0] == 1
    assert second.samples[-1] == 0
    assert third.samples[0] == third.samples[-1] == 0
