"""The media loop does all that asyncio's own does, and drains its sockets in between; nobody starves anybody."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from media.loop import MediaLoop


def run(work: Callable[[MediaLoop], Coroutine[Any, Any, None]]) -> list[dict[str, Any]]:
    """Runs it on a media loop of its own; what the loop's exception handler was told."""
    told: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MediaLoop)
        loop.set_exception_handler(lambda _, context: told.append(context))
        async with asyncio.timeout(10):
            await work(loop)

    with asyncio.Runner(loop_factory=MediaLoop) as runner:
        runner.run(main())
    return told


class Wire:
    """A datagram socket that is drained, and what came."""

    def __init__(self, loop: MediaLoop, *, at_once: int = 64) -> None:
        self.at_once = at_once
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.near.setblocking(False)
        self.got: list[bytes] = []
        self.on_data: Callable[[bytes], None] = lambda _: None
        loop.add_drain(self.near.fileno(), self._drain)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(self.at_once):
                data = self.near.recv(100)
                self.got.append(data)
                self.on_data(data)


def test_a_drain_wakes_who_waits_for_what_it_found() -> None:
    async def work(loop: MediaLoop) -> None:
        wire = Wire(loop)
        found: asyncio.Future[bytes] = loop.create_future()
        wire.on_data = found.set_result
        wire.far.send(b"hello")
        assert await found == b"hello"

    assert run(work) == []


def test_a_timer_that_a_drain_sets_is_on_time_although_a_later_one_was_waited_for() -> None:
    async def work(loop: MediaLoop) -> None:
        wire, rung = Wire(loop), asyncio.Event()
        wire.on_data = lambda _: void(loop.call_later(0.02, rung.set))
        later = loop.call_later(9, rung.set)
        loop.call_later(0.01, wire.far.send, b"x")
        before = loop.time()
        await rung.wait()
        assert loop.time() - before < 5
        later.cancel()

    assert run(work) == []


def test_timers_tasks_and_other_sockets_go_on_while_datagrams_pour_in() -> None:
    async def work(loop: MediaLoop) -> None:
        wire = Wire(loop, at_once=1)
        wire.on_data = lambda _: void(wire.far.send(b"again"))  # never empty
        wire.far.send(b"first")
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        await asyncio.sleep(0.01)
        assert len(wire.got) > 10
        loop.remove_drain(wire.near.fileno())
        writer.close()
        server.close()

    assert run(work) == []


def test_a_drain_that_fails_is_told_and_called_again() -> None:
    async def work(loop: MediaLoop) -> None:
        wire, second = Wire(loop), asyncio.Event()

        def fail_once(_: bytes) -> None:
            if len(wire.got) == 1:
                raise RuntimeError("broken")
            second.set()

        wire.on_data = fail_once
        wire.far.send(b"1")
        await asyncio.sleep(0)
        wire.far.send(b"2")
        await second.wait()

    assert [str(context["exception"]) for context in run(work)] == ["broken"]


def test_a_forgotten_socket_is_not_drained_and_signals_are_heard() -> None:
    async def work(loop: MediaLoop) -> None:
        wire, heard = Wire(loop), asyncio.Event()
        loop.remove_drain(wire.near.fileno())
        loop.remove_drain(wire.near.fileno())
        loop.add_signal_handler(signal.SIGUSR1, heard.set)
        wire.far.send(b"x")
        os.kill(os.getpid(), signal.SIGUSR1)
        await heard.wait()
        assert wire.got == []

    assert run(work) == []


def void(_: object) -> None:
    """A lambda's value is not wanted."""
