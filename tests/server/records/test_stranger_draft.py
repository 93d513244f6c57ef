"""What was written of somebody who was not the patient never becomes the patient's note."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from server.encounters.models import Encounter
from server.records.models import Note
from signaling.words import Role
from tests.server.cast import Browser
from tests.server.visits import House

JSON = {"Accept": "application/json"}
OF_A_STRANGER = "He says he has a rash"


async def save(browser: Browser, house: House, text: str, based_on: int) -> int:
    headers = {**JSON, "If-Match": str(based_on)}
    answer = await browser.request("PUT", house.visit_url("/note/draft"), json={"text": text}, headers=headers)
    return answer.status


async def shut_out(house: House) -> None:
    cast = house.cast
    doctor, stranger = await cast.place(Role.DOCTOR), await cast.place(Role.PATIENT)
    await cast.port.wrong_person(cast.room, stranger, doctor)


async def notes(house: House) -> dict[str, str]:
    """The drafts by the status of the visit they belong to."""
    async with house.cast.database.reading() as session:
        query = select(Encounter.status, Note.draft).join(Note, Note.encounter_id == Encounter.id)
        rows = await session.execute(query)
        return {row.status: row.draft for row in rows}


async def test_the_draft_goes_with_a_visit_in_error_and_the_patients_note_begins_empty(house: House) -> None:
    doctor = await house.browser_of("doctor")
    assert await save(doctor, house, OF_A_STRANGER, 0) == 200
    await shut_out(house)
    held = await (await doctor.get(house.visit_url("/note"), headers=JSON)).json()
    assert held == {"revision": 0, "text": "", "is_signed": False}
    assert await notes(house) == {"entered-in-error": OF_A_STRANGER}
    page = await (await doctor.get(house.visit_url("/summary"))).text()
    assert OF_A_STRANGER not in page
    assert "What was written before the wrong person was shut out" in page


async def test_what_was_still_being_typed_of_a_stranger_is_asked_about_not_saved(house: House) -> None:
    doctor = await house.browser_of("doctor")
    assert await save(doctor, house, OF_A_STRANGER, 0) == 200
    await shut_out(house)
    assert await save(doctor, house, f"{OF_A_STRANGER} and a cough", 1) == 409
    assert await save(doctor, house, "Cough for a week", 0) == 200
    assert await notes(house) == {"entered-in-error": OF_A_STRANGER, "planned": "Cough for a week"}


async def test_a_draft_of_a_stranger_is_read_by_its_doctor_and_signed_by_nobody(house: House) -> None:
    doctor = await house.browser_of("doctor")
    await save(doctor, house, OF_A_STRANGER, 0)
    await shut_out(house)
    async with house.cast.database.reading() as session:
        error = (await session.scalars(select(Encounter.id).where(Encounter.status == "entered-in-error"))).one()
    base = house.visit_url("").replace(house.cast.room, error)
    page = await (await doctor.get(f"{base}/summary")).text()
    assert OF_A_STRANGER in page
    assert "visit-note" not in page, "nothing to write into"
    answer = await doctor.post(f"{base}/note/sign", {"revision": "1"})
    assert answer.status == 409
    assert "was not with the patient" in await answer.text()
    assert (await (await house.browser_of("colleague")).get(f"{base}/summary")).status == 404
    assert await notes(house) == {"entered-in-error": OF_A_STRANGER}


async def test_nothing_written_leaves_no_visit_in_error(house: House) -> None:
    doctor = await house.browser_of("doctor")
    await save(doctor, house, "", 0)
    await shut_out(house)
    async with house.cast.database.reading() as session:
        assert len(list(await session.scalars(select(Encounter)))) == 1


async def test_a_note_of_a_visit_to_come_waits_for_it(house: House) -> None:
    doctor = await house.browser_of("doctor")
    await save(doctor, house, "Will be fine", 0)
    house.cast.clock.now -= timedelta(days=2)
    answer = await doctor.post(house.visit_url("/note/sign"), {"revision": "1"})
    assert answer.status == 409
    assert "still to come" in await answer.text()
