"""Brings a database to the newest schema, forward only, and says which one it has. Revisions lie in `versions/`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from server.db import Database

FOLDER = Path(__file__).parent


async def migrate(database: Database, revision: str = "head") -> None:
    """Runs what is missing, in one transaction an engine allows (both do)."""
    async with database.engine.execution_options(bedside_write=True).begin() as connection:
        await connection.run_sync(_upgrade, revision)


async def is_current(database: Database) -> bool:
    """Whether the schema is the newest this code knows."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(_revision) == newest()


def newest() -> str | None:
    """The one head of `versions/`; two heads are a mistake and raise."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
