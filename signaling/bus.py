"""How servers tell each other that something changed: small messages by topic, in memory or over Redis.

Delivery is at most once; whoever depends on a message must also look for itself now and then. Nothing personal
belongs here except what is on its way to one socket.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import redis.asyncio
from redis.exceptions import RedisError

from signaling.logs import Happening, log_error, log_info

Message = dict[str, Any]
Handler = Callable[[Message], Awaitable[None]]

CHANNEL = "bedside:bus"
BEAT_S = 2.0
SILENCE_S = 8.0
"""A subscription through which not even our own beat came for so long is dead, whatever TCP says."""


class Bus(Protocol):
    """`on_message` hears every message of every server, `on_return` that an outage ended."""

    async def start(self, on_message: Handler, on_return: Callable[[], Awaitable[None]]) -> None: ...
    async def stop(self) -> None: ...
    async def publish(self, message: Message) -> None: ...
    def is_subscribed(self) -> bool: ...


class MemoryBus:
    """Servers given the same `hub`, in one process, hear each other; messages arrive before `publish` returns."""

    def __init__(self, hub: list[Handler] | None = None) -> None:
        self._hub: list[Handler] = hub if hub is not None else []
        self._own: Handler | None = None

    async def start(self, on_message: Handler, on_return: Callable[[], Awaitable[None]]) -> None:
        self._own = on_message
        self._hub.append(on_message)

    async def stop(self) -> None:
        if self._own is not None:
            self._hub.remove(self._own)
            self._own = None

    async def publish(self, message: Message) -> None:
        for handler in list(self._hub):
            await handler(message)

    def is_subscribed(self) -> bool:
        return self._own is not None


class RedisBus:
    """One channel; the subscription is watched by hearing our own beat come back through it."""

    def __init__(self, client: redis.asyncio.Redis, listener: redis.asyncio.Redis, server_id: str) -> None:
        """`listener` must not retry: a subscription renewed behind our back would hide what was lost meanwhile."""
        self._client = client
        self._listener = listener
        self._server_id = server_id
        self._subscribed = False
        self._heard_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, on_message: Handler, on_return: Callable[[], Awaitable[None]]) -> None:
        self._tasks = [
            asyncio.create_task(self._listen(on_message, on_return), name="bus-listen"),
            asyncio.create_task(self._beat(), name="bus-beat"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._subscribed = False
        await self._listener.aclose()

    async def publish(self, message: Message) -> None:
        try:
            await self._client.publish(CHANNEL, json.dumps(message, separators=(",", ":")))
        except (RedisError, OSError) as error:
            log_error(Happening.BUS_PUBLISH_FAILED, code=type(error).__name__)

    def is_subscribed(self) -> bool:
        return self._subscribed

    async def _beat(self) -> None:
        while True:
            await self.publish({"topic": "beat", "server": self._server_id})
            await asyncio.sleep(BEAT_S)

    async def _listen(self, on_message: Handler, on_return: Callable[[], Awaitable[None]]) -> None:
        was_lost = False
        while True:
            try:
                async with self._listener.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    self._heard_at = time.monotonic()
                    await self._read(pubsub, on_message, on_return if was_lost else None)
            except (RedisError, OSError, TimeoutError) as error:
                was_lost = True
                self._subscribed = False
                log_error(Happening.BUS_LOST, code=type(error).__name__)
                await asyncio.sleep(0.5)

    async def _read(
        self,
        pubsub: redis.asyncio.client.PubSub,
        on_message: Handler,
        on_return: Callable[[], Awaitable[None]] | None,
    ) -> None:
        while True:
            raw = await pubsub.get_message(timeout=1.0)
            now = time.monotonic()
            if raw is None:
                if now - self._heard_at > SILENCE_S:
                    raise TimeoutError
                continue
            self._heard_at = now
            if raw["type"] == "subscribe":
                self._subscribed = True
                if on_return is not None:
                    log_info(Happening.BUS_RETURNED)
                    await on_return()
            elif raw["type"] == "message":
                await self._hand_over(raw["data"], on_message)

    async def _hand_over(self, data: bytes, on_message: Handler) -> None:
        try:
            message = json.loads(data)
        except ValueError:
            log_error(Happening.BUS_MALFORMED)
            return
        if not isinstance(message, dict):
            log_error(Happening.BUS_MALFORMED)
        elif message.get("topic") != "beat":
            await on_message(message)
