"""Tries are counted the same in memory and in Redis, there for every server together."""

from __future__ import annotations

import pytest

from server.accounts.throttle import PER_NAME, Throttle
from server.errors import DomainError
from signaling.words import Code
from tests.support.redis import redis_server


async def refused_at(throttles: list[Throttle], name: str, address: str) -> int:
    """After how many tries, spread over these servers, one is refused."""
    for n in range(1, 100):
        try:
            await throttles[n % len(throttles)].check("sign-in", address, name)
        except DomainError as refused:
            return n if refused.code is Code.TOO_MANY else 0
    raise AssertionError("never refused")


async def test_the_eleventh_try_for_one_name_is_refused_wherever_it_comes_from() -> None:
    throttle = Throttle(None)
    assert await refused_at([throttle], "a", "192.0.2.1") == PER_NAME.amount + 1
    with pytest.raises(DomainError):
        await throttle.check("sign-in", "192.0.2.2", "a")
    await throttle.check("sign-in", "192.0.2.2", "b")


@pytest.mark.database
async def test_two_servers_count_together_over_redis() -> None:
    with redis_server() as redis:
        servers = [Throttle(redis.url), Throttle(redis.url)]
        assert await refused_at(servers, "a", "192.0.2.1") == PER_NAME.amount + 1
