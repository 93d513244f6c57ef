"""The loop: runs what is due, writes down how it went, ends when told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import select, update

from server.config import Settings
from server.db import Database
from server.jobs import Handlers, JobContext, JobFailed, OrElse, enqueue
from server.jobs.claim import ATTEMPTS_MAX
from server.jobs.loop import JobsLoop
from server.jobs.models import Job
from server.vault import Vault
from tests.server.cast import Clock

Handler = Callable[[JobContext], Awaitable[None]]


@dataclass
class Bench:
    """A loop over one database and a clock the test sets."""

    database: Database
    settings: Settings
    vault: Vault
    clock: Clock

    def loop(self, handler: Handler | None = None, standing: Handlers | None = None) -> JobsLoop:
        handlers = {"film": handler} if handler else {}
        return JobsLoop(
            self.database, self.settings, self.vault, self.clock, handlers, standing or {}, slots=1, poll_s=0.01
        )

    async def ask(self, subject: str = "s") -> None:
        async with self.database.writing() as session:
            await enqueue(session, "film", subject, self.clock(), clinic_id="c")

    async def job(self) -> Job:
        async with self.database.reading() as session:
            return (await session.scalars(select(Job))).one()


@pytest.fixture
def bench(database: Database, settings: Settings, vault: Vault) -> Bench:
    return Bench(database, settings, vault, Clock())


async def test_due_work_is_run_once_and_noted_as_done(bench: Bench) -> None:
    seen: list[tuple[str, str | None, int]] = []

    async def handler(context: JobContext) -> None:
        seen.append((context.subject, context.clinic_id, context.attempt))
        await context.progress(0.5)

    await bench.ask()
    assert await bench.loop(handler).run_due() == 1
    assert await bench.loop(handler).run_due() == 0
    job = await bench.job()
    assert seen == [("s", "c", 1)]
    assert job.finished_at is not None
    assert (job.progress, job.error, job.lease_owner) == (1.0, None, None)


async def test_progress_is_written_while_it_runs(bench: Bench) -> None:
    found: list[float] = []

    async def handler(context: JobContext) -> None:
        await context.progress(0.25)
        found.append((await bench.job()).progress)

    await bench.ask()
    await bench.loop(handler).run_due()
    assert found == [0.25]


async def test_failing_work_is_tried_again_and_given_up_in_the_end(bench: Bench) -> None:
    tries = 0

    async def handler(context: JobContext) -> None:
        nonlocal tries
        tries += 1
        raise JobFailed("store_unreachable")

    await bench.ask()
    loop = bench.loop(handler)
    for _ in range(ATTEMPTS_MAX + 2):
        await loop.run_due()
        bench.clock.forward(hours=1)
    job = await bench.job()
    assert tries == ATTEMPTS_MAX
    assert job.finished_at is not None
    assert job.error == "store_unreachable"


async def test_what_cannot_be_done_at_all_is_not_tried_again(bench: Bench) -> None:
    async def handler(context: JobContext) -> None:
        raise JobFailed("log_unreadable", for_good=True)

    await bench.ask()
    await bench.loop(handler).run_due()
    job = await bench.job()
    assert job.finished_at is not None
    assert (job.error, job.attempts) == ("log_unreadable", 1)


@pytest.mark.parametrize("has_died", [False, True])
async def test_who_must_know_is_told_that_it_is_given_up_even_by_a_worker_that_only_finds_it(
    bench: Bench, has_died: bool
) -> None:
    heard: list[tuple[str, str]] = []

    async def run(context: JobContext) -> None:
        raise JobFailed("store_unreachable")

    async def given_up(context: JobContext, code: str) -> None:
        if not heard:
            heard.append((context.subject, "dies while it is told"))
            raise OSError("lost")
        heard.append((context.subject, code))

    await bench.ask()
    async with bench.database.writing() as session:
        await session.execute(update(Job).values(attempts=ATTEMPTS_MAX if has_died else ATTEMPTS_MAX - 1))
    loop = bench.loop(OrElse(run, given_up))
    with pytest.raises(OSError, match="lost"):
        await loop.run_due()
    assert (await bench.job()).finished_at is None
    bench.clock.forward(minutes=1)
    await bench.loop(OrElse(run, given_up)).run_due()
    assert heard == [("s", "dies while it is told"), ("s", "given_up")]
    assert (await bench.job()).error == "given_up"


async def test_an_unforeseen_error_is_kept_by_its_kind_never_its_words(bench: Bench) -> None:
    async def handler(context: JobContext) -> None:
        raise ValueError("Anna Müller")

    await bench.ask()
    await bench.loop(handler).run_due()
    assert (await bench.job()).error == "ValueError"


async def test_stopping_tells_the_handler_and_leaves_its_work_for_another(bench: Bench) -> None:
    started = asyncio.Event()

    async def handler(context: JobContext) -> None:
        started.set()
        while not context.cancelled():
            await context.pause(10)

    await bench.ask()
    loop = bench.loop(handler)
    running = asyncio.create_task(loop.run())
    await started.wait()
    loop.stop()
    await running
    job = await bench.job()
    assert job.finished_at is None
    assert (job.lease_owner, job.attempts) == (None, 0)


async def test_a_handler_that_does_not_listen_is_cut_off(bench: Bench) -> None:
    started = asyncio.Event()

    async def handler(context: JobContext) -> None:
        started.set()
        await asyncio.Event().wait()

    await bench.ask()
    loop = bench.loop(handler)
    loop.grace_s = 0.05
    running = asyncio.create_task(loop.run())
    await started.wait()
    loop.stop()
    await running
    assert (await bench.job()).lease_owner is None


async def test_a_standing_job_runs_on_one_process_at_a_time(bench: Bench) -> None:
    running_now: list[str] = []
    both_polled = asyncio.Event()

    def standing(owner: str) -> Handler:
        async def handler(context: JobContext) -> None:
            running_now.append(owner)
            while not context.cancelled():
                await context.pause(10)

        return handler

    loops = [bench.loop(standing={"sweep": standing(name)}) for name in ("a", "b")]
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    async with asyncio.timeout(10):
        while not (running_now and all(loop.polled_at for loop in loops)):
            await asyncio.sleep(0.01)
        both_polled.set()
    assert len(running_now) == 1
    first = 0 if running_now == ["a"] else 1
    loops[first].stop()
    await tasks[first]
    async with asyncio.timeout(10):
        while len(running_now) < 2:
            await asyncio.sleep(0.01)
    loops[1 - first].stop()
    await tasks[1 - first]
