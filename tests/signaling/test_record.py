"""Recording over a real server: asked, answered, switched, running, stopped; newcomers, the phone, the end."""

from __future__ import annotations

from typing import Any

import pytest

from media.api import CapturePhase, NodeEventKind
from signaling.words import ParticipantId, RoomId
from tests.signaling.clinic import GERMAN
from tests.signaling.house import House, Page
from tests.signaling.test_visit import met
from tests.signaling.until import until

ROOM = RoomId("room1")
YES = {"answer": "yes", "others_present": "my sister", "others_agree": True, "given_for": "self"}


async def connected(doctor: Page, patient: Page) -> None:
    """Both browsers say that pictures go straight between them."""
    for page in (doctor, patient):
        await page.ok("link", attempt=page.snapshot["attempt"], state="direct_connected")


async def asked(doctor: Page, *others: Page) -> str:
    """The question is on every screen; answers the recording's id."""
    await doctor.ok("ask_recording", purpose="second_opinion")
    for page in (doctor, *others):
        await page.sees(lambda s: s["recording"]["phase"] == "asking", "the question")
    return str(doctor.snapshot["recording"]["recording_id"])


async def agree(*pages: Page) -> None:
    for page in pages:
        recording = page.snapshot["recording"]
        answer = {"recording_id": recording["recording_id"], "question": recording["question"], **YES}
        await page.ok("answer_recording", **answer)


async def switched(*pages: Page) -> None:
    for page in pages:
        snapshot = await page.sees(lambda s: s["mode"] == "switching", "the switch")
        await page.ok("link", attempt=snapshot["attempt"], state="relay_ready")


async def recorded(house: House) -> tuple[Page, Page]:
    """Doctor and patient, recording running."""
    doctor, patient = await met(house)
    await connected(doctor, patient)
    await asked(doctor, patient)
    await agree(doctor, patient)
    await switched(doctor, patient)
    for page in (doctor, patient):
        await page.sees(lambda s: s["recording"]["phase"] == "running", "running")
    return doctor, patient


def phase(page: Page) -> str:
    return str(page.snapshot["recording"]["phase"])


async def test_capture_starts_only_after_the_last_yes_and_when_everybody_shows_the_relay(house: House) -> None:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    await asked(doctor, patient)
    question = patient.snapshot["recording"]
    assert question["consent_text"] == GERMAN.consent_text
    assert doctor.snapshot["recording"]["consent_text"] != GERMAN.consent_text
    assert question["answers"] == {"doctor": "asked", "patient": "asked"}
    await agree(doctor)
    await patient.sees(lambda s: s["recording"]["answers"]["doctor"] == "yes")
    assert patient.snapshot["mode"] == "direct"
    assert house.node.capture(ROOM).phase == CapturePhase.OFF
    await agree(patient)
    await patient.sees(lambda s: s["mode"] == "switching")
    await patient.ok("link", attempt=patient.snapshot["attempt"], state="relay_ready")
    assert house.node.capture(ROOM).phase == CapturePhase.OFF
    await switched(doctor)
    await patient.sees(lambda s: s["recording"]["phase"] == "running")
    assert patient.snapshot["mode"] == "relay"
    assert [one.language for one in house.clinic.rooms[ROOM].consents] == ["", "de"], "of what they were shown"
    grant = house.node.grants[ROOM]
    assert set(grant.keys) == {"doctor", "patient"}
    assert house.clinic.rooms[ROOM].facts.recording.phase == "running"  # type: ignore[union-attr]


async def test_a_no_declines_and_it_may_be_asked_once_more(house: House) -> None:
    doctor, patient = await met(house)
    for again in (True, False):
        recording_id = await asked(doctor, patient)
        answer = {"recording_id": recording_id, "question": patient.snapshot["recording"]["question"]}
        await patient.ok("answer_recording", answer="no", **answer)
        snapshot = await doctor.sees(lambda s: s["recording"]["phase"] == "declined")
        assert snapshot["recording"]["may_ask_again"] is again
    assert await doctor.no("ask_recording", purpose="second_opinion") == "wrong_phase"
    assert patient.snapshot["mode"] == "direct"
    assert not house.node.grants


