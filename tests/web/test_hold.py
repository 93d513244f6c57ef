"""A press that ends storing, and a clinic that doesn't answer: nothing more of this page reaches the relay.

The relay is a second connection in the page itself, so that what is counted is what really arrived.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.web.conftest import OpenPage
from tests.web.fake_room import FakeRoom
from tests.web.states import DOCTOR, PATIENT, asked, room
from tests.web.test_room import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

RELAY = """
window.answerUp = async (sdp) => {
  const pc = window.node = new RTCPeerConnection();
  await pc.setRemoteDescription({ type: 'offer', sdp });
  await pc.setLocalDescription(await pc.createAnswer());
  while (pc.iceGatheringState !== 'complete') await new Promise((done) => setTimeout(done, 10));
  return pc.localDescription.sdp;
};
window.arrived = async () => {
  let packets = 0;
  const report = await window.node?.getStats();
  for (const one of report?.values() ?? []) if (one.type === 'inbound-rtp') packets += one.packetsReceived;
  return packets;
};
// How long after a press the last of the senders went off; -1 when one of them is still on after all that time.
window.offAfter = (selector, mostMs) => new Promise((done) => {
  document.querySelector(selector).addEventListener('click', (event) => {
    const look = setInterval(() => {
      const gone = performance.now() - event.timeStamp;
      const on = window.__bedside.up.getSenders().some((one) => one.track);
      if (on && gone < mostMs) return;
      clearInterval(look);
      done(on ? -1 : gone);
    }, 5);
  }, { capture: true, once: true });
  document.querySelector(selector).click();
});
"""
SENDS = "() => window.__bedside?.up?.getSenders().filter((one) => one.track).length === 2"
HELD = '#recording-banner[data-held=true] :text("held back")'
NOT_HELD = "#recording-banner[data-held=false]"
NOT_NOW = {"ok": False, "error": "unavailable", "message": "", "limit": None}
ANSWERS = {"doctor": "yes", "patient": "yes"}


def recorded(**more: Any) -> dict[str, Any]:
    relay = {"mode": "relay", "relay_up": True, "relay_room": "there"}
    return room(PATIENT, [DOCTOR, PATIENT], recording=asked("running", ANSWERS), **(relay | more))


@pytest_asyncio.fixture(loop_scope="module")
async def page(fake: FakeRoom, open_page: OpenPage) -> Page:
    """The patient's, recorded, with its picture and sound arriving at the relay."""
    fake.snapshots["patient"] = recorded()
    page = await open_page("/room/patient", script=RELAY)

    async def answer_up(body: dict[str, Any]) -> dict[str, Any]:
        sdp = await page.evaluate("(sdp) => window.answerUp(sdp)", body["sdp"])
        return {key: body[key] for key in ("connection_id", "revision")} | {"ok": True, "sdp": sdp, "sections": []}

    fake.answering["up_offer"] = answer_up
    await page.click("#open-devices")
    await page.click("#enter")
    await arriving(page)
    return page


async def arriving(page: Page) -> None:
    await page.wait_for_function(SENDS)
    before = await page.evaluate("() => window.arrived()")
    await page.wait_for_function("async (before) => await window.arrived() > before + 20", arg=before, timeout=15_000)


async def nothing_arrives(page: Page) -> None:
    """What was on its way comes within a second; then for a while nothing at all."""
    await asyncio.sleep(0.3)
    before = await page.evaluate("() => window.arrived()")
    await asyncio.sleep(0.5)
    assert await page.evaluate("() => window.arrived()") == before


async def test_a_press_that_is_not_answered_holds_media_back_within_the_second(fake: FakeRoom, page: Page) -> None:
    await page.click("#leave")
    for press, name in (
        ("pause-recording", "pause_recording"),
        ("stop-recording", "stop_recording"),
        ("leave-now", "leave"),
    ):
        fake.silent.add(name)
        assert 400 < await page.evaluate("(press) => window.offAfter(press, 2000)", f"#{press}") < 1000, press
        await page.wait_for_selector(HELD)
        await nothing_arrives(page)
        fake.silent.clear()
        await page.wait_for_selector(NOT_HELD)
        await arriving(page)
        assert len(fake.sent(name)) == 1


async def test_a_clinic_that_could_not_take_it_is_told_again_and_nothing_is_let_through_meanwhile(
    fake: FakeRoom, page: Page
) -> None:
    fake.answers["stop_recording"] = NOT_NOW
    await page.click("#stop-recording")
    await page.wait_for_selector(HELD)
    await page.click("#camera")
    await page.click("#camera")
    await page.wait_for_selector("#camera[data-state=on]")
    await fake.push("patient", recorded(simulcast=True, relay_room="another"))
    await until(lambda: len(fake.sent("up_offer")) > 1 and len(fake.sent("stop_recording")) > 1)
    await page.wait_for_function("() => window.__bedside.up.connectionState === 'connected'")
    assert await page.evaluate("() => window.__bedside.up.getSenders().every((one) => !one.track)")
    assert await page.evaluate("() => window.arrived()") == 0
    assert await page.is_visible(HELD)
    del fake.answers["stop_recording"]
    await page.wait_for_selector(NOT_HELD)
    await arriving(page)


async def test_without_a_connection_media_is_held_back_at_once_and_comes_back_with_the_answer(
    fake: FakeRoom, page: Page
) -> None:
    fake.refuse["patient"] = "unavailable"
    await fake.drop("patient")
    await page.wait_for_selector("#banner-lost:not([hidden])")
    assert 0 <= await page.evaluate("() => window.offAfter('#stop-recording', 2000)") < 300
    await page.wait_for_selector('#urgent:has-text("held back")', state="attached")
    assert await page.inner_text("#stop-recording") == "Stopping …"
    await nothing_arrives(page)
    del fake.refuse["patient"]
    await page.wait_for_selector("#withdrawn[open]")
    await arriving(page)


async def test_a_clinic_that_answers_at_once_takes_no_picture_away(fake: FakeRoom, page: Page) -> None:
    assert await page.evaluate("() => window.offAfter('#pause-recording', 900)") == -1
    assert len(fake.sent("pause_recording")) == 1
    assert await page.is_visible(NOT_HELD)


async def test_a_reload_takes_no_word_back(fake: FakeRoom, page: Page) -> None:
    fake.silent.add("stop_recording")
    await page.click("#stop-recording")
    await until(lambda: fake.sent("stop_recording"))
    await page.reload()
    await page.wait_for_selector(HELD)
    await until(lambda: len(fake.sent("stop_recording")) > 1)
    assert await page.evaluate("() => window.arrived()") == 0
    fake.silent.clear()
    await arriving(page)
    await page.reload()
    await arriving(page)
    assert len(fake.sent("stop_recording")) == 2
