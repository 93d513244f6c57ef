"""Whatever stops a signature, an answer or an addition: what was typed and chosen comes back as it was."""

from __future__ import annotations

import html
import json
import re

import pytest
from sqlalchemy import select

from server.records.models import CorrectionRequest, NoteHold
from server.records.rights_models import RecordRequest
from server.records.rules import NOTE_LIMIT_CHARACTERS
from tests.server.records.rights import make_copy, sign
from tests.server.records.test_browser import with_a_second_factor, work_through_a_morning
from tests.server.records.test_note import save, stored, versions
from tests.server.visits import House

HELD_BACK = {"readers": "nobody", "reason": "harm", "review_on": "2031-07-01"}


def fields_of(page: str, action: str) -> dict[str, str]:
    """The form that posts there, as a browser would send it untouched."""
    form = re.search(rf'<form[^>]*action="[^"]*{re.escape(action)}".*?</form>', page, re.S)
    assert form is not None, action
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form[0]):
        name, value = (re.search(rf'\b{key}="([^"]*)"', tag) for key in ("name", "value"))
        if name and ('type="radio"' not in tag or re.search(r"\bchecked\b", tag)):
            found[name[1]] = html.unescape(value[1]) if value else ""
    for name, text in re.findall(r'<textarea[^>]*\bname="([^"]*)"[^>]*>(.*?)</textarea>', form[0], re.S):
        found[name] = html.unescape(text.removeprefix("\n"))
    for name, options in re.findall(r'<select[^>]*\bname="([^"]*)"[^>]*>(.*?)</select>', form[0], re.S):
        chosen = [re.search(r'value="([^"]*)"', one) for one in re.findall(r"<option[^>]*\bselected\b[^>]*>", options)]
        found[name] = next((one[1] for one in chosen if one), "")
    return found


async def test_a_conflict_at_signing_keeps_who_reads_and_the_plain_words(house: House) -> None:
    doctor = await house.browser_of("doctor")
    await save(doctor, house, "Cough")
    await save(doctor, house, "Cough and fever", 1)
    form = {"revision": "1", "text": "Cough", "summary": "Rest, <and> drink.", **HELD_BACK}
    answer = await doctor.post(house.visit_url("/note/sign"), form)
    assert answer.status == 409
    page = await answer.text()
    assert "Anna Müller" in page, "who reads it is not said beside Sign"
    again = fields_of(page, "/note/sign")
    assert again == {"revision": "2", "text": "Cough and fever", "summary": "Rest, <and> drink.", **HELD_BACK}
    assert (await doctor.post(house.visit_url("/note/sign"), again)).status == 303
    note = await stored(house.cast.database)
    assert note is not None
    assert note.released_at is None, "the patient reads it, which the doctor had chosen against"
    async with house.cast.database.reading() as session:
        assert [one.readers for one in await session.scalars(select(NoteHold))] == ["nobody"]


async def test_an_empty_note_gives_the_plain_words_back(house: House) -> None:
    doctor = await house.browser_of("doctor")
    await save(doctor, house, "Cough")
    form = {"revision": "1", "text": "", "summary": "Rest and drink.", **HELD_BACK}
    answer = await doctor.post(house.visit_url("/note/sign"), form)
    page = await answer.text()
    assert answer.status == 400
    assert "Nothing was signed" in page
    again = fields_of(page, "/note/sign")
    assert {name: again[name] for name in ("summary", *HELD_BACK)} == {"summary": "Rest and drink.", **HELD_BACK}
    config = json.loads(html.unescape(re.search(r'data-note="([^"]*)"', page)[1]))  # type: ignore[index]
    assert config["release"]["typed"] == {"summary": "Rest and drink.", **HELD_BACK}, "the page's script loses them"


async def test_a_code_cannot_be_guessed_at_the_signature_and_the_form_comes_back(house: House) -> None:
    doctor = await house.browser_of("doctor")
    await save(doctor, house, "Cough")
    totp = await with_a_second_factor(house)
    await work_through_a_morning(house, doctor)
    form = {"revision": "1", "summary": "Rest.", **HELD_BACK}
    right = totp.at(house.clock())
    for _ in range(10):
        wrong = "000000" if right != "000000" else "000001"
        assert (await doctor.post(house.visit_url("/note/sign"), {**form, "code": wrong})).status == 422
    answer = await doctor.post(house.visit_url("/note/sign"), {**form, "code": right})
    assert answer.status == 429, "the eleventh guess was looked at"
    assert fields_of(await answer.text(), "/note/sign") == {**form, "code": ""}
    note = await stored(house.cast.database)
    assert note is not None
    assert note.signed_at is None


@pytest.mark.parametrize("letter", ["ש", "咳", "😷"])
async def test_a_note_and_an_addition_of_full_length_are_taken_in_every_script(house: House, letter: str) -> None:
    doctor, text = await house.browser_of("doctor"), letter * NOTE_LIMIT_CHARACTERS
    form = {"revision": "0", "text": text, "summary": letter * 5000}
    assert (await doctor.post(house.visit_url("/note/sign"), form)).status == 303
    form = {"kind": "addendum", "text": text, "reason": letter * 1000}
    assert (await doctor.post(house.visit_url("/note/addenda"), form)).status == 303
    answer = await doctor.post(house.visit_url("/note/addenda"), {**form, "text": text + letter})
    assert answer.status == 422
    assert text + letter in await answer.text(), "what was too long is lost"
    assert await versions(house) == [("signed", text), ("addendum", text)]


async def test_a_decision_that_cannot_be_taken_comes_back_as_typed(house: House) -> None:
    doctor = await sign(house, "Schön wär's, über die Grüße. " * 2300, **HELD_BACK)
    await make_copy(house, await house.browser_of("patient"))
    async with house.database.reading() as session:
        asked = (await session.scalars(select(RecordRequest))).one()
    url = house.visit_url(f"/note/requests/{asked.id}")
    for form in (
        {"outcome": "refused", "text": "Kept <short>", "reason": ""},
        {"text": "Kept <short>", "reason": "harm"},
    ):
        answer = await doctor.post(url, form)
        page = await answer.text()
        assert answer.status == 400
        assert fields_of(page, f"/note/requests/{asked.id}") == form
        assert fields_of(page, "/note/addenda")["text"] == "", "an answer is no addendum"
    whole = fields_of(await (await doctor.get(house.visit_url("/summary"))).text(), f"/note/requests/{asked.id}")
    assert (await doctor.post(url, {**whole, "outcome": "released"})).status == 303, "its own text is too long for it"


async def test_an_answer_that_cannot_be_taken_comes_back_as_typed(house: House) -> None:
    doctor = await sign(house, "Rash on the left arm.")
    note = await stored(house.cast.database)
    assert note is not None
    patient = await house.browser_of("patient")
    home = f"/c/{house.cast.clinic.slug}/patients/{house.cast.patient}/home"
    assert (await patient.post(f"{home}/notes/{note.id}/wrong", {"text": "The right arm."})).status == 303
    async with house.database.reading() as session:
        asked = (await session.scalars(select(CorrectionRequest))).one()
    for form in ({"answer": "Typed <long>"}, {"outcome": "stands", "answer": "x" * 5001}):
        answer = await doctor.post(house.visit_url(f"/note/corrections/{asked.id}"), form)
        assert answer.status == 400
        assert fields_of(await answer.text(), f"/note/corrections/{asked.id}") == form
