"""The schema is reached from nothing, is what the models say, and keeps its append-only tables."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from server import app
from server.accounts import seed as accounts_seed
from server.accounts.models import Patient
from server.db import Base, Database
from server.migrations import is_current, migrate
from tests.server.cast import NOW


async def test_a_migrated_database_is_current(database: Database) -> None:
    assert await is_current(database)


async def test_migrating_again_changes_nothing(database: Database) -> None:
    await migrate(database)
    assert await is_current(database)


async def test_the_schema_is_what_the_models_say(database: Database) -> None:
    app.load_models()
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.database)])
async def test_a_filled_schema_is_brought_forward_with_everything_in_it(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    """From the first revision, filled, to the newest: nobody is lost and triggers stand."""
    name = f"f_{uuid.uuid4().hex}"
    url = f"sqlite+aiosqlite:///{tmp_path}/filled.db"
    if engine == "postgresql":
        url = request.getfixturevalue("cluster").create(name)
    database = Database(url)
    await migrate(database, "0001")
    async with database.writing() as session:
        people = await accounts_seed.seed(session, NOW)
    await migrate(database)
    assert await is_current(database)
    async with database.reading() as session:
        assert len((await session.scalars(select(Patient))).all()) == len(people.patients)
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.writing() as session:
            await session.execute(text("DELETE FROM audit_entry"))
    await database.close()


async def test_an_empty_database_is_not_current(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
    assert not await is_current(database)
    await database.close()


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))
