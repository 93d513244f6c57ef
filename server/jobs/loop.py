"""The loop of `bedside jobs`: claims due work, runs its handler under a renewed lease, writes down how it went.

Standing jobs (the audit linker, sweeps) run for ever under a lease of their own, on one process at a time.
Handlers belong to the areas.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from server import logs
from server.config import Settings
from server.db import Database, new_id
from server.jobs import claim
from server.jobs.context import Handlers, JobContext, JobFailed, OrElse
from server.jobs.models import Job
from server.jobs.queue import enqueue
from server.logs import Event
from server.vault import Vault
from signaling.words import Clock

POLL_S = 1.0
RENEW_S = 4.0
PROGRESS_EVERY_S = 0.5
GRACE_S = 8.0
STANDING_SUBJECT = "all"


@dataclass
class JobsLoop:
    """One jobs process. `stop` ends it: running handlers see `cancelled()`, after `grace_s` they are cut off."""

    database: Database
    settings: Settings
    vault: Vault
    clock: Clock
    handlers: Handlers
    standing: Handlers = field(default_factory=dict)
    slots: int = 2
    poll_s: float = POLL_S
    grace_s: float = GRACE_S
    owner: str = field(default_factory=new_id)
    polled_at: float = 0.0
    """`time.monotonic()` of the last look at the table that worked."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until `stop`; raises only what no retry can help."""
        if self.standing:
            async with self.database.writing() as session:
                for kind in self.standing:
                    await enqueue(session, kind, STANDING_SUBJECT, self.clock())
        workers = [asyncio.create_task(self._work(set(self.handlers), self.handlers)) for _ in range(self.slots)]
        workers += [asyncio.create_task(self._work({kind}, self.standing)) for kind in self.standing]
        try:
            await self._stopping.wait()
            await asyncio.wait(workers, timeout=self.grace_s)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def stop(self) -> None:
        self._stopping.set()

    def is_polling(self, within_s: float = 10.0) -> bool:
        """Whether the table was reached lately: the process's readiness."""
        return not self._stopping.is_set() and time.monotonic() - self.polled_at < within_s

    async def run_due(self) -> int:
        """Runs what is due now, one after the other, and answers how many; for tests and one-off commands."""
        done = 0
        while await self._step(set(self.handlers), self.handlers):
            done += 1
        return done

    async def _work(self, kinds: Collection[str], handlers: Handlers) -> None:
        while not self._stopping.is_set():
            try:
                busy = await self._step(kinds, handlers)
            except Exception as error:
                logs.log_error(Event.JOBS_LOOP_FAILED, error)
                busy = False
            if not busy:
                await self._pause(self.poll_s)

    async def _step(self, kinds: Collection[str], handlers: Handlers) -> bool:
        """Claims and runs one job; False when nothing is due."""
        async with self.database.reading() as session:
            due = bool(kinds) and await claim.is_due(session, kinds, self.clock())
        self.polled_at = time.monotonic()
        if not due:
            return False
        async with self.database.writing() as session:
            job = await claim.claim(session, kinds, self.owner, self.clock())
        if job is None:
            return False
        await self._run(job, handlers)
        return True

    async def _run(self, job: Job, handlers: Handlers) -> None:
        if job.cancelled:
            await self._finish(job, "cancelled")
            return
        run = _Run(self, job)
        if job.attempts > claim.ATTEMPTS_MAX and job.kind not in self.standing:
            await self._give_up(job, run, handlers, claim.GIVEN_UP)
            return
        renewing = asyncio.create_task(run.keep_lease())
        try:
            await handlers[job.kind](run.context())
        except asyncio.CancelledError:
            await self._put_back(job, None)
            raise
        except Exception as error:
            await self._failed(job, run, handlers, error)
        else:
            await self._came_back(job, run)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _came_back(self, job: Job, run: _Run) -> None:
        if (self._stopping.is_set() and run.was_told) or job.kind in self.standing:
            await self._put_back(job, None)
        else:
            await self._finish(job, None)
            logs.log_info(Event.JOB_DONE, kind=job.kind, subject=job.subject, attempt=job.attempts)

    async def _failed(self, job: Job, run: _Run, handlers: Handlers, error: Exception) -> None:
        code = error.code if isinstance(error, JobFailed) else type(error).__name__
        for_good = isinstance(error, JobFailed) and error.for_good
        if for_good or (job.attempts >= claim.ATTEMPTS_MAX and job.kind not in self.standing):
            logs.log_error(Event.JOB_GIVEN_UP, error, kind=job.kind, subject=job.subject, code=code)
            await self._give_up(job, run, handlers, code[:64])
            return
        logs.log_error(Event.JOB_FAILED, error, kind=job.kind, subject=job.subject, attempt=job.attempts, code=code)
        await self._put_back(job, code[:64])

    async def _give_up(self, job: Job, run: _Run, handlers: Handlers, code: str) -> None:
        """Told first, finished then: a worker that dies in between leaves the telling to the next one."""
        handler = handlers[job.kind]
        if isinstance(handler, OrElse):
            await handler.given_up(run.context(), code)
        await self._finish(job, code)

    async def _finish(self, job: Job, error: str | None) -> None:
        async with self.database.writing() as session:
            await claim.finish(session, job.id, self.owner, self.clock(), error)

    async def _put_back(self, job: Job, error: str | None) -> None:
        wait = claim.backoff(job.attempts) if error else claim.backoff(1) * 0
        async with self.database.writing() as session:
            await claim.put_back(session, job.id, self.owner, self.clock() + wait, error)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


class _Run:
    """One run of one job: its lease, its progress, and whether it is still wanted."""

    def __init__(self, loop: JobsLoop, job: Job) -> None:
        self._loop, self._job = loop, job
        self._lost = False
        self._noted_at = 0.0
        self.was_told = False
        """The handler asked and heard that it should stop, so coming back doesn't mean that it is done."""

    def context(self) -> JobContext:
        loop, job = self._loop, self._job
        return JobContext(
            id=job.id,
            kind=job.kind,
            subject=job.subject,
            clinic_id=job.clinic_id,
            attempt=job.attempts,
            database=loop.database,
            settings=loop.settings,
            vault=loop.vault,
            clock=loop.clock,
            _progress=self._progress,
            _is_cancelled=self._is_cancelled,
            _pause=loop._pause,
        )

    async def keep_lease(self) -> None:
        while not self._lost:
            await asyncio.sleep(RENEW_S)
            async with self._loop.database.writing() as session:
                held = await claim.renew(session, self._job.id, self._loop.owner, self._loop.clock())
            if not held:
                self._lost = True
                logs.log_warning(Event.LEASE_LOST, kind=self._job.kind, subject=self._job.subject)

    async def _progress(self, fraction: float) -> None:
        if time.monotonic() - self._noted_at < PROGRESS_EVERY_S and fraction < 1.0:
            return
        self._noted_at = time.monotonic()
        async with self._loop.database.writing() as session:
            await claim.note_progress(session, self._job.id, self._loop.owner, fraction)

    def _is_cancelled(self) -> bool:
        told = self._lost or self._loop._stopping.is_set()
        self.was_told = self.was_told or told
        return told