async def test_anybody_stops_it_at_the_node_before_anything_is_stored(house: House) -> None:
    doctor, patient = await recorded(house)
    order: list[str] = []
    stop, store = house.node.stop_capture, house.clinic.record_consent

    async def stop_capture(*arguments: str) -> object:
        order.append("node")
        return await stop(*arguments)

    async def record_consent(*arguments: object) -> None:
        order.append("stored")
        await store(*arguments)  # type: ignore[arg-type]

    house.node.stop_capture, house.clinic.record_consent = stop_capture, record_consent  # type: ignore[method-assign,assignment]
    await patient.ok("stop_recording", recording_id=patient.snapshot["recording"]["recording_id"])
    snapshot = await doctor.sees(lambda s: s["recording"]["phase"] == "stopped")
    assert order[:2] == ["node", "stored"]
    assert snapshot["recording"]["answers"]["patient"] == "no"
    assert snapshot["mode"] == "relay"
    assert house.node.capture(ROOM).phase == CapturePhase.STOPPED
    taken_back = house.clinic.rooms[ROOM].consents[-1]
    assert (taken_back.yes, taken_back.language) == (False, "de")


async def test_a_pause_stops_capture_at_the_node_and_only_a_person_resumes_it(house: House) -> None:
    doctor, patient = await recorded(house)
    about = {"recording_id": patient.snapshot["recording"]["recording_id"]}
    await patient.ok("pause_recording", why="examination", **about)
    assert house.node.capture(ROOM).phase == CapturePhase.PAUSED, "before the press was answered"
    assert house.node.grants[ROOM].reason == "examination"
    snapshot = await doctor.sees(lambda s: s["recording"]["phase"] == "paused")
    assert snapshot["recording"]["code"] == "examination"
    assert snapshot["recording"]["paused_by"] == "Anna Marker"
    await patient.ok("pause_recording", why="examination", **about)
    assert house.clinic.rooms[ROOM].phases[-1][1:] == ("paused", 1, "examination")
    assert await doctor.no("choose_withdrawn", choice="keep", **about) == "wrong_phase"
    await doctor.ok("resume_recording", **about)
    await patient.sees(lambda s: s["recording"]["phase"] == "running")
    await patient.ok("pause_recording", why="someone_came_in", **about)
    assert house.node.capture(ROOM).phase == CapturePhase.PAUSED
    await patient.sees(lambda s: s["recording"]["answers"] == {"doctor": "yes", "patient": "asked"})
    await agree(patient)
    await doctor.sees(lambda s: s["recording"]["phase"] == "running")
    assert await doctor.no("pause_recording", recording_id="another", why="examination") == "not_found"
    assert await doctor.no("pause_recording", why="tea", **about) == "malformed"


@pytest.mark.parametrize("way", ["somebody came in", "another device"])
async def test_the_nodes_own_word_of_a_pause_starts_nothing_while_the_clinic_is_slow(house: House, way: str) -> None:
    doctor, patient = await recorded(house)
    house.clinic.answers_after_s = 0.5
    if way == "another device":
        house.clinic.own("another-browser", "patient")
        asked = await house.page("patient", session="another-browser")
        await asked.sees(lambda s: s["you"]["second_device"])
        await patient.sees(lambda s: s["devices"])
        await patient.ok("allow_device", **_of(asked))
    else:
        asked = patient
        about = {"recording_id": patient.snapshot["recording"]["recording_id"]}
        await patient.ok("pause_recording", why="someone_came_in", **about)
    await asked.sees(lambda s: s["recording"]["phase"] == "paused", "asked again")
    assert house.node.capture(ROOM).phase == CapturePhase.PAUSED
    assert [call for call in house.node.calls if call[0] == "grant" and call[-1] == "True"] == [
        ("grant", ROOM, house.node.grants[ROOM].recording_id, "1", "True")
    ], "started once"
    await agree(asked)
    await doctor.sees(lambda s: s["recording"]["phase"] == "running")


async def test_who_took_their_yes_back_says_what_becomes_of_it(house: House) -> None:
    doctor, patient = await recorded(house)
    about = {"recording_id": patient.snapshot["recording"]["recording_id"]}
    await patient.ok("stop_recording", **about)
    await doctor.ok("end_visit", outcome="seen")
    assert (await patient.ok("choose_withdrawn", choice="delete_mine", **about))["result"] == "done"
    assert house.clinic.rooms[ROOM].choices == [("patient", "delete_mine")]
    assert await doctor.no("choose_withdrawn", choice="delete_all", **about) == "wrong_phase", "who agreed still agrees"
    assert await patient.no("pause_recording", why="examination", **about) in ("wrong_phase", "visit_over")


async def admit_guest(house: House, doctor: Page, patient: Page) -> Page:
    guest = await house.page("guest")
    await patient.sees(lambda s: s["guests"])
    assert await doctor.no("admit", participant_id="guest") == "consent_missing"
    await patient.ok("agree_guest", participant_id="guest", agree=True)
    await doctor.ok("admit", participant_id="guest")
    await guest.sees(lambda s: len(s["people"]) == 3)
    return guest


