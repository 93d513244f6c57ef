"""Waiting for what has no event of its own: asked again and again, within a time that a busy machine keeps."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable


async def until(condition: Callable[[], object], within_s: float = 15.0) -> None:
    """Until `condition` (plain or a coroutine function) answers something true. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.02)
