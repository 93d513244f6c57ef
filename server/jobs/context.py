"""What a job's handler is given. The loop makes it, renews its lease and writes down how it went."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from server.config import Settings
from server.db import Database
from server.vault import Vault
from signaling.words import Clock


class JobFailed(Exception):  # noqa: N818 — a verdict, not a defect
    """The work cannot be done: now (it is tried again, later each time) or, `for_good`, at all."""

    def __init__(self, code: str, *, for_good: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class JobContext:
    """One run of one job. Handlers are idempotent: a job whose worker died runs once more elsewhere."""

    id: str
    kind: str
    subject: str
    clinic_id: str | None
    attempt: int
    database: Database
    settings: Settings
    vault: Vault
    clock: Clock
    _progress: Callable[[float], Awaitable[None]]
    _is_cancelled: Callable[[], bool]
    _pause: Callable[[float], Awaitable[None]]

    def now(self) -> datetime:
        return self.clock()

    async def progress(self, fraction: float) -> None:
        """Notes how far it is, 0 … 1; cheap enough to call often (written at most twice a second)."""
        await self._progress(fraction)

    def cancelled(self) -> bool:
        """True once the work is no longer wanted, its lease was lost, or the process ends: stop at a clean place."""
        return self._is_cancelled()

    async def pause(self, seconds: float) -> None:
        """Waits, and comes back early once `cancelled`; for standing jobs."""
        await self._pause(seconds)


Handler = Callable[[JobContext], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class OrElse:
    """A handler whose area must know when its work is given up: then `given_up` is told the code, at least once."""

    run: Handler
    given_up: Callable[[JobContext, str], Awaitable[None]]

    async def __call__(self, job: JobContext) -> None:
        await self.run(job)


Handlers = Mapping[str, Handler]
