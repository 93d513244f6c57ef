"""Every state of the visit's page, on a phone and on a desk: axe finds nothing, nothing scrolls sideways.

BEDSIDE_SHOTS names a folder in which a picture of each is kept, to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.web.conftest import OpenPage
from tests.web.fake_room import FakeRoom
from tests.web.states import DOCTOR, GUEST, LONG_NAME, PATIENT, asked, at, bare, person, room, settled, waiting

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

SIZES = [(360, 740), (1440, 800), (720, 450)]
"""A phone, a desk, and a desk at 200 % zoom."""
AXE = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .map((one) => one.id + ': ' + one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join(' | '))"""
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
SHOWS = "(revision) => !window.__bedside?.snapshot || window.__bedside.snapshot.revision >= revision"
DENIED = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError') }"

Look = Callable[..., Awaitable[None]]
OFF = {"camera": "off"}
ENDED_ELSEWHERE = {None: "The appointment was cancelled.", "not_reached": "the patient did not come"}
OUTSIDE = ("waiting", "second-device")


def outside(**you: Any) -> dict[str, Any]:
    told = bare(PATIENT)
    return told | {"you": told["you"] | you}


def patient_states() -> dict[str, dict[str, Any]]:
    two = [DOCTOR, PATIENT]
    answered = {"doctor": "yes", "patient": "yes"}
    guest = {"participant_id": "g1", "name": GUEST["name"], "role": "interpreter"}
    device = {"participant_id": "patient", "device": "d2", "name": PATIENT["name"], "since": at(-5)}
    return {
        "waiting": bare(PATIENT),
        "second-device": outside(second_device=True),
        "left": outside(state="left", reason="left"),
        "link-closed": outside(state="left", reason="wrong_person"),
        "in": room(PATIENT, [DOCTOR | OFF, PATIENT]),
        "asked": room(PATIENT, two, recording=asked()),
        "recorded": room(PATIENT, [DOCTOR | OFF, PATIENT], mode="relay", recording=asked("running", answered)),
        "examined": room(
            PATIENT,
            [DOCTOR | OFF, PATIENT],
            mode="relay",
            recording=asked("paused", answered, code="examination", paused_by=DOCTOR["name"], may_resume=True),
        ),
        "weak": room(
            PATIENT,
            [DOCTOR | {"picture_held": True}, PATIENT | {"hears_only": True}],
            mode="relay",
        ),
        "by-phone": room(PATIENT, [DOCTOR | OFF, PATIENT], by_phone=True),
        "guest-asks": room(PATIENT, two, guests=[guest], devices=[device]),
        "ended": room(PATIENT, [], phase="ended"),
    }


def doctor_states() -> dict[str, dict[str, Any]]:
    late = person("p2", LONG_NAME, "proxy")
    away = person("x", LONG_NAME, "guest", away=True)
    hearing = PATIENT | {"hears_only": True}
    answers = {"doctor": "yes", "patient": "asked", "interpreter-1": "no"}
    door = [
        waiting(PATIENT),
        waiting(late, late=True, identity="helping", opened_by="somebody helping"),
        waiting(GUEST, agreement="asked", opened_by="interpreter", birth_date=None),
    ]
    cards = [
        {"participant_id": PATIENT["participant_id"], "place": "12 Mill Lane, Leeds, United Kingdom", "others": None,
         "phone": "the usual one", "agrees": True},
        {"participant_id": "p2", "place": None, "others": "my sister Ruth", "phone": None, "agrees": False},
    ]  # fmt: skip
    running = asked("running", {"doctor": "yes"})
    blocked = [{"participant_id": "b", "name": "Tomas"}]
    return {
        "alone": room(DOCTOR, [DOCTOR]),
        "second-device": bare(DOCTOR) | {"you": room(DOCTOR, [])["you"] | {"state": "waiting", "second_device": True}},
        "lobby": room(DOCTOR, [DOCTOR], waiting=door, cards=cards),
        "three": room(DOCTOR, [DOCTOR, hearing, GUEST | OFF, away], mode="relay", recording=running, cards=cards),
        "asking": room(DOCTOR, [DOCTOR, PATIENT, GUEST], recording=asked("asking", answers)),
        "node-down": room(DOCTOR, [DOCTOR, PATIENT], node_down=True, by_phone=True, blocked=blocked),
        "ended": room(DOCTOR, [], phase="ended", outcome="seen", undo_until=at(90)),
    }


