"""A disk that really fills up: a small tmpfs in a mount namespace of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from media.compose.reader import SegmentLog

RECORDER = """
import asyncio, base64, json, sys
from pathlib import Path
from media.api import CapturePhase, SealingKey
from media.capture import CaptureCallbacks, CaptureLimits, CaptureStore

async def main(folder, floor, burst):
    stopped, disk, logs = asyncio.Event(), [], []
    def changed(room, state):
        if state.phase in (CapturePhase.STOPPED, CapturePhase.FAILED):
            stopped.set()
    store = CaptureStore(
        Path(folder, "captures"), folder + "/recordings", "node",
        CaptureCallbacks(changed=changed, disk=disk.append, stored=lambda _, log: logs.append(log.path)),
        limits=CaptureLimits(disk_floor_bytes=int(floor)),
    )
    session = store.open_session("room", "rec", 1)
    track = session.open_track(
        participant_id="anna", source="microphone", kind="audio", codec="opus", payload_type=111, clock_rate=48000
    )
    session.set_grant(True, {"anna": SealingKey(key=base64.b64encode(bytes(32)).decode(), wrapped="AAAA")})
    number = 0
    while not stopped.is_set():
        for _ in range(int(burst)):
            number += session.packet(track, number, number, bytes(12), bytes(1000))
        await asyncio.sleep(0.005)
    state = session.state()
    await session.close("ended")
    await store.close()
    left = [one.name for one in Path(folder, "captures").iterdir()]
    print(json.dumps({
        "phase": state.phase, "reason": state.reason, "accepted": number, "path": logs[0], "left": left,
        "low": [one["low"] for one in disk],
    }))

asyncio.run(main(*sys.argv[1:]))
"""


def record_until_full(folder: Path, floor: int, burst: int) -> dict[str, object]:
    (folder / "captures").mkdir()
    script = f'mount -t tmpfs -o size=4m none {folder}/captures && exec "$0" -c "$1" {folder} {floor} {burst}'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable, RECORDER],
        capture_output=True, text=True, cwd=Path.cwd(), timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


def packets_in(folder: Path, told: dict[str, object]) -> int:
    log = SegmentLog(folder / "recordings" / str(told["path"]), lambda who, wrapped: bytes(32))
    assert log.problems <= {"chunks_missing"}
    return sum(len(track.sequence) for track in log.tracks)


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


def test_c125_at_the_floor_the_log_is_ended_whole(tmp_path: Path) -> None:
    told = record_until_full(tmp_path, 3_000_000, 4)
    assert (told["phase"], told["reason"]) == ("stopped", "storage_full")
    assert told["low"] == [1.0]
    assert told["left"] == []
    assert packets_in(tmp_path, told) == told["accepted"]


def test_a_full_disk_keeps_what_it_took_and_says_so(tmp_path: Path) -> None:
    told = record_until_full(tmp_path, 1, 40)
    assert told["reason"] == "storage_full"
    kept = packets_in(tmp_path, told)
    assert 3000 < kept < int(str(told["accepted"]))
