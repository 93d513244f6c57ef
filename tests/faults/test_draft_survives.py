"""The server is killed in mid-sentence: every word it acknowledged is there, and what the tab kept is taken after."""

from __future__ import annotations

import asyncio
import random
import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server import keys
from server.config import load_settings
from server.db import Database
from tests.server.visits import VisitCast, make_visit_cast
from tests.support.bedside import BIN, clean_environment, is_ready
from tests.support.processes import Program, free_port

KILLS = 2
WORDS_FIRST = 8
pytestmark = pytest.mark.timeout(180)


@dataclass
class Tab:
    """The doctor's page as far as the note goes: one request in flight, and the text kept until it is acknowledged."""

    url: str
    headers: dict[str, str]
    text: str = ""
    saved: str = ""
    revision: int = 0
    typed: int = 0
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)

    def type_word(self) -> None:
        self.typed += 1
        self.text += f"word{self.typed} "

    async def save(self, http: aiohttp.ClientSession) -> bool:
        sent = self.text.strip()
        headers = {**self.headers, "If-Match": str(self.revision)}
        try:
            async with http.put(f"{self.url}/draft", json={"text": sent}, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                self.revision = (await answer.json())["revision"]
        except aiohttp.ClientError:
            return False
        self.saved = sent
        return True

    async def type_until_the_server_is_gone(self, http: aiohttp.ClientSession) -> None:
        for n in range(10_000):
            self.type_word()
            if not await self.save(http):
                self.type_word()  # they go on typing
                return
            if n == WORDS_FIRST:
                self.acknowledged.set()

    async def held(self, http: aiohttp.ClientSession) -> dict[str, Any]:
        async with http.get(self.url, headers=self.headers) as answer:
            assert answer.status == 200
            return await answer.json()  # type: ignore[no-any-return]


async def made_visit(environment: dict[str, str], folder: Path) -> tuple[VisitCast, dict[str, str]]:
    migrate = Program([BIN / "bedside", "migrate"], log=folder / "migrate.log", env=environment, cwd=folder)
    assert migrate.wait(60) == 0, migrate.output()
    settings = load_settings({name: value for name, value in environment.items() if name.startswith("BEDSIDE_")})
    database = Database(settings.database)
    try:
        cast = await make_visit_cast(database, keys.open_vault(settings))
        cast.clock.now = datetime.now(UTC)
        return cast, await cast.staff_cookies("doctor")
    finally:
        await database.close()


async def test_no_acknowledged_word_is_missing_after_a_kill_and_the_tabs_text_is_taken(tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    given = {"BEDSIDE_ENV": "development", "BEDSIDE_VAR": str(tmp_path / "var"), "BEDSIDE_PORT": str(port)}
    environment = {**clean_environment(), **given}
    cast, cookies = await made_visit(environment, tmp_path)
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    headers = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
    tab = Tab(f"{base}/c/{cast.clinic.slug}/visits/{cast.encounter_id}/note", headers)

    def start() -> Program:
        program = Program([BIN / "bedside", "server"], log=tmp_path / "server.log", env=environment, cwd=tmp_path)
        program.wait_ready(lambda: is_ready(base), 40)
        return program

    server = start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            for _ in range(KILLS):
                tab.acknowledged.clear()
                typing = asyncio.create_task(tab.type_until_the_server_is_gone(http))
                await asyncio.wait_for(tab.acknowledged.wait(), 60)
                await asyncio.sleep(random.uniform(0, 0.05))  # anywhere in a request
                server.send(signal.SIGKILL)
                await asyncio.wait_for(typing, 20)
                server.wait()
                server = start()

                held = (await tab.held(http))["text"]
                assert held.startswith(tab.saved)
                assert tab.text.startswith(held)
                assert await tab.save(http)
                assert (await tab.held(http))["text"] == tab.text.strip()
    finally:
        server.stop()
