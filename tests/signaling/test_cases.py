"""The signaling cases of the shared folder, by their numbers (C60 is in test_record.py, C05 in test_two_servers.py)."""

from __future__ import annotations

import asyncio
import resource

import pytest
from socketio.exceptions import ConnectionError as SocketError
from socketio.exceptions import TimeoutError as SocketTimeout

from signaling.service import PING_INTERVAL_S, PING_TIMEOUT_S
from signaling.words import Departure, ParticipantId, Role, RoomId
from tests.signaling.house import House, Page
from tests.signaling.test_record import connected, switched
from tests.signaling.test_visit import met, names
from tests.signaling.until import until


def lefts(page: Page) -> int:
    """How often this page was told that the patient left."""
    return sum(
        one["participant_id"] == "patient" and one["state"] == "left"
        for snapshot in page.all("snapshot")
        for one in snapshot["people"]
    )


async def test_c01_the_old_sockets_late_end_leaves_whoever_came_back(house: House) -> None:
    doctor, first = await met(house)
    second = await house.page("patient", tab="a-later-tab")
    await second.sees(lambda s: s["people"])
    await first.is_over.wait()
    await first.close()
    await doctor.ok("chat", text="are you there?")
    await second.until(lambda: second.all("chat"))
    assert names(doctor.snapshot) == ["doctor", "patient"]
    assert not next(one for one in doctor.snapshot["people"] if one["participant_id"] == "patient")["away"]
    assert lefts(doctor) == 0


async def test_c01_a_network_change_keeps_place_and_attempt(house: House) -> None:
    doctor = await house.page("doctor")
    first = await house.page("patient", tab="same-tab")
    await doctor.sees(lambda s: s["waiting"])
    await doctor.ok("admit", participant_id="patient")
    attempt = (await first.sees(lambda s: s["direct"]))["attempt"]
    await first.vanish()
    second = await house.page("patient", tab="same-tab")
    snapshot = await second.sees(lambda s: s["people"])
    assert snapshot["attempt"] == attempt
    assert lefts(doctor) == 0


async def test_c03_a_failing_connect_leaves_no_ghost(house: House) -> None:
    good = await house.page("doctor")
    await good.sees(lambda s: s["people"])
    house.clinic.is_down = True
    bad = house.new_page("session-patient")
    with pytest.raises(SocketError):
        await bad.open("/visit", {"v": 1, "participation": "patient", "tab": "tab-0001"})
    assert bad.refused is not None
    assert bad.refused["data"]["error"] == "internal"
    sockets = house.servers[0].signaling._sockets.visit
    state = await house.servers[0].store.load("room1")  # type: ignore[arg-type]
    assert state is not None
    assert [one.seat.participant_id for one in sockets.values()] == ["doctor"]
    assert [one for one, person in state.people.items() if person.place] == ["doctor"]
    await good.close()
    await _gone(house, "doctor")
    assert not sockets


async def _gone(house: House, participant: str) -> None:
    async def has_no_place() -> bool:
        state = await house.servers[0].store.load("room1")  # type: ignore[arg-type]
        return state is not None and state.people[participant].place is None  # type: ignore[index]

    await until(has_no_place)


