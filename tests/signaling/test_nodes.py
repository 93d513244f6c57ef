"""The nodes a server knows: chosen by load, read in order, lost and found again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import structlog

from media.api import NodeEvent, NodeEventKind, NodeRefusal, NodeState
from media.client import NodeRefused, NodeUnreachable
from signaling.nodes import NodeFleet, refusal_of
from signaling.words import Code, Refused
from tests.signaling.node import FakeNode


class Listener:
    def __init__(self) -> None:
        self.events: list[NodeEvent] = []
        self.states: list[tuple[str, NodeState]] = []
        self.lost: list[str] = []
        self.fails = False
        self._news = asyncio.Event()

    async def handle_node_event(self, node: str, event: NodeEvent) -> None:
        self.events.append(event)
        self._news.set()
        if self.fails:
            raise RuntimeError("a listener's own trouble")

    async def handle_node_state(self, node: str, state: NodeState) -> None:
        self.states.append((node, state))
        self._news.set()

    async def handle_node_lost(self, node: str) -> None:
        self.lost.append(node)
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(8):
            while not condition():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def fleet() -> AsyncIterator[tuple[NodeFleet, dict[str, FakeNode], Listener]]:
    nodes = {"a": FakeNode("a"), "b": FakeNode("b")}
    made = NodeFleet(list(nodes), lambda url: nodes[url])
    listener = Listener()
    await made.start(listener)
    await listener.until(lambda: {node for node, _ in listener.states} == {"a", "b"})
    yield made, nodes, listener
    await made.stop()


Fleet = tuple[NodeFleet, dict[str, FakeNode], Listener]


async def test_rooms_go_to_the_node_with_fewest(fleet: Fleet) -> None:
    made, _, _ = fleet
    assert sorted(str(made.least_loaded()) for _ in range(4)) == ["a", "a", "b", "b"]


async def test_events_are_heard_once_and_in_order(fleet: Fleet) -> None:
    made, nodes, listener = fleet
    for _ in range(5):
        nodes["a"].emit(NodeEventKind.QUALITY, room_id="r")
    await listener.until(lambda: len(listener.events) == 5)
    assert [event.n for event in listener.events] == [1, 2, 3, 4, 5]
    assert made.heard("a") == 5
    assert made.heard("b") == 0


async def test_another_epochs_events_begin_anew(fleet: Fleet) -> None:
    made, nodes, listener = fleet
    for _ in range(3):
        nodes["a"].emit(NodeEventKind.QUALITY)
    await listener.until(lambda: len(listener.events) == 3)
    nodes["a"].die()
    nodes["a"].restart()
    nodes["a"].emit(NodeEventKind.DISK)
    await listener.until(lambda: listener.events[-1].kind == NodeEventKind.DISK)
    assert made.heard("a") == 1


async def test_a_dead_node_is_lost_within_seconds_and_takes_no_rooms(fleet: Fleet) -> None:
    made, nodes, listener = fleet
    nodes["a"].die()
    await listener.until(lambda: "a" in listener.lost)
    assert {made.least_loaded() for _ in range(4)} == {"b"}
    nodes["a"].restart()
    seen = len(listener.states)
    await listener.until(lambda: any(node == "a" for node, _ in listener.states[seen:]))
    assert "a" in {made.least_loaded() for _ in range(4)}


async def test_a_node_that_was_never_there_is_said_to_be_lost_once() -> None:
    node, listener = FakeNode("a"), Listener()
    node.die()
    fleet = NodeFleet(["a"], lambda _: node)
    with structlog.testing.capture_logs() as lines:
        await fleet.start(listener)
        await listener.until(lambda: len(listener.lost) > 3)
        node.restart()
        await listener.until(lambda: listener.states)
        await fleet.stop()
    assert [line["event"] for line in lines if line["event"].startswith("node_")] == ["node_lost", "node_up"]


async def test_a_listeners_failure_does_not_end_the_reading(fleet: Fleet) -> None:
    _, nodes, listener = fleet
    listener.fails = True
    for _ in range(2):
        nodes["a"].emit(NodeEventKind.QUALITY)
    await listener.until(lambda: len(listener.events) == 2)


async def test_a_node_nobody_named_is_down(fleet: Fleet) -> None:
    made, _, _ = fleet
    with pytest.raises(Refused) as refused:
        made.get("unknown")
    assert refused.value.code == Code.NODE_DOWN


@pytest.mark.parametrize("code", list(NodeRefusal))
def test_every_no_of_a_node_has_its_code(code: NodeRefusal) -> None:
    refused = refusal_of(NodeRefused(code, "secret words of the node"))
    assert isinstance(refused.code, Code)
    assert refused.message == ""
    assert refusal_of(NodeUnreachable("gone")).code == Code.NODE_DOWN
