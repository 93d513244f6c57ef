"""The notes' tests all begin with the same cast, before the database alone or before the whole application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.config import Settings
from server.db import Database
from tests.server.clinic_cast import Cast, House, make_cast, open_house


@pytest.fixture
async def cast(database: Database, tmp_path: Path) -> Cast:
    return await make_cast(database, tmp_path)


@pytest.fixture
async def house(sqlite_database: Database, settings: Settings, tmp_path: Path) -> AsyncIterator[House]:
    """The application with the cast in it, on SQLite."""
    async with open_house(await make_cast(sqlite_database, tmp_path), settings) as opened:
        yield opened
