"""Whatever stops a signature, an answer or an addition: what was typed and chosen comes back as it was."""

from __future__ import annotations

import html
import re

from sqlalchemy import select

from server.records.models import NoteHold
from tests.server.records.test_note import save, stored
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
    again = fields_of(await answer.text(), "/note/sign")
    assert again == {"revision": "2", "text": "Cough and fever", "summary": "Rest, <and> drink.", **HELD_BACK}
    assert (await doctor.post(house.visit_url("/note/sign"), again)).status == 303
    note = await stored(house.cast.database)
    assert note is not None
    assert note.released_at is None, "the patient reads it, which the doctor had chosen against"
    async with house.cast.database.reading() as session:
        assert [one.readers for one in await session.scalars(select(NoteHold))] == ["nobody"]
