"""The node's event log: numbered, bounded, read by any number of servers from where each left off.

What happens is decided elsewhere; readers reconcile after a gap.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from itertools import takewhile
from typing import Any

from media.api import NodeEvent, NodeEventKind

KEPT_MAX = 10_000
HEARTBEAT_S = 2.0


class EventLog:
    """`emit` from anywhere on the loop; `follow` gives lines, None for a moment of silence."""

    def __init__(self, epoch: str, kept: int = KEPT_MAX) -> None:
        self.epoch = epoch
        self.last = 0
        # As text: an event's objects take three times as much, and most are read once, at once, or never.
        self._kept: deque[tuple[int, str]] = deque(maxlen=kept)
        self._news: set[asyncio.Event] = set()
        self._closed = False

    def emit(self, kind: NodeEventKind, **fields: Any) -> None:
        self.last += 1
        event = NodeEvent(epoch=self.epoch, n=self.last, at=time.time(), kind=kind, **fields)
        self._kept.append((self.last, event.model_dump_json(exclude_defaults=True)))
        self._wake()

    def close(self) -> None:
        """Readers get what is left, then their streams end."""
        self._closed = True
        self._wake()

    async def follow(self, after: int) -> AsyncIterator[NodeEvent | None]:
        """`hello`, then everything numbered above `after`; `gap` first when some of that is no longer kept."""
        news = asyncio.Event()
        self._news.add(news)
        try:
            yield self._sign(NodeEventKind.HELLO, self.last)
            if after > self.last:
                yield self._sign(NodeEventKind.GAP, self.last)
                after = self.last
            while True:
                first = self._kept[0][0] if self._kept else self.last + 1
                if after < first - 1:
                    after = first - 1
                    yield self._sign(NodeEventKind.GAP, after)
                for number, text in self._above(after):
                    after = number
                    yield NodeEvent.model_validate_json(text)
                if self._closed and after >= self.last:
                    return
                if after < self.last:
                    continue
                news.clear()
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await news.wait()
                except TimeoutError:
                    yield None
        finally:
            self._news.discard(news)

    def _above(self, after: int) -> list[tuple[int, str]]:
        """From the end, since nearly always only the last few are new to a reader."""
        found = list(takewhile(lambda kept: kept[0] > after, reversed(self._kept)))
        found.reverse()
        return found

    def _sign(self, kind: NodeEventKind, number: int) -> NodeEvent:
        return NodeEvent(epoch=self.epoch, n=number, at=time.time(), kind=kind)

    def _wake(self) -> None:
        for news in self._news:
            news.set()
