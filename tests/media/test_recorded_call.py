"""A call over a real node, recorded: the cases of the recorder that need packets on a wire (C36, C40, C56)."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from aiortc import AudioStreamTrack
from av import AudioFrame

from media.api import CaptureGrant, NodeEventKind, SealingKey
from media.compose import FilmOptions, FilmReport, compose_film
from media.compose.reader import SegmentLog
from tests.media.compose.shown import Shown, near
from tests.media.peers import ColourTrack, Peer, RunningNode

KEY = bytes(32)
SEALING = SealingKey(key=base64.b64encode(KEY).decode(), wrapped="AAAA")
SMALL = FilmOptions(width=160, height=90, preset="ultrafast")
HERTZ, DARK, LIGHT = 440, (60, 60, 60), (200, 200, 200)


class ToneTrack(AudioStreamTrack):
    """A sine, so that a gap in it would be heard."""

    async def recv(self) -> AudioFrame:
        frame = await super().recv()
        assert isinstance(frame, AudioFrame)
        at = (frame.pts + np.arange(frame.samples)) / frame.sample_rate
        wave = (12_000 * np.sin(2 * np.pi * HERTZ * at)).astype(np.int16)
        frame.planes[0].update(wave.tobytes())
        return frame


async def captured(running: RunningNode, test: Callable[[int], bool]) -> int:
    async with asyncio.timeout(30):
        while not test(count := (await running.client.stats("r")).captured):
            await asyncio.sleep(0.05)
    return count


async def received(running: RunningNode, packets: int) -> None:
    async with asyncio.timeout(30):
        while (await running.client.stats("r")).rtp_in < packets:
            await asyncio.sleep(0.05)


async def test_c36_c40_c56_a_camera_that_goes_off_and_on_while_somebody_only_watches(
    running: RunningNode, tmp_path: Path
) -> None:
    """C56; of C36 that a recording begun late has a picture soon; of C40 that somebody who sends nothing is no harm."""
    await running.client.create_room("r")
    for who in ("anna", "doctor"):
        await running.client.admit("r", who, admitted=True)
    anna = Peer(running, "r", "anna")
    try:
        await anna.publish(ColourTrack(DARK[0]), ToneTrack())
        await received(running, 100)
        began = time.monotonic()
        grant = CaptureGrant(recording_id="rec", segment=1, running=True, keys={"anna": SEALING, "doctor": SEALING})
        await running.client.grant("r", grant)
        before = await captured(running, lambda count: count > 100)
        [camera] = [one for one in anna.up.getSenders() if one.kind == "video"]
        camera.replaceTrack(None)
        silent = await captured(running, lambda count: count > before + 90)
        camera.replaceTrack(ColourTrack(LIGHT[0]))
        await captured(running, lambda count: count > silent + 150)
        await running.client.stop_capture("r", "rec", "ended")
        took_s = time.monotonic() - began
    finally:
        await anna.close()
    stored = (await running.event_of(NodeEventKind.LOG_STORED)).log
    assert stored is not None
    path = tmp_path / "recordings" / stored.path
    report = compose_film([path], tmp_path / "film.mp4", unwrap=lambda _who, _wrapped: KEY, options=SMALL)
    film = Shown(tmp_path / "film.mp4")
    assert report.passed, (report.problems, report.placement_between_s)
    assert report.duration_s == pytest.approx(took_s, abs=1.0)
    assert [one for one in report.gaps if one.kind == "sound"] == []
    first_s, off_s, on_s = moments(path)
    assert first_s < 2.0, "a key frame was asked for"
    assert on_s - off_s > 1.0
    heard = [film.level(HERTZ, at, at + 0.06) for at in np.arange(off_s, on_s - 0.06, 0.06)]
    assert min(heard) > 0.1, "the sound goes on"
    assert set(report.participants) == {"anna", "doctor"}, "also who only watched was there"
    x, doctors_x = centre(report, "anna"), centre(report, "doctor")
    assert near(film.colour((off_s + on_s) / 2, x, 0.5), DARK)
    assert not near(film.colour((off_s + on_s) / 2, doctors_x, 0.5), DARK)
    resumed = film.moments(x, 0.5, LIGHT)
    assert resumed[0] == pytest.approx(on_s, abs=0.2)


def centre(report: FilmReport, who: str) -> float:
    """Of this person's tile, as a share of the picture's width."""
    [tile] = [one for one in report.details["layout"][-1]["tiles"] if one[0] == who]
    return float(tile[2] + tile[4] / 2) / report.width


def moments(path: Path) -> tuple[float, float, float]:
    """On film time: the first picture, the last before the camera went off, and the first after it."""
    log = SegmentLog(path, lambda _who, _wrapped: KEY)
    [began] = [mark.at_ns for mark in log.marks if mark.kind == "running"]
    [index] = [track for track in log.tracks if track.record.kind == "video"]
    times = np.sort((index.arrived_ns - began) / 1e9)
    hole = int(np.argmax(np.diff(times)))
    return float(times[0]), float(times[hole]), float(times[hole + 1])
