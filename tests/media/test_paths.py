"""A TCP way out that fills up: video waits for a key frame after 200 ms, and after two seconds it is closed."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from media.ice import Address
from media.paths import CONGESTED_AFTER_NS, HOPELESS_AFTER_NS, TcpPath
from media.tasks import Tasks


class Listener:
    """Stands where the endpoint is."""

    def handle_stun(self, data: bytes, address: Address, path: TcpPath) -> None: ...
    def forget(self, path: TcpPath) -> None: ...
    def count_drop(self) -> None: ...
    def accept(self, path: TcpPath) -> bool:
        return True


class Pipe:
    """A transport as far as a path uses it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.ended = ""

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> tuple[TcpPath, Pipe, list[int]]:
    made, pipe, clock = TcpPath(Listener()), Pipe(), [10**9]
    made._transport = cast(Any, pipe)
    monkeypatch.setattr("media.paths.time.monotonic_ns", lambda: clock[0])
    return made, pipe, clock


def test_a_datagram_goes_out_in_a_frame(path: tuple[TcpPath, Pipe, list[int]]) -> None:
    made, pipe, _ = path
    made.send(b"abc")
    assert pipe.written == [b"\x00\x03abc"]


def test_unsent_data_congests_and_then_ends_the_way(path: tuple[TcpPath, Pipe, list[int]]) -> None:
    made, pipe, clock = path
    assert not made.is_congested
    made.pause_writing()
    clock[0] += CONGESTED_AFTER_NS
    assert not made.is_congested
    clock[0] += 1
    assert made.is_congested
    made.resume_writing()
    assert not made.is_congested
    made.pause_writing()
    clock[0] += HOPELESS_AFTER_NS + 1
    assert made.is_congested
    assert pipe.ended == "aborted"
    made.send(b"late")
    assert pipe.written == []


async def test_tasks_are_awaited_and_their_faults_heard_by_their_owner() -> None:
    faults: list[BaseException] = []
    tasks = Tasks(faults.append)
    ended = []

    async def fail() -> None:
        raise ValueError("for the test")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("wait")

    tasks.start(fail(), "fail")
    tasks.start(wait(), "wait")
    await tasks.settle(0.05)
    assert [type(fault) for fault in faults] == [ValueError]
    await tasks.close()
    assert (ended, len(tasks)) == (["wait"], 0)
