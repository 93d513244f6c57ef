"""Whole films out of golden logs: who is seen and heard, and when."""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from media.api import SealingKey
from media.capture import CaptureLimits, CaptureSession, CaptureStore, Clock
from media.compose import CancelledError, compose_film
from media.vault import delete_participant
from tests.media.compose.films import BLUE, GREEN, RED, SMALL, WHITE, composed, frames, person
from tests.media.compose.shown import Shown, near
from tests.media.golden import MONO_0, UTC_0, GoldenLog, Rtp, audio, flat, tone, video


def test_each_person_has_a_tile_and_a_voice_and_flashes_when_they_beep(golden: GoldenLog) -> None:
    tones = random.sample([400, 700, 1100, 1500], 2)
    person(golden, "anna", RED, tones[0], end_s=4, flashes=[0.5, 1.5, 2.5])
    person(golden, "doctor", BLUE, tones[1], end_s=4, flashes=[1.0, 2.0, 3.0], ntp_0=3_900_072_000.0)
    golden.write(4.0)
    report, film = composed(golden)
    assert report.passed
    assert report.problems == ()
    assert not report.empty
    assert film.streams == {"video": "h264", "audio": "aac"}
    assert film.duration_s == pytest.approx(4.0, abs=0.04)
    assert near(film.colour(0.2, 0.25, 0.5), RED)
    assert near(film.colour(0.2, 0.75, 0.5), BLUE)
    for x, hz, expected in ((0.25, tones[0], [0.5, 1.5, 2.5]), (0.75, tones[1], [1.0, 2.0, 3.0])):
        flashes, beeps = film.moments(x, 0.5, WHITE), film.onsets(hz)
        assert flashes == pytest.approx(expected, abs=0.1)
        assert len(beeps) == len(flashes)
        assert max(abs(one - two) for one, two in zip(flashes, beeps, strict=True)) <= 0.08
    assert report.participants == ("anna", "doctor")


def test_a_pause_keeps_its_length_and_shows_a_card(golden: GoldenLog) -> None:
    golden.mark(0.0, "running")
    golden.mark(2.0, "paused")
    golden.mark(4.0, "running")
    camera, microphone = golden.track("anna", "camera"), golden.track("anna", "microphone")
    golden.send(camera, video(flat(64, 48, RED), frames(0, 2, 10) + frames(4, 6, 10), keys=[20]))
    golden.send(microphone, audio(tone(440), 0, 2) + audio(tone(440), 4, 6, first_sequence=107))
    golden.write(6.0)
    report, film = composed(golden)
    assert film.duration_s == pytest.approx(6.0, abs=0.04)
    assert film.level(440, 2.1, 3.9) < 0.01
    assert film.onsets(440) == pytest.approx([0.0, 4.0], abs=0.05)
    card = film.pictures[75]
    assert near(tuple(card[5, 5]), tuple(card[175, 315]))
    assert not near(tuple(card[5, 5]), (0, 0, 0))
    assert (card.max(axis=2) > 180).sum() > 100, "the card says when"
    assert [one["pause"] for one in report.details["layout"]] == [None, "paused", None]


def test_a_second_segment_keeps_the_time_between(golden: GoldenLog, tmp_path: Path) -> None:
    person(golden, "anna", RED, 440, end_s=2, flashes=[1.0])
    golden.write(2.0)
    other = GoldenLog(
        tmp_path / "two.bedlog",
        segment=2,
        mono_0=77_000_000_000,
        utc_0=golden.utc_0 + 5_000_000_000,
        clock="boot-2",
        keys=golden.keys,
    )
    person(other, "anna", BLUE, 880, end_s=2, flashes=[1.0])
    other.write(2.0)
    report, film = composed(golden, other)
    assert report.passed
    assert film.duration_s == pytest.approx(7.0, abs=0.04)
    assert film.onsets(880) == pytest.approx([6.0], abs=0.04)
    assert film.moments(0.5, 0.5, WHITE) == pytest.approx([1.0, 6.0], abs=0.1)
    assert [one["pause"] for one in report.details["layout"]] == [None, "between", None]


def test_a_shared_screen_is_large_and_people_stand_beside_it(golden: GoldenLog) -> None:
    golden.send(golden.track("anna", "camera"), video(flat(64, 48, RED), frames(0, 4, 10)))
    golden.send(golden.track("doctor", "camera"), video(flat(64, 48, BLUE), frames(0, 4, 10)))
    golden.send(golden.track("doctor", "screen"), video(flat(160, 90, GREEN), frames(1, 2.5, 10)))
    golden.write(4.0)
    _, film = composed(golden)
    assert near(film.colour(2.0, 0.4, 0.5), GREEN)
    assert near(film.colour(2.0, 0.9, 0.35), RED)
    assert near(film.colour(2.0, 0.9, 0.65), BLUE)
    assert near(film.colour(0.5, 0.25, 0.5), RED)
    assert near(film.colour(3.8, 0.75, 0.5), BLUE)


