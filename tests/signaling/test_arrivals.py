"""The clinic's pages: who waits, on every page of that doctor, at once, after a reload, and silently in a visit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from socketio.exceptions import ConnectionError as SocketError

from signaling.words import ClinicId, ParticipantId, PersonId, Role, RoomId
from tests.signaling.clinic import STAFF_COOKIE
from tests.signaling.house import House, Page
from tests.signaling.test_visit import met


def newest(page: Page) -> dict[str, object]:
    return page.all("arrivals")[-1]  # type: ignore[no-any-return]


def waiting(page: Page) -> list[str]:
    return [one["participant_id"] for one in newest(page)["waiting"]]  # type: ignore[attr-defined]


async def test_an_arrival_shows_on_every_page_of_that_doctor_and_after_a_reload(house: House) -> None:
    pages = [await house.clinic_page("staff-doctor1") for _ in range(2)]
    other = await house.clinic_page("staff-doctor2")
    await house.page("patient")
    for page in pages:
        await page.until(lambda page=page: page.all("arrivals") and waiting(page) == ["patient"])  # type: ignore[misc]
    shown = newest(pages[0])["waiting"][0]  # type: ignore[index]
    assert (shown["name"], shown["seen"]) == ("Anna Marker", False)
    assert not newest(pages[0])["silent"]
    again = await house.clinic_page("staff-doctor1")
    await again.until(lambda: again.all("arrivals") and waiting(again) == ["patient"])
    await other.until(lambda: other.all("arrivals"))
    assert waiting(other) == []


async def test_seen_on_one_page_is_seen_on_all(house: House) -> None:
    first, second = [await house.clinic_page("staff-doctor1") for _ in range(2)]
    await house.page("patient")
    await second.until(lambda: second.all("arrivals") and waiting(second))
    await first.ok("arrivals_seen", participant_ids=["patient", "stranger", "nobody"])
    await second.until(lambda: newest(second)["waiting"][0]["seen"])  # type: ignore[index]
    revisions = [body["revision"] for body in second.all("arrivals")]
    assert revisions == sorted(set(revisions))
    assert house.clinic.seen == {"patient"}


async def test_a_slow_look_does_not_undo_what_was_seen_meanwhile(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    page = await house.clinic_page("staff-doctor1")
    await page.until(lambda: page.all("arrivals"))
    before = len(page.all("arrivals"))
    looked, go_on = asyncio.Event(), asyncio.Event()
    look = house.clinic.seen_arrivals

    async def slow(participants: Sequence[ParticipantId]) -> frozenset[ParticipantId]:
        found = await look(participants)
        if participants and not looked.is_set():
            looked.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(house.clinic, "seen_arrivals", slow)
    coming = asyncio.create_task(house.page("patient"))
    await looked.wait()
    marking = asyncio.create_task(page.ok("arrivals_seen", participant_ids=["patient"]))
    with suppress(TimeoutError):  # whoever doesn't wait for the slow look has told of it by then
        async with asyncio.timeout(0.3):
            await page.until(lambda: len(page.all("arrivals")) > before)
    go_on.set()
    await asyncio.gather(coming, marking)
    await page.until(lambda: len(page.all("arrivals")) > before + 1)
    assert newest(page)["waiting"][0]["seen"]  # type: ignore[index]


async def test_a_walk_in_shows_to_every_doctor_of_the_clinic_until_one_takes_them(house: House) -> None:
    clinic = house.clinic
    for room, patient in (("untaken", "walkin"), ("elsewhere", "foreigner")):
        clinic.add_room(room, doctor=None)
        clinic.invite(patient, Role.PATIENT, room=room)
    held = clinic.rooms[RoomId("elsewhere")]
    held.facts = replace(held.facts, clinic_id=ClinicId("clinic2"))
    pages = [await house.clinic_page(f"staff-doctor{n}") for n in (1, 2)]
    await house.page("foreigner")
    await house.page("walkin")
    for page in pages:
        await page.until(lambda page=page: page.all("arrivals") and waiting(page) == ["walkin"])  # type: ignore[misc]
        shown = newest(page)["waiting"][0]  # type: ignore[index]
        assert (shown["untaken"], shown["seen"], shown["name"]) == (True, False, "Walkin")
    await pages[0].ok("arrivals_seen", participant_ids=["walkin", "foreigner"])
    await pages[0].until(lambda: newest(pages[0])["waiting"][0]["seen"])  # type: ignore[index]
    later = await house.clinic_page("staff-doctor2")
    await later.until(lambda: later.all("arrivals"))
    assert [one["seen"] for one in newest(later)["waiting"]] == [False], "only whoever saw it is silent"  # type: ignore[attr-defined]
    assert clinic.seen == set()
    held = clinic.rooms[RoomId("untaken")]
    held.facts = replace(held.facts, doctor_ids=frozenset({PersonId("doctor1")}))
    await house.servers[0].signaling.refresh_room(RoomId("untaken"))
    for page in (pages[1], later):
        await page.until(lambda page=page: waiting(page) == [])  # type: ignore[misc]
    assert waiting(pages[0]) == ["walkin"]
    await pages[0].until(lambda: not newest(pages[0])["waiting"][0]["untaken"])  # type: ignore[index]


async def test_an_arrival_goes_when_they_are_let_in(house: House) -> None:
    page = await house.clinic_page("staff-doctor1")
    await met(house)
    await page.until(lambda: page.all("arrivals") and waiting(page) == [] and newest(page)["silent"])


async def test_during_a_visit_it_is_a_silent_count_and_no_name_while_a_screen_is_shared(house: House) -> None:
    page = await house.clinic_page("staff-doctor1")
    doctor, _ = await met(house)
    await doctor.ok("devices", microphone="on", camera="on", screen=True)
    await house.page("guest")
    await page.until(lambda: page.all("arrivals") and waiting(page) == ["guest"] and newest(page)["names_hidden"])
    assert newest(page)["silent"]
    assert "Gus Marker" not in str(newest(page))
    signaling = house.servers[0].signaling
    assert await signaling.hides_names(PersonId("doctor1"))
    assert not await signaling.hides_names(PersonId("doctor2"))
    await doctor.ok("devices", microphone="on", camera="on", screen=False)
    await page.until(lambda: not newest(page)["names_hidden"])
    assert "Gus Marker" in str(newest(page))
    assert not await signaling.hides_names(PersonId("doctor1"))


@pytest.mark.parametrize(
    ("session", "auth", "code"),
    [
        ("nobody", {"v": 1, "clinic": "clinic1"}, "not_signed_in"),
        ("session-patient", {"v": 1, "clinic": "clinic1"}, "not_signed_in"),
        ("staff-doctor1", {"v": 1, "clinic": "another"}, "not_allowed"),
        ("staff-doctor1", {"v": 1}, "malformed"),
        ("staff-doctor1", "clinic1", "malformed"),
    ],
)
async def test_a_stranger_sees_no_clinic(house: House, session: str, auth: object, code: str) -> None:
    page = house.new_page(session, cookie=STAFF_COOKIE)
    with pytest.raises(SocketError):
        await page.open("/clinic", auth)  # type: ignore[arg-type]
    assert page.refused is not None
    assert page.refused["data"]["error"] == code


async def test_an_unknown_or_malformed_event_is_refused_here_too(house: House) -> None:
    page = await house.clinic_page("staff-doctor1")
    assert await page.no("admit", participant_id="patient") == "malformed"
    assert await page.no("arrivals_seen", participant_ids="patient") == "malformed"
    assert await page.no("arrivals_seen", participant_ids=["x"] * 65) == "malformed"
    assert (await page.send_raw("arrivals_seen", 7))["error"] == "malformed"


async def test_a_revoked_session_loses_its_sockets_in_both_namespaces(house: House) -> None:
    page = await house.clinic_page("staff-doctor1")
    patient = await house.page("patient")
    house.clinic.revoked |= {"session-patient", "staff-doctor1"}  # type: ignore[arg-type]
    for session in ("session-patient", "staff-doctor1"):
        await house.servers[0].signaling.revoke_session(session)  # type: ignore[arg-type]
    await page.is_over.wait()
    await patient.is_over.wait()
    with pytest.raises(SocketError):
        await house.page("patient")
