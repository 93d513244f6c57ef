"""The schema is reached from nothing, is what the models say, and keeps its append-only tables."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection

from server import app
from server.db import Base, Database
from server.migrations import is_current, migrate


async def test_a_migrated_database_is_current(database: Database) -> None:
    assert await is_current(database)


async def test_migrating_again_changes_nothing(database: Database) -> None:
    await migrate(database)
    assert await is_current(database)


async def test_the_schema_is_what_the_models_say(database: Database) -> None:
    app.load_models()
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_an_empty_database_is_not_current(tmp_path: pytest.TempPathFactory) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
    assert not await is_current(database)
    await database.close()


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))
