"""Fixtures of the relay's tests: a node of its own in this process, everything on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media.capture import CaptureLimits, CaptureStore
from tests.media.captured import Keys, Told
from tests.media.peers import Peer, RunningNode, keep_on_loopback, running_node, settings_for


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningNode]:
    keep_on_loopback(monkeypatch)
    async with running_node(settings_for(tmp_path)) as node:
        yield node


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def keys() -> Keys:
    return Keys("anna", "doctor", "guest")


@pytest.fixture
async def store(tmp_path: Path, told: Told) -> AsyncIterator[CaptureStore]:
    limits = CaptureLimits(disk_floor_bytes=1)
    store = CaptureStore(tmp_path / "captures", str(tmp_path / "recordings"), "node-1", told.callbacks, limits=limits)
    yield store
    await store.close()


@pytest.fixture
async def peers(running: RunningNode) -> AsyncIterator[dict[str, Peer]]:
    """`a` and `b` admitted, `c` announced and waiting."""
    await running.client.create_room("r")
    for one in ("a", "b", "c"):
        await running.client.admit("r", one, admitted=one != "c")
    found = {one: Peer(running, "r", one) for one in ("a", "b", "c")}
    yield found
    for peer in found.values():
        await peer.close()
