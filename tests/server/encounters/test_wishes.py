"""What becomes of a wish after a withdrawal: done at once, or answered by a named person with a reason."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.encounters import keeping, rules
from server.encounters.keeping_models import RecordingWish
from server.errors import DomainError
from signaling.words import Code
from tests.server.encounters.recorded import Recorded


@pytest.mark.parametrize("against", ["signed", "held"])
async def test_after_signing_or_under_a_hold_a_named_person_answers(recorded: Recorded, against: str) -> None:
    await recorded.seal()
    await recorded.stop()
    cast = recorded.house.cast
    officer = recorded.house.cast.doctor
    if against == "signed":
        await recorded.sign()
    else:
        async with cast.database.writing() as session:
            recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
            await keeping.place_hold(session, recording, by=officer, reason="a complaint", now=cast.clock())
    await recorded.withdraw(recorded.patient)
    assert await recorded.choose(recorded.patient, "delete_all") == "asked"
    assert await recorded.choose(recorded.patient, "delete_all") == "asked"
    assert len(await recorded.keys()) == 2
    async with cast.database.reading() as session:
        [wish] = await keeping.load_open_wishes(session, cast.clinic.id)

    async def answer(grants: bool, reason: str) -> None:
        async with cast.database.writing() as session:
            await keeping.answer_wish(
                session, cast.clinic.id, wish.id, by=officer, grants=grants, reason=reason, now=cast.clock()
            )

    with pytest.raises(DomainError) as refused:
        await answer(True, "  ")
    assert refused.value.code is Code.MALFORMED
    if against == "held":
        with pytest.raises(DomainError) as refused:
            await answer(True, "the law says so")
        assert refused.value.code is Code.WRONG_PHASE
        async with cast.database.writing() as session:
            recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
            await keeping.lift_hold(session, recording, by=officer, now=cast.clock())
    await answer(True, "nothing keeps it")
    with pytest.raises(DomainError):
        await answer(False, "changed my mind")
    assert await recorded.keys() == set()
    await recorded.erase()
    async with cast.database.reading() as session:
        [kept] = await session.scalars(select(RecordingWish))
    assert (kept.state, kept.answered_by, kept.reason) == ("granted", officer, "nothing keeps it")


async def test_only_who_withdrew_may_choose(recorded: Recorded) -> None:
    await recorded.seal()
    await recorded.stop()
    for who in (recorded.doctor, recorded.patient):
        with pytest.raises(DomainError) as refused:
            await recorded.choose(who, "delete_all")
        assert refused.value.code is Code.WRONG_PHASE
    await recorded.withdraw(recorded.patient)
    assert await recorded.choose(recorded.patient, "keep") == "done"
    assert await recorded.deletions() == []
    assert await recorded.choose(recorded.patient, "delete_mine") == "done", "whoever kept it may still delete"


@pytest.mark.parametrize(
    ("is_signed", "is_held", "is_record", "why"),
    [
        (False, False, False, None),
        (True, False, False, "note_signed"),
        (False, False, True, "record"),
        (True, True, True, "held"),
    ],
)
def test_what_stands_against_a_wish(is_signed: bool, is_held: bool, is_record: bool, why: str | None) -> None:
    assert rules.why_wish_is_asked(is_signed=is_signed, is_held=is_held, is_record=is_record) == why


async def test_the_clinics_page_answers_holds_and_shows_the_proof(recorded: Recorded) -> None:
    await recorded.seal()
    await recorded.stop()
    await recorded.sign()
    await recorded.withdraw(recorded.patient)
    await recorded.choose(recorded.patient, "delete_all")
    house, cast = recorded.house, recorded.house.cast
    page = f"/c/{cast.clinic.slug}/recordings"
    officer = await house.browser_of("administrator")
    async with cast.database.reading() as session:
        [wish] = await keeping.load_open_wishes(session, cast.clinic.id)
    assert "wants all of it deleted" in await (await officer.get(page)).text()
    held = {"answer": "hold", "reason": "<img src=x> a complaint"}
    assert (await officer.post(f"{page}/{recorded.recording}/hold", held)).status == 303
    shown = await (await officer.get(page)).text()
    assert "&lt;img" in shown
    assert 'value="grant"' not in shown, "a hold is lifted first"
    grant = {"answer": "grant", "reason": "their wish"}
    assert (await officer.post(f"{page}/wishes/{wish.id}", grant)).status == 409
    for address, form in (
        (f"{page}/wishes/{wish.id}", {"answer": "grant", "reason": " "}),
        (f"{page}/wishes/{wish.id}", {"answer": "hold", "reason": "x"}),
        (f"{page}/{recorded.recording}/hold", {"answer": "eat", "reason": "x"}),
        (f"{page}/{recorded.recording}/hold", {"answer": "hold", "reason": "x" * 501}),
    ):
        assert (await officer.post(address, form)).status in (400, 422), form
    assert (await officer.post(f"{page}/nothing/hold", held)).status == 404
    assert (await officer.post(f"{page}/{recorded.recording}/hold", {"answer": "lift"})).status == 303
    assert (await officer.post(f"{page}/wishes/{wish.id}", grant)).status == 303
    await recorded.erase()
    shown = await (await officer.get(page)).text()
    assert "looked for afterwards and not found" in shown
    doctor = await house.browser_of("doctor")
    assert (await doctor.get(page)).status in (403, 404)
    assert "This recording was deleted" in await (await doctor.get(await recorded.url("state"))).text()
