"""A disk that is slow, full or gone, and a store that refuses: the log is kept, the visit goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from media.api import CapturePhase
from media.capture import CaptureLimits, CaptureSession, CaptureStore, Clock, StorageFullError
from media.compose.reader import SegmentLog
from media.logformat import LogHeader
from media.logwriter import LogFile, Work
from media.recorder import Output
from tests.media.captured import HEADER, INTER_FRAME, KEY_FRAME, Keys, Told, camera, microphone, payloads, read


def by_hand(tmp_path: Path, keys: Keys, limit: int, told: Told) -> tuple[CaptureSession, list[Work]]:
    """A session whose writer does its work only when the test says so."""
    work: list[Work] = []
    log = LogFile(tmp_path / "one.bedlog", lambda _: None)

    async def finished(session: CaptureSession) -> None:
        session.finish()
        for one in work:
            log.perform(one)

    session = CaptureSession(
        LogHeader("rec", 1, "room", "node", "ab" * 16, "boot", utc_ns=1, mono_ns=1),
        output=Output(log, work.append, limit),
        clock=Clock(),
        track_ids=iter(range(1, 100)),
        changed=lambda one: told.states.append(one.state()),
        finished=finished,
    )
    return session, work


async def test_a_disk_too_slow_drops_recording_loudly_and_takes_it_up_again(
    tmp_path: Path, keys: Keys, told: Told
) -> None:
    session, work = by_hand(tmp_path, keys, 10_000, told)
    track = camera(session, "anna")
    session.set_grant(True, keys.grant("anna"))
    session.packet(track, 1, 1, HEADER, KEY_FRAME)
    kept, number = 1, 1
    while session.packet(track, number, number + 1, HEADER, INTER_FRAME + bytes(1000)):
        kept, number = kept + 1, number + 1
        session.tick()
    assert sum(len(one.plain) for one in work) < 30_000
    for _ in range(5):
        assert not session.packet(track, 5000, 5000, HEADER, INTER_FRAME)
    session.tick()
    assert not session.packet(track, 5001, 5001, HEADER, INTER_FRAME)
    done, work[:] = list(work), []
    for one in done:
        session.log.perform(one)
    session.tick()
    assert session.wants_key_frame(track)
    assert session.packet(track, 6000, 6000, HEADER, KEY_FRAME)
    await session.close("ended")
    log = SegmentLog(tmp_path / "one.bedlog", keys.unwrap)
    (dropped,) = [mark for mark in log.marks if mark.kind == "dropped"]
    assert dropped.detail["packets"] == 7
    assert len(payloads(log)["anna"]) == kept + 1


async def test_a_write_that_fails_ends_recording_and_nothing_else(
    tmp_path: Path, keys: Keys, store: CaptureStore, told: Told
) -> None:
    session = store.open_session("room", "rec", 1)
    other = store.open_session("room-2", "rec-2", 1)
    session.log.path = tmp_path / "captures" / "nowhere" / "deeper"
    (tmp_path / "captures" / "nowhere").write_bytes(b"a file, no folder")
    tracks = {one: microphone(one, "anna") for one in (session, other)}
    for one, track in tracks.items():
        one.set_grant(True, keys.grant("anna"))
        one.packet(track, 1, 1, HEADER, b"x")
        one.tick()
    await asyncio.wait_for(told.failed.wait(), 5)
    assert session.state().reason == "write_failed"
    assert not session.packet(tracks[session], 2, 2, HEADER, b"y")
    assert await session.close("ended") is None
    stored = await other.close("ended")
    assert stored is not None
    assert payloads(read(tmp_path, stored, keys)) == {"anna": [b"x"]}


async def test_c125_below_the_floor_recordings_stop_loudly_and_new_ones_are_refused(
    tmp_path: Path, keys: Keys, told: Told
) -> None:
    free = [100_000]
    store = CaptureStore(
        tmp_path / "captures", str(tmp_path / "recordings"), "node-1", told.callbacks,
        limits=CaptureLimits(disk_floor_bytes=50_000), free_bytes=lambda _: free[0],
    )  # fmt: skip
    session = store.open_session("room", "rec", 1)
    track = microphone(session, "anna")
    session.set_grant(True, keys.grant("anna"))
    assert session.packet(track, 1, 1, HEADER, b"kept")
    free[0] = 10
    with pytest.raises(StorageFullError):
        store.open_session("room", "rec", 2)
    assert session.state().phase is CapturePhase.STOPPED
    assert session.state().reason == "storage_full"
    assert told.states[-1].reason == "storage_full"
    assert told.disk[-1]["low"] == 1.0
    assert not session.packet(track, 2, 2, HEADER, b"late")
    free[0] = 100_000
    again = store.open_session("room", "rec", 2)
    track = microphone(again, "anna")
    again.set_grant(True, keys.grant("anna"))
    assert again.packet(track, 1, 1, HEADER, b"again")
    assert told.disk[-1]["low"] == 0.0
    await store.close()
    stopped, closed = sorted(told.logs, key=lambda log: log.segment)
    assert (stopped.segment, closed.segment) == (1, 2)
    assert payloads(read(tmp_path, stopped, keys)) == {"anna": [b"kept"]}
    assert stopped.complete


async def test_a_log_the_store_refuses_is_kept_and_stored_later(
    tmp_path: Path, keys: Keys, store: CaptureStore, told: Told
) -> None:
    blocked = tmp_path / "recordings" / "logs"
    blocked.write_bytes(b"a file where the folder should be")
    session = store.open_session("room", "rec", 1)
    track = microphone(session, "anna")
    session.set_grant(True, keys.grant("anna"))
    session.packet(track, 1, 1, HEADER, b"x")
    assert await session.close("ended") is None
    assert len(list((tmp_path / "captures").iterdir())) == 1
    blocked.unlink()
    await store.retry()
    assert [log.recording_id for log in told.logs] == ["rec"]
    assert list((tmp_path / "captures").iterdir()) == []


async def test_any_object_store_will_do(tmp_path: Path, keys: Keys) -> None:
    memory = MemoryStore()
    store = CaptureStore(tmp_path / "captures", memory, "node-1", limits=CaptureLimits(disk_floor_bytes=1))
    session = store.open_session("room", "rec", 1)
    track = microphone(session, "anna")
    session.set_grant(True, keys.grant("anna"))
    session.packet(track, 1, 1, HEADER, b"x")
    log = await session.close("ended")
    assert log is not None
    assert memory.head(log.path)["size"] == log.bytes
    await store.close()
