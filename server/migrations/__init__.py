"""Brings a database to the newest schema, forward only, and says which one it has. Revisions lie in `versions/`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from server.db import Database

FOLDER = Path(__file__).parent
OLD = "the database's schema is not the newest: run `bedside migrate`"


async def migrate(database: Database, revision: str = "head") -> None:
    """Runs what is missing, in one transaction an engine allows (both do)."""
    async with database.engine.execution_options(bedside_write=True).begin() as connection:
        await connection.run_sync(_upgrade, revision)


async def is_current(database: Database) -> bool:
    """Whether the schema is the newest this code knows."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(_revision) == newest()


async def why_not_ready(database: Database, *, may_be_old: bool = False) -> str | None:
    """In one line, why nothing can be done with this database; None when it answers and has the newest schema."""
    file = database.engine.url.database if database.is_sqlite else None
    try:
        if file and not _open(file, may_be_made=may_be_old):
            return OLD
        ready = await is_current(database) or may_be_old
    except Exception as error:  # an engine's driver raises its own kinds for no host, no password, no file
        return f"the database cannot be reached ({type(error).__name__})"
    return None if ready else OLD


def _open(file: str, *, may_be_made: bool) -> bool:
    """Whether it is there. Raises where SQLite can't open it: its asynchronous driver leaves a complaining thread."""
    if not may_be_made and not Path(file).exists():
        return False
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA schema_version")
    return True


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
