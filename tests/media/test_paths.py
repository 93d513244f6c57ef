"""A TCP way out that fills up: sound goes first, video waits for a key frame, and after two seconds it is closed."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from media.ice import Address
from media.paths import BACKED_UP_AFTER_NS, CONGESTED_AFTER_NS, HOPELESS_AFTER_NS, TcpPath
from media.tasks import Tasks
from media.waiting import PICTURE_BYTES_MAX, URGENT_BYTES_MAX


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
    clock[0] += BACKED_UP_AFTER_NS
    assert not made.is_backed_up
    clock[0] += CONGESTED_AFTER_NS - BACKED_UP_AFTER_NS
    assert made.is_backed_up
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


PICTURE, REPAIR, SOUND, REPORT = b"\x90\x60", b"\x90\x61", b"\x90\xef", b"\x80\xc8"


def test_sound_and_answers_overtake_pictures_that_wait(path: tuple[TcpPath, Pipe, list[int]]) -> None:
    made, pipe, _ = path
    made.pause_writing()
    for datagram in (PICTURE + b"1", SOUND + b"2", REPAIR + b"3", REPORT + b"4", PICTURE + b"5", b"\x16\xfe"):
        made.send(datagram)
    assert pipe.written == []
    made.resume_writing()
    assert [frame[2:] for frame in pipe.written] == [
        SOUND + b"2", REPORT + b"4", b"\x16\xfe", PICTURE + b"1", REPAIR + b"3", PICTURE + b"5",
    ]  # fmt: skip


def test_what_waits_goes_on_waiting_when_the_way_fills_up_again(path: tuple[TcpPath, Pipe, list[int]]) -> None:
    made, pipe, _ = path
    made.pause_writing()
    for number in range(3):
        made.send(SOUND + bytes((number,)))
    written = pipe.write

    def write(data: bytes) -> None:
        written(data)
        made.pause_writing()

    pipe.write = write  # type: ignore[method-assign]
    made.resume_writing()
    assert [frame[4] for frame in pipe.written] == [0]
    made.resume_writing()
    assert [frame[4] for frame in pipe.written] == [0, 1]


def test_pictures_that_wait_congest_although_something_goes_out(path: tuple[TcpPath, Pipe, list[int]]) -> None:
    made, _, clock = path
    made.pause_writing()
    made.send(PICTURE)
    clock[0] += CONGESTED_AFTER_NS + 1
    made._blocked_ns = clock[0]
    assert made.is_congested
    assert made.is_backed_up


def test_neither_line_grows_without_bound(path: tuple[TcpPath, Pipe, list[int]]) -> None:
    made, pipe, _ = path
    made.pause_writing()
    for kind, bound in ((PICTURE, PICTURE_BYTES_MAX), (SOUND, URGENT_BYTES_MAX)):
        count, size = 0, 1202
        while made.failures == 0:
            made.send(kind + bytes(size - 4))
            count += 1
        assert (count - 1) * size <= bound < count * size
        made.failures = 0
    made.resume_writing()
    assert sum(len(data) for data in pipe.written) <= PICTURE_BYTES_MAX + URGENT_BYTES_MAX
    assert len(made._waiting) == 0


def test_a_way_on_which_nothing_moves_is_closed_whatever_is_sent(path: tuple[TcpPath, Pipe, list[int]]) -> None:
    made, pipe, clock = path
    made.pause_writing()
    made.send(SOUND)
    clock[0] += HOPELESS_AFTER_NS + 1
    made.send(SOUND)
    assert pipe.ended == "aborted"
    assert len(made._waiting) == 0


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
