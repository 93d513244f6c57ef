"""On small phones, whatever is open: Stop recording and Emergency are on the screen and nothing lies over them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.web.conftest import OpenPage
from tests.web.fake_room import FakeRoom
from tests.web.states import DOCTOR, GUEST, PATIENT, asked, at, room, settled
from tests.web.test_states import control

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SIZES = [(320, 568), (360, 640), (640, 360), (360, 480)]
"""Small phones, upright and on their side, and one above whose keyboard little is left."""
COVERED = """(selectors) => selectors.filter((selector) => {
  const one = document.querySelector(selector);
  const { left, right, top, bottom } = one.getBoundingClientRect();
  const corners = [[left + 6, top + 6], [right - 6, top + 6], [left + 6, bottom - 6], [right - 6, bottom - 6],
    [(left + right) / 2, (top + bottom) / 2]];
  return right <= left || corners.some(([x, y]) => !one.contains(document.elementFromPoint(x, y)));
})"""
OUT_OF_REACH = """(selectors) => selectors.filter((selector) => {
  const one = document.querySelector(selector);
  one.scrollIntoView({ block: 'nearest' });
  const { left, right, top, bottom } = one.getBoundingClientRect();
  return !one.contains(document.elementFromPoint((left + right) / 2, (top + bottom) / 2));
})"""
ANSWERS = {"doctor": "yes", "patient": "yes", "interpreter-1": "yes"}
ALWAYS = ["#stop-recording", "#emergency"]
LOST = '() => document.getElementById("banner-node").hidden === false'


class Screen:
    """A page at each of the sizes: what must be on it, and what must at least be reached by scrolling."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.folder = os.environ.get("BEDSIDE_SHOTS")

    async def check(self, name: str, always: list[str], seen: list[str] | None = None) -> None:
        wrong: list[tuple[object, ...]] = []
        for width, height in SIZES:
            await self.page.set_viewport_size({"width": width, "height": height})
            await settled(self.page)
            if self.folder:
                await self.page.screenshot(path=str(Path(self.folder) / f"small-{name}-{width}x{height}.png"))
            wrong += [(name, width, height, one, "covered") for one in await self.page.evaluate(COVERED, always)]
            wrong += [
                (name, width, height, one, "no way") for one in await self.page.evaluate(OUT_OF_REACH, seen or [])
            ]
            wrong += [(name, width, height, one, "after") for one in await self.page.evaluate(COVERED, always)]
        assert not wrong, "\n".join(map(str, wrong))


def recorded(you: dict[str, Any], **more: Any) -> dict[str, Any]:
    people = [DOCTOR, PATIENT | {"camera": "off"}, GUEST]
    relay = {"mode": "relay", "relay_up": True, "relay_room": "there"}
    return room(you, people, recording=asked("running", ANSWERS), **(relay | more))


async def test_the_doctors_stop_and_emergency_stay_whatever_is_open(fake: FakeRoom, open_page: OpenPage) -> None:
    fake.answers["emergency"] = {
        "ok": True, "place": "14 Harbour Street, flat 3, Whitby", "phone": "the usual one",
        "phone_on_file": "+44 7700 900123", "number": "999", "country": "GB", "country_from": "phone",
        "also": {"number": "144", "country": "CH", "country_from": "place"}, "pressed_at": at(),
    }  # fmt: skip
    fake.snapshots["doctor"] = recorded(DOCTOR)
    page = await open_page("/room/doctor?demo", *SIZES[0])
    screen = Screen(page)
    await page.wait_for_selector("#stop-recording")
    await screen.check("doctor", [*ALWAYS, "#mute", "#camera", "#leave"])
    for opener, dialog in (("#emergency", "emergency-dialog"), ("#leave", "end-dialog")):
        await page.set_viewport_size({"width": 360, "height": 640})
        await control(page, opener)
        await page.wait_for_selector(f"#{dialog}[open]")
        await screen.check(dialog, ALWAYS, [f"#{dialog} .dialog__close", f"#{dialog} .dialog__body > :last-child"])
        await page.click(f"#{dialog} .dialog__close")
    for panel, within in (("note", "#note-text"), ("chat", "#chat-send")):
        await page.set_viewport_size({"width": 360, "height": 640})
        await control(page, f"#open-{panel}")
        await screen.check(panel, [*ALWAYS, "#mute", "#leave"], [within, "#close-panel"])
    await fake.push("doctor", recorded(DOCTOR, node_down=True, by_phone=True))
    await page.wait_for_function(LOST)
    await screen.check("banners", ALWAYS, ["#mute", "#leave", "#close-panel"])


async def test_a_guests_question_lies_beside_the_stop_that_it_speaks_of(fake: FakeRoom, open_page: OpenPage) -> None:
    answers = ANSWERS | {"interpreter-1": "asked"}
    paused = asked("paused", answers, code="newcomer")
    fake.snapshots["interpreter-1"] = room(
        GUEST, [DOCTOR, PATIENT, GUEST], mode="relay", relay_up=True, recording=paused
    )
    page = await open_page("/room/interpreter-1?demo", *SIZES[0])
    await page.click("#open-devices")
    await page.click("#enter")
    await page.wait_for_selector("#recording-question[open]")
    screen = Screen(page)
    await screen.check("question", ["#stop-recording", "#answer-yes", "#answer-no"], ["#question-left"])
    await page.click("#answer-yes")
    await screen.check("yes", ["#stop-recording"], ["#send-yes"])


async def test_a_patient_stops_and_writes_on_the_smallest_screen(fake: FakeRoom, open_page: OpenPage) -> None:
    fake.snapshots["patient"] = recorded(PATIENT)
    page = await open_page("/room/patient?demo", *SIZES[0])
    await page.click("#open-devices")
    await page.click("#enter")
    await page.wait_for_selector("#stop-recording")
    screen = Screen(page)
    await screen.check("patient", ["#stop-recording", "#pause-recording", "#mute", "#leave"])
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.click("#open-chat")
    await screen.check("patient-chat", ["#stop-recording", "#mute", "#leave", "#chat-text", "#chat-send"])
    await page.click("#leave")
    await screen.check("patient-leave", ["#stop-recording"], ["#leave-now"])
    await page.click("#leave-dialog .dialog__close")
    await page.click("#stop-recording")
    await page.wait_for_selector("#withdrawn[open]")
    await screen.check("withdrawn", ["#stop-recording"], ["#withdrawn-delete_all", "#withdrawn .dialog__close"])
