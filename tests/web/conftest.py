"""One Chromium for a module's tests, and a scripted room behind the visit's page.

A module says `pytest.mark.asyncio(loop_scope="module")`, so that its tests live where its browser does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.web.fake_room import WEB, FakeRoom, running

FLAGS = [
    "--use-fake-device-for-media-stream=fps=10",
    "--use-fake-ui-for-media-stream",
    "--no-sandbox",
    "--disable-background-networking",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
def built() -> None:
    """The client as it now is: building takes a second, a stale one costs an hour."""
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["node", str(WEB / "build.mjs")], check=True, env={**os.environ, "PATH": beside})


@pytest_asyncio.fixture(loop_scope="module")
async def fake(built: None) -> AsyncIterator[FakeRoom]:
    async with running(FakeRoom()) as room:
        yield room


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as play:
        chromium = await play.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(browser: Browser, fake: FakeRoom) -> AsyncIterator[OpenPage]:
    """A page in a browser context of its own; it fails the test when the page throws or asks another host."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    async def open_one(path: str, width: int = 1280, height: int = 800, script: str = "") -> Page:
        context = await browser.new_context(
            viewport={"width": width, "height": height}, permissions=["camera", "microphone"]
        )
        contexts.append(context)
        page = await context.new_page()
        if script:
            await page.add_init_script(script)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text) if "Content Security Policy" in said.text else None)
        page.on("request", lambda one: None if one.url.startswith((fake.base, "blob:")) else troubles.append(one.url))
        await page.goto(fake.base + path)
        return page

    yield open_one
    for context in contexts:
        await context.close()
    assert troubles == []


@pytest.fixture
def axe_script() -> str:
    return Path(AXE).read_text("utf-8")
