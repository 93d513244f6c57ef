"""What reaches the packet log, and what never does; what a log tells."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from media.api import CapturePhase, SealingKey
from media.capture import CaptureStore
from media.compose.reader import SegmentLog
from tests.media.captured import HEADER, INTER_FRAME, KEY_FRAME, Keys, Told, camera, microphone, payloads, read


async def test_a_packet_is_stored_only_while_its_owner_is_in_the_grant(
    store: CaptureStore, keys: Keys, tmp_path: Path
) -> None:
    session = store.open_session("room", "rec", 1)
    anna, doctor = microphone(session, "anna"), microphone(session, "doctor")
    assert not session.packet(anna, 1, 1, HEADER, b"before")
    session.set_grant(True, keys.grant("anna", "doctor"))
    assert session.packet(anna, 2, 2, HEADER, b"both-anna")
    assert session.packet(doctor, 2, 2, HEADER, b"both-doctor")
    session.set_grant(True, keys.grant("doctor"))
    assert not session.packet(anna, 3, 3, HEADER, b"withdrawn")
    assert session.packet(doctor, 3, 3, HEADER, b"doctor-alone")
    session.set_grant(False, keys.grant("anna", "doctor"))
    assert not session.packet(doctor, 4, 4, HEADER, b"paused")
    session.set_grant(True, keys.grant("anna", "doctor"))
    assert session.packet(anna, 5, 5, HEADER, b"anna-again")
    log = read(tmp_path, await session.close("ended"), keys)
    assert log.problems == set()
    assert payloads(log) == {"anna": [b"both-anna", b"anna-again"], "doctor": [b"both-doctor", b"doctor-alone"]}


async def test_a_pause_stores_nothing_from_its_grant_on_and_says_why(
    store: CaptureStore, keys: Keys, tmp_path: Path
) -> None:
    session = store.open_session("room", "rec", 1)
    anna = microphone(session, "anna")
    grant = keys.grant("anna")
    session.set_grant(True, grant)
    assert session.packet(anna, 1, 1, HEADER, b"before")
    session.set_grant(False, grant, "examination")
    assert not session.packet(anna, 2, 2, HEADER, b"undressed")
    session.set_grant(False, grant, "another")
    session.set_grant(True, grant)
    assert session.packet(anna, 3, 3, HEADER, b"after")
    log = read(tmp_path, await session.close("ended"), keys)
    assert payloads(log) == {"anna": [b"before", b"after"]}
    assert [mark.detail.get("code") for mark in log.marks if mark.kind == "paused"] == ["examination"]


async def test_c60_a_latecomer_is_not_stored_until_a_grant_names_them(
    store: CaptureStore, keys: Keys, tmp_path: Path
) -> None:
    session = store.open_session("room", "rec", 1)
    session.set_grant(True, keys.grant("anna"))
    anna, guest = microphone(session, "anna"), microphone(session, "guest")
    session.packet(anna, 1, 1, HEADER, b"a")
    assert not session.packet(guest, 1, 1, HEADER, b"unasked")
    log = await session.close("ended")
    assert payloads(read(tmp_path, log, keys)) == {"anna": [b"a"]}
    assert log is not None
    assert b"guest" not in (tmp_path / "recordings" / log.path).read_bytes()


async def test_one_rooms_log_never_holds_anothers_packet(store: CaptureStore, keys: Keys, tmp_path: Path) -> None:
    one, two = store.open_session("one", "rec-1", 1), store.open_session("two", "rec-2", 1)
    track_one, track_two = microphone(one, "anna"), microphone(two, "anna")
    for session in (one, two):
        session.set_grant(True, keys.grant("anna"))
    assert not one.packet(track_two, 1, 1, HEADER, b"astray")
    assert not two.packet(track_one, 1, 1, HEADER, b"astray")
    assert one.packet(track_one, 1, 1, HEADER, b"one")
    assert two.packet(track_two, 1, 1, HEADER, b"two")
    assert payloads(read(tmp_path, await one.close("ended"), keys)) == {"anna": [b"one"]}
    assert payloads(read(tmp_path, await two.close("ended"), keys)) == {"anna": [b"two"]}


async def test_a_bad_key_changes_nothing(store: CaptureStore, keys: Keys) -> None:
    session = store.open_session("room", "rec", 1)
    track = microphone(session, "anna")
    bad = {"anna": SealingKey(key="AAAA", wrapped="AAAA")}
    with pytest.raises(ValueError):
        session.set_grant(True, bad)
    assert session.state().phase is CapturePhase.OFF
    assert not session.packet(track, 1, 1, HEADER, b"x")
    session.set_grant(True, keys.grant("anna"))
    with pytest.raises(ValueError):
        session.set_grant(False, bad)
    assert session.packet(track, 1, 1, HEADER, b"x")


async def test_the_same_grant_again_does_nothing(store: CaptureStore, keys: Keys, told: Told) -> None:
    session = store.open_session("room", "rec", 1)
    track = camera(session, "anna")
    session.set_grant(True, keys.grant("anna"))
    session.packet(track, 1, 1, HEADER, KEY_FRAME)
    before = len(told.states)
    session.set_grant(True, keys.grant("anna"))
    assert len(told.states) == before
    assert not session.wants_key_frame(track)


async def test_another_key_for_the_same_person_begins_new_chunks(
    store: CaptureStore, keys: Keys, tmp_path: Path
) -> None:
    session = store.open_session("room", "rec", 1)
    track = microphone(session, "anna")
    first = keys.grant("anna")
    session.set_grant(True, first)
    session.packet(track, 1, 1, HEADER, b"old key")
    old, keys.raw["anna"] = keys.raw["anna"], os.urandom(32)
    second = {"anna": SealingKey(key=keys.grant("anna")["anna"].key, wrapped=base64.b64encode(b"anna-2").decode())}
    session.set_grant(True, second)
    session.packet(track, 2, 2, HEADER, b"new key")
    log = await session.close("ended")
    assert log is not None
    by_wrapped = {b"anna": old, b"anna-2": keys.raw["anna"]}
    read_back = SegmentLog(tmp_path / "recordings" / log.path, lambda _, wrapped: by_wrapped[wrapped])
    assert read_back.problems == set()
    assert payloads(read_back) == {"anna": [b"old key", b"new key"]}


async def test_c48_stop_before_the_first_packet_leaves_nothing(store: CaptureStore, keys: Keys, tmp_path: Path) -> None:
    session = store.open_session("room", "rec", 1)
    track = microphone(session, "anna")
    session.set_grant(True, keys.grant("anna"))
    session.sender_report(track, 1, 1, 1)
    session.tick()
    assert await session.close("ended") is None
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []
    again = store.open_session("room", "rec", 2)
    track = microphone(again, "anna")
    again.set_grant(True, keys.grant("anna"))
    assert again.packet(track, 1, 1, HEADER, b"x")
    assert (await again.close("ended")) is not None


async def test_closing_twice_stores_once(store: CaptureStore, keys: Keys) -> None:
    session = store.open_session("room", "rec", 1)
    track = microphone(session, "anna")
    session.set_grant(True, keys.grant("anna"))
    session.packet(track, 1, 1, HEADER, b"x")
    first, second = await asyncio.gather(session.close("ended"), session.close("ended"))
    assert first is not None
    assert second is None
    assert not session.packet(track, 2, 2, HEADER, b"after")
    session.set_grant(True, keys.grant("anna"))
    assert session.state().phase is CapturePhase.STOPPED


async def test_the_log_keeps_reports_marks_and_the_order_of_arrival(
    store: CaptureStore, keys: Keys, tmp_path: Path
) -> None:
    session = store.open_session("room", "rec", 1)
    track = camera(session, "anna")
    session.mark("join", "anna")
    session.set_grant(True, keys.grant("anna"))
    for arrived, sequence in ((10, 2**16), (20, 2**16 + 2), (30, 2**16 + 1), (40, 2**16 + 2)):
        session.packet(track, arrived, sequence, HEADER, b"%d" % sequence)
    session.sender_report(track, 35, 2**63 + 1, 90_000)
    session.mark("mute", "anna", {"source": "camera"})
    stored = await session.close("ended")
    log = read(tmp_path, stored, keys)
    assert stored is not None
    assert (stored.recording_id, stored.segment, stored.complete) == ("rec", 1, True)
    assert stored.packets == 4
    assert [mark.kind for mark in log.marks] == ["join", "running", "mute", "stopped"]
    (index,) = log.tracks
    assert index.record.rid == "h"
    assert index.arrived_ns.tolist() == [10, 30, 20]
    assert [one.payload for one in log.packets(index)] == [b"65536", b"65537", b"65538"]
    assert [(one.ntp, one.rtp) for one in index.reports] == [(2**63 + 1, 90_000)]
    assert log.end is not None
    assert log.end.reason == "ended"


async def test_packets_that_could_break_the_log_are_not_stored(store: CaptureStore, keys: Keys) -> None:
    session = store.open_session("room", "rec", 1)
    track = microphone(session, "anna")
    session.set_grant(True, keys.grant("anna"))
    assert not session.packet(track, 1, 1, HEADER[:11], b"x")
    assert not session.packet(track, 1, 1, HEADER, b"x" * 65_000)
    assert not session.packet(track + 1, 1, 1, HEADER, b"x")
    assert session.packet(track, 1, 1, HEADER, b"")


async def test_a_video_track_asks_for_key_frames_until_one_is_written(store: CaptureStore, keys: Keys) -> None:
    session = store.open_session("room", "rec", 1)
    picture, sound = camera(session, "anna"), microphone(session, "anna")
    assert not session.wants_key_frame(picture)
    session.set_grant(True, keys.grant("anna"))
    assert session.wants_key_frame(picture)
    assert not session.wants_key_frame(sound)
    session.packet(picture, 1, 1, HEADER, INTER_FRAME)
    assert session.wants_key_frame(picture)
    session.packet(picture, 2, 2, HEADER, KEY_FRAME)
    assert not session.wants_key_frame(picture)
    again: list[Callable[[], None]] = [
        lambda: session.mark("gap", "anna", {"track": picture}),
        lambda: session.set_grant(True, keys.grant("anna", "guest")),
        lambda: (session.set_grant(False, keys.grant("anna")), session.set_grant(True, keys.grant("anna")))[0],
    ]
    for happens in again:
        happens()
        assert session.wants_key_frame(picture)
        session.packet(picture, 3, 3, HEADER, KEY_FRAME)
        assert not session.wants_key_frame(picture)
