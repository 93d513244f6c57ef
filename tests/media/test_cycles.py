"""A node after many recorded calls is as it was after a few: tasks, threads, descriptors, memory (case C127)."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from media.api import NodeEventKind
from media.dtls import Certificate
from tests.bench.relay.load import Call, Load
from tests.bench.relay.loops import Loop, make_loop
from tests.bench.relay.signalling import Bedside
from tests.media.peers import SECRET, RunningNode, running_node, settings_for

FRAMES = 30
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
GROWTH_KB_A_CALL_MAX = 300


@dataclass(frozen=True)
class Held:
    tasks: int
    threads: int
    descriptors: int
    memory_kb: int


def held(running: RunningNode) -> Held:
    gc.collect()
    assert running.node.rooms == {}
    assert running.node.endpoint._connections == {}
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(len(asyncio.all_tasks()), threading.active_count(), len(os.listdir("/proc/self/fd")), pages * PAGE_KB)


async def recorded_call(running: RunningNode, signalling: Bedside, number: int, loop: Loop) -> None:
    """Two people connect, send a second of picture and sound with recording on, and leave; the log is put away."""
    load = Load("bedside", "", 0, "127.0.0.1", 1, 0, 0, "")
    call = Call(load, signalling, number, Certificate())
    await call.begin(loop)
    await signalling.record(number, 2)
    for _ in range(FRAMES):
        for publisher in call.publishers.values():
            publisher.send_frame()
            publisher.send_sound()
        await asyncio.sleep(0.005)
    async with asyncio.timeout(10):
        while not all(one.key_ns for one in call.subscribers):
            for publisher in call.publishers.values():
                publisher.send_frame()
            await asyncio.sleep(0.02)
    await call.end()
    await running.event(lambda event: event.kind is NodeEventKind.LOG_STORED and event.room_id == f"r{number}")
    async with asyncio.timeout(10):
        while len(running.node.tasks):
            await asyncio.sleep(0.01)


async def cycles(running: RunningNode, warm: int, then: int) -> tuple[Held, Held]:
    signalling, loop = Bedside(running.client.base_url, SECRET), make_loop(1)
    try:
        for number in range(warm):
            await recorded_call(running, signalling, number, loop)
        before = held(running)
        for number in range(warm, warm + then):
            await recorded_call(running, signalling, number, loop)
        return before, held(running)
    finally:
        await signalling.close()


async def test_what_a_call_held_is_freed_without_a_collection(tmp_path: Path) -> None:
    """A busy node collects no garbage, so nothing of a call may stay behind in a circle: packets and keys least."""
    async with running_node(settings_for(tmp_path)) as running:
        signalling, loop = Bedside(running.client.base_url, SECRET), make_loop(1)
        call = Call(Load("bedside", "", 0, "127.0.0.1", 1, 0, 0, ""), signalling, 1, Certificate())
        gc.disable()
        try:
            await call.begin(loop)
            room = running.node.rooms["r1"]
            people = list(room.participants.values())
            ups, downs = [one.up for one in people if one.up], [one.down for one in people if one.down]
            connections = [leg.connection for leg in (*ups, *downs)]
            held = [room, *ups, *downs, *connections]
            held += [part for one in connections for part in (one._dtls, one._dtls._transport, one._inbound)]
            held += [track for up in ups for track in up.tracks.values()]
            left = [weakref.ref(one) for one in held if one is not None]
            assert len(left) == 25
            del room, people, ups, downs, connections, held
            await call.end()
            async with asyncio.timeout(10):
                while any(one() is not None for one in left):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"stay: {[type(one()).__qualname__ for one in left if one() is not None]}")
        finally:
            gc.enable()
            await signalling.close()


@pytest.fixture
def complaints(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What asyncio says of tasks and exceptions that nobody looked at."""
    with caplog.at_level(logging.WARNING, "asyncio"):
        told: list[str] = []
        yield told
        told += [record.getMessage() for record in caplog.records if record.name == "asyncio"]
    assert told == []


@pytest.mark.parametrize(
    ("warm", "then"),
    [(2, 4), pytest.param(20, 180, marks=[pytest.mark.soak, pytest.mark.timeout(600)])],
)
async def test_nothing_of_a_recorded_call_outlives_it(
    tmp_path: Path, complaints: list[str], warm: int, then: int
) -> None:
    async with running_node(settings_for(tmp_path)) as running:
        before, after = await cycles(running, warm, then)
    assert (after.tasks, after.threads, after.descriptors) == (before.tasks, before.threads, before.descriptors)
    assert after.memory_kb - before.memory_kb < GROWTH_KB_A_CALL_MAX * then + 4096
