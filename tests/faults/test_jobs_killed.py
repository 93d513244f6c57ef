"""`bedside jobs` is killed in the middle of a film (C123): the next process goes on where it was."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server import keys
from server.config import Settings, load_settings
from server.db import Database
from tests.server.encounters.recorded import APART_S, SECONDS, Recorded, make_recorded
from tests.server.visits import VisitCast, make_visit_cast
from tests.support.bedside import BIN, clean_environment, is_ready
from tests.support.processes import Program, free_port, wait_until

pytestmark = pytest.mark.timeout(240)

SEGMENTS = 10
"""The film is longer than one of its parts; most of it is the card between two segments, which is quickly made."""


@dataclass
class Installation:
    """A folder with a migrated database and a visit in it, for real processes to work on."""

    folder: Path
    environment: dict[str, str]
    settings: Settings
    cast: VisitCast

    def start_jobs(self, name: str) -> Program:
        port = free_port()
        environment = {**self.environment, "BEDSIDE_JOBS_PORT": str(port)}
        log = self.folder / f"{name}.log"
        program = Program([BIN / "bedside", "jobs"], log=log, env=environment, cwd=self.folder)
        program.wait_ready(lambda: is_ready(f"http://127.0.0.1:{port}"), 40)
        return program

    def parts(self) -> int:
        """How many parts of the film are kept."""
        with sqlite3.connect(self.settings.var / "bedside.db", timeout=10) as connection:
            parts = connection.execute("SELECT parts FROM film").fetchone()[0]
        return len(json.loads(parts)["kept"]) if parts else 0

    def film_state(self) -> str:
        with sqlite3.connect(self.settings.var / "bedside.db", timeout=10) as connection:
            return str(connection.execute("SELECT state FROM film").fetchone()[0])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    given = {"BEDSIDE_ENV": "development", "BEDSIDE_VAR": str(tmp_path / "var")}
    environment = {**clean_environment(), **given}
    migrate = Program([BIN / "bedside", "migrate"], log=tmp_path / "migrate.log", env=environment, cwd=tmp_path)
    assert migrate.wait(60) == 0, migrate.output()
    settings = load_settings(given)
    database = Database(settings.database)
    cast = await make_visit_cast(database, keys.open_vault(settings))
    cast.clock.now = datetime.now(UTC)
    yield Installation(tmp_path, environment, settings, cast)
    await database.close()


@pytest.fixture
async def recorded(house: Installation) -> Recorded:
    return await make_recorded(house)  # type: ignore[arg-type]  # of a house it needs the cast and the settings


async def test_a_film_whose_maker_was_killed_is_gone_on_with_by_the_next(
    house: Installation, recorded: Recorded, tmp_path: Path
) -> None:
    for segment in (1, SEGMENTS):
        await recorded.store_log(tmp_path, segment)
    await recorded.stop()
    first = house.start_jobs("first")
    wait_until(lambda: house.parts() > 0, 90, "a part of the film is kept", every_s=0.02)
    first.send(signal.SIGKILL)
    first.wait()
    assert house.film_state() == "composing"
    assert not any(b"ftyp" in one.read_bytes() for one in (house.settings.var / "recordings").rglob("*.part"))

    second = house.start_jobs("second")
    try:
        wait_until(lambda: house.film_state() == "ready", 90, "the film is made")
    finally:
        assert second.stop() == 0, second.output()
    assert '"film_resumed"' in second.output()
    film = await recorded.film()
    assert film.duration_s == pytest.approx((SEGMENTS - 1) * APART_S + SECONDS, abs=0.5)
    assert json.loads(film.report or "")["passed"]
    assert list((house.settings.var / "recordings").rglob("*.part")) == []
    assert list((house.settings.var / "run").glob("film-*")) == []
