"""A person at a real Chromium with nothing but a keyboard, before the application of the test; pictures and axe beside.

The clock is the application's own: half an hour passes when the test says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, Page, async_playwright

from tests.server.cast import Browser
from tests.server.visits import House

ROOT = Path(__file__).parents[3]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = ROOT / "artifacts" / "notes"
SIZES = ((1440, 900), (360, 760))
MOST_TABS = 120
FIND = """() => axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
  .then((found) => found.violations.flatMap((v) => v.nodes.map((n) => `${v.id} ${n.html}`)))"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        await browser.close()


@dataclass
class Keys:
    """One window; `troubles` is what the page threw, or its policy refused."""

    house: House
    context: BrowserContext
    page: Page
    troubles: list[str] = field(default_factory=list)

    async def become(self, person: Browser) -> None:
        """This browser holds this person's cookies from now on, and nobody else's."""
        await self.context.clear_cookies()
        secure = self.url("/").replace("http:", "https:")
        await self.context.add_cookies(
            [{"name": name, "value": value, "url": secure, "secure": True} for name, value in person.cookies.items()]
        )

    def url(self, path: str) -> str:
        return str(self.house.client.make_url(path))

    async def open(self, path: str) -> int:
        answer = await self.page.goto(self.url(path))
        return answer.status if answer else 0

    async def to(self, selector: str) -> None:
        """Tab until the focus is there; inside a group of radios the arrows move."""
        group = """(selector) => { const [one, is] = [document.querySelector(selector), document.activeElement];
          return one?.type === "radio" && is?.type === "radio" && one.name === is.name && one !== is; }"""
        for _ in range(MOST_TABS):
            if await self.page.evaluate("(selector) => document.activeElement?.matches(selector) ?? false", selector):
                return
            await self.page.keyboard.press("ArrowDown" if await self.page.evaluate(group, selector) else "Tab")
        raise AssertionError(f"the keyboard does not reach {selector}")

    async def press(self, selector: str, key: str = "Enter") -> None:
        await self.to(selector)
        await self.page.keyboard.press(key)

    async def go(self, selector: str) -> None:
        """Presses what leads to another page, and is there."""
        async with self.page.expect_navigation():
            await self.press(selector)

    async def write(self, selector: str, text: str) -> None:
        await self.to(selector)
        await self.page.keyboard.type(text)

    async def wait(self, selector: str) -> None:
        await self.page.wait_for_selector(selector)

    async def look(self, step: str) -> None:
        """Pictures at both widths; nothing for axe to find, nothing wider than the screen."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        wrong: list[str] = []
        for width, height in SIZES:
            await self.page.set_viewport_size({"width": width, "height": height})
            await self.page.screenshot(path=PICTURES / f"{step}-{width}.png", full_page=True)
            if await self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                wrong.append(f"{width}: wider than the screen")
        wrong += await self.page.evaluate(FIND)
        await self.page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
        assert wrong == [], step


async def look_in_large_type(keys: Keys, step: str) -> None:
    """The narrow page with letters twice their size: nothing sticks out."""
    await keys.page.set_viewport_size({"width": SIZES[1][0], "height": SIZES[1][1]})
    await keys.page.evaluate("document.documentElement.style.fontSize = '200%'")
    await keys.page.screenshot(path=PICTURES / f"{step}-large.png", full_page=True)
    found = await keys.page.evaluate(
        """() => [...document.querySelectorAll("main *")]
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
          .map((one) => `${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 40)}`)"""
    )
    await keys.page.evaluate("document.documentElement.style.fontSize = ''")
    await keys.page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
    assert found == [], step


async def at_keyboard(browser: Chromium, house: House, person: Browser) -> Keys:
    context = await browser.new_context(accept_downloads=True, locale="en-GB")
    await context.add_init_script(AXE.read_text("utf-8"))
    page = await context.new_page()
    page.set_default_timeout(30_000)
    made = Keys(house, context, page)
    page.on("pageerror", lambda error: made.troubles.append(str(error)))
    page.on("console", lambda said: made.troubles.append(said.text) if "Content Security" in said.text else None)
    await made.become(person)
    return made
