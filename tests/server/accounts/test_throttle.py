"""Tries are counted the same in memory and in Redis, there for every server together."""

from __future__ import annotations

import pytest

from server.accounts.throttle import BEFORE_SLOW, PER_NAME, SLOW_S, Throttle, network_of
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


async def test_the_eleventh_try_for_one_name_from_one_place_is_refused() -> None:
    throttle = Throttle(None)
    assert await refused_at([throttle], "a", "192.0.2.1") == PER_NAME.amount + 1
    with pytest.raises(DomainError):
        await throttle.check("sign-in", "192.0.2.1", "a")
    await throttle.check("sign-in", "192.0.2.1", "b")


async def test_no_stranger_locks_a_name_out_it_only_answers_slower() -> None:
    throttle = Throttle(None)
    held = [await throttle.check("sign-in", f"192.0.2.{n}", "a") for n in range(BEFORE_SLOW.amount + 1)]
    assert (held[0], held[-1]) == (0.0, SLOW_S)


async def test_a_browser_that_is_known_is_counted_by_itself() -> None:
    throttle = Throttle(None)
    assert await refused_at([throttle], "a", "192.0.2.1") == PER_NAME.amount + 1
    for _ in range(PER_NAME.amount):
        assert await throttle.check("sign-in", "192.0.2.1", "a", known="its cookie") == 0.0
    with pytest.raises(DomainError):
        await throttle.check("sign-in", "192.0.2.1", "a", known="its cookie")


def test_one_household_is_one_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("somewhere") == "somewhere"


@pytest.mark.database
async def test_two_servers_count_together_over_redis() -> None:
    with redis_server() as redis:
        servers = [Throttle(redis.url), Throttle(redis.url)]
        assert await refused_at(servers, "a", "192.0.2.1") == PER_NAME.amount + 1