def test_who_comes_back_on_new_numbers_keeps_their_tile(golden: GoldenLog) -> None:
    golden.send(golden.track("anna", "camera"), video(flat(64, 48, RED), frames(0, 6, 10)))
    golden.send(golden.track("doctor", "camera", cname="one"), video(flat(64, 48, BLUE), frames(0, 2, 10)))
    again = golden.track("doctor", "camera", cname="two", at_s=4)
    packets = video(flat(64, 48, GREEN), frames(4, 6, 10), first_sequence=40_000, first_timestamp=4_000_000_000)
    golden.send(again, packets)
    golden.write(6.0)
    report, film = composed(golden)
    assert near(film.colour(1.0, 0.75, 0.5), BLUE)
    assert near(film.colour(5.0, 0.75, 0.5), GREEN)
    assert near(film.colour(5.0, 0.25, 0.5), RED)
    assert len(report.details["layout"]) == 1


def test_the_timestamps_wrap_without_a_mark_on_the_film(golden: GoldenLog) -> None:
    start = 2**32 - 90_000
    camera, microphone = golden.track("anna", "camera"), golden.track("anna", "microphone")
    golden.send(camera, video(flat(64, 48, RED, [2.0]), frames(0, 3, 10), first_timestamp=start))
    golden.send(microphone, audio(tone(440, [(2.0, 2.3)]), 0, 3, first_timestamp=2**32 - 48_000, first_sequence=65_500))
    golden.reports(camera, [0.5, 2.5], first_timestamp=start)
    golden.reports(microphone, [0.5, 2.5], first_timestamp=2**32 - 48_000)
    golden.write(3.0)
    report, film = composed(golden)
    assert report.passed
    assert film.moments(0.5, 0.5, WHITE) == pytest.approx([2.0], abs=0.08)
    assert film.onsets(440) == pytest.approx([2.0], abs=0.02)


def test_a_missing_start_waits_for_the_first_key_frame(golden: GoldenLog) -> None:
    packets = video(flat(64, 48, RED), frames(0, 3, 10), keys=[15])
    golden.send(golden.track("anna", "camera"), packets[3:])
    golden.write(3.0)
    _, film = composed(golden)
    assert film.moments(0.5, 0.5, RED) == pytest.approx([1.5], abs=0.05)


def test_a_deleted_person_is_neither_seen_nor_heard(golden: GoldenLog, tmp_path: Path) -> None:
    golden.mark(0.0, "running", participants=["anna", "doctor"])
    person(golden, "anna", RED, 440, end_s=2, flashes=[1.0])
    person(golden, "doctor", BLUE, 880, end_s=2, flashes=[1.0])
    golden.write(2.0)
    copy = tmp_path / "copy.bedlog"
    assert delete_participant(golden.path, copy, "anna", utc_s=1_790_000_000) > 0
    golden.path = copy
    del golden.keys["anna"]
    report, film = composed(golden)
    assert report.removed == ("anna",)
    assert report.participants == ("doctor",)
    [scene] = report.details["layout"]
    assert [(who, source) for who, source, *_ in scene["tiles"]] == [("doctor", "camera"), ("anna", "removed")]
    gone = film.pictures[20][:, 160:]
    assert (gone.min(axis=2) > 150).sum() > 100, "in her place stands that her part was removed, and when"
    assert film.onsets(440) == []
    assert len(film.onsets(880)) == 1
    assert not any(near(film.colour(at, x, 0.5), RED) for at in (0.5, 1.5) for x in (0.25, 0.5, 0.75))


def test_a_key_that_was_destroyed_leaves_that_person_out(golden: GoldenLog) -> None:
    person(golden, "anna", RED, 440, end_s=2, flashes=[1.0])
    person(golden, "doctor", BLUE, 880, end_s=2, flashes=[1.0])
    golden.write(2.0)
    del golden.keys["anna"]
    report, film = composed(golden)
    assert report.passed
    assert report.removed == ("anna",)
    assert film.onsets(440) == []


def test_told_to_stop_it_leaves_nothing_behind(golden: GoldenLog) -> None:
    person(golden, "anna", RED, 440, end_s=2, flashes=[1.0])
    golden.write(2.0)
    output = golden.path.with_name("film.mp4")
    seen: list[float] = []
    stop: Callable[[], bool] = lambda: len(seen) > 2  # noqa: E731
    with pytest.raises(CancelledError):
        compose_film([golden.path], output, unwrap=golden.unwrap, options=SMALL, progress=seen.append, cancelled=stop)
    assert list(golden.path.parent.iterdir()) == [golden.path]
    assert seen == sorted(seen)
    assert 0 < max(seen) < 1


