"""Lets the server end its WebSockets with a close code of its own: 1001, going away, so that pages come back.

Engine.IO closes with 1000 only; what is touched of its inside is touched here, and a contract test covers it.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import socketio
from aiohttp import WSCloseCode, web


class OpenWebSockets:
    """Knows every WebSocket of one Engine.IO server from its upgrade on."""

    def __init__(self, sio: socketio.AsyncServer) -> None:
        self._open: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()
        self._wrap(sio)

    def _wrap(self, sio: socketio.AsyncServer) -> None:
        known = self._open
        base: Any = sio.eio._async["websocket"]

        class Known(base):  # type: ignore[misc]
            async def send(self, message: str | bytes) -> None:
                known.add(self._sock)
                await super().send(message)

            async def wait(self) -> Any:
                known.add(self._sock)
                return await super().wait()

        sio.eio._async = {**sio.eio._async, "websocket": Known}

    async def close_all(self, timeout_s: float = 2.0) -> None:
        """Code 1001 to each, at most `timeout_s` for all."""
        closing = [socket.close(code=WSCloseCode.GOING_AWAY, message=b"server restart") for socket in list(self._open)]
        try:
            await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), timeout_s)
        except TimeoutError:
            return
