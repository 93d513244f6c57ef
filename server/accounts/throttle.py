"""How often somebody may try to get in: by address and by the name tried, in memory or in Redis."""

from __future__ import annotations

from aiohttp import web
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from server.errors import DomainError
from signaling.words import Code

PER_ADDRESS = RateLimitItemPerMinute(30)
PER_NAME = RateLimitItemPerMinute(10, 5)


class Throttle:
    """Counts tries; the same for names that exist and names that don't."""

    def __init__(self, redis_url: str | None) -> None:
        storage = RedisStorage(f"async+{redis_url}", implementation="redispy") if redis_url else MemoryStorage()
        self._limiter = MovingWindowRateLimiter(storage)

    async def check(self, act: str, address: str, name: str) -> None:
        """Counts one try. Raises too_many."""
        await self._hit(PER_ADDRESS, act, f"address {address}")
        await self._hit(PER_NAME, act, f"name {name}")

    async def _hit(self, limit: RateLimitItem, *keys: str) -> None:
        if not await self._limiter.hit(limit, *keys):
            raise DomainError(Code.TOO_MANY)


THROTTLE = web.AppKey("throttle", Throttle)
