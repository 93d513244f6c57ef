"""The media process' event loop: asyncio's own, except that media sockets are drained without one of its turns.

A turn of asyncio costs about as much as forwarding a packet does. Anything else that happens (timers, tasks, other
sockets) is asyncio's as always; code that finds an ordinary loop just adds a reader.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any

EVENTS_AT_ONCE = 64
_IN, _OUT = 1, 4  # EPOLLIN, EPOLLOUT


class DrainingSelector(selectors.EpollSelector):
    """Calls the drains of sockets that are ready, and returns once there is something for the loop to do."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: Any = None
        self._drains: dict[int, Callable[[], None]] = {}
        self._epoll: Any = self._selector  # type: ignore[attr-defined]

    def drain(self, fd: int, drain: Callable[[], None]) -> None:
        self._epoll.register(fd, _IN)
        self._drains[fd] = drain

    def forget(self, fd: int) -> None:
        if self._drains.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        drains, poll, loop = self._drains, self._epoll.poll, self.loop
        timers = len(loop._scheduled)
        until = None if timeout is None else monotonic() + timeout
        wait = _milliseconds(timeout)
        while True:
            try:
                events = poll(wait, EVENTS_AT_ONCE)
            except InterruptedError:
                return []
            others = []
            for event in events:
                drain = drains.get(event[0])
                if drain is None:
                    others.append(event)
                else:
                    self._run(drain)
            # A drain may have scheduled a callback, or a timer that is due before those there were.
            if others or not events or loop._ready or len(loop._scheduled) != timers:
                return self._keys(others)
            if until is not None:
                left = until - monotonic()
                if left <= 0:
                    return []
                wait = _milliseconds(left)

    def _run(self, drain: Callable[[], None]) -> None:
        try:
            drain()
        except Exception as error:  # the loop must not end with it
            self.loop.call_exception_handler({"message": "a drain failed", "exception": error})

    def _keys(self, events: list[tuple[int, int]]) -> list[tuple[selectors.SelectorKey, int]]:
        found = []
        for fd, event in events:
            key = self.get_map().get(fd)
            if key is not None:
                # An error or a hang-up counts as both, as in the standard library.
                mask = (selectors.EVENT_WRITE if event & ~_IN else 0) | (selectors.EVENT_READ if event & ~_OUT else 0)
                found.append((key, mask & key.events))
        return found


class MediaLoop(asyncio.SelectorEventLoop):
    """Made by `new_loop`."""

    def __init__(self) -> None:
        self._draining = DrainingSelector()
        self._draining.loop = self
        super().__init__(self._draining)

    def add_drain(self, fd: int, drain: Callable[[], None]) -> None:
        """`drain` is called, on the loop's thread, whenever the socket has something; it takes and gives nothing."""
        self._draining.drain(fd, drain)

    def remove_drain(self, fd: int) -> None:
        self._draining.forget(fd)


def new_loop() -> asyncio.AbstractEventLoop:
    """The loop of a media process; elsewhere than on Linux asyncio's own."""
    return MediaLoop() if sys.platform == "linux" else asyncio.new_event_loop()


def _milliseconds(timeout: float | None) -> float:
    """What epoll is asked to wait, rounded up, so that it doesn't come back early and spin."""
    if timeout is None:
        return -1
    return math.ceil(timeout * 1e3) * 1e-3 if timeout > 0 else 0
