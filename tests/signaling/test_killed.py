"""The server dies between any two steps of what it does; another, with the room's state or without, makes it good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from socketio.exceptions import SocketIOError

from media.api import CapturePhase
from signaling.desired import is_different
from signaling.store import SharedMemory
from signaling.words import RoomId
from tests.signaling.conftest import cast
from tests.signaling.house import House, Life, Page
from tests.signaling.test_record import YES, agree, asked, connected, switched
from tests.signaling.test_visit import met
from tests.signaling.until import until
from tests.support.certificates import Certificate

ROOM = RoomId("room1")
MOST_STEPS = 7
Begin = Callable[[House], Awaitable[tuple[Page, Page]]]


async def before_admission(house: House) -> tuple[Page, Page]:
    doctor = await house.page("doctor")
    patient = await house.page("patient")
    await doctor.sees(lambda s: s["waiting"])
    await patient.sees(lambda s: s["you"])
    return doctor, patient


async def before_the_last_yes(house: House) -> tuple[Page, Page]:
    doctor, patient = await met(house)
    await doctor.ok("link", attempt=doctor.snapshot["attempt"], state="direct_failed")
    await doctor.sees(lambda s: s["mode"] == "relay" and s["relay_up"])
    await asked(doctor, patient)
    await agree(doctor)
    return doctor, patient


async def while_recording(house: House) -> tuple[Page, Page]:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    await asked(doctor, patient)
    await agree(doctor, patient)
    await switched(doctor, patient)
    await patient.sees(lambda s: s["recording"]["phase"] == "running")
    return doctor, patient


def event_of(what: str, doctor: Page, patient: Page) -> tuple[str, str, dict[str, Any]]:
    """Who presses what."""
    recording = patient.snapshot["recording"]
    about = {"recording_id": recording["recording_id"]}
    return {
        "admit": ("doctor", "admit", {"participant_id": "patient"}),
        "yes": ("patient", "answer_recording", {**about, "question": recording["question"], **YES}),
        "stop": ("patient", "stop_recording", about),
        "end": ("doctor", "end_visit", {"outcome": "seen"}),
        "phone": ("doctor", "carry_on_by_phone", {}),
    }[what]


def check(what: str, house: House) -> None:
    """What must be true once the press was answered."""
    facts = house.clinic.rooms[ROOM].facts
    capture = house.node.capture(ROOM) if ROOM in house.node.rooms else None
    if what == "admit":
        assert {one.participant_id for one in facts.participants if one.state == "admitted"} >= {"patient"}
        assert house.node.admitted(ROOM) == {"doctor", "patient"}
        return
    assert capture is not None
    assert facts.recording is not None
    if what == "yes":
        assert capture.phase == CapturePhase.RUNNING
        assert set(house.node.grants[ROOM].keys) == {"doctor", "patient"}
        assert facts.recording.phase == "running"
    else:
        assert capture.phase == CapturePhase.STOPPED
        assert facts.recording.phase == "stopped"
    if what == "stop":
        assert house.clinic.rooms[ROOM].consents[-1].yes is False


async def settled(house: House, what: str) -> None:
    """The node does what the room wants, and the database has heard how far the recording is."""

    async def is_settled() -> bool:
        state = await house.servers[-1].store.load(ROOM)
        told = state is not None and (state.recording is None or state.recording.is_told)
        return state is not None and told and not is_different(state, house.node.rooms.get(ROOM))

    await until(is_settled)


@pytest.mark.parametrize("steps", range(MOST_STEPS))
@pytest.mark.parametrize("is_state_lost", [False, True], ids=["state kept", "state lost"])
@pytest.mark.parametrize(
    ("what", "begin"),
    [
        ("admit", before_admission),
        ("yes", before_the_last_yes),
        ("stop", while_recording),
        ("end", while_recording),
        ("phone", while_recording),
    ],
    ids=["admit", "yes", "stop", "end", "phone"],
)
async def test_a_kill_between_two_steps_is_made_good(
    certificate: Certificate, what: str, begin: Begin, is_state_lost: bool, steps: int
) -> None:
    house = House(certificate)
    cast(house)
    life = Life()
    await house.serve(life=life)
    try:
        doctor, patient = await begin(house)
        who, name, body = event_of(what, doctor, patient)
        life.left = steps
        body["id"] = "12345678"
        await _press(doctor if who == "doctor" else patient, name, body)
        life.is_dead = True
        shared = SharedMemory() if is_state_lost else house.shared
        await house.servers[0].store.bus.stop()
        await house.serve(shared=shared)
        await _nothing_captured_against_anybodys_word(house)
        pressed = what in ("stop", "end", "phone") and house.node.capture(ROOM).phase == CapturePhase.STOPPED
        granted = [call for call in house.node.calls if call[0] == "grant"]
        again = {one: await house.page(one, server=house.servers[-1], tab="after") for one in ("doctor", "patient")}
        for page in again.values():
            await page.sees(lambda s: s["you"])
        if pressed:
            await settled(house, what)
            assert granted == [call for call in house.node.calls if call[0] == "grant"], "went on after the press"
        answer = await again[who].send_raw(name, body)
        assert answer["ok"] or answer["error"] in ("visit_over", "already_answered"), answer
        await settled(house, what)
        check(what, house)
    finally:
        life.is_dead = False
        life.left = None
        await house.close()


async def _press(page: Page, name: str, body: dict[str, Any]) -> None:
    """The answer may say anything or not come at all."""
    try:
        await page.send_raw(name, body)
    except SocketIOError:
        return


async def _nothing_captured_against_anybodys_word(house: House) -> None:
    facts = house.clinic.rooms[ROOM].facts
    if facts.recording is None or not any(yes is False for yes in facts.recording.consents.values()):
        return
    await until(lambda: house.node.capture(ROOM).phase != CapturePhase.RUNNING)