def test_what_was_lost_is_told_and_a_pause_is_not(golden: GoldenLog) -> None:
    golden.mark(0.0, "running")
    golden.mark(4.0, "paused")
    golden.mark(6.0, "running")
    sound = [one for one in audio(tone(440), 0, 8) if not (1.0 < one.captured_s < 1.5 or 4 <= one.captured_s < 6)]
    times = frames(0, 4, 10) + frames(6, 8, 10)
    pictures = [one for one in video(flat(64, 48, RED), times, keys=[30, 40]) if one.captured_s != 0.5]
    golden.send(golden.track("anna", "microphone"), sound)
    golden.send(golden.track("anna", "camera"), pictures)
    golden.write(8.0)
    report, _ = composed(golden)
    gaps = {(one.kind, one.participant_id, round(one.start_s, 1), round(one.end_s, 1)) for one in report.gaps}
    assert gaps == {("sound", "anna", 1.0, 1.5), ("picture", "anna", 0.4, 3.0)}
    assert report.passed


async def test_what_the_recorder_wrote_becomes_a_film_and_no_neighbour_is_in_it(tmp_path: Path) -> None:
    """Two rooms at once on one node, from `packet()` through threads, sealing and store to each room's own film.

    Everything is offered to both rooms, as a fault that mixes them up would; colours and tones tell them apart.
    """
    now = [MONO_0]
    clock = Clock(mono_ns=lambda: now[0], utc_ns=lambda: UTC_0 + now[0] - MONO_0)
    limits = CaptureLimits(disk_floor_bytes=1)
    store = CaptureStore(tmp_path / "captures", str(tmp_path / "recordings"), "node", limits=limits, clock=clock)
    rooms = {"ours": {"anna": (RED, 440.0), "doctor": (BLUE, 880.0)}, "theirs": {"bert": (GREEN, 1300.0)}}
    sessions = {room: store.open_session(room, f"rec-{room}", 1) for room in rooms}
    keys = {who: os.urandom(32) for people in rooms.values() for who in people}
    sent: list[tuple[float, int, Rtp]] = []
    for room, people in rooms.items():
        for who, (rgb, hertz) in people.items():
            sent += offered(sessions[room], who, video(flat(64, 48, rgb, [1.0]), frames(0, 2, 15)), "camera")
            sent += offered(sessions[room], who, audio(tone(hertz, [(1.0, 1.2)]), 0, 2), "microphone")
        sessions[room].set_grant(True, sealing_keys({who: keys[who] for who in people}))
    for at_s, track, one in sorted(sent, key=lambda item: item[0]):
        now[0] = MONO_0 + round(at_s * 1e9)
        taken = [each.packet(track, now[0], one.sequence, one.header, one.payload) for each in sessions.values()]
        assert taken.count(True) == 1
        for each in sessions.values():
            each.tick()
    now[0] = MONO_0 + 2_000_000_000
    logs = {room: await session.close("ended") for room, session in sessions.items()}
    await store.close()
    films: dict[str, Shown] = {}
    for room, log in logs.items():
        assert log is not None
        path = tmp_path / "recordings" / log.path
        report = compose_film([path], tmp_path / f"{room}.mp4", unwrap=lambda who, _: keys[who], options=SMALL)
        films[room] = Shown(tmp_path / f"{room}.mp4")
        assert report.passed
        assert report.duration_s == pytest.approx(2.0, abs=0.04)
        assert report.participants == tuple(rooms[room])
    ours, theirs = films["ours"], films["theirs"]
    assert near(ours.colour(0.5, 0.25, 0.5), RED)
    assert near(ours.colour(0.5, 0.75, 0.5), BLUE)
    assert near(theirs.colour(0.5, 0.5, 0.5), GREEN)
    for x, hz in ((0.25, 440), (0.75, 880)):
        assert abs(ours.onsets(hz)[0] - ours.moments(x, 0.5, WHITE)[0]) <= 0.08
        assert theirs.onsets(hz) == []
    assert len(theirs.onsets(1300)) == 1
    assert ours.onsets(1300) == []


def offered(session: CaptureSession, who: str, packets: list[Rtp], source: str) -> list[tuple[float, int, Rtp]]:
    """A track of this person in the room, and its packets with their moments of arrival."""
    kind, codec, rate = ("video", "VP8", 90_000) if source == "camera" else ("audio", "opus", 48_000)
    track = session.open_track(
        participant_id=who, source=source, kind=kind, codec=codec, payload_type=96, clock_rate=rate, cname=who
    )
    return [(one.captured_s + 0.01, track, one) for one in packets]


def sealing_keys(keys: dict[str, bytes]) -> dict[str, SealingKey]:
    return {who: SealingKey(key=base64.b64encode(key).decode(), wrapped="AAAA") for who, key in keys.items()}