async def test_c07_a_long_chat_is_refused_and_the_socket_stays(house: House) -> None:
    doctor, patient = await met(house)
    for text in ("A" * 20_000, "A" * 2_000_000):
        answer = await patient.send("chat", text=text)
        assert (answer["error"], answer["limit"]) == ("too_long", 4000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((SocketError, SocketTimeout)):
        await patient.send("chat", text="A" * 3_000_000)
    await patient.is_over.wait()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3 * 2 * 1024 * 10
    snapshot = await doctor.sees(lambda s: any(one["away"] for one in s["people"]))
    assert names(snapshot) == ["doctor", "patient"]
    again = await house.page("patient")
    assert names(await again.sees(lambda s: s["people"])) == ["doctor", "patient"]


async def test_c09_a_removed_guest_stays_out_until_the_block_is_lifted(house: House) -> None:
    doctor, patient = await met(house)
    guest = await house.page("guest")
    await patient.sees(lambda s: s["guests"])
    await patient.ok("agree_guest", participant_id="guest", agree=True)
    await doctor.ok("admit", participant_id="guest")
    await guest.sees(lambda s: s["people"])
    await doctor.ok("remove", participant_id="guest", block=True)
    last = await guest.sees(lambda s: s["you"]["state"] == "left")
    assert last["you"]["reason"] == "removed"
    await guest.is_over.wait()
    house.clinic.own("private-window", "guest")
    for session in ("session-guest", "private-window"):
        page = house.new_page(session)
        with pytest.raises(SocketError):
            await page.open("/visit", {"v": 1, "participation": "guest", "tab": "tab-0001"})
        assert page.refused is not None
        assert page.refused["data"]["error"] == "removed"
    assert (await doctor.sees(lambda s: s["blocked"]))["blocked"][0]["participant_id"] == "guest"
    await doctor.ok("unblock", participant_id="guest")
    back = await house.page("guest")
    assert (await back.sees(lambda s: True))["you"]["state"] == "waiting"
    snapshot = await doctor.sees(lambda s: s["waiting"] and not s["blocked"])
    assert names(snapshot) == ["doctor", "patient"]


async def test_an_interpreter_who_was_arranged_comes_in_with_the_patient_by_one_press(house: House) -> None:
    house.clinic.invite("interpreter", Role.INTERPRETER)
    await house.clinic.guest_agreed(RoomId("room1"), ParticipantId("interpreter"), ParticipantId("patient"), True)
    doctor, patient = await house.page("doctor"), await house.page("patient")
    interpreter, guest = await house.page("interpreter"), await house.page("guest")
    await doctor.sees(lambda s: len(s["waiting"]) == 3)
    await doctor.ok("admit", participant_id="patient")
    snapshot = await patient.sees(lambda s: len(s["people"]) == 3)
    assert names(snapshot) == ["doctor", "interpreter", "patient"]
    assert [one["participant_id"] for one in snapshot["guests"]] == ["guest"], "who wasn't is asked about"
    await interpreter.sees(lambda s: s["people"])
    assert (await guest.sees(lambda s: True))["you"]["state"] == "waiting"


@pytest.mark.parametrize("name", ["Doctor", "DOCTOR", "doctor%20", "%64octor", "doctor\u0301", "Приём"])
async def test_c11_ids_are_opaque_and_no_spelling_opens_another_room(house: House, name: str) -> None:
    page = house.new_page("session-doctor")
    with pytest.raises(SocketError):
        await page.open("/visit", {"v": 1, "participation": name, "tab": "tab-0001"})
    assert page.refused is not None
    assert page.refused["data"]["error"] in ("malformed", "not_found")
    assert set(house.shared.rooms) == {"room1", "room2"}


async def test_c13_chat_keeps_who_said_it_after_they_left_or_were_renamed(house: House) -> None:
    house.clinic.invite("colleague", Role.DOCTOR, name="Dr Brown", person="doctor2")
    doctor, _ = await met(house)
    await doctor.ok("chat", text="hello")
    await doctor.ok("leave")
    colleague = await house.page("colleague")
    await colleague.sees(lambda s: s["people"])
    lines = (await colleague.ok("chat_history", after=0))["lines"]
    assert [(line["name"], line["role"], line["text"]) for line in lines] == [("Dr Adeyemi", "doctor", "hello")]


async def test_c15_a_silent_page_is_away_and_finds_what_it_missed(house: House) -> None:
    assert PING_INTERVAL_S + PING_TIMEOUT_S <= 45
    server = await house.serve(ping_s=1)
    doctor = await house.page("doctor", server=server)
    patient = await house.page("patient", server=server, tab="same")
    await doctor.sees(lambda s: s["waiting"] and not s["waiting"][0]["away"])
    await patient.vanish()
    await doctor.sees(lambda s: s["waiting"][0]["away"], "away")
    await doctor.ok("admit", participant_id="patient")
    await doctor.sees(lambda s: any(one["away"] for one in s["people"]))
    unlocked = await house.page("patient", server=server, tab="same")
    snapshot = await unlocked.sees(lambda s: True)
    assert snapshot["you"]["state"] == "admitted"
    await doctor.sees(lambda s: not any(one["away"] for one in s["people"]))


async def test_c17_offers_never_cross_whatever_both_sides_send(house: House) -> None:
    doctor, patient = await met(house)
    attempt = doctor.snapshot["attempt"]
    answers = await asyncio.gather(
        doctor.send("describe", to="patient", attempt=attempt, type="offer", sdp="v=0 screen"),
        patient.send("describe", to="doctor", attempt=attempt, type="offer", sdp="v=0 screen"),
        patient.send("describe", to="doctor", attempt=attempt, type="restart_please"),
    )
    assert [answer["ok"] for answer in answers] == [True, False, True]
    await doctor.until(lambda: doctor.all("signal"))
    assert [signal["type"] for signal in doctor.all("signal")] == ["restart_please"]


async def test_c34_a_closed_page_is_away_at_once_with_its_place_kept(house: House) -> None:
    doctor, patient = await met(house)
    await patient.close()
    snapshot = await doctor.sees(lambda s: any(one["away"] for one in s["people"]))
    assert names(snapshot) == ["doctor", "patient"]
    state = await house.servers[0].store.load("room1")  # type: ignore[arg-type]
    assert state is not None
    assert state.people["patient"].away_reason  # type: ignore[index]


async def test_c123_a_stopping_server_says_so_closes_with_1001_and_the_roster_stands(house: House) -> None:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    server = house.servers.pop()
    assert server.signaling.ready()
    started = asyncio.get_running_loop().time()
    await server.stop()
    assert asyncio.get_running_loop().time() - started < 5
    assert not server.signaling.ready()
    for page in (doctor, patient):
        await page.is_over.wait()
        assert page.all("server_restart") == [None]
        assert page.close_code == 1001
    await house.serve()
    again = await house.page("doctor")
    assert names(await again.sees(lambda s: s["people"])) == ["doctor", "patient"]
    back = await house.page("patient")
    assert (await back.sees(lambda s: True))["you"]["state"] == "admitted"


async def test_a_reload_in_every_way_of_media_keeps_place_and_tile(house: House) -> None:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    attempt = doctor.snapshot["attempt"]
    patient = await house.page("patient", tab="second")
    await patient.sees(lambda s: s["direct"])
    await doctor.sees(lambda s: s["attempt"] == attempt + 1)
    await connected(doctor, patient)
    await doctor.ok("link", attempt=doctor.snapshot["attempt"], state="direct_failed")
    await patient.sees(lambda s: s["mode"] == "relay")
    doctor = await house.page("doctor", tab="third")
    snapshot = await doctor.sees(lambda s: s["people"])
    assert names(snapshot) == ["doctor", "patient"]
    assert snapshot["mode"] == "relay"


async def test_an_older_tab_does_not_come_back_by_itself(house: House) -> None:
    first = await house.page("patient", tab="tab-one")
    await house.page("patient", tab="tab-two")
    await first.is_over.wait()
    again = house.new_page("session-patient")
    with pytest.raises(SocketError):
        await again.open("/visit", {"v": 1, "participation": "patient", "tab": "tab-one"})
    assert again.refused is not None
    assert again.refused["data"]["error"] == "not_allowed"


async def test_the_wrong_person_is_cut_off_and_the_visit_waits_again(house: House) -> None:
    doctor, patient = await met(house)
    await patient.sees(lambda s: s["relay_up"])
    await patient.ok("chat", id="line-0001", text="my rash")
    for _ in range(2):
        await doctor.ok("ask_recording", purpose="second_opinion")
        asked = (await patient.sees(lambda s: s["recording"]["phase"] == "asking"))["recording"]
        answer = {"recording_id": asked["recording_id"], "question": asked["question"], "answer": "no"}
        await patient.ok("answer_recording", **answer)
        await doctor.sees(lambda s: s["recording"]["phase"] == "declined")
    await doctor.ok("carry_on_by_phone")
    await doctor.ok("wrong_person", participant_id="patient")
    last = await patient.sees(lambda s: s["you"]["state"] == "left")
    assert last["you"]["reason"] == Departure.WRONG_PERSON
    await patient.is_over.wait()
    snapshot = await doctor.sees(lambda s: s["phase"] == "waiting")
    assert "direct" in snapshot
    assert snapshot["direct"] is None
    # Nothing of theirs is the patient's who comes next.
    assert (snapshot["by_phone"], snapshot["recording"]["phase"]) == (False, "off")
    assert (snapshot["chat_count"], snapshot["chat_from"]) == (1, 1)
    page = house.new_page("session-patient")
    with pytest.raises(SocketError):
        await page.open("/visit", {"v": 1, "participation": "patient", "tab": "tab-0001"})
    assert page.refused is not None
    assert page.refused["data"]["error"] == "link_closed"
    await until(lambda: "patient" not in house.node.admitted("room1"))


async def test_three_people_switch_together(house: House) -> None:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    guest = await house.page("guest")
    await patient.sees(lambda s: s["guests"])
    await patient.ok("agree_guest", participant_id="guest", agree=True)
    await doctor.ok("admit", participant_id="guest")
    await switched(doctor, patient, guest)
    assert names(await guest.sees(lambda s: s["mode"] == "relay")) == ["doctor", "guest", "patient"]


async def test_back_to_the_waiting_room_shows_nothing_any_more(house: House) -> None:
    doctor, patient = await met(house)
    await doctor.ok("back_to_waiting", participant_id="patient")
    snapshot = await patient.sees(lambda s: s["you"]["state"] == "waiting")
    assert snapshot["people"] == []
    assert await patient.no("chat", text="hello?") == "not_admitted"
    await doctor.ok("admit", participant_id="patient")
    await patient.sees(lambda s: s["people"])


async def test_emergency_is_answered_with_place_phone_and_number(house: House) -> None:
    doctor, _ = await met(house)
    answer = await doctor.ok("emergency")
    assert (answer["place"], answer["number"], answer["country"]) == ("12 Hill Road", "999", "GB")


async def test_polling_carries_a_visit_too(house: House) -> None:
    page = await house.page("patient", transports=["polling"])
    assert (await page.sees(lambda s: True))["you"]["state"] == "waiting"
    await page.ok("devices", microphone="on", camera="off")
