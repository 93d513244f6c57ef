"""The nodes this server knows: one client each, their event streams read, their pulse felt, the least loaded chosen.

What an event means for a room is the listener's; nothing is decided here but whether a node is up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from media.api import NodeEventKind, NodeRefusal, NodeState
from media.client import NodeClient, NodeRefused, NodeUnreachable
from signaling.logs import Happening, log_error, log_info
from signaling.ports import MediaNode, NodeListener
from signaling.tasks import TaskOwner
from signaling.words import Code, Refused

PULSE_S = 2.0
LOST_S = 2.5
"""Unanswered for so long and the node is lost; the end of its event stream is looked into at once."""

_CODES: dict[NodeRefusal, Code] = {
    NodeRefusal.MALFORMED: Code.MALFORMED,
    NodeRefusal.TOO_LONG: Code.TOO_LONG,
    NodeRefusal.UNSUPPORTED_SDP: Code.UNSUPPORTED_SDP,
    NodeRefusal.STALE_REVISION: Code.STALE_REVISION,
    NodeRefusal.NOT_ADMITTED: Code.NOT_ADMITTED,
    NodeRefusal.STORAGE_FULL: Code.STORAGE_FULL,
    NodeRefusal.GRANT_INCOMPLETE: Code.CONSENT_MISSING,
}


def refusal_of(error: NodeRefused | NodeUnreachable) -> Refused:
    """A node's no in the words of the room."""
    if isinstance(error, NodeRefused):
        return Refused(_CODES.get(error.code, Code.NODE_DOWN))
    return Refused(Code.NODE_DOWN)


@dataclass
class _Node:
    url: str
    client: MediaNode
    state: NodeState | None = None
    missing_since: float | None = None
    is_up: bool = False
    is_known_lost: bool = False
    """Said in the log once a loss, however long it lasts."""
    epoch: str | None = None
    after: int = 0
    placed: int = 0
    """Rooms put there since its last pulse, so that a rush does not all go to one node."""


class NodeFleet:
    """The `Nodes` port over `media.client`. `connect` makes a client from an address."""

    def __init__(self, urls: Sequence[str], connect: Callable[[str], MediaNode]) -> None:
        self._urls = list(urls)
        self._connect = connect
        self._nodes: dict[str, _Node] = {}
        self._tasks = TaskOwner()

    @classmethod
    def over_http(cls, urls: Sequence[str], secret: str) -> NodeFleet:
        return cls(urls, lambda url: NodeClient(url, secret))

    def get(self, node: str) -> MediaNode:
        known = self._nodes.get(node)
        if known is None:
            raise Refused(Code.NODE_DOWN)
        return known.client

    def heard(self, node: str) -> int:
        return self._nodes[node].after if node in self._nodes else 0

    def least_loaded(self) -> str | None:
        willing = [one for one in self._nodes.values() if one.is_up and one.state and not one.state.draining]
        best = min(willing, key=_load, default=None)
        if best is None:
            return None
        best.placed += 1
        return best.url

    async def start(self, listener: NodeListener) -> None:
        for url in self._urls:
            node = _Node(url, self._connect(url))
            self._nodes[url] = node
            self._tasks.spawn(self._feel(node, listener), f"node-pulse {url}")
            self._tasks.spawn(self._read(node, listener), f"node-events {url}")

    async def stop(self) -> None:
        await self._tasks.close()
        for node in self._nodes.values():
            await node.client.close()

    async def _feel(self, node: _Node, listener: NodeListener) -> None:
        while True:
            await self._pulse(node, listener)
            await asyncio.sleep(PULSE_S)

    async def _pulse(self, node: _Node, listener: NodeListener) -> None:
        try:
            state = await node.client.state()
        except (NodeRefused, NodeUnreachable) as error:
            await self._miss(node, listener, type(error).__name__)
            return
        if not node.is_up:
            log_info(Happening.NODE_UP, node=node.url, epoch=state.epoch)
        node.state, node.missing_since, node.is_up, node.placed = state, None, True, 0
        node.is_known_lost = False
        await _heard(listener.handle_node_state(node.url, state))

    async def _miss(self, node: _Node, listener: NodeListener, code: str) -> None:
        now = asyncio.get_running_loop().time()
        if node.missing_since is None:
            node.missing_since = now
        if now - node.missing_since < LOST_S and node.state is not None:
            return
        if not node.is_known_lost:
            log_error(Happening.NODE_LOST, node=node.url, code=code)
        node.is_up, node.is_known_lost = False, True
        await _heard(listener.handle_node_lost(node.url))

    async def _read(self, node: _Node, listener: NodeListener) -> None:
        while True:
            try:
                await self._follow(node, listener)
            except (NodeRefused, NodeUnreachable):
                await asyncio.sleep(0.5)
                await self._pulse(node, listener)

    async def _follow(self, node: _Node, listener: NodeListener) -> None:
        """One event stream; comes back when the node turns out to be another epoch, whose events begin anew."""
        async for event in node.client.events(node.after):
            if event.epoch != node.epoch:
                is_first, node.epoch = node.epoch is None, event.epoch
                if not is_first and node.after > 0:
                    node.after = 0
                    return
            if event.kind in (NodeEventKind.HELLO, NodeEventKind.GAP):
                await self._pulse(node, listener)
            else:
                await _heard(listener.handle_node_event(node.url, event))
                node.after = max(node.after, event.n)


async def _heard(listening: Awaitable[None]) -> None:
    """A listener's failure must not end the reading of a node."""
    try:
        await listening
    except Exception as error:
        log_error(Happening.RECONCILE_FAILED, code=type(error).__name__)


def _load(node: _Node) -> tuple[float, int]:
    state = node.state
    return (state.load if state else 0.0, node.placed + (len(state.rooms) if state else 0))
