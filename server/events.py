"""Domain events: how an earlier area tells later ones what happened, in the same transaction.

Handlers are registered in `app.py`. An event is a frozen dataclass of the area that raises it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

E = TypeVar("E")
Handler = Callable[[AsyncSession, E], Awaitable[None]]


class Events:
    """The register of one application; a handler that raises undoes the act it was told of."""

    def __init__(self) -> None:
        self._handlers: dict[type[Any], list[Handler[Any]]] = defaultdict(list)

    def on(self, kind: type[E], handler: Handler[E]) -> None:
        self._handlers[kind].append(handler)

    async def raise_event(self, session: AsyncSession, event: object) -> None:
        """Runs every handler of this kind of event, in the order of registration, in `session`."""
        for handler in self._handlers[type(event)]:
            await handler(session, event)
