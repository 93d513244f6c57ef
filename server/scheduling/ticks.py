"""Taking and freeing five-minute ticks: the one place where double booking is impossible.

Everything happens in the caller's transaction, by explicit statements: first what frees, then all new ticks sorted in
one insert. Who needs which ticks is decided in `service.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import delete, or_
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from server.db import Database, plain
from server.errors import DomainError
from server.scheduling import statements
from server.scheduling.models import Tick
from server.scheduling.slots import ticks_between
from signaling.words import Code

T = TypeVar("T")
TRIES = 3
_DEADLOCK = "40P01"


@dataclass(frozen=True, slots=True)
class Owner:
    """What ticks belong to: an appointment or a hold of one clinic."""

    clinic_id: str
    appointment_id: str | None = None
    hold_id: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one person's time."""

    person_id: str
    starts_at: datetime
    ends_at: datetime


async def take(session: AsyncSession, owner: Owner, spans: Iterable[Span], now: datetime) -> None:
    """Gives these stretches to `owner`: all or, with slot_taken, none. Frees expired holds in the way first."""
    wanted = sorted({(span.person_id, tick) for span in spans for tick in ticks_between(span.starts_at, span.ends_at)})
    if not wanted:
        return
    await _drop_expired(session, wanted, now)
    values: dict[str, str | int | None] = {
        "clinic": owner.clinic_id,
        "appointment": owner.appointment_id,
        "hold": owner.hold_id,
    }
    for n, (person_id, tick) in enumerate(wanted):
        values[f"person{n}"], values[f"tick{n}"] = person_id, tick
    try:
        await (await plain(session)).execute(statements.insert_ticks(len(wanted)), values)
    except IntegrityError as error:
        if is_violation_of(error, "pk_tick", "tick.person_id"):
            raise taken() from None
        raise


async def free(session: AsyncSession, owner: Owner) -> None:
    """Deletes the ticks of one appointment or hold."""
    mine = Tick.appointment_id == owner.appointment_id if owner.appointment_id else Tick.hold_id == owner.hold_id
    await session.execute(
        delete(Tick).where(Tick.clinic_id == owner.clinic_id, mine).execution_options(synchronize_session=False)
    )


async def load_busy(
    session: AsyncSession,
    person_ids: Collection[str],
    span: tuple[datetime, datetime],
    now: datetime,
    *,
    ignore: Collection[Owner] = (),
) -> dict[str, set[int]]:
    """The taken ticks of each person in the span, without expired holds and without those of `ignore`."""
    await session.flush()  # plain tables: what the session still holds back must be seen
    reach = ticks_between(*span)
    asked = {"people": list(person_ids), "first": reach.start, "end": reach.stop, "now": now}
    query = statements.BUSY
    for owner in ignore:
        column, value = (
            (Tick.appointment_id, owner.appointment_id) if owner.appointment_id else (Tick.hold_id, owner.hold_id)
        )
        query = query.where(or_(column.is_(None), column != value))
    busy: dict[str, set[int]] = {person_id: set() for person_id in person_ids}
    for person_id, joined in await (await plain(session)).execute(query, asked):
        busy[person_id] = set(map(int, joined.split()))
    return busy


async def in_transaction(database: Database, act: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Runs `act` in one write transaction; a deadlock and a lost race of one idempotency key are tried again twice."""
    for _ in range(TRIES - 1):
        try:
            return await _once(database, act)
        except DBAPIError as error:
            if not _is_worth_another_try(error):
                raise
    return await _once(database, act)


def taken() -> DomainError:
    return DomainError(Code.SLOT_TAKEN, "Somebody has just taken this time. Nothing was booked; choose another.")


def is_violation_of(error: IntegrityError, constraint: str, columns: str) -> bool:
    """PostgreSQL names the constraint, SQLite its columns."""
    words = str(error.orig)
    return constraint in words or columns in words


async def _once(database: Database, act: Callable[[AsyncSession], Awaitable[T]]) -> T:
    try:
        async with database.writing() as session:
            return await act(session)
    except OperationalError as error:
        if "database is locked" in str(error.orig):
            raise DomainError(Code.UNAVAILABLE, "The clinic's server is very busy. Please try again.") from error
        raise


def _is_worth_another_try(error: DBAPIError) -> bool:
    if isinstance(error, IntegrityError):
        return is_violation_of(error, "idempotency_key", "idempotency_key")
    return getattr(error.orig, "sqlstate", None) == _DEADLOCK


async def _drop_expired(session: AsyncSession, wanted: list[tuple[str, int]], now: datetime) -> None:
    ticks = [tick for _, tick in wanted]
    people = sorted({person_id for person_id, _ in wanted})
    asked = {"people": people, "first": min(ticks), "end": max(ticks) + 1, "now": now}
    await (await plain(session)).execute(statements.DROP_EXPIRED, asked)
