"""Speaks the wire protocol by hand, as a page that has gone wrong would: any event, any payload, in one browser's name.

Runs its own loop in a thread, since a story's browsers own the main one.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import socketio

TIMEOUT_S = 8.0


@dataclass(frozen=True, slots=True)
class Said:
    """What came back: one acknowledgement an event, None where the server cut the line instead."""

    answers: list[Any]
    connected_after: bool


def say_raw(url: str, cookie: str, auth: dict[str, Any], events: list[tuple[str, Any]]) -> Said:
    """Connects to `/visit` with this cookie and says these events one after another."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_say(url, cookie, auth, events))).result()


async def _say(url: str, cookie: str, auth: dict[str, Any], events: list[tuple[str, Any]]) -> Said:
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(
        url, headers={"Cookie": cookie, "Origin": url}, auth=auth, namespaces=["/visit"], transports=["websocket"]
    )
    answers: list[Any] = []
    try:
        for name, payload in events:
            try:
                answers.append(await client.call(name, payload, namespace="/visit", timeout=TIMEOUT_S))
            except (socketio.exceptions.SocketIOError, TimeoutError):
                answers.append(None)
        return Said(answers, bool(client.connected))
    finally:
        await client.disconnect()
