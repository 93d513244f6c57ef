"""Golden logs of what happens to people in a call: clocks, mutes, comings and goings, other networks and headsets.

Each is judged where its truth shows with the least work: on the timeline, in the mixed sound, or in a small film.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from media.compose.layout import scenes
from media.compose.reader import SegmentLog
from media.compose.sound import RATE, Mixer, lost_spans
from media.compose.timeline import Timeline, build_timeline
from tests.media.compose.films import BLUE, GREEN, RED, SLOW, WHITE, composed, frames
from tests.media.compose.shown import near
from tests.media.golden import GoldenLog, Rtp, audio, flat, tone, video

DELAY_S = 0.02
"""Of every packet and report here; nobody can know it, so all of a film is later by it."""


def laid(golden: GoldenLog) -> Timeline:
    timeline = build_timeline([SegmentLog(golden.path, golden.unwrap)])
    assert timeline is not None
    return timeline


def mixed(golden: GoldenLog, end_s: float) -> np.ndarray:
    made = Mixer(laid(golden).tracks)
    return np.concatenate([made.block(start, 960) for start in range(0, round(end_s * RATE), 960)])


def undecoded(kind: str, seconds: int, *, every_s: float, clock: float = 1.0) -> list[Rtp]:
    """Packets whose times alone matter."""
    rate = 48_000 if kind == "audio" else 90_000
    count = round(seconds / every_s)
    return [Rtp(n * every_s, n, rate + round(n * every_s * rate * clock), True, b"x") for n in range(count)]


def errors_s(timeline: Timeline) -> dict[tuple[str, str], np.ndarray]:
    """How far each packet lies from when it was captured, by person and source; packets were sent evenly."""
    found = {}
    for track in timeline.tracks:
        every_s = 0.1 if track.is_video else 0.05
        found[track.participant_id, track.source] = track.times_s - DELAY_S - every_s * track.index.sequence
    return found


@pytest.mark.parametrize(
    ("drift", "step_s", "seconds"), [(1.0, 3600.0, 60), (1.0, -20.5, 60), (1.0001, 0.0, 600), (0.9999, 0.0, 600)]
)
def test_clocks_a_day_apart_that_step_or_drift_put_everybody_where_they_were(
    golden: GoldenLog, drift: float, step_s: float, seconds: int
) -> None:
    """The doctor's clock is twenty hours ahead, drifts by 100 ppm, or is set anew in the middle of the call."""
    for who, ahead_s, clock in (("anna", 0.0, 1.0), ("doctor", 72_000.0, drift)):
        for source, kind, every_s in (("camera", "video", 0.1), ("microphone", "audio", 0.05)):
            track = golden.track(who, source)
            golden.send(track, undecoded(kind, seconds, every_s=every_s, clock=clock))
            stepped = step_s if who == "doctor" else 0.0
            golden.reports(
                track,
                [0.4 + 2.0 * n for n in range(seconds // 2)],
                ntp_0=3.9e9 + ahead_s,
                clock=clock,
                ntp_clock=clock,
                step=lambda at_s, by=stepped: by if at_s > seconds / 2 else 0.0,
            )
    golden.write(float(seconds))
    errors = errors_s(laid(golden))
    assert len(errors) == 4
    for who in ("anna", "doctor"):
        apart = errors[who, "camera"] - errors[who, "microphone"][::2]
        assert np.abs(apart).max() <= 0.02, "sound and picture of one person"
    assert max(np.abs(one).max() for one in errors.values()) <= 0.05, "one person against the other"


@pytest.mark.parametrize("sends", ["silence", "nothing"])
def test_a_mute_is_a_silence_of_its_length_and_no_loss(golden: GoldenLog, sends: str) -> None:
    """A muted page sends silence; a suspended microphone sends nothing while its numbers and its clock go on."""
    packets = audio(tone(440, [(0.0, 1.0), (2.0, 3.0)]), 0, 3)
    if sends == "nothing":
        kept = [one for one in packets if not 1.0 <= one.captured_s < 2.0]
        packets = [replace(one, sequence=7 + n) for n, one in enumerate(kept)]
    golden.send(golden.track("anna", "microphone"), packets, delay=lambda _: 0.0)
    golden.write(3.0)
    samples = np.abs(mixed(golden, 3))
    assert samples[round(0.1 * RATE) : round(0.95 * RATE)].max() > 0.3
    assert samples[round(1.1 * RATE) : round(1.95 * RATE)].max() < 0.01
    assert np.flatnonzero(samples[RATE * 3 // 2 :] > 0.2)[0] / RATE + 1.5 == pytest.approx(2.0, abs=0.02)
    assert lost_spans(laid(golden).tracks[0]) == []


def test_who_joins_late_and_leaves_early_has_a_tile_for_that_time_only(golden: GoldenLog) -> None:
    for who, start, end in (("anna", 0, 20), ("doctor", 0, 20), ("guest", 5, 12)):
        packets = [
            replace(one, captured_s=one.captured_s + start) for one in undecoded("audio", end - start, every_s=0.05)
        ]
        golden.send(golden.track(who, "microphone", at_s=start), packets, delay=lambda _: 0.0)
    golden.write(20.0)
    shown = [
        (round(one.span.start_s), round(one.span.end_s), {tile.participant_id for tile in one.tiles})
        for one in scenes(laid(golden), 1280, 720)
    ]
    both = {"anna", "doctor"}
    assert shown == [(0, 5, both), (5, 13, both | {"guest"}), (13, 20, both)]


@pytest.mark.parametrize("way", ["restarted", "connected anew"])
def test_c32_another_network_in_mid_call_is_a_gap_in_the_same_tile_of_the_same_film(
    golden: GoldenLog, way: str
) -> None:
    """Four seconds without a packet: the path was restarted under the same numbers, or everything began anew."""
    camera, microphone = golden.track("anna", "camera"), golden.track("anna", "microphone")
    pictures = video(flat(64, 48, RED, [7.0]), frames(0, 9, 10), keys=[70])
    sound = audio(tone(440, [(0.0, 2.5), (7.0, 9.0)]), 0, 9)
    for source, before, packets in (("camera", camera, pictures), ("microphone", microphone, sound)):
        golden.send(before, [one for one in packets if one.captured_s < 3])
        track, late = before, [one for one in packets if one.captured_s >= 7]
        if way == "connected anew":
            track = golden.track("anna", source, cname="new", at_s=7)
            late = [replace(one, sequence=one.sequence + 9000, timestamp=one.timestamp + 5_000_000) for one in late]
        golden.send(track, late)
    golden.send(golden.track("doctor", "camera"), video(flat(64, 48, BLUE), frames(0, 9, 10)))
    golden.write(9.0)
    report, film = composed(golden, options=SLOW)
    assert report.passed, report.problems
    assert film.duration_s == pytest.approx(9.0, abs=0.1)
    assert len(report.details["layout"]) == 1, "nobody's place moves"
    assert near(film.colour(2.0, 0.25, 0.5), RED)
    assert not near(film.colour(6.5, 0.25, 0.5), RED)
    assert near(film.colour(6.5, 0.75, 0.5), BLUE)
    assert film.moments(0.25, 0.5, WHITE) == pytest.approx([7.0], abs=0.1)
    assert film.onsets(440) == pytest.approx([0.0, 7.0], abs=0.05)
    assert film.level(440, 3.1, 6.9) < 0.01
    if way == "restarted":
        assert [(one.kind, round(one.end_s - one.start_s)) for one in report.gaps if one.kind == "sound"] == [
            ("sound", 4)
        ]


def headset(hertz: float, start_s: float, end_s: float, *, rate: int, first_sequence: int) -> list[Rtp]:
    """What a browser sends of a microphone of this sample rate: Opus, whose clock is 48 kHz whatever goes in."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = rate, "mono", "flt", 32_000
    encoder.time_base = Fraction(1, rate)
    size, packets = rate // 50, []
    for number in range(round((end_s - start_s) * 50)):
        at_s = start_s + number * 0.02
        wave = 0.4 * np.sin(2 * np.pi * hertz * (at_s + np.arange(size) / rate))
        frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None, :], format="flt", layout="mono")
        frame.sample_rate, frame.pts = rate, number * size
        packets += [
            Rtp(at_s, first_sequence + number, 48_000 + round(at_s * 48_000), False, bytes(packet))
            for packet in encoder.encode(frame)
        ]
    return packets


@pytest.mark.parametrize(("first", "then"), [(16_000, 48_000), (48_000, 16_000), (24_000, 8_000)])
def test_c38_another_microphone_of_another_rate_keeps_pitch_and_length(
    golden: GoldenLog, first: int, then: int
) -> None:
    """A headset dies at 2 s; the built-in microphone is heard 1.5 s later, on the same track."""
    before = headset(440, 0, 2, rate=first, first_sequence=1)
    after = headset(440, 3.5, 5.5, rate=then, first_sequence=before[-1].sequence + 1)
    golden.send(golden.track("anna", "microphone"), before + after, delay=lambda _: 0.0)
    golden.write(5.5)
    samples = mixed(golden, 5.5)
    assert len(samples) == round(5.5 * RATE)
    for start_s in (0.5, 4.0):
        part = samples[round(start_s * RATE) :][:RATE]
        assert np.argmax(np.abs(np.fft.rfft(part))) == pytest.approx(440, abs=1), "hertz, at a second's resolution"
    loud = np.abs(samples) > 0.2
    assert np.flatnonzero(loud[: 3 * RATE])[-1] / RATE == pytest.approx(2.0, abs=0.04)
    assert np.flatnonzero(loud[3 * RATE :])[0] / RATE + 3 == pytest.approx(3.5, abs=0.04)


def test_c58_a_phone_that_is_turned_keeps_people_upright(golden: GoldenLog) -> None:
    """Browsers turn the pixels, since no orientation is agreed on: lying, upright, and lying again."""

    def picture(at_s: float) -> np.ndarray:
        width, height = (64, 48) if not 1.0 <= at_s < 2.0 else (48, 64)
        image = flat(width, height, GREEN)(at_s)
        image[: height // 2] = RED
        return image

    golden.send(golden.track("anna", "camera"), video(picture, frames(0, 3, 10)))
    golden.write(3.0)
    _, film = composed(golden, options=SLOW)
    for at_s in (0.5, 1.5, 2.5):
        assert near(film.colour(at_s, 0.5, 0.2), RED), at_s
        assert near(film.colour(at_s, 0.5, 0.8), GREEN), at_s
    assert near(film.colour(1.5, 0.2, 0.5), (0, 0, 0)), "bars beside it, nothing stretched"
