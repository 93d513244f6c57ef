"""A visit's pages speak the patient's language, else the browser's, else the clinic's; staff read English."""

from __future__ import annotations

import json

from sqlalchemy import select

from server.accounts.models import Patient
from server.encounters import texts
from server.encounters.models import ClinicText, VisitCard
from signaling.words import TEXT, Code, Role
from tests.server.visits import House

GERMAN = {"Accept-Language": "de-AT, en;q=0.5"}
ENGLISH = {"Accept-Language": "en-GB"}


async def test_the_door_speaks_the_browser_s_language(house: House) -> None:
    token = await house.cast.link()
    page = await (await house.browser().get(f"/v/{token}", headers=GERMAN)).text()
    for words in (
        '<html lang="de" dir="ltr"',
        "Ihre Videosprechstunde",
        "Dienstag, 27. Mai 2031 um 10:30 Uhr",
        "Ich helfe",
    ):
        assert words in page
    other = await (await house.browser().get(f"/v/{token}", headers={"Accept-Language": "tlh"})).text()
    assert '<html lang="en"' in other


async def test_a_patient_s_own_language_counts_before_the_browser_s(house: House) -> None:
    async with house.cast.database.writing() as session:
        patient = await session.get(Patient, (house.cast.clinic.id, house.cast.patient))
        assert patient is not None
        patient.language = "de"
    browser = house.browser()
    token = await house.cast.link()
    assert "Ihre Videosprechstunde" in await (await browser.get(f"/v/{token}", headers=ENGLISH)).text()
    await browser.post(f"/v/{token}", {"identity": "self"})
    place = await house.cast.place(Role.PATIENT)
    room = await (await browser.get(f"/visits/{place}", headers=ENGLISH)).text()
    words = json.loads(room.split('id="words">')[1].split("</script>")[0])
    assert words["You are in the waiting room"] == "Sie sind im Wartezimmer"
    assert words[TEXT[Code.NOT_ADMITTED]].startswith("Sie sind noch im Wartezimmer.")
    assert len(words["{count} second left. No answer counts as No."]) == 2
    assert (
        "Ihre Kamera und Ihr Mikrofon sind aus"
        in await (await browser.get(f"/visits/{place}/closing", headers=ENGLISH)).text()
    )


async def test_a_refusal_and_a_form_s_complaint_speak_it_too(house: House) -> None:
    gone = await house.browser().get("/v/nothing", headers=GERMAN)
    assert "Das konnten wir nicht finden" in await gone.text()
    told = await house.browser().get("/v/nothing", headers={**GERMAN, "Accept": "application/json"})
    assert (await told.json())["message"].startswith("Das konnte nicht gefunden werden.")
    wrong = await house.browser().post(f"/v/{await house.cast.link()}", {"place": "x" * 301}, headers=GERMAN)
    assert "Wo Sie gerade sind: zu lang, höchstens 300 Zeichen" in await wrong.text()


async def test_what_is_agreed_to_is_the_wording_that_was_read(house: House) -> None:
    async with house.cast.database.writing() as session:
        german = ClinicText(
            clinic_id=house.cast.clinic.id,
            id="german",
            kind=texts.VIDEO_CONSENT,
            language="de",
            version=1,
            text="Ich bin einverstanden.",
            created_at=house.cast.clock(),
        )
        session.add(german)
    browser, address = house.browser(), f"/v/{await house.cast.link()}"
    assert 'lang="de" dir="auto">Ich bin einverstanden.' in await (await browser.get(address, headers=GERMAN)).text()
    await browser.post(address, {"agrees": "yes"}, headers=GERMAN)
    async with house.cast.database.reading() as session:
        (card,) = await session.scalars(select(VisitCard))
    assert card.agreed_text_id == "german"


async def test_staff_read_english_whatever_their_browser_wants(house: House) -> None:
    page = await (await (await house.browser_of("doctor")).get(house.visit_url(), headers=GERMAN)).text()
    assert '<html lang="en"' in page
    assert 'id="words"' not in page
