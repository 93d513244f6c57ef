"""The desk's pages in real Chromium: nothing for axe to find, nothing wider than the screen, all of it by keyboard."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, async_playwright, expect
from sqlalchemy import update

from server.scheduling.models import VisitType
from tests.server.cast import Browser
from tests.server.desk.conftest import SQUEEZED, TEN, Desk

pytestmark = pytest.mark.browser
AXE = Path(__file__).parents[3] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = ((1440, 900), (360, 760))


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        await browser.close()


def url(desk: Desk, path: str) -> str:
    return str(desk.site.client.make_url(path))


async def page_of(browser: Chromium, desk: Desk, person: Browser) -> Page:
    """A window that holds this person's cookies."""
    context = await browser.new_context()
    await context.add_cookies(
        [
            {"name": name, "value": value, "url": url(desk, "/").replace("http:", "https:"), "secure": True}
            for name, value in person.cookies.items()
        ]
    )
    await context.add_init_script(AXE.read_text())
    page = await context.new_page()
    page.set_default_timeout(20_000)
    return page


async def findings(page: Page) -> list[str]:
    found: list[str] = await page.evaluate(
        "async () => (await axe.run(document)).violations.flatMap(v => v.nodes.map(n => v.id + ' ' + n.html))"
    )
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*found, *(["wider than the screen"] if wide > 0 else [])]


async def found(person: Browser, path: str, text: str) -> str:
    """The address that a search leads to."""
    return (await person.post(path, {"search": text})).headers["Location"]


async def look_at(page: Page, desk: Desk, paths: list[str]) -> None:
    for path in paths:
        await page.goto(url(desk, path))
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            assert await findings(page) == [], (path, width)


async def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(desk: Desk) -> None:
    cast = desk.site.cast
    await desk.book(cast.other_patient, cast.doctor, TEN, **SQUEEZED)
    people = await desk.everybody()
    async with chromium() as browser:
        scheduler = await page_of(browser, desk, people["scheduler"])
        book, one = f"{desk.root}/book", f"{desk.root}/appointments/{desk.appointment}"
        await look_at(
            scheduler,
            desk,
            [
                f"{desk.root}/board",
                f"{desk.root}/board?day=2026-03-21",
                book,
                await found(people["scheduler"], book, "anna"),
                await found(people["scheduler"], book, "nobody at all"),
                f"{book}/new",
                f"{book}/{cast.patient}",
                one,
                f"{one}/move",
                f"{desk.root}/free",
                f"{desk.root}/hours",
                f"{desk.root}/hours/{cast.doctor}",
                f"{desk.root}/kinds/new",
                f"{desk.root}/waitlist",
                f"{desk.root}/cover?doctor={cast.doctor}",
                f"{desk.root}/patients/{cast.patient}/file",
            ],
        )
        await scheduler.goto(url(desk, f"{book}/{cast.patient}"))
        await scheduler.get_by_role("button", name="Book", exact=True).click()
        assert "There is a problem" in await scheduler.content()
        assert await findings(scheduler) == []
        await scheduler.goto(url(desk, one))
        await scheduler.get_by_text("Invite an interpreter").click()
        await scheduler.get_by_label("Their name").fill("Zoë " * 8)
        assert await findings(scheduler) == []
        await scheduler.get_by_role("button", name="Make the link").click()
        await scheduler.get_by_label("The link, shown this once").wait_for()
        assert await findings(scheduler) == []
        await look_at(await page_of(browser, desk, people["doctor"]), desk, [f"{desk.root}/clinic"])
        mine = f"{desk.root}/patients/{cast.patient}/home"
        await look_at(await page_of(browser, desk, people["patient"]), desk, [mine])


