"""The direct connection between two pages, and what mute, camera and screen do to it, with real media in Chromium."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page

from tests.web.conftest import OpenPage
from tests.web.fake_room import FakeRoom
from tests.web.states import DOCTOR, PATIENT, room

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PLAYING = """() => [...document.querySelectorAll('.tile__video[data-kind=person]')]
  .some((video) => getComputedStyle(video).opacity === '1' && !video.muted && video.videoWidth > 0)"""
RECEIVED = """async (kind) => {
  let bytes = 0;
  for (const one of (await window.__bedside.direct.getStats()).values())
    if (one.type === 'inbound-rtp' && one.kind === kind) bytes += one.bytesReceived;
  return bytes;
}"""
SCREEN = """navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
  const pen = canvas.getContext('2d');
  setInterval(() => { pen.fillStyle = `hsl(${Date.now() / 20 % 360} 80% 50%)`; pen.fillRect(0, 0, 640, 360); }, 50);
  return canvas.captureStream(20);
};"""
ENOUGH_SOUND = 2000
"""Half a second of Opus, at the least."""
PLAN = {"direct": {"peer": "patient", "offerer": "doctor"}, "attempt": 1}


def pair(**more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    people = [DOCTOR, PATIENT]
    return (
        room(DOCTOR, people, **(PLAN | more)),
        room(PATIENT, people, **(PLAN | {"direct": {"peer": "doctor", "offerer": "doctor"}} | more)),
    )


async def two_in(fake: FakeRoom, open_page: OpenPage, script: str = "") -> tuple[Page, Page]:
    fake.snapshots["doctor"], fake.snapshots["patient"] = pair()
    doctor = await open_page("/room/doctor", script=script)
    patient = await open_page("/room/patient", script=script)
    await patient.click("#open-devices")
    await patient.click("#enter")
    for page in (doctor, patient):
        await page.wait_for_function(PLAYING, timeout=15_000)
    return doctor, patient


async def test_two_pages_see_and_hear_each_other_and_say_so(fake: FakeRoom, open_page: OpenPage) -> None:
    doctor, patient = await two_in(fake, open_page)
    for page in (doctor, patient):
        await page.wait_for_selector("#way[data-way=direct][data-connected=true]")
        assert await page.inner_text("#way") == "straight between you"
    states = {(who, body["state"]) for who, name, body in fake.events if name == "link"}
    assert states == {("doctor", "direct_connected"), ("patient", "direct_connected")}
    assert {body["type"] for body in fake.sent("describe")} >= {"offer", "answer"}


async def test_sharing_a_screen_negotiates_nothing_and_arrives(fake: FakeRoom, open_page: OpenPage) -> None:
    doctor, patient = await two_in(fake, open_page, SCREEN)
    before = len(fake.sent("describe"))
    await doctor.click("#share")
    await doctor.wait_for_selector("#banner-sharing:not([hidden])")
    assert fake.sent("devices")[-1]["screen"] is True
    people = [DOCTOR | {"screen": True}, PATIENT]
    await fake.push("patient", room(PATIENT, people, attempt=1, direct={"peer": "doctor", "offerer": "doctor"}))
    await patient.wait_for_function(
        "() => document.querySelector('.tile--screen video[data-way=direct]')?.videoWidth === 640", timeout=8000
    )
    assert len(fake.sent("describe")) == before


async def test_camera_off_stops_the_picture_and_keeps_the_sound(fake: FakeRoom, open_page: OpenPage) -> None:
    doctor, patient = await two_in(fake, open_page)
    await patient.click("#camera")
    await patient.wait_for_selector("#camera[data-state=off]")
    # What was on its way arrives first; then the sound goes on for long enough that a picture would have come too.
    video = await no_more(doctor, "video")
    audio = await doctor.evaluate(RECEIVED, "audio")
    await doctor.wait_for_function(f"async (bytes) => await ({RECEIVED})('audio') > bytes", arg=audio + ENOUGH_SOUND)
    assert await doctor.evaluate(RECEIVED, "video") == video
    await patient.click("#camera")
    await patient.wait_for_selector("#camera[data-state=on]")
    await doctor.wait_for_function(f"async (bytes) => await ({RECEIVED})('video') > bytes", arg=video)


async def no_more(page: Page, kind: str) -> int:
    """The bytes of this kind once a third of a second brings no more of them."""
    before = -1
    while before != (now := await page.evaluate(RECEIVED, kind)):
        before = now
        await page.wait_for_timeout(300)
    return before


async def test_a_new_attempt_begins_a_new_connection(fake: FakeRoom, open_page: OpenPage) -> None:
    doctor, patient = await two_in(fake, open_page)
    await patient.reload()
    one, other = pair(attempt=2)
    await fake.push("doctor", one)
    fake.snapshots["patient"] = other
    await fake.push("patient", other)
    for page in (doctor, patient):
        await page.wait_for_function(PLAYING, timeout=15_000)
        await page.wait_for_selector("#way[data-connected=true]")
    assert await doctor.locator(".tile--person").count() == 1
    assert any(body["attempt"] == 2 and body["state"] == "direct_connected" for body in fake.sent("link"))


async def test_a_connection_that_cannot_be_is_reported(fake: FakeRoom, open_page: OpenPage) -> None:
    """The peer answers nothing usable: the room must hear of it, since only it can start the relay."""
    fake.snapshots["doctor"] = pair()[0]
    doctor = await open_page("/room/doctor")
    await doctor.wait_for_function("() => window.__bedside?.direct?.localDescription", timeout=10_000)
    bad = {"sender": "patient", "attempt": 1, "type": "answer", "sdp": "v=0\r\nnonsense", "candidate": ""}
    await fake.emit("doctor", "signal", bad | {"mid": None, "line": None})
    for _ in range(50):
        if fake.sent("link"):
            break
        await doctor.wait_for_timeout(100)
    assert fake.sent("link")[0]["state"] == "direct_failed"


TURN = "turn:127.0.0.1:9?transport=udp"
CREDENTIAL = "() => window.__bedside.direct.getConfiguration().iceServers[0].credential"


async def test_a_restart_uses_fresh_credentials_and_asks_for_them_after_a_silence(
    fake: FakeRoom, open_page: OpenPage
) -> None:
    """C30: a path looked for anew with credentials that have run out is refused by the TURN server."""

    def turn(credential: str) -> list[dict[str, str]]:
        return [{"urls": TURN, "username": "1:doctor", "credential": credential}]

    async def repeat(credential: str) -> None:
        same = pair(ice_servers=turn(credential))[0] | {"revision": fake._revision}
        await fake.emit("doctor", "snapshot", same)

    fake.snapshots["doctor"], fake.snapshots["patient"] = pair(ice_servers=turn("first"))
    patient = await open_page("/room/patient")
    await patient.click("#open-devices")
    await patient.click("#enter")
    script = "const real = Date.now; window.ahead = 0; Date.now = () => real() + window.ahead;"
    doctor = await open_page("/room/doctor", script=script)
    await doctor.wait_for_selector("#way[data-connected=true]")
    assert await doctor.evaluate(CREDENTIAL) == "first"

    again = {"sender": "patient", "attempt": 1, "type": "restart_please", "sdp": "", "candidate": ""}
    await doctor.evaluate("window.before = window.__bedside.direct.remoteDescription.sdp")
    await repeat("second")
    await fake.emit("doctor", "signal", again | {"mid": None, "line": None})
    await doctor.wait_for_function(f"() => {CREDENTIAL} === 'second'")
    answered = "window.__bedside.direct.remoteDescription.sdp !== before"
    await doctor.wait_for_function(f"() => {answered}")

    # The sync, or the reconnection that such a silence leads to, brings the third ones; the restart waits for either.
    asked, offers = len(fake.sent("sync")), len(fake.sent("describe"))
    fake.snapshots["doctor"] = pair(ice_servers=turn("third"))[0]
    await doctor.evaluate("window.ahead = 61_000")
    await fake.emit("doctor", "signal", again | {"mid": None, "line": None})
    await until(doctor, lambda: len(fake.sent("sync")) > asked)
    await fake.push("doctor", fake.snapshots["doctor"])
    await until(doctor, lambda: len(fake.sent("describe")) > offers)
    assert await doctor.evaluate(CREDENTIAL) == "third"


async def until(page: Page, condition: Callable[[], object]) -> None:
    for _ in range(50):
        if condition():
            return
        await page.wait_for_timeout(100)
    raise AssertionError("did not come true within five seconds")
