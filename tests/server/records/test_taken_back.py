"""Entered in error, or let go: what was attached, shortened, refused or still asked for goes with the note."""

from __future__ import annotations

from aiohttp import FormData
from sqlalchemy import select

from server.records.rights_models import RecordRequest
from tests.server.cast import Browser
from tests.server.records.rights import copy_url, make_copy, sign
from tests.server.visits import House

HOLD = {"readers": "nobody", "reason": "harm", "review_on": "2031-07-01"}
WITHDRAWN = "An entry was withdrawn: it was entered here in error."


async def the_request(house: House) -> RecordRequest | None:
    async with house.database.reading() as session:
        return (await session.scalars(select(RecordRequest))).first()


async def asked_for(house: House) -> tuple[Browser, Browser, str]:
    """A note kept back that the patient asks to read: doctor, patient, where the doctor decides."""
    doctor, patient = await sign(house, "The brother told it.", **HOLD), await house.browser_of("patient")
    await make_copy(house, patient)
    row = await the_request(house)
    assert row is not None
    return doctor, patient, house.visit_url(f"/note/requests/{row.id}")


async def copy_page(house: House, patient: Browser) -> str:
    return await (await patient.get(copy_url(house))).text()


async def test_a_shortened_text_goes_with_the_note_that_was_entered_in_error(house: House) -> None:
    doctor, patient, decide = await asked_for(house)
    assert (await doctor.post(decide, {"outcome": "redacted", "text": "Shortened words."})).status == 303
    assert "Shortened words." in await copy_page(house, patient)
    assert (await doctor.post(house.visit_url("/note/withdrawal"))).status == 303
    page = await copy_page(house, patient)
    assert ("Shortened words." in page, WITHDRAWN in page) == (False, True)
    late = {"kind": "late_entry", "text": "The patient's own.", "reason": "Of this visit"}
    assert (await doctor.post(house.visit_url("/note/addenda"), late)).status == 303
    house.clock.forward(minutes=1)
    await make_copy(house, patient)
    assert "The clinic decides by" in await copy_page(house, patient), "what was added since is asked for anew"


async def test_what_waits_of_a_note_waits_no_longer_once_it_was_entered_in_error(house: House) -> None:
    doctor, patient, decide = await asked_for(house)
    assert (await doctor.post(house.visit_url("/note/withdrawal"))).status == 303
    page = await copy_page(house, patient)
    assert ("The clinic decides by" in page, WITHDRAWN in page) == (False, True)
    assert (await doctor.post(decide, {"outcome": "released"})).status == 409
    house.clock.forward(minutes=1)
    await make_copy(house, patient)
    assert "The clinic decides by" not in await copy_page(house, patient), "nothing is left to ask for"
    assert decide not in await (await doctor.get(house.visit_url("/summary"))).text()


async def test_letting_a_note_go_answers_what_was_asked_of_it_however_it_stood(house: House) -> None:
    doctor, patient, decide = await asked_for(house)
    assert (await doctor.post(decide, {"outcome": "refused", "reason": "harm"})).status == 303
    assert "The clinic says no" in await copy_page(house, patient)
    assert (await doctor.post(house.visit_url("/note/release"))).status == 303
    page = await copy_page(house, patient)
    assert ("The clinic says no" in page, "You can read it now" in page) == (False, True)
    assert (await doctor.post(decide, {"outcome": "refused", "reason": "harm"})).status == 409


async def test_an_open_request_ends_when_its_note_is_let_go(house: House) -> None:
    doctor, patient, _ = await asked_for(house)
    assert (await doctor.post(house.visit_url("/note/release"))).status == 303
    row = await the_request(house)
    assert (row and row.state, "You can read it now" in await copy_page(house, patient)) == ("released", True)


async def test_attached_files_leave_the_wrong_visit_and_go_to_the_right_one(house: House) -> None:
    cast = house.cast
    right = await cast.another_visit(cast.other_patient)
    doctor, form = await house.browser_of("doctor"), FormData()
    form.add_field("file", b"%PDF-1.7\nletter\n%%EOF", filename="letter.pdf")
    assert (await doctor.request("POST", house.visit_url("/note/attachments"), data=form)).status == 303
    await sign(house, "Of somebody else.")
    summary = house.visit_url("/summary")
    page = await (await doctor.get(summary)).text()
    file = house.visit_url("/note/attachments/") + page.split("/note/attachments/")[1].split('"')[0]
    assert (await doctor.get(file)).status == 200
    assert (await doctor.post(house.visit_url("/note/withdrawal"))).status == 303
    assert "letter.pdf" not in await (await doctor.get(summary)).text()
    assert (await doctor.get(file)).status == 404
    assert (await doctor.post(house.visit_url("/note/withdrawal/offer"), {"visit": right})).status == 303
    there = summary.replace(cast.encounter_id, right)
    page = await (await doctor.get(there)).text()
    moved = page.split(f"{right}/note/attachments/")[1].split('"')[0].split("/")[0]
    content = await (await doctor.get(f"{there.removesuffix('/summary')}/note/attachments/{moved}")).read()
    assert content.endswith(b"letter\n%%EOF")
