"""The event stream: in order, without gaps unless said, resumable, and alive when nothing happens."""

from __future__ import annotations

import asyncio

import pytest

from media.api import NodeEvent, NodeEventKind
from media.events import EventLog


async def first(log: EventLog, after: int, count: int) -> list[tuple[NodeEventKind, int]]:
    found = []
    async for event in log.follow(after):
        if event is not None:
            found.append((event.kind, event.n))
        if len(found) == count:
            break
    return found


async def test_a_reader_gets_hello_then_everything_after_where_it_left() -> None:
    log = EventLog("epoch")
    for _ in range(5):
        log.emit(NodeEventKind.BACK)
    assert await first(log, 3, 3) == [(NodeEventKind.HELLO, 5), (NodeEventKind.BACK, 4), (NodeEventKind.BACK, 5)]


async def test_what_is_no_longer_kept_is_said() -> None:
    log = EventLog("epoch", kept=3)
    for _ in range(9):
        log.emit(NodeEventKind.BACK)
    assert (await first(log, 2, 3))[1:] == [(NodeEventKind.GAP, 6), (NodeEventKind.BACK, 7)]
    assert (await first(log, 0, 3))[1:] == [(NodeEventKind.GAP, 6), (NodeEventKind.BACK, 7)]


async def test_a_reader_of_another_epoch_is_told_to_reconcile() -> None:
    log = EventLog("epoch")
    log.emit(NodeEventKind.BACK)
    assert (await first(log, 700, 2))[1] == (NodeEventKind.GAP, 1)


async def test_several_readers_each_get_everything_as_it_happens() -> None:
    log = EventLog("epoch")
    readers = [asyncio.create_task(first(log, 0, 4)) for _ in range(3)]
    for _ in range(3):
        await asyncio.sleep(0)
        log.emit(NodeEventKind.BACK)
    for found in await asyncio.gather(*readers):
        assert [number for _, number in found[1:]] == [1, 2, 3]


async def test_silence_has_a_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.events.HEARTBEAT_S", 0.01)
    stream = EventLog("epoch").follow(0)
    assert isinstance(await anext(stream), NodeEvent)
    assert await anext(stream) is None


async def test_closing_lets_readers_have_what_is_left_and_then_ends_them() -> None:
    log = EventLog("epoch")
    stream = log.follow(0)
    await anext(stream)
    log.emit(NodeEventKind.DRAINING)
    log.close()
    last = await anext(stream)
    assert last is not None
    assert last.kind is NodeEventKind.DRAINING
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert log._news == set()