async def test_c60_a_newcomer_pauses_capture_until_their_yes(house: House) -> None:
    """Nobody's picture is stored before they have answered."""
    doctor, patient = await recorded(house)
    guest = await admit_guest(house, doctor, patient)
    await guest.sees(lambda s: s["recording"]["phase"] == "paused")
    assert guest.snapshot["recording"]["answers"] == {"doctor": "yes", "patient": "yes", "guest": "asked"}
    await doctor.sees(lambda s: s["recording"]["phase"] == "paused")
    assert house.node.capture(ROOM).phase == CapturePhase.PAUSED
    assert "guest" not in house.node.grants[ROOM].keys
    await agree(guest)
    await doctor.sees(lambda s: s["recording"]["phase"] == "running")
    assert "guest" in house.node.grants[ROOM].keys


async def test_c60_a_newcomers_no_keeps_it_off_and_the_visit_goes_on(house: House) -> None:
    doctor, patient = await recorded(house)
    guest = await admit_guest(house, doctor, patient)
    recording = (await guest.sees(lambda s: s["recording"]["phase"] == "paused"))["recording"]
    await guest.ok(
        "answer_recording", recording_id=recording["recording_id"], question=recording["question"], answer="no"
    )
    await doctor.sees(lambda s: s["recording"]["phase"] == "stopped")
    assert len(guest.snapshot["people"]) == 3
    await doctor.ok("chat", text="still here")
    assert house.node.capture(ROOM).phase == CapturePhase.STOPPED


async def test_c60_the_api_gives_no_keys_without_everybodys_yes(house: House) -> None:
    """At the port: the room never asks for keys, and would get none."""
    doctor, patient = await met(house)
    recording_id = await asked(doctor, patient)
    await agree(doctor)
    for one in ("doctor", "patient"):
        recording = house.clinic.rooms[ROOM].facts.recording
        assert recording is not None
        assert recording.consents.get(ParticipantId(one), False) is (one == "doctor")
    assert recording_id not in {call[2] for call in house.node.calls if call[0] == "grant"}


async def test_going_on_by_phone_stops_capture_and_keeps_the_visit(house: House) -> None:
    doctor, patient = await recorded(house)
    answer = await doctor.ok("carry_on_by_phone")
    assert (answer["phone"], answer["phone_on_file"]) == ("+44 20 7946 0000", "+44 20 7946 0001")
    snapshot = await patient.sees(lambda s: s["by_phone"])
    assert (snapshot["phase"], snapshot["recording"]["phase"]) == ("open", "stopped")
    assert house.node.capture(ROOM).reason == "by_phone"


async def test_ending_stops_capture_closes_the_log_and_can_be_undone(house: House) -> None:
    doctor, patient = await recorded(house)
    await doctor.ok("end_visit", outcome="seen")
    snapshot = await patient.sees(lambda s: s["phase"] == "ended")
    assert snapshot["people"] == []
    assert snapshot["outcome"] is None
    await doctor.sees(lambda s: s["undo_until"] and s["outcome"] == "seen")
    assert house.node.capture(ROOM).phase == CapturePhase.STOPPED
    assert await doctor.no("chat", text="too late") == "visit_over"
    await patient.close()
    patient = await house.page("patient")
    await patient.sees(lambda s: s["phase"] == "ended", "who reloads meanwhile stays where they were")
    await doctor.ok("undo_end")
    snapshot = await patient.sees(lambda s: s["phase"] == "open")
    assert snapshot["recording"]["phase"] == "stopped"
    assert [log.recording_id for log in house.clinic.rooms[ROOM].logs]


async def test_an_end_with_the_wrong_person_is_undone_for_whoever_holds_the_link(house: House) -> None:
    """Also when the room has heard of the closed link meanwhile: the patient's page comes back in."""
    doctor, patient = await met(house)
    await doctor.ok("end_visit", outcome="wrong_person")
    await house.servers[0].signaling.refresh_room(ROOM)
    await patient.sees(lambda s: s["you"]["state"] == "left")
    await doctor.ok("undo_end")
    back = await house.page("patient")
    assert (await back.sees(lambda s: s["phase"] == "open"))["you"]["state"] == "admitted"


async def test_a_third_person_goes_by_relay_without_recording(house: House) -> None:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    guest = await admit_guest(house, doctor, patient)
    await switched(doctor, patient, guest)
    for page in (doctor, patient, guest):
        snapshot = await page.sees(lambda s: s["mode"] == "relay")
        assert snapshot["recording"]["phase"] == "off"
        assert snapshot["simulcast"]
    await guest.ok("leave")
    snapshot = await doctor.sees(lambda s: not s["simulcast"])
    assert snapshot["mode"] == "relay"


