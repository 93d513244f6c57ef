"""The database on both engines: sessions that state their intent, one base class, the column types.

`reading()` sees one snapshot; `writing()` takes the write lock at once (SQLite: BEGIN IMMEDIATE, one writer a process)
and commits when its block ends. No network or file I/O belongs inside `writing()`. What a row means is for the areas.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import copy
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from sqlalchemy import DateTime, Dialect, MetaData, String, Table, TypeDecorator, event, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, make_transient_to_detached
from sqlalchemy.orm.attributes import instance_dict
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON", "secure_delete=ON")
"""Deleted rows are overwritten: a destroyed key is not to be found in the file's free pages."""

Id = String(36)
"""An opaque UUIDv4 in its text form; order by time columns, never by id."""


def new_id() -> str:
    return str(uuid.uuid4())


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC, in and out, on both engines; a naive one is a mistake and raises ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone reached the database")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Mapped = TypeVar("Mapped", bound="Base")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map = {datetime: UtcDateTime()}  # noqa: RUF012 (SQLAlchemy's own hook)


def table_of(model: type[Base]) -> Table:
    """The plain table of a model, for the statements that are said so often that mapping rows would be felt."""
    return cast("Table", model.__table__)


def as_loaded(session: AsyncSession, model: type[Mapped], row: Mapping[str, Any]) -> Mapped:
    """An object whose row a plain statement has just inserted, with every column set, as if the session had read it.

    Filled in at once: setting each column through the mapping would be felt where many are booked.
    """
    mapper = inspect(model)
    if missing := set(mapper.column_attrs.keys()).difference(row):
        raise TypeError(f"not set: {', '.join(sorted(missing))}")
    made = cast("Mapped", mapper.class_manager.new_instance())
    instance_dict(made).update(row)
    make_transient_to_detached(made)
    session.add(made)
    return made


async def plain(session: AsyncSession) -> AsyncConnection:
    """The connection of a session's transaction, for statements on plain tables that are said so often that what a
    session asks itself before each would be felt. They flush nothing: whoever holds something back flushes first."""
    found: AsyncConnection | None = session.info.get(_PLAIN)
    if found is None or found.closed:
        found = session.info[_PLAIN] = await session.connection()
    return found


_PLAIN = "bedside_plain"
PING_AFTER_S = 1.0
"""A pooled connection that rested longer is asked whether it still lives before it is used."""


class Database:
    """One engine and the two ways to use it."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self._is_kept = True
        self.is_sqlite = url.startswith("sqlite")
        self._write_lock = asyncio.Lock()
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgresql_engine(url, pool_size)
        reads = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._readers = async_sessionmaker(self.engine.execution_options(**reads), expire_on_commit=False)
        looks = {"bedside_bare": True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._looking = self.engine.execution_options(**looks)
        self._writers = async_sessionmaker(self.engine.execution_options(bedside_write=True), expire_on_commit=False)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads, over one snapshot."""
        async with self._readers() as session:
            yield session

    @asynccontextmanager
    async def glancing(self) -> AsyncIterator[AsyncConnection]:
        """A connection for one statement that reads, with no transaction around it: the cheapest look there is."""
        async with self._looking.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        if not self.is_sqlite:
            async with self._writers.begin() as session:
                yield session
                await self._end(session)
            return
        async with self._write_lock, self._writers.begin() as session:
            yield session
            await self._end(session)

    async def _end(self, session: AsyncSession) -> None:
        if not self._is_kept:
            await session.flush()
            session.expunge_all()  # what was loaded stays readable, as after a commit
            await session.rollback()

    def unkept(self) -> Database:
        """The same database, where nothing that `writing()` did is kept: for looking as somebody who acts would."""
        same = copy(self)
        same._is_kept = False
        return same

    async def close(self) -> None:
        await self.engine.dispose()


def _postgresql_engine(url: str, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=pool_size, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "checkin")
    def note(connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def look_after(connection: Any, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        """A ping is three round trips: only one that rested is asked; of a busy one the driver knows when it went."""
        idle_s = time.monotonic() - record.info.get("idle_since", math.inf)
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        if idle_s > PING_AFTER_S:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise InvalidatePoolError from error

    return engine


def _sqlite_engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url, connect_args={"timeout": 5.0}, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("bedside_bare", False):
            connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("bedside_write", False) else "BEGIN")

    return engine
