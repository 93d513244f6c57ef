"""Where room state lives, in memory and in Redis: one writer wins, indexes follow, answers are remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from signaling import changes as c
from signaling.messages import Phase
from signaling.redis_store import RedisStore
from signaling.store import ANSWER_TTL_S, ENDED_TTL_S, ROOM_TTL_S, MemoryStore, RoomStore, time_to_live_s
from signaling.words import ClinicId, Outcome, PersonId, RoomId
from tests.signaling.play import PATIENT, START, Play
from tests.support.redis import RedisServer

ROOM = RoomId("room1")
DOCTOR1 = PersonId("doctor1")


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RoomStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    server: RedisServer = request.getfixturevalue("own_redis")
    held = RedisStore.from_url(server.url, "server1")
    yield held
    await held.bus.stop()
    await held.stop()


async def test_a_room_comes_back_as_it_was_saved(store: RoomStore) -> None:
    play = Play()
    play.record()
    assert await store.load(ROOM) is None
    assert await store.save(play.state, over=None)
    assert await store.load(ROOM) == play.state


async def test_of_many_writers_over_one_revision_one_wins(store: RoomStore) -> None:
    state = Play().state
    assert await store.save(state, over=None)
    assert not await store.save(state, over=None)
    writers = [replace(state, revision=state.revision + 1, chat_count=n) for n in range(20)]
    won = await asyncio.gather(*(store.save(one, over=state.revision) for one in writers))
    assert sum(won) == 1
    held = await store.load(ROOM)
    assert held is not None
    assert held.chat_count == won.index(True)


async def test_due_rooms_are_found_by_their_deadline_and_only_while_they_have_one(store: RoomStore) -> None:
    play = Play()
    play.meet()
    play.ask()
    await store.save(play.state, over=None)
    assert await store.due(START) == []
    assert await store.due(START + timedelta(seconds=61)) == [ROOM]
    before = play.state
    play.answer(PATIENT, yes=False)
    await store.save(play.state, over=before.revision)
    assert await store.due(START + timedelta(seconds=61)) == []


async def test_a_doctors_rooms_are_those_still_going_on(store: RoomStore) -> None:
    play = Play()
    play.meet()
    await store.save(play.state, over=None)
    assert await store.rooms_of(DOCTOR1) == await store.active() == [ROOM]
    assert await store.rooms_of(PersonId("doctor2")) == []
    before = play.state
    play.do(c.Ended(Outcome.SEEN))
    await store.save(play.state, over=before.revision)
    assert await store.active() == [ROOM]
    before = play.state
    play.later(10)
    assert play.state.phase == Phase.ENDED
    await store.save(play.state, over=before.revision)
    assert await store.active() == await store.rooms_of(DOCTOR1) == []


async def test_a_room_without_a_doctor_is_its_clinics_until_one_takes_it(store: RoomStore) -> None:
    untaken = replace(Play().state, doctor_ids=frozenset())
    await store.save(untaken, over=None)
    assert await store.untaken(untaken.clinic_id) == [ROOM]
    assert await store.untaken(ClinicId("another")) == []
    taken = replace(untaken, revision=untaken.revision + 1, doctor_ids=frozenset({DOCTOR1}))
    await store.save(taken, over=untaken.revision)
    assert await store.untaken(untaken.clinic_id) == []
    assert await store.rooms_of(DOCTOR1) == [ROOM]
    again = replace(untaken, revision=taken.revision + 1, phase=Phase.ENDED)
    await store.save(again, over=taken.revision)
    assert await store.untaken(untaken.clinic_id) == []


async def test_a_dropped_room_is_gone_from_everywhere(store: RoomStore) -> None:
    play = Play()
    play.meet()
    play.ask()
    await store.save(play.state, over=None)
    await store.drop(ROOM)
    assert await store.load(ROOM) is None
    assert await store.active() == []
    assert await store.due(START + timedelta(days=1)) == []


async def test_an_answer_is_kept_as_first_given(store: RoomStore) -> None:
    assert await store.load_answer("key") is None
    await store.keep_answer("key", {"ok": True, "n": 1})
    await store.keep_answer("key", {"ok": True, "n": 2})
    assert await store.load_answer("key") == {"ok": True, "n": 1}
    assert await store.load_answer("other") is None


async def test_numbers_only_rise(store: RoomStore) -> None:
    numbers = [await store.rise("key", floor) for floor in (1_790_000_000_000, 5, 1_790_000_000_001, 0)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1_790_000_000_000


async def test_servers_that_beat_are_alive_until_they_leave(store: RoomStore) -> None:
    await store.beat("server1")
    await store.beat("server2")
    assert await store.live_servers() == {"server1", "server2"}
    await store.leave("server1")
    assert await store.live_servers() == {"server2"}


async def test_memory_forgets_answers_and_rooms_in_time() -> None:
    now = 0.0
    store = MemoryStore(monotonic=lambda: now)
    await store.save(Play().state, over=None)
    await store.keep_answer("key", {"ok": True})
    now = ANSWER_TTL_S + 1
    assert await store.load_answer("key") is None
    assert await store.load(ROOM) is not None
    now = ROOM_TTL_S + 1
    assert await store.load(ROOM) is None


async def test_an_ended_room_is_kept_for_less_long() -> None:
    play = Play()
    play.meet()
    assert time_to_live_s(play.state) == ROOM_TTL_S
    play.do(c.Ended(Outcome.SEEN))
    play.later(11)
    assert time_to_live_s(play.state) == ENDED_TTL_S


async def test_a_room_that_cannot_be_read_is_as_good_as_lost(own_redis: RedisServer) -> None:
    store = RedisStore.from_url(own_redis.url, "server1")
    await store.save(Play().state, over=None)
    own_redis.say('HSET bedside:room:room1 state "{}"')
    assert await store.load(ROOM) is None
    assert await store.save(Play().state, over=None)
    await store.bus.stop()
    await store.stop()
