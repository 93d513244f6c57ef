"""A note in several windows of one browser: whichever is signed, crashes or is left, no word of the others is lost."""

from __future__ import annotations

import contextlib

import pytest
from playwright.async_api import Error, Page, expect

from tests.server.records.keyboard import Keys, at_keyboard, chromium
from tests.server.records.test_note import save
from tests.server.visits import House

pytestmark = pytest.mark.browser
SAVED = "#note-status[data-state=saved]:not(:empty)"


async def window_of(keys: Keys) -> Page:
    page = await keys.context.new_page()
    await page.goto(keys.url(keys.house.visit_url("/summary")))
    await page.wait_for_selector("#note")
    return page


async def test_a_window_that_crashes_leaves_its_words_to_the_next(house: House) -> None:
    async with chromium() as browser:
        keys = await at_keyboard(browser, house, await house.browser_of("doctor"))
        first, second = await window_of(keys), await window_of(keys)
        await second.fill("#note-text", "From the second window")
        await second.wait_for_selector(SAVED)
        await first.fill("#note-text", "ALPHA of the first window")
        await first.wait_for_selector("#note-conflict:not([hidden])")
        await second.fill("#note-text", "From the second window, and on")
        async with second.expect_response("**/note/draft") as coming:
            await second.locator("#note-text").press_sequentially(".")
        assert (await coming.value).status == 200
        await _crash(first)
        third = await window_of(keys)
        await third.wait_for_selector("#note-conflict:not([hidden])")
        both = await third.inner_text("#note-conflict")
        assert ("ALPHA of the first window" in both, "From the second window, and on" in both) == (True, True)
        await third.click("#note-conflict .bs-actions button:first-child")
        await third.wait_for_selector(SAVED)
        assert keys.troubles == []


async def test_words_of_a_note_that_was_signed_meanwhile_are_shown_until_they_are_in_it(house: House) -> None:
    doctor = await house.browser_of("doctor")
    async with chromium() as browser:
        keys = await at_keyboard(browser, house, doctor)
        page = keys.page
        await keys.open(house.visit_url("/summary"))
        await page.fill("#note-text", "First.")
        await page.wait_for_selector(SAVED)
        await keys.context.set_offline(True)
        await page.fill("#note-text", "First. Written without a line.")
        await page.wait_for_selector("#note-status[data-state=waiting]")
        assert (await doctor.post(house.visit_url("/note/sign"), {"revision": "1"})).status == 303
        await keys.context.set_offline(False)
        await page.wait_for_selector("#note-status[data-state=refused]")
        await keys.open(house.visit_url("/summary"))
        await page.wait_for_selector("#note-left-add")
        assert "Written without a line." in await page.inner_text("#note-left")
        await keys.look("note-left")
        await keys.press("#note-left-add")
        await page.check("input[name=kind][value=addendum]")
        await page.fill("form[action$='/note/addenda'] [name=reason]", "Was offline")
        await keys.go("form[action$='/note/addenda'] button")
        await page.wait_for_function("Object.keys(localStorage).length === 0")
        await expect(page.locator("#note-left")).to_be_empty()
        assert keys.troubles == []


async def test_signing_over_a_newer_text_shows_both_and_keeps_the_plain_words(house: House) -> None:
    doctor = await house.browser_of("doctor")
    async with chromium() as browser:
        keys = await at_keyboard(browser, house, doctor)
        page = keys.page
        await keys.open(house.visit_url("/summary"))
        await page.fill("#note-text", "Cough.")
        await page.wait_for_selector(SAVED)
        await page.fill("#summary", "Rest, and drink.")
        assert (await save(doctor, house, "Fever.", 1))[0] == 200
        await keys.go("#note-sign")
        assert (await page.input_value("[name=text]"), await page.input_value("[name=yours]")) == ("Fever.", "Cough.")
        assert await page.input_value("[name=summary]") == "Rest, and drink."
        await keys.look("note-not-signed")
        again = await window_of(keys)
        await expect(again.locator("#summary")).to_have_value("Rest, and drink.")
        assert keys.troubles == []


async def _crash(page: Page) -> None:
    async with page.expect_event("crash"):
        with contextlib.suppress(Error):
            await page.goto("chrome://crash", timeout=500)
