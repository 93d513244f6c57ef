"""The job table: asked for once, claimed by one, kept until done."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from server.db import Database
from server.jobs import cancel, enqueue, load_job, reschedule
from server.jobs.claim import ATTEMPTS_MAX, LEASE, backoff, claim, finish, is_due, put_back, renew
from server.jobs.models import Job

NOW = datetime(2026, 3, 16, 9, 0, tzinfo=UTC)
KINDS = {"film"}


async def ask(database: Database, subject: str = "s", due_at: datetime = NOW) -> None:
    async with database.writing() as session:
        await enqueue(session, "film", subject, due_at)


async def take(database: Database, owner: str, now: datetime = NOW) -> Job | None:
    async with database.writing() as session:
        return await claim(session, KINDS, owner, now)


async def stored(database: Database) -> list[Job]:
    async with database.reading() as session:
        return list((await session.scalars(select(Job).order_by(Job.created_at))).all())


async def test_work_asked_for_twice_is_one_job(database: Database) -> None:
    await ask(database)
    await ask(database)
    assert len(await stored(database)) == 1


async def test_work_asked_for_while_it_runs_runs_again(database: Database) -> None:
    await ask(database)
    job = await take(database, "a")
    assert job is not None
    await ask(database)
    async with database.writing() as session:
        await finish(session, job.id, "a", NOW)
    again = await take(database, "a")
    assert again is not None
    assert again.id == job.id
    async with database.writing() as session:
        await finish(session, job.id, "a", NOW)
    assert await take(database, "a") is None


async def test_done_work_can_be_asked_for_anew(database: Database) -> None:
    await ask(database)
    job = await take(database, "a")
    assert job is not None
    async with database.writing() as session:
        await finish(session, job.id, "a", NOW)
    await ask(database)
    assert len(await stored(database)) == 2


async def test_each_job_goes_to_one_of_many_workers(database: Database, database_url: str) -> None:
    for n in range(12):
        await ask(database, f"s{n}")
    others = [Database(database_url) for _ in range(3)]
    claimed: list[str] = []

    async def work(mine: Database, owner: str) -> None:
        while (job := await take(mine, owner)) is not None:
            claimed.append(job.subject)

    await asyncio.gather(*(work(each, f"w{n}") for n, each in enumerate([database, *others])))
    assert sorted(claimed) == sorted(f"s{n}" for n in range(12))
    for each in others:
        await each.close()


async def test_work_waits_until_it_is_due(database: Database) -> None:
    await ask(database, due_at=NOW + timedelta(minutes=1))
    async with database.reading() as session:
        assert not await is_due(session, KINDS, NOW)
    assert await take(database, "a") is None
    assert await take(database, "a", NOW + timedelta(minutes=1)) is not None


async def test_kinds_nobody_here_handles_are_left_alone(database: Database) -> None:
    async with database.writing() as session:
        await enqueue(session, "other", "s", NOW)
    assert await take(database, "a") is None


async def test_a_lost_lease_goes_to_the_next_worker_and_the_first_can_do_no_more(database: Database) -> None:
    await ask(database)
    job = await take(database, "a")
    assert job is not None
    late = NOW + LEASE + timedelta(seconds=1)
    assert await take(database, "b") is None
    assert await take(database, "b", late) is not None
    async with database.writing() as session:
        assert not await renew(session, job.id, "a", late)
        await finish(session, job.id, "a", late)
    assert (await stored(database))[0].finished_at is None
    async with database.writing() as session:
        assert await renew(session, job.id, "b", late)


async def test_failed_work_comes_back_later_and_later(database: Database) -> None:
    await ask(database)
    job = await take(database, "a")
    assert job is not None
    async with database.writing() as session:
        await put_back(session, job.id, "a", NOW + backoff(1), "unreachable")
    assert await take(database, "a") is None
    again = await take(database, "a", NOW + backoff(1))
    assert again is not None
    assert (again.attempts, again.error) == (2, "unreachable")


async def test_an_attempt_cut_off_by_the_process_does_not_count(database: Database) -> None:
    await ask(database)
    job = await take(database, "a")
    assert job is not None
    async with database.writing() as session:
        await put_back(session, job.id, "a", NOW)
    again = await take(database, "a")
    assert again is not None
    assert again.attempts == 1


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 5), (2, 10), (3, 20), (ATTEMPTS_MAX, 640), (40, 3600)])
def test_backoff_doubles_up_to_an_hour(attempts: int, seconds: int) -> None:
    assert backoff(attempts) == timedelta(seconds=seconds)


async def test_rescheduled_work_is_due_at_the_new_time(database: Database) -> None:
    for due_at in (NOW, NOW + timedelta(hours=1)):
        async with database.writing() as session:
            await reschedule(session, "film", "s", due_at, clinic_id="c")
    assert await take(database, "a") is None
    assert await take(database, "a", NOW + timedelta(hours=1)) is not None


async def test_cancelled_work_does_not_run(database: Database) -> None:
    await ask(database)
    async with database.writing() as session:
        await cancel(session, "film", "s", NOW)
    assert await take(database, "a") is None


async def test_cancelling_tells_the_worker_at_its_next_renewal(database: Database) -> None:
    await ask(database)
    job = await take(database, "a")
    assert job is not None
    async with database.writing() as session:
        await cancel(session, "film", "s", NOW)
    async with database.writing() as session:
        assert not await renew(session, job.id, "a", NOW)


async def test_the_newest_job_tells_how_far_it_is(database: Database) -> None:
    await ask(database)
    async with database.reading() as session:
        assert await load_job(session, "film", "absent") is None
        job = await load_job(session, "film", "s")
    assert job is not None
    assert job.progress == 0.0
