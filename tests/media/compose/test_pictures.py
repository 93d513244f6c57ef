"""Which picture of a person shows at a moment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from media.compose.pictures import SourcePictures, open_pictures
from media.compose.reader import SegmentLog
from media.compose.timeline import build_timeline
from tests.media.golden import GoldenLog, flat, video

RED, BLUE = (200, 30, 30), (30, 60, 200)


def camera(golden: GoldenLog) -> SourcePictures:
    timeline = build_timeline([SegmentLog(golden.path, golden.unwrap)])
    assert timeline is not None
    return open_pictures(timeline.tracks)["anna", "camera"]


def tenths(start: int, end: int) -> list[float]:
    return [number / 10 for number in range(start, end)]


def test_the_newest_picture_not_after_the_moment_shows(golden: GoldenLog) -> None:
    golden.send(golden.track("anna", "camera"), video(flat(64, 48, RED), tenths(0, 10)), delay=lambda _: 0.0)
    golden.write(1.0)
    pictures = camera(golden)
    shown = [pictures.at(at) for at in (0.05, 0.06, 0.15, 0.95)]
    assert [round(one.captured_s, 2) for one in shown if one is not None] == [0.0, 0.0, 0.1, 0.9]
    assert shown[0] is shown[1]


def test_a_camera_that_returns_never_shows_its_old_picture(golden: GoldenLog) -> None:
    """It comes back at 6 s, but its first key frame only at 7 s."""
    packets = video(flat(64, 48, RED), tenths(0, 20) + tenths(60, 90), keys=[30])
    packets = [one for one in packets if one.sequence != packets[20].sequence]
    golden.send(golden.track("anna", "camera"), packets)
    golden.write(9.0)
    pictures = camera(golden)
    shown = {at: pictures.at(at) is not None for at in (1.0, 2.5, 4.0, 6.5, 7.2)}
    assert shown == {1.0: True, 2.5: True, 4.0: False, 6.5: False, 7.2: True}


def test_of_two_layers_the_larger_that_is_there_shows(golden: GoldenLog) -> None:
    low, high = golden.track("anna", "camera", rid="l"), golden.track("anna", "camera", rid="h")
    golden.send(low, video(flat(32, 24, BLUE), tenths(0, 100)))
    golden.send(high, video(flat(128, 96, RED), tenths(0, 30), first_sequence=7000))
    golden.write(10.0)
    pictures = camera(golden)
    shown = [pictures.at(at) for at in (1.0, 2.5, 6.0)]
    assert [one.frame.width for one in shown if one is not None] == [128, 128, 32]


def test_a_larger_layer_that_lost_its_way_gives_way_to_the_one_that_goes_on(golden: GoldenLog) -> None:
    """One frame is lost at 2 s, its next key frame is at 8 s; sound goes on beside what was shown at 4 and 6 s."""
    low, high = golden.track("anna", "camera", rid="l"), golden.track("anna", "camera", rid="h")
    golden.send(low, video(flat(32, 24, BLUE), tenths(0, 100)))
    packets = video(flat(128, 96, RED), tenths(0, 100), first_sequence=7000, keys=[80])
    golden.send(high, [one for one in packets if abs(one.captured_s - 2.0) > 0.01])
    golden.write(10.0)
    pictures = camera(golden)
    moments = (1.0, 2.1, 2.5, 4.1, 7.5, 8.5)
    shown = [(at, one) for at in moments if (one := pictures.at(at)) is not None]
    assert [one.frame.width for _, one in shown] == [128, 128, 32, 32, 32, 128]
    assert max(at - one.captured_s for at, one in shown) < 0.3


def test_a_larger_layer_that_was_turned_off_is_not_held_over(golden: GoldenLog) -> None:
    """It ends at 3 s, as when a third person comes in: what is seen at 3.5 s is what was sent then."""
    low, high = golden.track("anna", "camera", rid="l"), golden.track("anna", "camera", rid="h")
    golden.send(low, video(flat(32, 24, BLUE), tenths(0, 100)))
    golden.send(high, video(flat(128, 96, RED), tenths(0, 30), first_sequence=7000))
    golden.write(10.0)
    pictures = camera(golden)
    assert [one.frame.width for at in (2.5, 3.5) if (one := pictures.at(at)) is not None] == [128, 32]


def test_a_frame_that_does_not_decode_is_passed_over(golden: GoldenLog) -> None:
    packets = video(flat(64, 48, RED), tenths(0, 10), keys=[5])
    broken = [
        replace(one, payload=one.payload[:5] + b"\xff" * 20) if 0.15 < one.captured_s < 0.25 else one for one in packets
    ]
    golden.send(golden.track("anna", "camera"), broken)
    golden.write(1.0)
    shown = camera(golden).at(0.95)
    assert shown is not None
    assert shown.captured_s > 0.85


def test_a_picture_that_claims_to_be_enormous_is_never_made(golden: GoldenLog) -> None:
    """8000 by 8000 written into the key frame's header (RFC 6386 §9.1)."""
    packets = video(flat(64, 48, RED), tenths(0, 10), keys=[5])
    huge = [
        replace(one, payload=one.payload[:10] + b"\x40\x1f\x40\x1f" + one.payload[14:]) if one.captured_s == 0 else one
        for one in packets
    ]
    golden.send(golden.track("anna", "camera"), huge)
    golden.write(1.0)
    pictures = camera(golden)
    assert pictures.at(0.3) is None
    shown = pictures.at(0.95)
    assert shown is not None
    assert shown.frame.width == 64


def test_the_black_of_a_switched_off_camera_is_no_picture_and_a_black_screen_is_one(golden: GoldenLog) -> None:
    def picture(at_s: float) -> np.ndarray:
        return flat(64, 48, (0, 0, 0) if 0.45 < at_s < 0.75 else RED)(at_s)

    golden.send(golden.track("anna", "camera"), video(picture, tenths(0, 10)))
    golden.send(golden.track("anna", "screen"), video(picture, tenths(0, 10), first_sequence=500))
    golden.write(1.0)
    timeline = build_timeline([SegmentLog(golden.path, golden.unwrap)])
    assert timeline is not None
    sources = open_pictures(timeline.tracks)
    shown = {
        source: [pictures.at(at) is not None for at in (0.3, 0.65, 0.95)] for (_, source), pictures in sources.items()
    }
    assert shown == {"camera": [True, False, True], "screen": [True, True, True]}
