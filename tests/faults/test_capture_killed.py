"""What records is killed with -9 at moments drawn at random: each recording plays, and lacks at most its last second.

Three moments with every run, twenty more in the soak; a failing test prints its moment.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from media.capture import CaptureLimits, CaptureStore
from media.compose import FilmOptions, compose_film
from tests.media.compose.shown import Shown

SMALL = FilmOptions(width=160, height=90, preset="ultrafast", frame_rate=10)
KEYS = {"anna": bytes([1]) * 32, "doctor": bytes([2]) * 32}
SHORT, LONG = 3, 20
TIMES = [*range(SHORT), *(pytest.param(n, marks=pytest.mark.soak) for n in range(SHORT, SHORT + LONG))]

RECORDER = """
import asyncio, base64, json, sys, time
from pathlib import Path
from media.api import SealingKey
from media.capture import CaptureLimits, CaptureStore
from tests.media.golden import audio, flat, tone, video

def packets(seconds):
    for who, rgb, hz in (("anna", (200, 30, 30), 440), ("doctor", (30, 60, 200), 880)):
        times = [n / 10 for n in range(seconds * 10)]
        for one in video(flat(64, 48, rgb), times, keys=range(0, len(times), 5)):
            yield one.captured_s, who, "camera", one
        for one in audio(tone(hz), 0, seconds):
            yield one.captured_s, who, "microphone", one

async def main(folder, keys, seconds):
    sent = sorted(packets(seconds), key=lambda item: item[0])
    limits = CaptureLimits(disk_floor_bytes=1)
    store = CaptureStore(Path(folder, "captures"), folder + "/recordings", "node", limits=limits)
    session = store.open_session("room", "rec", 1)
    tracks = {}
    for who in keys:
        for source, kind, codec, rate in (
            ("camera", "video", "VP8", 90_000), ("microphone", "audio", "opus", 48_000)
        ):
            tracks[who, source] = session.open_track(participant_id=who, source=source, kind=kind, codec=codec,
                payload_type=96, clock_rate=rate, cname=who)
    wrapped = {who: SealingKey(key=base64.b64encode(bytes.fromhex(key)).decode(), wrapped="AAAA")
               for who, key in keys.items()}
    session.set_grant(True, wrapped)
    began = time.monotonic()
    for at_s, who, source, one in sent:
        await asyncio.sleep(max(0, began + at_s - time.monotonic()))
        session.packet(tracks[who, source], time.monotonic_ns(), one.sequence, one.header, one.payload)
        print(time.monotonic() - began, flush=True)

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])))
"""


@pytest.mark.parametrize("time", TIMES)
async def test_a_recording_outlives_its_recorder(tmp_path: Path, time: int) -> None:
    after_s = random.uniform(0.6, 2.4)
    print(f"killed after {after_s} s")
    arguments = [str(tmp_path), json.dumps({who: key.hex() for who, key in KEYS.items()}), "4"]
    recorder = subprocess.Popen([sys.executable, "-c", RECORDER, *arguments], stdout=subprocess.PIPE, text=True)
    assert recorder.stdout is not None
    told_s = 0.0
    for line in recorder.stdout:
        told_s = float(line)
        if told_s >= after_s:
            break
    recorder.send_signal(signal.SIGKILL)
    recorder.wait()
    assert told_s >= after_s, "killed in the middle of its work"

    store = CaptureStore(
        tmp_path / "captures", str(tmp_path / "recordings"), "node", limits=CaptureLimits(disk_floor_bytes=1)
    )
    found = await store.recover()
    await store.close()
    assert list((tmp_path / "captures").iterdir()) == []
    if not found:
        assert told_s < 1.0, "nothing was on the disk although it had recorded for a second"
        return
    report = compose_film(
        [tmp_path / "recordings" / found[0].path],
        tmp_path / "film.mp4",
        unwrap=lambda who, _: KEYS[who],
        options=SMALL,
    )
    assert report.incomplete == "found_after_crash"
    assert report.passed, report.problems
    assert report.duration_s >= told_s - 1.0
    film = Shown(tmp_path / "film.mp4")
    assert len(film.pictures) == round(report.duration_s * SMALL.frame_rate)
    assert film.level(440, 0.2, report.duration_s - 0.2) > 0.1
