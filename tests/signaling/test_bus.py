"""Servers hear each other, and know when they don't."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from signaling.bus import Bus, MemoryBus, Message
from signaling.redis_store import RedisStore
from tests.signaling.until import until
from tests.support.redis import RedisServer


class Ear:
    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.returns = 0
        self._news = asyncio.Event()

    async def hear(self, message: Message) -> None:
        self.heard.append(message)
        self._news.set()

    async def come_back(self) -> None:
        self.returns += 1
        self._news.set()

    async def until(self, count: int, returns: int = 0) -> None:
        async with asyncio.timeout(8):
            while len(self.heard) < count or self.returns < returns:
                self._news.clear()
                await self._news.wait()


@pytest.fixture(params=["memory", "redis"])
async def buses(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Bus, Bus]]:
    if request.param == "memory":
        hub: list = []  # type: ignore[type-arg]
        yield MemoryBus(hub), MemoryBus(hub)
        return
    server: RedisServer = request.getfixturevalue("own_redis")
    stores = [RedisStore.from_url(server.url, name) for name in ("server1", "server2")]
    yield stores[0].bus, stores[1].bus
    for store in stores:
        await store.stop()


async def test_everybody_hears_and_nobody_after_stopping(buses: tuple[Bus, Bus]) -> None:
    ears = [Ear(), Ear()]
    for bus, ear in zip(buses, ears, strict=True):
        assert not bus.is_subscribed()
        await bus.start(ear.hear, ear.come_back)
    await until(lambda: all(bus.is_subscribed() for bus in buses))
    await buses[0].publish({"topic": "room", "room": "r"})
    for ear in ears:
        await ear.until(1)
        assert ear.heard == [{"topic": "room", "room": "r"}]
    for bus in buses:
        await bus.stop()
        assert not bus.is_subscribed()
    assert [ear.returns for ear in ears] == [0, 0]


async def test_a_lost_subscription_comes_back_by_itself_and_says_so(own_redis: RedisServer) -> None:
    store, ear = RedisStore.from_url(own_redis.url, "server1"), Ear()
    await store.bus.start(ear.hear, ear.come_back)
    for returns in (1, 2):
        await until(store.bus.is_subscribed)
        own_redis.say("CLIENT KILL TYPE pubsub")
        await ear.until(0, returns)
    await store.bus.publish({"topic": "room"})
    await ear.until(1)
    await store.bus.stop()
    await store.stop()


@pytest.mark.parametrize("raw", ["not json", "7", "[]", '"text"', "null"])
async def test_a_malformed_message_is_passed_over(own_redis: RedisServer, raw: str) -> None:
    store, ear = RedisStore.from_url(own_redis.url, "server1"), Ear()
    await store.bus.start(ear.hear, ear.come_back)
    await until(store.bus.is_subscribed)
    await store._client.publish("bedside:bus", raw)
    await store.bus.publish({"topic": "room"})
    await ear.until(1)
    assert ear.heard == [{"topic": "room"}]
    await store.bus.stop()
    await store.stop()
