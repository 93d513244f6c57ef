"""What reaches the packet log, and what never does; where a log goes when it ends, and what a crash leaves of it."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from media.api import CapturePhase, CaptureState, SealingKey, StoredLog
from media.capture import CaptureCallbacks, CaptureLimits, CaptureSession, CaptureStore, Clock, StorageFullError
from media.compose.reader import SegmentLog
from media.logformat import LogHeader
from media.logwriter import LogFile, Work
from media.recorder import Output

HEADER = bytes(range(12))
KEY_FRAME = b"\x90\x80\x80\x01\x10rest"
INTER_FRAME = b"\x90\x80\x80\x02\x11rest"


class Keys:
    """A clinic's keys: the wrapped form is looked up again when the log is read."""

    def __init__(self, *who: str) -> None:
        self.raw = {one: os.urandom(32) for one in who}

    def grant(self, *who: str) -> dict[str, SealingKey]:
        return {
            one: SealingKey(
                key=base64.b64encode(self.raw[one]).decode(), wrapped=base64.b64encode(one.encode()).decode()
            )
            for one in who
        }

    def unwrap(self, participant_id: str, wrapped: bytes) -> bytes:
        assert wrapped == participant_id.encode()
        return self.raw[participant_id]


class Told:
    """What the node was told."""

    def __init__(self) -> None:
        self.states: list[CaptureState] = []
        self.failed = asyncio.Event()
        self.disk: list[dict[str, float]] = []
        self.logs: list[StoredLog] = []
        self.callbacks = CaptureCallbacks(
            changed=lambda _, state: self.take(state),
            disk=self.disk.append,
            stored=lambda _, log: self.logs.append(log),
        )

    def take(self, state: CaptureState) -> None:
        self.states.append(state)
        if state.phase is CapturePhase.FAILED:
            self.failed.set()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def keys() -> Keys:
    return Keys("anna", "doctor", "guest")


@pytest.fixture
async def store(tmp_path: Path, told: Told) -> AsyncIterator[CaptureStore]:
    limits = CaptureLimits(disk_floor_bytes=1)
    store = CaptureStore(tmp_path / "captures", str(tmp_path / "recordings"), "node-1", told.callbacks, limits=limits)
    yield store
    await store.close()


def microphone(session: CaptureSession, who: str) -> int:
    return session.open_track(
        participant_id=who, source="microphone", kind="audio", codec="opus", payload_type=111, clock_rate=48_000
    )


def camera(session: CaptureSession, who: str) -> int:
    return session.open_track(
        participant_id=who, source="camera", kind="video", codec="VP8", payload_type=96, clock_rate=90_000, rid="h"
    )


def read(tmp_path: Path, log: StoredLog | None, keys: Keys) -> SegmentLog:
    assert log is not None
    return SegmentLog(tmp_path / "recordings" / log.path, keys.unwrap)


def payloads(log: SegmentLog) -> dict[str, list[bytes]]:
    """By participant, everything the log holds of them."""
    held: dict[str, list[bytes]] = {}
    for track in log.tracks:
        held.setdefault(track.record.participant_id, []).extend(one.payload for one in log.packets(track))
    return held


# ---- consent


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


async def test_a_latecomer_is_not_stored_until_a_grant_names_them(
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


# ---- nothing recorded


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


# ---- what a log tells


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


# ---- a disk that is slow, full or gone


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


# ---- a crash


WRITER = """
import asyncio, base64, sys, time
from pathlib import Path
from media.api import SealingKey
from media.capture import CaptureLimits, CaptureStore

async def main(folder, key):
    limits = CaptureLimits(disk_floor_bytes=1)
    store = CaptureStore(Path(folder, "captures"), folder + "/recordings", "node", limits=limits)
    session = store.open_session("room", "rec", 1)
    track = session.open_track(
        participant_id="anna", source="microphone", kind="audio", codec="opus", payload_type=111, clock_rate=48000
    )
    session.set_grant(True, {"anna": SealingKey(key=key, wrapped=base64.b64encode(b"anna").decode())})
    for number in range(10**6):
        session.packet(track, time.monotonic_ns(), number, bytes(12), b"%d" % number)
        print(number, time.monotonic_ns(), flush=True)
        await asyncio.sleep(0.005)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("seconds", [0.9, 1.3])
async def test_a_writer_killed_in_the_middle_loses_at_most_the_last_second(
    tmp_path: Path, keys: Keys, store: CaptureStore, seconds: float
) -> None:
    key = keys.grant("anna")["anna"].key
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), key], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert writer.stdout is not None
    told: list[tuple[int, int]] = []
    for line in writer.stdout:
        told.append(tuple(map(int, line.split())))
        if told[-1][1] - told[0][1] > seconds * 1e9:
            break
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    (found,) = await store.recover()
    assert found.complete is False
    assert list((tmp_path / "captures").iterdir()) == []
    log = read(tmp_path, found, keys)
    held = [int(one) for one in payloads(log)["anna"]]
    assert held == list(range(len(held)))
    lost = [at for number, at in told if number >= len(held)]
    assert not lost or told[-1][1] - lost[0] < 1e9
    assert log.end is not None
    assert log.end.reason == "found_after_crash"
    assert await store.recover() == []


async def test_a_torn_tail_is_cut_off_and_the_rest_kept(tmp_path: Path, keys: Keys, store: CaptureStore) -> None:
    whole = tmp_path / "recordings" / await closed_log(store, keys)
    data = whole.read_bytes()
    torn = tmp_path / "captures" / "rec.0001.torn.bedlog"
    torn.write_bytes(data[: len(data) - 120])
    (found,) = await store.recover()
    assert payloads(read(tmp_path, found, keys))["anna"][:1] == [b"0"]


async def test_a_log_in_use_and_a_file_that_is_none_are_left_alone(
    tmp_path: Path, keys: Keys, store: CaptureStore
) -> None:
    whole = tmp_path / "recordings" / await closed_log(store, keys)
    used, other = tmp_path / "captures" / "used.bedlog", tmp_path / "captures" / "other.bedlog"
    used.write_bytes(whole.read_bytes())
    other.write_bytes(b"no log at all")
    with used.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert await store.recover() == []
        assert used.exists()
    assert other.read_bytes() == b"no log at all"
    assert len(await store.recover()) == 1


async def closed_log(store: CaptureStore, keys: Keys) -> str:
    session = store.open_session("room", "rec", 1)
    track = microphone(session, "anna")
    session.set_grant(True, keys.grant("anna"))
    for number in range(3):
        session.packet(track, number, number, HEADER, b"%d" % number)
        session.tick()
    log = await session.close("ended")
    assert log is not None
    return log.path
