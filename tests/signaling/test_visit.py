"""The protocol over a real server and real clients: come, wait, be let in, describe, chat, leave."""

from __future__ import annotations

from typing import Any

from tests.signaling.house import House, Page


async def met(house: House) -> tuple[Page, Page]:
    """Doctor and patient in the visit, both told so."""
    doctor = await house.page("doctor")
    patient = await house.page("patient")
    await doctor.sees(lambda s: s["waiting"])
    await doctor.ok("admit", participant_id="patient")
    await patient.sees(lambda s: s["direct"])
    await doctor.sees(lambda s: s["direct"])
    return doctor, patient


def names(snapshot: dict[str, Any]) -> list[str]:
    return sorted(one["participant_id"] for one in snapshot["people"])


async def test_a_waiting_patient_sees_only_themselves_and_the_doctors_name(house: House) -> None:
    await house.page("doctor")
    patient = await house.page("patient")
    snapshot = await patient.sees(lambda s: s["you"]["state"] == "waiting")
    assert snapshot["doctor_name"] == "Dr Adeyemi"
    assert snapshot["people"] == snapshot["waiting"] == snapshot["ice_servers"] == []
    assert snapshot["direct"] is None
    assert snapshot["relay_room"] is None


async def test_the_doctor_sees_who_waits_with_what_the_check_needs(house: House) -> None:
    doctor = await house.page("doctor")
    await house.page("patient")
    snapshot = await doctor.sees(lambda s: s["waiting"])
    waiting = snapshot["waiting"][0]
    assert (waiting["name"], waiting["birth_date"], waiting["opened_by"]) == (
        "Anna Marker",
        "1970-01-02",
        "the patient",
    )


async def test_admission_opens_the_visit_directly_with_the_doctor_offering(house: House) -> None:
    doctor, patient = await met(house)
    assert names(doctor.snapshot) == names(patient.snapshot) == ["doctor", "patient"]
    assert patient.snapshot["phase"] == "open"
    assert patient.snapshot["mode"] == "direct"
    assert patient.snapshot["direct"] == {"peer": "doctor", "offerer": "doctor"}
    assert doctor.snapshot["direct"] == {"peer": "patient", "offerer": "doctor"}


async def test_the_relay_is_prepared_from_admission_on(house: House) -> None:
    doctor, patient = await met(house)
    await patient.sees(lambda s: s["relay_up"])
    snapshot = await doctor.sees(lambda s: s["relay_up"])
    assert snapshot["relay_room"] == house.node.epoch
    assert snapshot["ice_servers"] == [{"urls": "stun:192.0.2.1:3478"}]
    answer = await patient.ok("up_offer", connection_id="up-1", revision=0, sdp="audio", sources={})
    assert answer["sdp"] == "answer"
    assert house.node.admitted("room1") == {"doctor", "patient"}


async def test_descriptions_cross_between_the_two_and_only_from_the_offerer(house: House) -> None:
    doctor, patient = await met(house)
    attempt = doctor.snapshot["attempt"]
    await doctor.ok("describe", to="patient", attempt=attempt, type="offer", sdp="v=0 offer")
    await patient.until(lambda: patient.all("signal"))
    assert patient.all("signal")[0]["sdp"] == "v=0 offer"
    assert patient.all("signal")[0]["sender"] == "doctor"
    await patient.ok("describe", to="doctor", attempt=attempt, type="answer", sdp="v=0 answer")
    await patient.ok("candidate", to="doctor", attempt=attempt, candidate="candidate:1", mid="0", line=0)
    await doctor.until(lambda: len(doctor.all("signal")) == 2)
    assert await patient.no("describe", to="doctor", attempt=attempt, type="offer", sdp="v=0") == "not_allowed"
    assert await doctor.no("describe", to="patient", attempt=attempt - 1, type="offer", sdp="x") == "stale_revision"


async def test_chat_is_stored_then_told_to_both_with_the_senders_name(house: House) -> None:
    doctor, patient = await met(house)
    answer = await patient.ok("chat", text="  hello  ")
    await doctor.until(lambda: doctor.all("chat"))
    await patient.until(lambda: patient.all("chat"))
    line = doctor.all("chat")[0]
    assert (line["n"], line["name"], line["role"], line["text"]) == (answer["n"], "Anna Marker", "patient", "hello")
    assert (await doctor.ok("chat_history", after=0))["lines"] == [line]


async def test_a_repeated_event_is_answered_as_the_first_time_and_done_once(house: House) -> None:
    doctor, _ = await met(house)
    first = await doctor.send_raw("chat", {"id": "12345678", "text": "once"})
    again = await doctor.send_raw("chat", {"id": "12345678", "text": "once"})
    assert first == again
    assert len(house.clinic.rooms[_room()].chat) == 1


def _room() -> Any:
    return "room1"


async def test_devices_show_on_the_other_side(house: House) -> None:
    doctor, patient = await met(house)
    await patient.ok("devices", microphone="muted", camera="off", screen=True)
    snapshot = await doctor.sees(lambda s: any(one["screen"] for one in s["people"]))
    shown = next(one for one in snapshot["people"] if one["participant_id"] == "patient")
    assert (shown["microphone"], shown["camera"]) == ("muted", "off")
