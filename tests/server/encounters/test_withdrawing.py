"""After the visit: the choice about a recording on the closing page and the patient's own page, and its answer."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.accounts.models import Patient
from server.audit import Deletion
from server.encounters import keeping
from server.encounters.models import Encounter
from server.encounters.recording_models import ConsentAnswer, Film, SegmentKey
from server.scheduling.models import Message
from signaling.words import Outcome, ParticipantId
from tests.server.cast import Browser
from tests.server.encounters.recorded import Recorded


async def ended(recorded: Recorded) -> Browser:
    """The visit is over, and its recording with it; the patient's browser."""
    cast = recorded.house.cast
    if await newest_answers(recorded) == {recorded.doctor: "yes", recorded.patient: "yes"}:
        await recorded.seal()
    await recorded.stop()
    await cast.port.ended(cast.room, recorded.doctor, Outcome.SEEN)
    cookies, _ = await cast.visits_cookies(recorded.patient)
    return Browser(recorded.house.client, cookies)


def closing(recorded: Recorded, who: ParticipantId | None = None) -> str:
    return f"/visits/{who or recorded.patient}/closing"


def wish_url(recorded: Recorded, who: ParticipantId | None = None) -> str:
    return f"/visits/{who or recorded.patient}/recordings/{recorded.recording}"


async def text(browser: Browser, url: str, language: str = "en") -> str:
    return await (await browser.get(url, headers={"Accept-Language": language})).text()


async def newest_answers(recorded: Recorded) -> dict[str, str]:
    async with recorded.house.cast.database.reading() as session:
        rows = await session.scalars(select(ConsentAnswer).order_by(ConsentAnswer.n))
        return {one.participant_id: one.answer for one in rows}


async def sealed_for(recorded: Recorded) -> set[str]:
    async with recorded.house.cast.database.reading() as session:
        return {one.participant_id for one in await session.scalars(select(SegmentKey))}


async def test_who_stopped_it_chooses_on_the_closing_page(recorded: Recorded) -> None:
    await recorded.seal()
    await recorded.withdraw(recorded.patient)
    patient = await ended(recorded)
    page = await text(patient, closing(recorded))
    for words in ("To teach young doctors", "Keep it", "Delete my part", "Delete all of it", "else's microphone"):
        assert words in page, words
    assert "checked" not in page, "nothing is chosen beforehand"
    assert (await patient.post(wish_url(recorded), {})).status == 303
    assert await sealed_for(recorded) == {recorded.doctor, recorded.patient}, "nothing chosen changes nothing"
    assert (await patient.post(wish_url(recorded), {"choice": "delete_mine"})).status == 303
    assert await sealed_for(recorded) == {recorded.doctor}, "the note is not signed: it is done at once"
    page = await text(patient, closing(recorded))
    assert "Your picture and your sound were deleted." in page
    assert "may still be heard" in page
    assert 'name="choice"' not in page
    german = await text(patient, closing(recorded), "de")
    assert "Ihr Bild und Ihr Ton wurden gelöscht." in german


async def test_a_yes_that_stands_is_taken_back_by_having_it_deleted(recorded: Recorded) -> None:
    patient = await ended(recorded)
    page = await text(patient, closing(recorded))
    assert "You agreed to it. You can still change your mind" in page
    assert 'value="keep"' not in page, "it is kept already"
    assert (await patient.post(wish_url(recorded), {"choice": "keep"})).status == 303
    assert (await newest_answers(recorded))[recorded.patient] == "yes"
    assert (await patient.post(wish_url(recorded), {"choice": "delete_all"})).status == 303
    assert (await newest_answers(recorded))[recorded.patient] == "withdrawn"
    async with recorded.house.cast.database.reading() as session:
        kinds = {one.kind for one in await session.scalars(select(Deletion))}
    assert {"consent_withdrawn", "deleted"} <= kinds, "a restored backup does both again"
    assert await sealed_for(recorded) == set()
    assert "It was deleted. Nobody can watch it any more." in await text(patient, closing(recorded))


