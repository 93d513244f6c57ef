"""The room store in Redis: one hash a room, indexes beside it, one Lua script that compares and sets all of them.

For a single Redis (or a primary with replicas), not for a cluster: the script touches keys of several slots.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import redis.asyncio
from pydantic import ValidationError
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff, NoBackoff

from signaling.bus import Bus, RedisBus
from signaling.logs import Happening, log_error
from signaling.state import RoomState, from_json, next_deadline, to_json
from signaling.store import ALIVE_S, ANSWER_TTL_S, is_active, is_untaken, time_to_live_s
from signaling.words import ClinicId, PersonId, RoomId

PREFIX = "bedside:"

COMPARE_AND_SET = """
-- KEYS: room, active, due, its clinic's untaken rooms, the sets of its doctors
-- ARGV: expected revision or '', revision, state, time to live, due at or '', room id, 1 while active, 1 while untaken
local held = redis.call('HGET', KEYS[1], 'revision')
if ARGV[1] == '' then
  if held then return 0 end
elseif held ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'state', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
if ARGV[7] == '1' then redis.call('SADD', KEYS[2], ARGV[6]) else redis.call('SREM', KEYS[2], ARGV[6]) end
if ARGV[5] == '' then redis.call('ZREM', KEYS[3], ARGV[6]) else redis.call('ZADD', KEYS[3], ARGV[5], ARGV[6]) end
for i = 4, #KEYS do
  if ARGV[7] == '1' and (i > 4 or ARGV[8] == '1') then
    redis.call('SADD', KEYS[i], ARGV[6])
    redis.call('EXPIRE', KEYS[i], ARGV[4])
  else
    redis.call('SREM', KEYS[i], ARGV[6])
  end
end
return 1
"""

RISE = """
local next = tonumber(redis.call('GET', KEYS[1]) or '0') + 1
local floor = tonumber(ARGV[1])
if next < floor then next = floor end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'EX', 172800)
return string.format('%.0f', next)
"""


BEAT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60)
return redis.call('ZADD', KEYS[1], now, ARGV[1])
"""

LIVE_SERVERS = """
return redis.call('ZRANGEBYSCORE', KEYS[1], tonumber(redis.call('TIME')[1]) - tonumber(ARGV[1]), '+inf')
"""


class RedisStore:
    """Make it with `from_url`; `server_id` names this process among the servers."""

    def __init__(self, client: redis.asyncio.Redis, listener: redis.asyncio.Redis, server_id: str) -> None:
        self._client = client
        self._bus = RedisBus(client, listener, server_id)
        self._compare_and_set = client.register_script(COMPARE_AND_SET)
        self._rise = client.register_script(RISE)
        self._beat = client.register_script(BEAT)
        self._live_servers = client.register_script(LIVE_SERVERS)

    @classmethod
    def from_url(cls, url: str, server_id: str) -> RedisStore:
        client = redis.asyncio.Redis.from_url(
            url,
            socket_connect_timeout=2.0,
            socket_timeout=4.0,
            health_check_interval=10,
            retry=Retry(ConstantBackoff(0.2), 3),
        )
        listener = redis.asyncio.Redis.from_url(url, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0))
        return cls(client, listener, server_id)

    @property
    def bus(self) -> Bus:
        return self._bus

    async def start(self) -> None: ...

    async def stop(self) -> None:
        await self._client.aclose()

    async def load(self, room_id: RoomId) -> RoomState | None:
        raw = await self._client.hget(_room(room_id), "state")
        if raw is None:
            return None
        try:
            return from_json(raw)
        except ValidationError:
            log_error(Happening.ROOM_UNREADABLE, room_id=room_id)
            await self._client.delete(_room(room_id))
            return None

    async def save(self, state: RoomState, *, over: int | None) -> bool:
        due_at = next_deadline(state)
        indexes = [f"{PREFIX}active", f"{PREFIX}due", _untaken(state.clinic_id)]
        keys = [_room(state.room_id), *indexes, *map(_doctor, sorted(state.doctor_ids))]
        arguments: list[str | bytes] = [
            "" if over is None else str(over),
            str(state.revision),
            to_json(state),
            str(time_to_live_s(state)),
            "" if due_at is None else str(due_at.timestamp()),
            state.room_id,
            "1" if is_active(state) else "0",
            "1" if is_untaken(state) else "0",
        ]
        return bool(await self._compare_and_set(keys=keys, args=arguments))

    async def drop(self, room_id: RoomId) -> None:
        async with self._client.pipeline() as pipeline:
            pipeline.delete(_room(room_id))
            pipeline.srem(f"{PREFIX}active", room_id)
            pipeline.zrem(f"{PREFIX}due", room_id)
            await pipeline.execute()

    async def active(self) -> list[RoomId]:
        return _room_ids(await self._client.smembers(f"{PREFIX}active"))

    async def due(self, now: datetime) -> list[RoomId]:
        return _room_ids(await self._client.zrangebyscore(f"{PREFIX}due", "-inf", now.timestamp(), start=0, num=500))

    async def rooms_of(self, doctor: PersonId) -> list[RoomId]:
        return _room_ids(await self._client.smembers(_doctor(doctor)))

    async def untaken(self, clinic: ClinicId) -> list[RoomId]:
        return _room_ids(await self._client.smembers(_untaken(clinic)))

    async def load_answer(self, key: str) -> dict[str, Any] | None:
        raw = await self._client.get(f"{PREFIX}answer:{key}")
        answer: dict[str, Any] | None = json.loads(raw) if raw is not None else None
        return answer

    async def keep_answer(self, key: str, answer: dict[str, Any]) -> None:
        await self._client.set(f"{PREFIX}answer:{key}", json.dumps(answer), ex=ANSWER_TTL_S, nx=True)

    async def rise(self, key: str, floor: int) -> int:
        return int(await self._rise(keys=[f"{PREFIX}number:{key}"], args=[floor]))

    async def beat(self, server_id: str) -> None:
        await self._beat(keys=[f"{PREFIX}servers"], args=[server_id])

    async def live_servers(self) -> frozenset[str]:
        found = await self._live_servers(keys=[f"{PREFIX}servers"], args=[ALIVE_S])
        return frozenset(_text(raw) for raw in found)

    async def leave(self, server_id: str) -> None:
        await self._client.zrem(f"{PREFIX}servers", server_id)


def _text(raw: object) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)


def _room_ids(found: Iterable[object]) -> list[RoomId]:
    return [RoomId(_text(raw)) for raw in found]


def _room(room_id: RoomId) -> str:
    return f"{PREFIX}room:{room_id}"


def _doctor(person_id: PersonId) -> str:
    return f"{PREFIX}doctor:{person_id}"


def _untaken(clinic_id: ClinicId) -> str:
    return f"{PREFIX}untaken:{clinic_id}"
