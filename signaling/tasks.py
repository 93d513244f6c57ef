"""The owner of background work: nothing runs that is not awaited at the end, and nothing fails unheard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from signaling.logs import Happening, log_error


class TaskOwner:
    """`spawn` for work that ends by itself, `repeat` for loops; `close` cancels and awaits all of it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guard(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def repeat(self, work: Callable[[], Awaitable[None]], every_s: float, name: str) -> None:
        """Runs `work` again and again, `every_s` apart; a failure is logged and the next turn comes."""
        self.spawn(self._loop(work, every_s, name), name)

    async def close(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _loop(self, work: Callable[[], Awaitable[None]], every_s: float, name: str) -> None:
        while True:
            await self._guard(work(), name)
            await asyncio.sleep(every_s)

    async def _guard(self, work: Awaitable[None], name: str) -> None:
        try:
            await work
        except Exception as error:  # the edge of a task: logged, never lost
            log_error(Happening.TASK_FAILED, task=name, code=type(error).__name__)