@pytest.fixture
def opened(open_page: OpenPage, axe_script: str) -> OpenPage:
    """Opens pages with axe beside the page's own script."""

    async def open_one(path: str, script: str = "") -> Page:
        return await open_page(path, *SIZES[0], script=f"{axe_script};{script}")

    return open_one


@pytest.fixture
def look(fake: FakeRoom) -> Look:
    """Looks at a page as it is, at each size: axe, width, and a picture where wanted. Leaves it at the first size."""
    folder = os.environ.get("BEDSIDE_SHOTS")

    async def look_at(page: Page, name: str, sizes: Sequence[tuple[int, int]] = SIZES) -> None:
        await page.wait_for_function(SHOWS, arg=fake.told)
        for width, height in reversed(sizes):
            await page.set_viewport_size({"width": width, "height": height})
            await settled(page)
            if folder:
                Path(folder).mkdir(exist_ok=True)
                await page.screenshot(path=str(Path(folder) / f"{name}-{width}.png"))
            assert await page.evaluate(AXE) == [], (name, width)
            assert await page.evaluate(SIDEWAYS) <= 0, f"{name} scrolls sideways at {width}"

    return look_at


async def control(page: Page, selector: str) -> None:
    """A control of the bottom row; on a narrow screen some are behind "More"."""
    if not await page.is_visible(selector):
        await page.click("#more")
    await page.click(selector)


async def test_before_the_visit(fake: FakeRoom, opened: OpenPage, look: Look) -> None:
    page = await opened("/room/patient")
    await look(page, "check")
    await page.click("#open-devices")
    await page.wait_for_selector("#enter")
    await look(page, "check-open")
    await page.close()
    fake.configs["patient"] = {"opens_at": at(605)}
    page = await opened("/room/patient")
    await page.wait_for_selector("#countdown:not([hidden])")
    await look(page, "early")
    await page.close()
    fake.configs.clear()
    page = await opened("/room/patient", script=DENIED)
    await page.click("#open-devices")
    await page.wait_for_selector(".help[data-failure=denied]")
    await look(page, "denied")


async def test_the_patients_page(fake: FakeRoom, opened: OpenPage, look: Look) -> None:
    states = patient_states()
    fake.snapshots["patient"] = states["waiting"]
    page = await opened("/room/patient?demo")
    await page.click("#open-devices")
    await page.click("#enter")
    await page.wait_for_selector("#door[data-state=waiting]")
    for name in (*OUTSIDE, "in", "weak", "asked", "recorded", "examined", "by-phone", "guest-asks", "ended"):
        await fake.push("patient", states[name])
        await look(page, f"patient-{name}")
    await fake.push("patient", states["in"])
    await page.wait_for_selector("#mute")
    await control(page, "#open-settings")
    await look(page, "patient-settings")
    await page.click("#close-panel")
    await control(page, "#leave")
    await look(page, "patient-leave")
    await fake.push("patient", states["recorded"])
    fake.silent.add("stop_recording")
    await page.click("#stop-recording")
    await page.wait_for_selector("#recording-banner[data-held=true]")
    await look(page, "patient-held")
    fake.silent.clear()
    await page.wait_for_selector("#withdrawn[open]")
    await look(page, "patient-withdrawn")
    await page.click("#withdrawn .dialog__close")
    await fake.push("patient", states["asked"])
    await page.click("#answer-yes")
    await page.fill("#others-present", "my sister")
    await look(page, "patient-yes")
    await fake.push("patient", states["link-closed"])
    await look(page, "patient-link-closed")


