"""The visits' tests all begin with the same cast, before the database alone or before the whole application."""

from __future__ import annotations

import pytest

from server.config import Settings
from server.db import Database
from server.vault import Vault
from tests.server.cast import OpenApp
from tests.server.encounters.recorded import Recorded, make_recorded
from tests.server.visits import House, VisitCast, make_visit_cast


@pytest.fixture
async def cast(database: Database, vault: Vault) -> VisitCast:
    return await make_visit_cast(database, vault)


@pytest.fixture
async def house(sqlite_database: Database, vault: Vault, settings: Settings, open_app: OpenApp) -> House:
    """The application with the cast in it, on SQLite."""
    made = await make_visit_cast(sqlite_database, vault)
    return House(await open_app(made.clock), settings, sqlite_database, made.clock, made)


@pytest.fixture
async def recorded(house: House) -> Recorded:
    """A visit in which everybody said yes, recording for the first segment."""
    return await make_recorded(house)
