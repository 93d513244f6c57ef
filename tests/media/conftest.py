"""Fixtures of the relay's tests: a node of its own in this process, everything on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.media.peers import RunningNode, keep_on_loopback, running_node, settings_for


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningNode]:
    keep_on_loopback(monkeypatch)
    async with running_node(settings_for(tmp_path)) as node:
        yield node