async def test_no_tab_keeps_the_days_names_once_signed_out(desk: Desk) -> None:
    """By the tab that signs out; and by the list's own poll, where the session ended in another way."""
    people = await desk.everybody()
    troubles: list[str] = []
    async with chromium() as browser:
        board = await page_of(browser, desk, people["scheduler"])
        board.on("console", lambda said: troubles.append(said.text) if "TrustedScript" in said.text else None)
        board.on("pageerror", lambda error: troubles.append(str(error)))
        await board.goto(url(desk, f"{desk.root}/book"))
        await board.get_by_label("Name, date of birth or phone number").fill("anna")
        await board.keyboard.press("Enter")
        await board.wait_for_url(re.compile("q="))
        await board.reload()
        await board.get_by_role("link", name="Choose").click()
        await board.go_back()
        assert "Anna" in await board.content()
        other = await board.context.new_page()
        await other.goto(url(desk, f"{desk.root}/board"))
        await other.get_by_role("button", name="Sign out").click()
        await board.get_by_role("heading", name="Please sign in").wait_for()
        assert "Anna" not in await board.content()
        doctor = await page_of(browser, desk, people["doctor"])
        doctor.on("console", lambda said: troubles.append(said.text) if "TrustedScript" in said.text else None)
        await doctor.goto(url(desk, f"{desk.root}/board"))
        await doctor.wait_for_selector("#board")
        await doctor.context.clear_cookies()
        await doctor.get_by_role("heading", name="Please sign in").wait_for()
    assert troubles == []


async def press(page: Page, key: str, until: str) -> None:
    """Presses `key` until the focused element's words or name begin so; fails when it comes round in vain."""
    said = (
        "(e => e.getAttribute('aria-label') || e.innerText || e.labels?.[0]?.innerText || '')(document.activeElement)"
    )
    for _ in range(80):
        words: str = await page.evaluate(said)
        if words.strip().startswith(until):
            return
        await page.keyboard.press(key)
    raise AssertionError(f"the keyboard doesn't reach {until}")


async def test_a_known_and_a_new_patient_are_booked_by_keyboard_alone(desk: Desk) -> None:
    scheduler = await desk.site.signed_in(desk.site.cast.scheduler)
    async with chromium() as browser:
        page = await page_of(browser, desk, scheduler)
        await page.goto(url(desk, f"{desk.root}/board?day=2026-03-17"))
        await page.keyboard.type("boris")
        await page.keyboard.press("Enter")
        await page.wait_for_url(re.compile("q="))
        await press(page, "Tab", "Choose")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/book/*")
        await press(page, "Tab", "10:00")
        await press(page, "ArrowDown", "12:00")
        await press(page, "Tab", "Book")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/appointments/*")
        assert "Booked." in await page.content()
        await page.goto(url(desk, f"{desk.root}/book/new"))
        await page.keyboard.type("Chloé Petit")
        await press(page, "Tab", "Date of birth")
        await page.keyboard.type("03022001")
        await press(page, "Tab", "Phone number")
        await page.keyboard.type("030 23125 199")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/book/*-*")
        await press(page, "Tab", "10:00")
        await press(page, "ArrowDown", "13:30")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/appointments/*")
        assert "Chloé Petit" in await page.content()
    assert len(await desk.appointments()) == 3


async def test_a_patient_books_by_keyboard_alone_with_the_timer_of_the_kept_time_in_sight(desk: Desk) -> None:
    cast = desk.site.cast
    async with desk.site.database.writing() as session:
        await session.execute(update(VisitType).values(for_patients=True))
    async with chromium() as browser:
        page = await page_of(browser, desk, await desk.site.browser_of("patient"))
        await page.goto(url(desk, f"{desk.root}/patients/{cast.patient}/home/book"))
        await press(page, "Tab", "10:00")
        await press(page, "ArrowDown", "12:00")
        timer = page.locator("#hold [role=timer]")
        await expect(timer).to_have_text(re.compile(r"^(10:00|9:5\d)$"))
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            assert await findings(page) == [], width
            box = await timer.bounding_box()
            assert box is not None
            assert 0 < box["y"] < height - box["height"], "not below the edge of the screen"
        await page.get_by_text("12:00, Dr Ida Weiss", exact=False).last.wait_for()
        await press(page, "Tab", "Book this time")
        await page.keyboard.press("Enter")
        await page.get_by_text("Your appointment is booked.").wait_for()
    assert len(await desk.appointments()) == 2


async def test_the_board_changes_by_itself_and_leaves_the_focus_alone(desk: Desk) -> None:
    cast = desk.site.cast
    async with chromium() as browser:
        page = await page_of(browser, desk, await desk.site.signed_in(cast.scheduler))
        await page.clock.install()
        await page.goto(url(desk, f"{desk.root}/board"))
        await page.get_by_role("link", name="Anna Müller").focus()
        await desk.book(cast.other_patient, cast.colleague, TEN + timedelta(hours=1))
        await page.clock.run_for(10_000)
        await page.get_by_role("link", name="Boris Ivanov").wait_for()
        focused = await page.evaluate("document.activeElement.innerText")
        assert focused == "Anna Müller"
