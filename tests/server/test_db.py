"""Sessions that state their intent: writers in line, readers over one snapshot, times always aware."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import OperationalError

from server import db
from server.accounts.models import Person
from server.db import Database, UtcDateTime, as_loaded, new_id, plain, table_of
from tests.support.postgres import PostgresCluster

NOON = datetime(2026, 3, 16, 12, 0, tzinfo=UTC)


def person(name: str) -> Person:
    return Person(id=new_id(), name=name, created_at=NOON)


async def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    elsewhere = datetime(2026, 3, 16, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    async with database.writing() as session:
        session.add(Person(id="p", name="x", created_at=elsewhere))
    async with database.reading() as session:
        stored = (await session.scalars(select(Person.created_at))).one()
    assert stored == NOON
    assert stored.tzinfo is UTC


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), None)  # type: ignore[arg-type]  # noqa: DTZ001


async def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    async def write_and_fail() -> None:
        async with database.writing() as session:
            session.add(person("x"))
            await session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write_and_fail()
    async with database.reading() as session:
        assert (await session.scalars(select(Person))).all() == []


async def test_read_then_write_counts_every_writer(sqlite_database: Database) -> None:
    """Two handles on one file, as two processes have: without BEGIN IMMEDIATE one of them reads a stale number."""
    other = Database(sqlite_database.url)
    async with sqlite_database.writing() as session:
        session.add(Person(id="counter", name="0", created_at=NOON))

    async def add_one(database: Database) -> None:
        async with database.writing() as session:
            row = await session.get_one(Person, "counter")
            await asyncio.sleep(0)
            row.name = str(int(row.name) + 1)

    await asyncio.gather(*(add_one(each) for each in (sqlite_database, other) * 10))
    async with other.reading() as session:
        assert (await session.get_one(Person, "counter")).name == "20"
    await other.close()


async def test_a_reader_sees_one_snapshot_while_a_writer_commits(sqlite_database: Database) -> None:
    async with sqlite_database.reading() as session:
        before = len((await session.scalars(select(Person))).all())
        async with sqlite_database.writing() as writer:
            writer.add(person("y"))
        assert len((await session.scalars(select(Person))).all()) == before


async def test_sqlite_is_durable_and_checks_references(sqlite_database: Database) -> None:
    async with sqlite_database.reading() as session:
        found = {name: await session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")}
        assert found == {"journal_mode": "wal", "synchronous": 2}
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1


async def test_a_second_writer_waits_and_is_told_when_it_takes_too_long(sqlite_database: Database) -> None:
    other = Database(sqlite_database.url)
    async with sqlite_database.writing() as session:
        await session.execute(text("SELECT 1"))
        async with other.engine.connect() as connection:
            await connection.exec_driver_sql("PRAGMA busy_timeout=50")
            await connection.rollback()
            impatient = await connection.execution_options(bedside_write=True)
            with pytest.raises(OperationalError, match="locked"):
                await impatient.execute(text("SELECT 1"))
    await other.close()


async def test_a_glance_reads_what_is_committed_and_holds_nothing_open(database: Database) -> None:
    async with database.writing() as session:
        session.add(person("x"))
    async with database.glancing() as connection:
        assert (await connection.execute(select(Person.name))).all() == [("x",)]
        async with database.writing() as session:
            session.add(person("y"))
        assert len((await connection.execute(select(Person.name))).all()) == 2, "no snapshot is held"


ROW = {"name": "x", "email": None, "password_hash": None, "is_seeded": False, "created_at": NOON}


async def test_an_object_from_a_plain_insert_is_as_one_that_was_read(database: Database) -> None:
    row = {**ROW, "id": "p"}
    async with database.writing() as session:
        await session.execute(insert(table_of(Person)), row)
        kept = as_loaded(session, Person, row)
        assert kept in session
        assert not session.dirty
        kept.name = "y"
    async with database.reading() as session:
        assert (await session.get_one(Person, "p")).name == "y"


async def test_the_plain_connection_is_the_transactions_own_also_of_a_later_one(database: Database) -> None:
    async with database.writing() as session:
        await (await plain(session)).execute(insert(table_of(Person)), {**ROW, "id": "p"})
        assert (await session.get_one(Person, "p")).name == "x"
    async with database.reading() as session:
        first = await plain(session)
        assert await plain(session) is first
        assert list(await first.scalars(select(Person.id))) == ["p"]
        await session.rollback()
        assert list(await (await plain(session)).scalars(select(Person.id))) == ["p"]


async def test_an_object_made_without_every_column_is_refused(database: Database) -> None:
    async with database.reading() as session:
        with pytest.raises(TypeError, match="password_hash"):
            as_loaded(session, Person, {key: ROW[key] for key in ROW if key != "password_hash"} | {"id": "q"})


@pytest.mark.database
@pytest.mark.parametrize("ping_after_s", [db.PING_AFTER_S, -1.0], ids=["busy", "rested"])
async def test_a_connection_that_the_server_ended_is_not_handed_out(
    cluster: PostgresCluster, monkeypatch: pytest.MonkeyPatch, ping_after_s: float
) -> None:
    monkeypatch.setattr(db, "PING_AFTER_S", ping_after_s)
    url = cluster.create(f"t_{new_id().replace('-', '')}")
    database, other = Database(url, pool_size=1), Database(url, pool_size=1)
    async with database.glancing() as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
        driver: Any = (await connection.get_raw_connection()).driver_connection
    async with other.glancing() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    while ping_after_s > 0 and not driver.is_closed():
        await asyncio.sleep(0.01)
    async with database.reading() as session:
        assert await session.scalar(text("SELECT pg_backend_pid()")) != pid
    await database.close()
    await other.close()