@pytest.mark.parametrize("answer", ["refuse", "grant"])
async def test_a_wish_after_signing_is_told_its_answer_with_name_and_reason(recorded: Recorded, answer: str) -> None:
    """On the closing page, on the patient's own page for as long as it is kept, and by a message that says nothing."""
    house, cast = recorded.house, recorded.house.cast
    patient = await ended(recorded)
    async with cast.database.writing() as session:
        encounter = await session.get_one(Encounter, (cast.clinic.id, cast.encounter_id))
        await keeping.note_signed(session, encounter, cast.clock())
    assert "Deleting is a wish that somebody at the clinic answers" in await text(patient, closing(recorded))
    await patient.post(wish_url(recorded), {"choice": "delete_all"})
    assert len(await sealed_for(recorded)) == 2
    page = await text(patient, closing(recorded))
    assert "You asked for all of it to be deleted." in page
    assert 'name="choice"' not in page

    async with cast.database.reading() as session:
        [wish] = await keeping.load_open_wishes(session, cast.clinic.id)
    officer = await house.browser_of("administrator")
    told = {"answer": answer, "reason": "<b>A court</b> asked for it."}
    assert (await officer.post(f"/c/{cast.clinic.slug}/recordings/wishes/{wish.id}", told)).status == 303
    async with cast.database.reading() as session:
        queued = [one.kind for one in await session.scalars(select(Message))]
    assert queued == ["page_link"]
    own = await house.at_page(cast.patient)
    mine = f"/c/{cast.clinic.slug}/patients/{cast.patient}/home/recordings"
    for page in (await text(patient, closing(recorded)), await text(own, mine)):
        if answer == "refuse":
            assert "The clinic keeps it." in page
            assert "&lt;b&gt;A court&lt;/b&gt; asked for it." in page
            assert "Answered by" in page
            assert 'value="delete_all"' in page, "they may ask again"
        else:
            assert "It was deleted. Nobody can watch it any more." in page
    assert (await (await house.at_page(cast.other_patient)).get(mine)).status == 404


async def test_the_own_page_offers_it_when_the_visits_link_is_long_closed(recorded: Recorded) -> None:
    house, cast = recorded.house, recorded.house.cast
    patient = await ended(recorded)
    cast.clock.forward(hours=3)
    assert (await patient.post(wish_url(recorded), {"choice": "delete_all"})).status == 410
    own, other = await house.at_page(cast.patient), await house.at_page(cast.other_patient)
    mine = f"/c/{cast.clinic.slug}/patients/{cast.patient}/home/recordings"
    theirs = mine.replace(cast.patient, cast.other_patient)
    assert (await other.post(f"{theirs}/{recorded.recording}", {"choice": "delete_all"})).status == 404
    assert "None of your visits was recorded." in await text(other, theirs)
    assert len(await sealed_for(recorded)) == 2
    assert (await own.post(f"{mine}/{recorded.recording}", {"choice": "delete_all"})).status == 303
    assert await sealed_for(recorded) == set()
    async with cast.database.writing() as session:
        row = await session.get_one(Patient, (cast.clinic.id, cast.patient))
        row.language = "de"
    assert "Sie wurde gelöscht. Niemand kann sie mehr ansehen." in await text(own, mine)


async def test_a_wish_that_cannot_be_read_changes_nothing(recorded: Recorded) -> None:
    patient = await ended(recorded)
    for form in ({"choice": "everything"}, {"choice": "x" * 5000}, {"choice": "\x00keep\u202e"}):
        assert (await patient.post(wish_url(recorded), form)).status == 400
    assert (await patient.request("POST", wish_url(recorded), json={"choice": "delete_all"})).status == 400
    assert len(await sealed_for(recorded)) == 2


async def test_it_is_nobody_elses_to_choose(recorded: Recorded) -> None:
    """Not of another place, not while it is recorded, by no guest who never agreed, not where nothing was recorded."""
    cast = recorded.house.cast
    cookies, _ = await cast.visits_cookies(recorded.patient)
    early = Browser(recorded.house.client, cookies)
    assert (await early.post(wish_url(recorded), {"choice": "delete_all"})).status == 409, "it still runs"
    patient = await ended(recorded)
    assert (await patient.post(wish_url(recorded, recorded.doctor), {"choice": "delete_all"})).status in (401, 404)
    guest = await cast.guest()
    theirs, _ = await cast.visits_cookies(guest)
    browser = Browser(recorded.house.client, theirs)
    assert 'name="choice"' not in await text(browser, closing(recorded, guest))
    assert (await browser.post(wish_url(recorded, guest), {"choice": "delete_all"})).status == 404
    assert (await browser.post(wish_url(recorded, recorded.patient), {"choice": "delete_all"})).status in (401, 404)
    assert len(await sealed_for(recorded)) == 2
    async with cast.database.writing() as session:
        film = (await session.scalars(select(Film))).one()
        film.state = "empty"
    assert "To teach" not in await text(patient, closing(recorded))