async def test_whose_link_takes_no_pictures_is_told_and_so_are_those_they_cannot_see(house: House) -> None:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    guest = await admit_guest(house, doctor, patient)
    await switched(doctor, patient, guest)
    await doctor.ok("devices", microphone="on", camera="on", screen=False)
    await guest.ok("devices", microphone="on", camera="off", screen=False)

    def hold(*of: str) -> None:
        there = house.node.rooms[ROOM].participants
        there["patient"] = there["patient"].model_copy(update={"held_back": list(of)})
        house.node.emit(NodeEventKind.PICTURES, room_id=ROOM, participant_id="patient", held_back=list(of))

    def seen(snapshot: dict[str, Any]) -> dict[str, tuple[bool, bool]]:
        return {one["participant_id"]: (one["picture_held"], one["hears_only"]) for one in snapshot["people"]}

    hold("doctor")
    assert seen(await patient.sees(lambda s: seen(s)["doctor"][0])) == {
        "doctor": (True, False),
        "patient": (False, True),
        "guest": (False, False),
    }
    assert (await doctor.sees(lambda s: seen(s)["patient"][1]))["mode"] == "relay"
    assert not any(held for held, _ in seen(doctor.snapshot).values())
    hold()
    await patient.sees(lambda s: not any(any(one) for one in seen(s).values()))


async def test_c125_a_full_disk_fails_the_recording_and_the_doctor_is_told_why(house: House) -> None:
    house.node.is_full = True
    doctor, patient = await met(house)
    await connected(doctor, patient)
    await asked(doctor, patient)
    await agree(doctor, patient)
    await switched(doctor, patient)
    snapshot = await doctor.sees(lambda s: s["recording"]["phase"] == "failed")
    assert snapshot["recording"]["code"] == "storage_full"
    await patient.ok("chat", text="we go on")


async def test_c125_a_disk_that_fills_up_stops_it_for_everybody_and_with_room_again_another_one_runs(
    house: House,
) -> None:
    doctor, patient = await recorded(house)
    house.node.is_full = True
    await house.node.stop_capture(ROOM, doctor.snapshot["recording"]["recording_id"], "storage_full")
    for page in (doctor, patient):
        snapshot = await page.sees(lambda s: s["recording"]["phase"] == "failed", "said on every screen")
        assert (snapshot["recording"]["code"], snapshot["mode"]) == ("storage_full", "relay")
    await until(lambda: house.clinic.rooms[ROOM].phases[-1][1:] == ("failed", 2, "storage_full"))
    await patient.ok("chat", text="we go on")
    house.node.is_full = False
    await asked(doctor, patient)
    await agree(doctor, patient)
    await patient.sees(lambda s: s["recording"]["phase"] == "running", "without any restart")


async def test_a_dead_nodes_room_opens_on_another_and_capture_goes_on_as_a_new_segment(house: House) -> None:
    doctor, _ = await recorded(house)
    first = doctor.snapshot["relay_room"]
    house.node.restart()
    snapshot = await doctor.sees(lambda s: s["relay_room"] not in (None, first), "another epoch")
    assert snapshot["mode"] == "relay"
    await doctor.sees(lambda s: s["recording"]["phase"] == "running", "running again")
    assert house.node.grants[ROOM].segment == 2
    assert house.node.admitted(ROOM) == {"doctor", "patient"}


async def test_a_second_device_waits_outside_and_takes_over_with_consent_asked_again(house: House) -> None:
    doctor, patient = await recorded(house)
    house.clinic.own("another-browser", "patient")
    second = await house.page("patient", session="another-browser")
    snapshot = await second.sees(lambda s: s["you"]["second_device"])
    assert snapshot["people"] == []
    assert snapshot["relay_room"] is None
    for event, fields in (("chat", {"text": "hi"}), ("chat_history", {}), ("allow_device", _of(second))):
        assert await second.no(event, **fields) in ("not_admitted", "not_allowed")
    await patient.sees(lambda s: s["devices"])
    await patient.ok("allow_device", **_of(second))
    await second.sees(lambda s: s["recording"]["phase"] == "paused", "asked again")
    assert house.node.capture(ROOM).phase == CapturePhase.PAUSED
    last = await patient.sees(lambda s: s["you"]["state"] == "left")
    assert last["you"]["reason"] == "replaced"
    await agree(second)
    await doctor.sees(lambda s: s["recording"]["phase"] == "running")


def _of(second: Page) -> dict[str, str]:
    return {"participant_id": "patient", "device": second.snapshot["you"]["device"]}
