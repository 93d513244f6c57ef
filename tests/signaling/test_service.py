"""What happens by itself or is told from outside: deadlines, nodes' words, the clinic's desk, start and stop."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from socketio.exceptions import ConnectionError as SocketError

from media.api import CapturePhase, CaptureState, DownOffer, NodeEventKind
from signaling.service import build_signaling
from signaling.words import Role, RoomId
from tests.signaling.clinic import MemoryClinic
from tests.signaling.house import PATIENCE_S, House
from tests.signaling.test_record import agree, asked, connected, recorded
from tests.signaling.test_visit import met, names
from tests.signaling.until import until

ROOM = RoomId("room1")


# ── Deadlines ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_silence_is_stored_as_a_no_and_declines(house: House) -> None:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    await asked(doctor, patient)
    await agree(doctor)
    house.clinic.ahead = timedelta(seconds=61)
    snapshot = await doctor.sees(lambda s: s["recording"]["phase"] == "declined")
    assert snapshot["recording"]["code"] == "no_answer"
    silent = [given for given in house.clinic.rooms[ROOM].consents if given.unanswered]
    assert [(given.participant_id, given.yes) for given in silent] == [("patient", False)]


async def test_no_pictures_in_time_means_relay(house: House) -> None:
    doctor, patient = await met(house)
    attempt = doctor.snapshot["attempt"]
    await doctor.ok("describe", to="patient", attempt=attempt, type="offer", sdp="v=0")
    await patient.ok("describe", to="doctor", attempt=attempt, type="answer", sdp="v=0")
    house.clinic.ahead = timedelta(seconds=2.6)
    for page in (doctor, patient):
        await page.sees(lambda s: s["mode"] == "relay")


async def test_a_switch_nobody_finishes_stays_direct_and_nothing_is_captured(house: House) -> None:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    await asked(doctor, patient)
    await agree(doctor, patient)
    await patient.sees(lambda s: s["mode"] == "switching")
    house.clinic.ahead = timedelta(seconds=5.1)
    snapshot = await doctor.sees(lambda s: s["mode"] == "direct")
    assert snapshot["recording"]["code"] == "relay_not_ready"
    assert not house.node.grants


async def test_after_ten_seconds_an_end_is_final_and_the_node_forgets_the_room(house: House) -> None:
    doctor, patient = await met(house)
    await patient.sees(lambda s: s["relay_up"])
    await doctor.ok("end_visit", outcome="seen")
    await doctor.sees(lambda s: s["undo_until"])
    house.clinic.ahead = timedelta(seconds=10.5)
    snapshot = await patient.sees(lambda s: s["you"]["state"] == "left")
    assert snapshot["you"]["reason"] == "visit_ended"
    await until(lambda: ROOM not in house.node.rooms)
    assert await doctor.no("undo_end") in ("not_admitted", "wrong_phase")


# ── What nodes say ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_down_offer_reaches_its_person_only(house: House) -> None:
    doctor, patient = await met(house)
    await patient.sees(lambda s: s["relay_up"])
    offer = DownOffer(connection_id="down1", revision=3, sdp="v=0", sections=[])
    house.node.emit(NodeEventKind.DOWN_OFFER, room_id=ROOM, participant_id="patient", offer=offer)
    await patient.until(lambda: patient.all("down_offer"))
    assert patient.all("down_offer")[0]["revision"] == 3
    house.node.emit(NodeEventKind.DOWN_OFFER, room_id=ROOM, participant_id="nobody", offer=offer)
    await doctor.ok("chat", text="later")
    await doctor.until(lambda: doctor.all("chat"))
    assert not doctor.all("down_offer")


async def test_with_two_servers_a_down_offer_comes_once(two_servers: House) -> None:
    doctor = await two_servers.page("doctor", server=two_servers.servers[0])
    patient = await two_servers.page("patient", server=two_servers.servers[1])
    await doctor.sees(lambda s: s["waiting"])
    await doctor.ok("admit", participant_id="patient")
    await patient.sees(lambda s: s["relay_up"])
    offer = DownOffer(connection_id="down1", revision=3, sdp="v=0", sections=[])
    two_servers.node.emit(NodeEventKind.DOWN_OFFER, room_id=ROOM, participant_id="patient", offer=offer)
    await patient.until(lambda: patient.all("down_offer"))
    await doctor.ok("chat", text="later")
    await patient.until(lambda: patient.all("chat"))
    assert len(patient.all("down_offer")) == 1


async def test_a_silent_publisher_is_away_in_relay_until_they_are_back(house: House) -> None:
    doctor, patient = await met(house)
    await patient.sees(lambda s: s["relay_up"])
    await patient.ok("link", attempt=patient.snapshot["attempt"], state="direct_failed")
    await doctor.sees(lambda s: s["mode"] == "relay")
    house.node.emit(NodeEventKind.AWAY, room_id=ROOM, participant_id="patient", reason="silent")
    await doctor.sees(lambda s: any(one["away"] for one in s["people"]))
    house.node.emit(NodeEventKind.BACK, room_id=ROOM, participant_id="patient")
    await doctor.sees(lambda s: not any(one["away"] for one in s["people"]))


async def test_a_room_of_which_a_node_says_that_it_is_closed_is_looked_at_first(house: House) -> None:
    """A server that starts hears of every room the node ever closed, also of one that was made there anew since."""
    doctor, patient = await met(house)
    await patient.sees(lambda s: s["relay_up"])
    await patient.ok("link", attempt=patient.snapshot["attempt"], state="direct_failed")
    await doctor.sees(lambda s: s["mode"] == "relay")
    attempt = doctor.snapshot["attempt"]
    house.node.emit(NodeEventKind.ROOM_CLOSED, room_id=ROOM, reason="asked")
    house.node.emit(NodeEventKind.AWAY, room_id=ROOM, participant_id="patient", reason="silent")
    await doctor.sees(lambda s: any(one["away"] for one in s["people"]))
    assert (doctor.snapshot["relay_up"], doctor.snapshot["attempt"]) == (True, attempt)
    made = sum(call[0] == "create_room" for call in house.node.calls)
    house.node.rooms.pop(ROOM)
    house.node.emit(NodeEventKind.ROOM_CLOSED, room_id=ROOM, reason="asked")
    await until(lambda: sum(call[0] == "create_room" for call in house.node.calls) > made)


async def test_a_capture_that_fails_at_the_node_is_told(house: House) -> None:
    doctor, _ = await recorded(house)
    capture = house.node.capture(ROOM).model_copy(update={"phase": CapturePhase.FAILED, "reason": "storage_full"})
    house.node.rooms[ROOM] = house.node.rooms[ROOM].model_copy(update={"capture": capture})
    house.node.emit(NodeEventKind.CAPTURE, room_id=ROOM, capture=capture)
    snapshot = await doctor.sees(lambda s: s["recording"]["phase"] == "failed")
    assert snapshot["recording"]["code"] == "storage_full"
    await until(lambda: house.clinic.rooms[ROOM].phases[-1][1] == "failed")


async def test_a_capture_nobody_wants_is_stopped(house: House) -> None:
    """Say, one that a server which died had granted and never told of."""
    await met(house)
    stray = CaptureState(recording_id="stray", segment=1, phase=CapturePhase.RUNNING)
    await until(lambda: ROOM in house.node.rooms)
    house.node.rooms[ROOM] = house.node.rooms[ROOM].model_copy(update={"capture": stray})
    await until(lambda: house.node.capture(ROOM).phase != CapturePhase.RUNNING)


async def test_a_node_that_is_down_is_told_to_the_doctor_and_direct_goes_on(house: House) -> None:
    doctor, patient = await met(house)
    await connected(doctor, patient)
    await patient.sees(lambda s: s["relay_up"])
    house.node.die()
    await doctor.sees(lambda s: s["node_down"])
    await patient.sees(lambda s: not s["relay_up"])
    assert patient.snapshot["mode"] == "direct"
    assert not patient.snapshot["node_down"]
    offer = {"connection_id": "c", "revision": 0, "sdp": "audio", "sources": {}}
    assert await patient.no("up_offer", **offer) == "node_down"
    await patient.ok("chat", text="we go on")
    assert await doctor.no("ask_recording", purpose="second_opinion") == "node_down"
    assert (await patient.sees(lambda s: s["recording"]))["recording"]["phase"] == "off", "nobody was asked"
    house.node.restart()
    await doctor.sees(lambda s: s["relay_up"] and not s["node_down"])
    await doctor.ok("ask_recording", purpose="second_opinion")


# ── What the clinic's desk says ──────────────────────────────────────────────────────────────────────────────────


async def test_a_guest_invited_in_mid_visit_can_come(house: House) -> None:
    doctor, _ = await met(house)
    house.clinic.invite("sister", Role.GUEST, name="A sister")
    await house.servers[0].signaling.refresh_room(ROOM)
    await house.page("sister")
    snapshot = await doctor.sees(lambda s: s["waiting"])
    assert snapshot["waiting"][0]["agreement"] == "asked"


async def test_a_guest_whom_nobody_told_the_room_of_can_come_too(house: House) -> None:
    doctor, _ = await met(house)
    house.clinic.invite("sister", Role.GUEST, name="A sister")
    await house.page("sister")
    await doctor.sees(lambda s: s["waiting"])


async def test_a_closed_link_ends_the_socket_at_once(house: House) -> None:
    doctor, patient = await met(house)
    house.clinic.change("room1", "patient", link_closed=True)
    await house.servers[0].signaling.refresh_room(ROOM)
    await patient.is_over.wait()
    assert patient.snapshot["you"]["reason"] == "link_closed"
    await doctor.sees(lambda s: not s["direct"])


async def test_facts_older_than_an_admission_do_not_close_the_visit(house: House) -> None:
    doctor, patient = await met(house)
    old = house.clinic.rooms[ROOM].facts
    house.clinic.rooms[ROOM].facts = type(old)(**{**_fields(old), "phase": "waiting"})
    await house.servers[0].signaling.refresh_room(ROOM)
    await doctor.ok("chat", text="still open")
    assert names(patient.snapshot) == ["doctor", "patient"]
    assert patient.snapshot["phase"] == "open"


def _fields(facts: object) -> dict[str, object]:
    return {name: getattr(facts, name) for name in type(facts).__dataclass_fields__}  # type: ignore[attr-defined]


# ── Start and stop ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_built_signaling_starts_and_stops_without_nodes_or_redis() -> None:
    signaling = build_signaling(
        clinic=MemoryClinic(), node_urls=[], node_secret="secret", redis_url=None, allowed_origins=["https://a.test"]
    )
    assert not signaling.ready()
    await signaling.start()
    assert signaling.ready()
    await signaling.stop()
    assert not signaling.ready()
    assert len(asyncio.all_tasks()) == 1


async def test_the_desks_pages_go_on_without_the_store(unused_tcp_port: int) -> None:
    signaling = build_signaling(
        clinic=MemoryClinic(),
        node_urls=[],
        node_secret="secret",
        redis_url=f"redis://127.0.0.1:{unused_tcp_port}",
        allowed_origins=[],
    )
    assert await signaling.load_troubles([ROOM, RoomId("room2")]) == {}


async def test_the_desk_hears_who_is_cut_off(house: House) -> None:
    _, patient = await met(house)
    signaling = house.servers[0].signaling
    assert await signaling.load_troubles([ROOM, RoomId("none")]) == {}
    await patient.close()
    async with asyncio.timeout(PATIENCE_S):
        while await signaling.load_troubles([ROOM]) != {ROOM: "dropped"}:
            await asyncio.sleep(0.02)


async def test_another_sites_page_gets_no_socket(house: House) -> None:
    page = house.new_page("session-patient")
    page.sio.eio.http.headers["Origin"] = "https://evil.test"
    with pytest.raises(SocketError):
        await page.open("/visit", {"v": 1, "participation": "patient", "tab": "tab-0001"})
    assert page.heard == []


async def test_no_task_outlives_a_server(house: House) -> None:
    doctor, _ = await met(house)
    server = house.servers.pop()
    await server.stop()
    await doctor.is_over.wait()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith(("reconcile", "node-", "look"))]
