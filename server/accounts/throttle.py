"""How often somebody may try to get in: by address, by the name tried from there, in memory or in Redis.

A name tried too often from many places answers slower, never not at all: no stranger can lock its owner out.
"""

from __future__ import annotations

import ipaddress

from aiohttp import web
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from server.errors import DomainError
from signaling.words import Code

PER_ADDRESS = RateLimitItemPerMinute(30)
PER_NAME = RateLimitItemPerMinute(10, 5)
BEFORE_SLOW = RateLimitItemPerMinute(40, 5)
SLOW_S = 1.0


class Throttle:
    """Counts tries; the same for names that exist and names that don't."""

    def __init__(self, redis_url: str | None) -> None:
        storage = RedisStorage(f"async+{redis_url}", implementation="redispy") if redis_url else MemoryStorage()
        self._limiter = MovingWindowRateLimiter(storage)

    async def check(self, act: str, address: str, name: str, known: str | None = None) -> float:
        """Counts one try; answers for how many seconds its answer is to be held back. Raises too_many.

        `known` names a browser from which this name has signed in before: it is counted by itself, whatever others do.
        """
        if known is not None:
            await self._hit(PER_NAME, act, f"known {known}")
            return 0.0
        place = network_of(address)
        await self._hit(PER_ADDRESS, act, f"address {place}")
        await self._hit(PER_NAME, act, f"name {name} from {place}")
        return 0.0 if await self._limiter.hit(BEFORE_SLOW, act, f"name {name}") else SLOW_S

    async def _hit(self, limit: RateLimitItem, *keys: str) -> None:
        if not await self._limiter.hit(limit, *keys):
            raise DomainError(Code.TOO_MANY)


def network_of(address: str) -> str:
    """What one household or attacker has to itself: an IPv4 address, an IPv6 /64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{found}/64", strict=False)) if found.version == 6 else str(found)


THROTTLE = web.AppKey("throttle", Throttle)
