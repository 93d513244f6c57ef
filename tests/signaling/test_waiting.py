"""Who is outside hears nothing and may do nothing: every event of the table, for everybody who isn't in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from socketio.exceptions import ConnectionError as SocketError

from signaling import messages as m
from signaling.ports import CardFacts
from signaling.table import TABLE
from signaling.words import Redacted, Right, RoomId
from tests.signaling.house import House, Page
from tests.signaling.test_record import agree, asked, connected, recorded
from tests.signaling.test_visit import met

ANYTHING: dict[str, dict[str, Any]] = {
    "sync": {},
    "devices": {"microphone": "on", "camera": "on", "screen": True},
    "leave": {},
    "describe": {"to": "doctor", "attempt": 1, "type": "offer", "sdp": "v=0 leak"},
    "candidate": {"to": "doctor", "attempt": 1, "candidate": "candidate:leak"},
    "up_offer": {"connection_id": "c1", "revision": 0, "sdp": "audio leak", "sources": {}},
    "down_request": {"connection_id": "c1"},
    "down_answer": {"connection_id": "c1", "revision": 1, "sdp": "audio"},
    "link": {"attempt": 1, "state": "direct_failed"},
    "chat": {"text": "leak"},
    "chat_history": {},
    "admit": {"participant_id": "guest"},
    "wrong_person": {"participant_id": "patient"},
    "back_to_waiting": {"participant_id": "patient"},
    "remove": {"participant_id": "patient"},
    "unblock": {"participant_id": "patient"},
    "agree_guest": {"participant_id": "guest", "agree": True},
    "allow_device": {"participant_id": "patient", "device": "any"},
    "ask_recording": {"purpose": "second_opinion"},
    "answer_recording": {"recording_id": "r1", "question": 1, "answer": "yes"},
    "stop_recording": {"recording_id": "r1"},
    "pause_recording": {"recording_id": "r1", "why": "examination"},
    "resume_recording": {"recording_id": "r1"},
    "choose_withdrawn": {"recording_id": "r1", "choice": "delete_all"},
    "emergency": {},
    "carry_on_by_phone": {},
    "end_visit": {"outcome": "seen"},
    "undo_end": {},
}
OPEN_TO_ALL = {"sync", "devices", "leave"}


def test_every_event_has_a_row_here_and_in_the_table() -> None:
    assert set(TABLE) == set(ANYTHING) == {event.NAME for event in m.VISIT_EVENTS}


def is_hidden(page: Page) -> None:
    """Nothing but their own snapshots, without anybody else in them."""
    assert {name for name, _ in page.heard} <= {"snapshot"}
    told = str(page.heard)
    assert "Anna Marker" not in told or page.snapshot["you"]["name"] == "Anna Marker"
    assert "stun:" not in told
    for snapshot in page.all("snapshot"):
        empty = ("people", "waiting", "guests", "devices", "blocked", "ice_servers")
        assert all(snapshot[key] == [] for key in empty)
        assert snapshot["direct"] is snapshot["relay_room"] is snapshot["recording"]["recording_id"] is None
        assert snapshot["chat_count"] == snapshot["attempt"] == 0


@pytest.mark.parametrize("event", sorted(set(ANYTHING) - {"leave"}))
async def test_somebody_waiting_may_do_nothing_in_a_running_recorded_visit(house: House, event: str) -> None:
    doctor, patient = await recorded(house)
    await doctor.ok("chat", text="confidential")
    guest = await house.page("guest")
    await guest.sees(lambda s: s["you"]["state"] == "waiting")
    answer = await guest.send(event, **ANYTHING[event])
    if event in OPEN_TO_ALL:
        assert answer["ok"]
    else:
        right = TABLE[event].event.RIGHT
        assert answer["error"] == ("not_admitted" if right == Right.TAKE_PART else "not_allowed")
    await doctor.ok("chat", text="still confidential")
    await patient.until(lambda: len(patient.all("chat")) >= 1)
    is_hidden(guest)
    assert not doctor.all("signal")
    assert not patient.all("signal")


async def test_a_second_device_may_do_nothing_either(house: House) -> None:
    doctor, _ = await met(house)
    house.clinic.own("other", "patient")
    second = await house.page("patient", session="other")
    await second.sees(lambda s: s["you"]["second_device"])
    for event in sorted(set(ANYTHING) - {"leave"}):
        answer = await second.send(event, **ANYTHING[event])
        assert answer["ok"] is (event in OPEN_TO_ALL), event
    await doctor.ok("chat", text="confidential")
    is_hidden(second)


@pytest.mark.parametrize("event", sorted(name for name, row in TABLE.items() if row.event.RIGHT != Right.TAKE_PART))
async def test_a_patient_inside_may_not_do_what_is_the_doctors(house: House, event: str) -> None:
    doctor, patient = await met(house)
    before = dict(doctor.snapshot)
    assert await patient.no(event, **ANYTHING[event]) == "not_allowed"
    assert doctor.snapshot["phase"] == before["phase"]


async def test_nobody_else_may_agree_to_a_guest(house: House) -> None:
    doctor, patient = await met(house)
    guest = await house.page("guest")
    await patient.sees(lambda s: s["guests"])
    for page in (doctor, guest):
        assert await page.no("agree_guest", participant_id="guest", agree=True) in ("not_allowed", "not_admitted")


@pytest.mark.parametrize(
    ("session", "participant", "code"),
    [
        ("nobody", "patient", "not_signed_in"),
        ("session-stranger", "patient", "not_found"),
        ("session-stranger", "../../etc", "malformed"),
        ("session-guest", "patient", "not_found"),
    ],
)
async def test_a_stranger_gets_no_socket(house: House, session: str, participant: str, code: str) -> None:
    page = house.new_page(session)
    with pytest.raises(SocketError):
        await page.open("/visit", {"v": 1, "participation": participant, "tab": "tab-0001"})
    assert page.refused is not None
    assert page.refused["data"]["error"] == code
    assert page.heard == []


async def test_the_stranger_of_another_room_reaches_nobody_here(house: House) -> None:
    doctor, patient = await met(house)
    stranger = await house.page("stranger")
    for event in sorted(set(ANYTHING) - {"leave"}):
        await stranger.send(event, **ANYTHING[event])
    assert await doctor.no("admit", participant_id="stranger") == "not_found"
    is_hidden(stranger)
    assert patient.snapshot["phase"] == "open"


async def test_a_person_let_in_learns_of_nothing_said_before(house: House) -> None:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    await doctor.ok("chat", text="before")
    guest = await house.page("guest")
    await patient.sees(lambda s: s["guests"])
    await patient.ok("agree_guest", participant_id="guest", agree=True)
    await doctor.ok("admit", participant_id="guest")
    await guest.sees(lambda s: s["people"])
    await doctor.ok("chat", text="after")
    await guest.until(lambda: guest.all("chat"))
    lines = (await guest.ok("chat_history", after=0))["lines"]
    assert [line["text"] for line in lines] == ["after"]


async def test_an_answer_counts_only_from_whom_it_was_asked(house: House) -> None:
    doctor, patient = await met(house)
    recording_id = await asked(doctor, patient)
    await agree(doctor)
    question = patient.snapshot["recording"]["question"]
    answer = {"recording_id": recording_id, "question": question}
    assert await patient.no("answer_recording", answer="yes", others_present="x", **answer) == "consent_missing"
    assert await patient.no("answer_recording", recording_id="r9", question=1, answer="yes") == "not_found"
    late = {"recording_id": recording_id, "question": question + 1}
    assert await patient.no("answer_recording", answer="yes", **late) == "stale_revision"
    await patient.ok("answer_recording", answer="yes", **answer)
    assert await patient.no("answer_recording", answer="no", **answer) == "already_answered"


async def test_what_was_answered_at_the_door_reaches_the_doctor_alone(house: House) -> None:
    card = CardFacts(place=Redacted("12 Mill Lane"), others=Redacted("my sister"), agrees=True)
    room = house.clinic.rooms[RoomId("room1")]
    facts = [replace(one, card=card) if one.participant_id == "patient" else one for one in room.facts.participants]
    room.facts = replace(room.facts, participants=facts)
    doctor, patient = await house.page("doctor"), await house.page("patient")
    await house.servers[0].signaling.refresh_room(RoomId("room1"))
    told = {"participant_id": "patient", "place": "12 Mill Lane", "phone": None, "others": "my sister", "agrees": True}
    await doctor.sees(lambda s: s["waiting"] and s["cards"] == [told])
    await doctor.ok("admit", participant_id="patient")
    assert (await doctor.sees(lambda s: not s["waiting"]))["cards"] == [told]
    assert (await patient.sees(lambda s: s["people"]))["cards"] == []


@pytest.mark.parametrize("first_is_gone", [False, True])
async def test_another_browser_that_takes_a_waiting_place_brings_its_own_card(
    house: House, *, first_is_gone: bool
) -> None:
    doctor, first = await house.page("doctor"), await house.page("patient")
    seen = await doctor.sees(lambda s: s["waiting"])
    assert seen["waiting"][0]["opened_by"] == "the patient"
    room = house.clinic.rooms[RoomId("room1")]
    facts = [
        replace(one, identity="helping", opened_by="somebody helping") if one.participant_id == "patient" else one
        for one in room.facts.participants
    ]
    room.facts = replace(room.facts, participants=facts)
    house.clinic.own("session-phone", "patient")
    if first_is_gone:
        await first.close()
        await doctor.sees(lambda s: s["waiting"][0]["away"])
        await house.page("patient", session="session-phone")
    else:
        await house.page("patient", session="session-phone")
        devices = (await doctor.sees(lambda s: s["devices"]))["devices"]
        await doctor.ok("allow_device", participant_id="patient", device=devices[0]["device"])
    await doctor.sees(lambda s: s["waiting"][0]["opened_by"] == "somebody helping")
    assert doctor.snapshot["waiting"][0]["identity"] == "helping"
