"""The visits' tests all begin with the same cast."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.db import Database
from tests.server.clinic_cast import Cast, make_cast


@pytest.fixture
async def cast(database: Database, tmp_path: Path) -> Cast:
    return await make_cast(database, tmp_path)
