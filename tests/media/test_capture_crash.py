"""What a crash leaves of a packet log, and what is made of it at the next start."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from media.capture import TICK_INTERVAL_S, CaptureStore
from media.compose.reader import SegmentLog
from media.foundlog import close_found_log
from media.logformat import SUFFIX
from media.logwriter import SYNC_INTERVAL_S
from media.vault import delete_participant
from tests.media.captured import HEADER, Keys, microphone, payloads, read

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


async def test_a_machine_cut_off_has_on_its_disk_all_but_the_last_second(
    tmp_path: Path, keys: Keys, store: CaptureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the file only what the disk was made to take counts; the rest stood in memory alone."""
    on_disk, sync = [0], os.fsync

    def fsync(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        sync(descriptor)
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == SUFFIX:
            on_disk.append(size)

    monkeypatch.setattr(os, "fsync", fsync)
    session = store.open_session("room", "rec", 1)
    track = microphone(session, "anna")
    session.set_grant(True, keys.grant("anna"))
    fed: list[float] = []
    while not fed or fed[-1] - fed[0] < 2.5:
        session.packet(track, time.monotonic_ns(), len(fed), HEADER, b"%d" % len(fed))
        fed.append(time.monotonic())
        await asyncio.sleep(0.01)
    held_bytes = session.log.path.read_bytes()[: on_disk[-1]]
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "rec.0001.cut.bedlog").write_bytes(held_bytes)
    found = close_found_log(tmp_path / "cut" / "rec.0001.cut.bedlog")
    assert found is not None
    held = payloads(SegmentLog(tmp_path / "cut" / "rec.0001.cut.bedlog", keys.unwrap))["anna"]
    assert [int(one) for one in held] == list(range(len(held)))
    assert TICK_INTERVAL_S + SYNC_INTERVAL_S < 1
    assert fed[-1] - fed[len(held)] < 2, "a second, and another for a machine with much to do"
    await session.close("ended")


@pytest.mark.parametrize("tail", [b"", bytes(4096), b"\x00\x00\x01\x00\x03torn"])
async def test_a_torn_tail_is_cut_off_and_the_rest_kept(
    tmp_path: Path, keys: Keys, store: CaptureStore, tail: bytes
) -> None:
    """Also where a disk left noughts, or a frame begun; and a person can still be taken out of it."""
    whole = tmp_path / "recordings" / await closed_log(store, keys)
    data = whole.read_bytes()
    torn = tmp_path / "captures" / "rec.0001.torn.bedlog"
    torn.write_bytes(data[: len(data) - 120] + tail)
    (found,) = await store.recover()
    assert payloads(read(tmp_path, found, keys))["anna"][:1] == [b"0"]
    copy = tmp_path / "copy.bedlog"
    assert delete_participant(tmp_path / "recordings" / found.path, copy, "anna") > 0
    assert SegmentLog(copy, keys.unwrap).tracks == []


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
