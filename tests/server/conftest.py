"""Database engines, the real application and the cast for the server's tests.

`database` runs a test on SQLite and on a real PostgreSQL (one cluster a run, a copy of a template a test).
`site` is the whole application of one server process behind an HTTP client of each member of the cast.
"""

from __future__ import annotations

import asyncio
import io
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from pytest_aiohttp.plugin import AiohttpClient

from server import logs
from server.app import Parts, build_app
from server.config import Settings, load_settings
from server.db import Database
from server.migrations import migrate
from server.pages import Pages, load_pages
from server.vault import Vault, new_keyset
from tests.server.cast import Client, Clock, OpenApp, Site, add_cast
from tests.support.postgres import PostgresCluster, postgres_cluster

TEMPLATE = "bedside_template"


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresCluster]:
    """One PostgreSQL a run, on a free port of loopback, with a migrated template database."""
    with postgres_cluster() as running:
        asyncio.run(_migrate(running.create(TEMPLATE)))
        yield running


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.database)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty, migrated database, on each engine."""
    if request.param == "sqlite":
        path = tmp_path / "bedside.db"
        path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        yield f"sqlite+aiosqlite:///{path}"
        return
    running: PostgresCluster = request.getfixturevalue("cluster")
    name = f"t_{uuid.uuid4().hex}"
    yield running.create(name, TEMPLATE)
    running.drop(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An empty, migrated database, on each engine."""
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_database(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """For what doesn't depend on the engine."""
    path = tmp_path / "only.db"
    path.write_bytes(sqlite_template.read_bytes())
    opened = Database(f"sqlite+aiosqlite:///{path}")
    yield opened
    await opened.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Development, everything under the test's own folder."""
    return load_settings({"BEDSIDE_ENV": "development", "BEDSIDE_VAR": str(tmp_path / "var")})


@pytest.fixture(scope="session")
def keyset() -> str:
    return new_keyset()


@pytest.fixture
def vault(tmp_path: Path, keyset: str) -> Vault:
    return Vault(tmp_path / "keysets", keyset)


@pytest.fixture(scope="session")
def pages() -> Pages:
    """Read and compiled once a run: templates don't change under a test."""
    return load_pages()


@pytest.fixture
def open_app(
    sqlite_database: Database, settings: Settings, vault: Vault, pages: Pages, aiohttp_client: AiohttpClient
) -> OpenApp:
    """Opens the whole application over the test's database, by the clock it is given."""

    async def open_one(clock: Clock, **changed: object) -> Client:
        changed_settings = settings.model_copy(update=changed)
        return await aiohttp_client(await build_app(Parts(changed_settings, sqlite_database, vault, clock, pages)))

    return open_one


@pytest.fixture
async def site(sqlite_database: Database, settings: Settings, open_app: OpenApp) -> Site:
    """The application with the cast in it, on SQLite."""
    clock = Clock()
    async with sqlite_database.writing() as session:
        cast = await add_cast(session)
    return Site(await open_app(clock), settings, sqlite_database, clock, cast)


async def _migrate(url: str) -> None:
    database = Database(url)
    await migrate(database)
    await database.close()


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """The log of a process, read back; the test run's own logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    target = io.StringIO()
    logs.configure_logs("server", target)
    yield target
    structlog.configure(**config)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
