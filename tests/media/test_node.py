"""The node as a process: how it starts, what it says, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media.api import CaptureGrant, NodeEventKind, SealingKey
from media.client import NodeClient, NodeUnreachable
from media.node import development_secret
from tests.media.peers import SECRET, ColourTrack, Peer, RunningNode, keep_on_loopback, running_node, settings_for


class Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def line(self) -> dict[str, Any]:
        """The next line it says, which is one JSON object."""
        assert self._process.stdout is not None
        return dict(json.loads(await asyncio.wait_for(self._process.stdout.readline(), 20)))

    async def ended(self, within_s: float = 10) -> tuple[int, str]:
        """(exit code, what it still said)."""
        out, err = await asyncio.wait_for(self._process.communicate(), within_s)
        assert self._process.returncode is not None
        return self._process.returncode, (out + err).decode()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None


@pytest.fixture
async def processes() -> AsyncIterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        if process.is_running:
            process.send(signal.SIGKILL)
            await process.ended()


async def start(processes: list[Process], var: Path, **names: str) -> Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BEDSIDE_")}
    environment |= {
        "BEDSIDE_ENV": "development",
        "BEDSIDE_VAR": str(var),
        "BEDSIDE_NODE_SECRET": SECRET,
        "BEDSIDE_MEDIA_PORT": "0",
        "BEDSIDE_MEDIA_CONTROL_PORT": "0",
        "BEDSIDE_MEDIA_ADDRESSES": "127.0.0.1",
        "BEDSIDE_MEDIA_MIN_FREE_BYTES": "0",
        **names,
    }
    environment = {name: value for name, value in environment.items() if value}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    processes.append(Process(process))
    return processes[-1]


async def test_it_says_where_it_listens_and_ends_at_once_when_it_has_no_room(
    processes: list[Process], tmp_path: Path
) -> None:
    process = await start(processes, tmp_path)
    said = await process.line()
    assert said["event"] == "listening"
    assert {"at", "level", "process", "node_id", "port", "tcp_port", "addresses"} <= said.keys()
    async with aiohttp.ClientSession() as session, session.get(said["control"] + "/readyz") as response:
        assert response.status == 200
    process.send(signal.SIGTERM)
    code, _ = await process.ended()
    assert code == 0


async def test_outside_development_it_does_not_start_without_a_secret(processes: list[Process], tmp_path: Path) -> None:
    process = await start(processes, tmp_path, BEDSIDE_ENV="production", BEDSIDE_NODE_SECRET="")
    code, said = await process.ended()
    assert code == 2
    assert said.strip() == "BEDSIDE_NODE_SECRET (or BEDSIDE_NODE_SECRET_FILE) is missing"


async def test_an_unknown_setting_is_named(processes: list[Process], tmp_path: Path) -> None:
    process = await start(processes, tmp_path, BEDSIDE_MEDIA_PROT="8702")
    code, said = await process.ended()
    assert (code, said.strip()) == (2, "BEDSIDE_MEDIA_PROT is not a setting")


async def test_a_taken_port_is_said_in_one_line(processes: list[Process], tmp_path: Path) -> None:
    first = await (await start(processes, tmp_path / "a")).line()
    for names in (
        {"BEDSIDE_MEDIA_PORT": str(first["port"])},
        {"BEDSIDE_MEDIA_CONTROL_PORT": first["control"].rpartition(":")[2]},
    ):
        process = await start(processes, tmp_path / "b", **names)
        code, said = await process.ended()
        lines = [json.loads(line) for line in said.splitlines()]
        assert code == 1
        assert lines[-1]["event"] == "cannot_start" or lines[0]["event"] == "cannot_start"


async def test_a_draining_node_ends_when_its_last_room_closes(processes: list[Process], tmp_path: Path) -> None:
    process = await start(processes, tmp_path)
    async with NodeClient((await process.line())["control"], SECRET) as client:
        await client.create_room("r")
        process.send(signal.SIGTERM)
        async with asyncio.timeout(5):
            while not (await client.state()).draining:
                await asyncio.sleep(0.05)
        await client.admit("r", "p", admitted=True)
        await client.close_room("r")
    code, _ = await process.ended(5)
    assert code == 0


@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)])
async def test_it_ends_with_its_rooms_when_told_so(
    processes: list[Process], tmp_path: Path, signals: tuple[signal.Signals, ...]
) -> None:
    process = await start(processes, tmp_path)
    async with NodeClient((await process.line())["control"], SECRET) as client:
        await client.create_room("r")
        seen = []

        async def follow() -> None:
            async for event in client.events(0):
                seen.append(event.kind)

        following = asyncio.create_task(follow())
        await client.create_room("heard")
        await client.close_room("heard")
        while not seen:  # whoever listens from now on hears what comes
            await asyncio.sleep(0.02)
        seen.clear()
        began = time.monotonic()
        for number in signals:
            process.send(number)
            while number is signal.SIGTERM and NodeEventKind.DRAINING not in seen:
                await asyncio.sleep(0.02)
        code, _ = await process.ended()
        assert code == 0
        assert time.monotonic() - began < 10
        with pytest.raises(NodeUnreachable):
            await following
    assert seen[-1] is NodeEventKind.ROOM_CLOSED


async def test_a_running_capture_is_closed_and_stored_when_the_node_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_on_loopback(monkeypatch)
    async with running_node(settings_for(tmp_path)) as running:
        peer = await recorded(running)
        running.node.stop()
        async with asyncio.timeout(10):
            while not any(event.kind is NodeEventKind.LOG_STORED for event in running.events):
                await asyncio.sleep(0.02)
        await peer.close()
    stored = next(event.log for event in running.events if event.log is not None)
    assert stored.complete
    assert (tmp_path / "recordings" / stored.path).exists()
    assert not list((tmp_path / "captures").iterdir())


async def recorded(running: RunningNode) -> Peer:
    """Somebody who publishes and is being captured."""
    await running.client.create_room("r")
    await running.client.admit("r", "a", admitted=True)
    peer = Peer(running, "r", "a")
    await peer.publish(ColourTrack(60))
    key = SealingKey(key="A" * 43 + "=", wrapped="d3JhcHBlZA==")
    await running.client.grant("r", CaptureGrant(recording_id="rec", segment=1, running=True, keys={"a": key}))
    async with asyncio.timeout(10):
        while (await running.client.stats("r")).captured < 20:
            await asyncio.sleep(0.05)
    return peer


async def test_one_room_s_fault_leaves_the_others_ticking(
    running: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.client.create_room("broken")
    await running.client.create_room("sound")
    ticked = asyncio.Event()
    monkeypatch.setattr(running.node.rooms["broken"], "tick", lambda _: 1 // 0)
    monkeypatch.setattr(running.node.rooms["sound"], "tick", lambda _: ticked.set())
    await asyncio.wait_for(ticked.wait(), 2)


def test_a_development_secret_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    first = development_secret(tmp_path)
    assert development_secret(tmp_path) == first
    assert len(first) >= 32
    assert stat.S_IMODE((tmp_path / "keys" / "node_secret").stat().st_mode) == 0o600
