"""Many at once on few slots: as many bookings as slots, every refusal coded, from tasks and from processes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import DomainError
from server.scheduling import booking as at_once
from server.scheduling import service
from server.scheduling.models import Appointment, Message, Tick
from server.scheduling.service import Booking, Move
from server.scheduling.ticks import in_transaction
from tests.server.scheduling.booking_worker import SLOTS, STEP, TRIES
from tests.server.scheduling.conftest import NOW, World
from tests.server.scheduling.test_service import NINE, book


async def attempt(world: World, booking: Booking) -> str:
    try:
        await at_once.book(world.database, world.act(), booking)
    except DomainError as refused:
        return refused.code.value
    return "booked"


async def test_one_slot_wanted_by_twenty_tasks_is_booked_once(world: World) -> None:
    wanted = [Booking(world.boris, world.visit, (world.doctor,), NINE) for _ in range(20)]
    answers = Counter(await asyncio.gather(*(attempt(world, each) for each in wanted)))
    assert answers == {"booked": 1, "slot_taken": 19}


async def test_the_same_form_sent_twice_at_once_books_once(world: World) -> None:
    form = Booking(world.anna, world.visit, (world.doctor,), NINE, idempotency_key="k")
    made = await asyncio.gather(*(at_once.book(world.database, world.act(), form) for _ in range(6)))
    assert len({appointment.id for appointment in made}) == 1
    async with world.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Message)) == 2


async def test_processes_that_book_everything_at_once_book_each_slot_once(world: World, database_url: str) -> None:
    told = {
        name: getattr(world, name) for name in ("doctor", "colleague", "scheduler", "anna", "boris", "chen", "visit")
    }
    told |= {"url": database_url, "clinic": world.clinic.id, "first": NINE.isoformat(), "now": NOW.isoformat()}
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.server.scheduling.booking_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = await asyncio.gather(
        *(asyncio.to_thread(worker.communicate, json.dumps(told), 100) for worker in workers)
    )
    assert [worker.returncode for worker in workers] == [0, 0]
    answers: Counter[str] = Counter()
    for output, _ in outputs:
        answers.update(json.loads(output.splitlines()[-1]))
    assert set(answers) <= {"booked", "slot_taken"}
    assert answers["booked"] == SLOTS
    assert answers.total() == 2 * SLOTS * TRIES
    async with world.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Appointment)) == SLOTS
        assert await session.scalar(select(func.count()).select_from(Tick)) == SLOTS * (8 + 6)


class DeadlockError(Exception):
    """What the driver raises for the one PostgreSQL chose."""

    sqlstate = "40P01"


async def test_a_deadlock_is_tried_again_twice_and_no_more(world: World) -> None:
    tries = []

    async def act(session: AsyncSession, deadlocks: int) -> str:
        tries.append(session)
        if len(tries) <= deadlocks:
            raise DBAPIError("insert", {}, DeadlockError())
        return "done"

    assert await in_transaction(world.database, lambda session: act(session, 2)) == "done"
    assert len(tries) == 3
    tries.clear()
    with pytest.raises(DBAPIError):
        await in_transaction(world.database, lambda session: act(session, 3))
    assert len(tries) == 3


async def test_moves_that_swap_never_leave_half(world: World) -> None:
    first = await book(world)
    second = await book(world, NINE + STEP, patient_id=world.boris)

    async def swap(mine: Appointment, target: Appointment) -> str:
        try:
            await in_transaction(
                world.database, lambda s: service.move(s, world.act(), Move(mine.id, target.starts_at))
            )
        except DomainError as refused:
            return refused.code.value
        return "moved"

    for _ in range(5):
        answers = await asyncio.gather(swap(first, second), swap(second, first))
        assert set(answers) == {"slot_taken"}
    async with world.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Tick)) == 2 * (8 + 6)
