"""One process of `bench_schedule.py`: a rush on few slots, or bookings beside the same statements through Core.

Each line of JSON tells it what to do; it waits for `go` before each turn and answers in one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import event

from server.accounts.service import get_clinic
from server.app import load_models
from server.db import Database
from server.errors import DomainError
from server.events import Events
from server.scheduling import booking as at_once
from server.scheduling import service
from server.scheduling.service import Act, Booking
from server.scheduling.ticks import in_transaction

AT_A_TIME = 8
TURNS = 8
A_DAY = 16
"""Starts of one day, every half hour from nine to five."""


def main() -> None:
    load_models()
    while line := sys.stdin.readline():
        told = json.loads(line)
        answer = asyncio.run({"rush": rush, "beside": beside}[told["job"]](told))
        print(json.dumps(answer), flush=True)


def await_go() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


async def act_of(database: Database, told: dict[str, Any]) -> Act:
    async with database.reading() as session:
        clinic = await get_clinic(session, told["clinic"])
    return Act(clinic, None, datetime.fromisoformat(told["now"]), Events())


def start_of(told: dict[str, Any], n: int) -> datetime:
    """The n-th start of one doctor."""
    return datetime.fromisoformat(told["first"]) + timedelta(days=n // A_DAY, minutes=30 * (n % A_DAY))


async def rush(told: dict[str, Any]) -> dict[str, Any]:
    """Every slot wanted several times by this process, a few attempts at a time."""
    database = Database(told["url"])
    act, doctors = await act_of(database, told), told["doctors"]
    answers: Counter[str] = Counter()
    slots = range(told["slots"])
    queue = iter([slot for _ in range(told["tries"]) for slot in slots])

    async def work() -> None:
        for slot in queue:
            doctor, patient = doctors[slot % len(doctors)], told["patients"][slot]
            wanted = Booking(patient, told["visit"], (doctor,), start_of(told, slot // len(doctors)))
            answers[await attempt(database, act, wanted)] += 1

    await asyncio.to_thread(await_go)
    begin = time.time()
    await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
    end = time.time()
    await database.close()
    return {"answers": dict(answers), "begin": begin, "end": end}


async def attempt(database: Database, act: Act, wanted: Booking) -> str:
    try:
        await at_once.book(database, act, wanted)
    except DomainError as refused:
        return refused.code.value
    except Exception as error:
        return type(error).__name__
    return "booked"


async def beside(told: dict[str, Any]) -> dict[str, Any]:
    """Books once with a recorder; then replays what it said and books anew, each on a copy, in turns.

    Who goes first changes from turn to turn, and the first booking of each, which compiles its statements, isn't timed.
    """
    recorded, core, ours = (Database(told["urls"][name]) for name in ("recorded", "core", "service"))
    n, count = told["n"], told["bookings"]
    wanted = [
        Booking(told["patients"][n * (count + 1) + k], told["visit"], (told["doctors"][n],), start_of(told, k))
        for k in range(count + 1)
    ]
    act = await act_of(ours, told)
    await asyncio.to_thread(await_go)
    statements = [await record(recorded, act, each) for each in wanted]

    async def through_core(k: int) -> None:
        await replay(core, statements[k])

    async def through_service(k: int) -> None:
        await in_transaction(ours, lambda session: service.book(session, act, wanted[k]))

    ways = {"core_s": through_core, "service_s": through_service}
    took = dict.fromkeys(ways, 0.0)
    for way in ways.values():
        await way(0)
    for turn in range(TURNS):
        mine = range(1 + turn * count // TURNS, 1 + (turn + 1) * count // TURNS)
        for name in list(ways) if turn % 2 == 0 else list(reversed(ways)):
            await asyncio.to_thread(await_go)
            began = time.perf_counter()
            for k in mine:
                await ways[name](k)
            took[name] += time.perf_counter() - began
    for database in (recorded, core, ours):
        await database.close()
    return took


async def record(database: Database, act: Act, wanted: Booking) -> list[tuple[Any, Any]]:
    """The statements of one booking with their values, as Core gets them."""
    said: list[tuple[Any, Any]] = []

    def note(_connection: Any, clause: Any, many: Any, one: Any, _options: Any) -> None:
        said.append((clause, list(many) or dict(one) or None))

    with _listening(database, note):
        await in_transaction(database, lambda session: service.book(session, act, wanted))
    return said


async def replay(database: Database, said: list[tuple[Any, Any]]) -> None:
    async with database.writing() as session:
        connection = await session.connection()
        for clause, values in said:
            result = await connection.execute(clause, values)
            if result.returns_rows:
                result.all()


class _listening:  # noqa: N801 — read as a phrase after `with`
    def __init__(self, database: Database, note: Callable[..., None]) -> None:
        self._engine, self._note = database.engine.sync_engine, note

    def __enter__(self) -> None:
        event.listen(self._engine, "before_execute", self._note)

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_execute", self._note)


if __name__ == "__main__":
    main()