async def test_the_doctors_page(fake: FakeRoom, opened: OpenPage, look: Look) -> None:
    one = {"room_id": "other", "participant_id": "a", "name": None, "role": "patient", "waiting_since": at(-200)}
    fake.arrivals = {"waiting": [one | {"late": False, "seen": False}], "silent": True, "names_hidden": False}
    fake.answers["emergency"] = {
        "ok": True, "place": "14 Harbour Street, flat 3, Whitby", "phone": "the usual one",
        "phone_on_file": "+44 7700 900123", "number": "999", "country": "GB", "country_from": "phone",
        "also": {"number": "144", "country": "CH", "country_from": "place"}, "pressed_at": at(),
    }  # fmt: skip
    fake.answers["carry_on_by_phone"] = {"ok": True, "phone": "+44 7700 900123", "phone_on_file": None}
    fake.answers["chat_history"] = {"ok": True, "lines": chat_lines()}
    states = doctor_states()
    fake.snapshots["doctor"] = states["alone"]
    page = await opened("/room/doctor")
    await page.wait_for_selector("#arrivals-count:not([hidden])")
    gone = bare(DOCTOR) | {"phase": "ended", "you": room(DOCTOR, [])["you"] | {"state": "left"}}
    gone["you"]["reason"] = "visit_ended"
    for outcome, words in ENDED_ELSEWHERE.items():
        await fake.push("doctor", gone | {"outcome": outcome})
        await page.wait_for_selector(f"#ended :text('{words}')")
        await look(page, f"doctor-elsewhere-{outcome}", SIZES[:1])
    for name, snapshot in states.items():
        await fake.push("doctor", snapshot)
        await look(page, f"doctor-{name}")
    await fake.push("doctor", room(DOCTOR, [DOCTOR, PATIENT | OFF | {"microphone": "muted"}], chat_count=3))
    await page.wait_for_selector(".tile")
    for name in ("settings", "people", "chat"):
        await control(page, f"#open-{name}")
        await look(page, f"doctor-{name}")
    await page.click("#close-panel")
    for opener, inside, dialog in (
        ("#emergency", "#emergency-facts", "emergency-dialog"),
        ("#phone", "#phone-now", "phone-dialog"),
        ("#leave", "[data-outcome=seen]", "end-dialog"),
        ("#record", "#ask-everybody", "recording-ask"),
    ):
        await control(page, opener)
        await page.wait_for_selector(inside)
        await look(page, f"doctor-{dialog}")
        await page.click(f"#{dialog} .dialog__close")
    fake.draft_answers = [(409, {"revision": 5, "text": "BP 130/85. Sleeps badly."})]
    await control(page, "#open-note")
    await page.fill("#note-text", "Cough for three weeks, worse at night.")
    await page.wait_for_selector("#note-conflict:not([hidden])")
    await look(page, "doctor-conflict")


async def test_right_to_left(fake: FakeRoom, open_page: OpenPage, look: Look, axe_script: str) -> None:
    fake.snapshots["doctor"] = doctor_states()["three"]
    page = await open_page("/room/doctor?dir=rtl&lang=ar", *SIZES[0], script=axe_script)
    await page.wait_for_selector(".tile")
    await look(page, "doctor-rtl", SIZES[:1])


async def test_an_ordinary_page_with_arrivals(fake: FakeRoom, opened: OpenPage, look: Look) -> None:
    one = {"room_id": "r1", "participant_id": "a", "name": PATIENT["name"], "role": "patient"}
    two = {"room_id": "r2", "participant_id": "b", "name": None, "role": "patient"}
    fake.arrivals = {
        "waiting": [
            one | {"waiting_since": at(-200), "late": False, "seen": False},
            two | {"waiting_since": at(-20), "late": True, "seen": True},
        ],
        "silent": False, "names_hidden": False,
    }  # fmt: skip
    page = await opened("/list")
    await page.wait_for_selector("#arrivals[data-state=ringing]")
    assert (await page.title()).startswith("(2) ")
    await look(page, "list")


def chat_lines() -> list[dict[str, Any]]:
    return [
        {"n": 1, "at": at(-60), "participant_id": "doctor", "name": DOCTOR["name"], "role": "doctor",
         "text": "Good morning. Please read https://clinic.example/leaflet before we start."},
        {"n": 2, "at": at(-30), "participant_id": "patient", "name": PATIENT["name"], "role": "patient",
         "text": "Done, thank you!\n<img src=x onerror=alert(1)>"},
        {"n": 3, "at": at(-20), "participant_id": "interpreter-1", "name": GUEST["name"], "role": "interpreter",
         "text": "مرحبا، أنا هنا للمساعدة."},
    ]  # fmt: skip
