"""The note over HTTP: drafts that lose no word, signing what is on the screen, versions that never change."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from server.audit import AuditAction, AuditEntry
from server.db import Database
from server.encounters import planning
from server.encounters.models import Encounter
from server.records import reading, service
from server.records.models import Note
from signaling.words import Role
from tests.server.cast import Browser
from tests.server.records.rights import copy_url, make_copy, unpacked
from tests.server.visits import House

JSON = {"Accept": "application/json"}
OUTSIDERS = ["colleague", "scheduler", "administrator", "patient", "other patient"]


async def save(
    browser: Browser, house: House, text: object, based_on: int | str | None = 0
) -> tuple[int, dict[str, object]]:
    headers = JSON if based_on is None else {**JSON, "If-Match": str(based_on)}
    answer = await browser.request("PUT", house.visit_url("/note/draft"), json={"text": text}, headers=headers)
    return answer.status, await answer.json()


async def signed(house: House, text: str = "Cough for a week.") -> Browser:
    browser = await house.browser_of("doctor")
    await save(browser, house, text)
    answer = await browser.post(house.visit_url("/note/sign"), {"revision": "1"})
    assert answer.status == 303
    return browser


async def stored(database: Database) -> Note | None:
    async with database.reading() as session:
        return (await session.scalars(select(Note))).first()


async def versions(house: House) -> list[tuple[str, str | None]]:
    note = await stored(house.cast.database)
    assert note is not None
    async with house.cast.database.reading() as session:
        return [(one.kind.value, one.text) for one in await reading.load_versions(session, house.cast.sealer, note)]


# ── Drafts ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_draft_is_committed_before_it_is_answered(house: House) -> None:
    browser = await house.browser_of("doctor")
    assert await save(browser, house, "Co") == (200, {"revision": 1})
    note = await stored(house.cast.database)
    assert note is not None
    assert (note.draft, note.revision) == ("Co", 1)
    assert await save(browser, house, "Cough", 1) == (200, {"revision": 2})
    assert await save(browser, house, "Cough", 1) == (200, {"revision": 2}), "sent again after a lost answer"


async def test_without_if_match_nothing_is_saved(house: House) -> None:
    status, told = await save(await house.browser_of("doctor"), house, "x", None)
    assert (status, told["error"]) == (428, "precondition_missing")
    assert await stored(house.cast.database) is None


async def test_two_windows_lose_no_word(house: House) -> None:
    first, second = await house.browser_of("doctor"), await house.browser_of("doctor")
    await save(first, house, "From the first window")
    status, told = await save(second, house, "From the second", 0)
    assert (status, told["text"], told["yours"], told["revision"]) == (
        409, "From the first window", "From the second", 1,
    )  # fmt: skip
    both = f"{told['text']}\n\n{told['yours']}"
    assert await save(second, house, both, 1) == (200, {"revision": 2})


async def test_two_clinicians_of_a_visit_lose_no_word_and_sign_once(house: House) -> None:
    cast = house.cast
    async with house.database.writing() as session:
        encounter = await session.get_one(Encounter, (cast.clinic.id, cast.encounter_id))
        second = planning.new_participant(encounter, Role.DOCTOR, "Dr Omar Haddad", house.clock())
        second.person_id = cast.colleague
        session.add(second)
    first, other = await house.browser_of("doctor"), await house.browser_of("colleague")
    await save(first, house, "Cough")
    status, told = await save(other, house, "Rash")
    assert (status, told["text"], told["yours"]) == (409, "Cough", "Rash")
    assert (await save(other, house, "Cough\n\nRash", 1))[0] == 200
    answers = await asyncio.gather(
        *(one.post(house.visit_url("/note/sign"), {"revision": "2"}) for one in (first, other))
    )
    assert sorted(one.status for one in answers) == [303, 409]
    assert await versions(house) == [("signed", "Cough\n\nRash")]


async def test_writing_on_after_a_lost_answer_is_no_conflict(house: House) -> None:
    browser = await house.browser_of("doctor")
    await save(browser, house, "Cough for")
    assert await save(browser, house, "Cough for a week", 0) == (200, {"revision": 2})
    status, _ = await save(browser, house, "Cough", 0)
    assert status == 409, "a shorter text on an old revision would lose words"


async def test_many_first_saves_at_once_make_one_note(house: House) -> None:
    browser = await house.browser_of("doctor")
    answers = await asyncio.gather(*(save(browser, house, f"text {n}") for n in range(6)))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409, 409]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"text": None}, 400),
        ({"text": 7}, 400),
        ({"text": ["a"]}, 400),
        ({"text": "a", "html": "<b>a</b>"}, 400),
        ({"text": "\ud800"}, 400),
        ({"text": "x" * 100_001}, 413),
        ({"text": "y" * 1_000_000}, 413),
        ([], 400),
    ],
)
async def test_a_draft_that_cannot_be_taken(house: House, body: object, status: int) -> None:
    browser = await house.browser_of("doctor")
    answer = await browser.request("PUT", house.visit_url("/note/draft"), json=body, headers={**JSON, "If-Match": "0"})
    assert answer.status == status
    assert await stored(house.cast.database) is None


@pytest.mark.parametrize("revision", ["x", "-1", "1.5", 'W/"1"', "9" * 40, "*", "٣"])
async def test_a_revision_that_is_none(house: House, revision: str) -> None:
    status, told = await save(await house.browser_of("doctor"), house, "x", revision)
    assert (status, told["error"]) == (400, "malformed")


async def test_every_script_is_kept_and_controls_are_not(house: House) -> None:
    text = "שלום · 咳嗽一周 · \U0001f469\U0001f3fd\u200d\u2695\ufe0f · e\u0301\tok"
    await save(await house.browser_of("doctor"), house, f"{text}\r\nnext\x00\x07\x9f")
    note = await stored(house.cast.database)
    assert note is not None
    assert note.draft == f"{text}\nnext"


@pytest.mark.parametrize("who", OUTSIDERS)
async def test_nobody_else_learns_that_there_is_a_note(house: House, who: str) -> None:
    await signed(house)
    browser, visit = await house.browser_of(who), house.visit_url()
    for method, path, more in (
        ("GET", visit, {}),
        ("GET", f"{visit}/summary", {}),
        ("GET", f"{visit}/note", {}),
        ("PUT", f"{visit}/note/draft", {"json": {"text": "x"}, "headers": {"If-Match": "0"}}),
        ("PUT", f"{visit}/note/draft", {"json": {"text": "x"}}),
        ("POST", f"{visit}/note/sign", {"data": {"revision": "1"}}),
        ("POST", f"{visit}/note/addenda", {"data": {"kind": "addendum", "text": "x", "reason": "y"}}),
        ("PATCH", f"{visit}/note", {}),
        ("DELETE", f"{visit}/note/versions/1", {}),
    ):
        answer = await browser.request(method, path, **more)
        assert answer.status == 404, (method, path)
        assert "Cough" not in await answer.text()


async def test_a_stranger_is_asked_to_sign_in(house: House) -> None:
    await signed(house)
    for path in ("", "/summary", "/note"):
        assert (await house.browser().get(house.visit_url(path))).status == 401


async def test_another_clinics_address_finds_nothing(house: House) -> None:
    browser = await signed(house)
    path = house.visit_url("/note").replace(house.cast.clinic.slug, "south")
    assert (await browser.get(path)).status == 404


# ── Signing ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_signing_carries_the_revision_on_the_screen(house: House) -> None:
    browser = await house.browser_of("doctor")
    await save(browser, house, "Cough")
    await save(browser, house, "Cough and fever", 1)
    answer = await browser.post(house.visit_url("/note/sign"), {"revision": "1", "text": "Cough"})
    page = await answer.text()
    assert answer.status == 409
    assert "Cough and fever" in page
    assert "What stood on your screen" in page
    note = await stored(house.cast.database)
    assert note is not None
    assert note.signed_at is None
    assert (await browser.post(house.visit_url("/note/sign"), {"revision": "2"})).status == 303
    assert await versions(house) == [("signed", "Cough and fever")]


async def test_the_pages_own_field_is_signed_as_it_stands(house: House) -> None:
    browser = await house.browser_of("doctor")
    await save(browser, house, "Cough")
    await browser.post(house.visit_url("/note/sign"), {"revision": "1", "text": "Cough, and rest"})
    assert await versions(house) == [("signed", "Cough, and rest")]


@pytest.mark.parametrize("text", ["", "  \r\n "])
async def test_a_field_that_was_emptied_signs_nothing_of_what_stood_in_it(house: House, text: str) -> None:
    browser = await house.browser_of("doctor")
    await save(browser, house, "Cough")
    answer = await browser.post(house.visit_url("/note/sign"), {"revision": "1", "text": text})
    assert answer.status == 400
    assert "Nothing was signed" in await answer.text()
    note = await stored(house.cast.database)
    assert note is not None
    assert (note.signed_at, note.draft) == (None, "Cough")


async def test_the_visits_page_writes_the_note_as_the_room_does(house: House) -> None:
    browser = await house.browser_of("doctor")
    await save(browser, house, "Cough </textarea><script>alert(1)</script>")
    page = await (await browser.get(house.visit_url("/summary"))).text()
    assert "/note/draft" in page
    assert "summary." in page
    assert "<script>alert" not in page


async def test_two_people_signing_at_once_sign_once(house: House) -> None:
    browser = await house.browser_of("doctor")
    await save(browser, house, "Cough")
    answers = await asyncio.gather(*(browser.post(house.visit_url("/note/sign"), {"revision": "1"}) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [303, 409, 409]
    assert len(await versions(house)) == 1


@pytest.mark.parametrize("form", [{}, {"revision": "x"}, {"revision": "-1"}, {"revision": "9" * 30}])
async def test_a_signature_without_a_revision_signs_nothing(house: House, form: dict[str, str]) -> None:
    browser = await house.browser_of("doctor")
    await save(browser, house, "Cough")
    assert (await browser.post(house.visit_url("/note/sign"), form)).status == 400
    note = await stored(house.cast.database)
    assert note is not None
    assert note.signed_at is None


@pytest.mark.parametrize("text", ["", " \n "])
async def test_an_empty_note_is_not_signed(house: House, text: str) -> None:
    browser = await house.browser_of("doctor")
    await save(browser, house, text)
    assert (await browser.post(house.visit_url("/note/sign"), {"revision": "1"})).status == 400


async def test_c106_a_signed_note_takes_nothing_but_an_addendum(house: House) -> None:
    """By its own doctor; the same doors are shut to an administrator, who learns of no note."""
    browser = await signed(house)
    before = await versions(house)
    in_flight, told = await save(browser, house, "Cough for a week. And", 1)
    assert (in_flight, told["error"]) == (409, "note_signed")
    assert "text" not in told
    for method, path, status in (
        ("PATCH", "/note", 409),
        ("PUT", "/note", 409),
        ("DELETE", "/note", 409),
        ("PATCH", "/note/versions/1", 409),
        ("DELETE", "/note/versions/1", 409),
        ("DELETE", "/note/versions/2", 404),
        ("POST", "/note/vitals", 404),
        ("PUT", "/fhir/DocumentReference/n1", 404),
    ):
        assert (await browser.request(method, house.visit_url(path))).status == status, (method, path)
        admin = await house.browser_of("administrator")
        assert (await admin.request(method, house.visit_url(path))).status == 404
    assert (await browser.request("DELETE", house.visit_url("/note/attachments/1"))).status == 409
    assert await versions(house) == before
    form = {"kind": "addendum", "text": "Better now.", "reason": "Rang the day after"}
    assert (await browser.post(house.visit_url("/note/addenda"), form)).status == 303
    assert await versions(house) == [*before, ("addendum", "Better now.")]
    async with house.database.reading() as session:
        note = (await session.scalars(select(Note))).one()
        assert await service.first_broken(session, house.cast.sealer, note) is None


async def test_c108_corrections_stand_behind_the_original_in_order_and_nothing_takes_them_away(house: House) -> None:
    """v1, a1 by the author, a2 by the colleague to whom the visit was handed."""
    author, colleague = await signed(house), await house.browser_of("colleague")
    house.clock.forward(days=2)
    author = await house.browser_of("doctor")
    a1 = {"kind": "addendum", "text": "Added first", "reason": "Rang the day after"}
    a2 = {"kind": "correction", "text": "Added second", "reason": "Was the right arm"}
    assert (await author.post(house.visit_url("/note/addenda"), a1)).status == 303
    assert (await author.post(house.visit_url("/hand-over"), {"colleague": house.cast.colleague})).status == 303
    colleague = await house.browser_of("colleague")
    assert (await colleague.post(house.visit_url("/note/addenda"), a2)).status == 303
    expected = [("signed", "Cough for a week."), ("addendum", "Added first"), ("correction", "Added second")]
    for method, path in (("DELETE", "/note/versions/2"), ("PATCH", "/note/versions/2"), ("DELETE", "/note")):
        assert (await colleague.request(method, house.visit_url(path))).status == 409
    assert await versions(house) == expected
    read = await (await colleague.get(house.visit_url("/summary"))).text()
    patient = await house.browser_of("patient")
    own = await (await patient.get(f"/c/north/patients/{house.cast.patient}/home")).text()
    export = await make_copy(house, patient)
    copy = unpacked(await (await patient.post(f"{copy_url(house)}/{export}/file")).read())["record.fhir.json"].decode()
    for page in (read, own, copy):
        places = [page.index(words) for words in ("Cough for a week.", "Added first", "Added second")]
        assert places == sorted(places)
    for words in ("Dr Ida Weiss", "Dr Omar Haddad", "Was the right arm"):
        assert (words in read, words in copy) == (True, True)


async def test_what_is_added_stands_in_order_with_author_time_and_reason(house: House) -> None:
    await signed(house)
    for n, kind in enumerate(("late_entry", "correction"), start=1):
        house.cast.clock.forward(days=1)
        browser = await house.browser_of("doctor")
        form = {"kind": kind, "text": f"Added {n}", "reason": f"Because {n}"}
        await browser.post(house.visit_url("/note/addenda"), form)
    page = await (await browser.get(house.visit_url("/summary"))).text()
    places = [page.index(words) for words in ("Cough for a week.", "Added 1", "Added 2")]
    assert places == sorted(places)
    for words in ("Dr Ida Weiss", "Late entry", "Correction", "Because 1", "Thursday 29 May 2031"):
        assert words in page


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"kind": "addendum", "text": "x"},
        {"kind": "addendum", "reason": "x"},
        {"kind": "signed", "text": "x", "reason": "y"},
        {"kind": "addendum", "text": "x", "reason": "y" * 1001},
    ],
)
async def test_an_addendum_that_cannot_be_taken_comes_back_as_typed(house: House, form: dict[str, str]) -> None:
    browser = await signed(house)
    answer = await browser.post(house.visit_url("/note/addenda"), form)
    assert answer.status == 422
    assert len(await versions(house)) == 1


async def test_nothing_is_added_before_signing(house: House) -> None:
    browser = await house.browser_of("doctor")
    await save(browser, house, "Cough")
    form = {"kind": "addendum", "text": "x", "reason": "y"}
    assert (await browser.post(house.visit_url("/note/addenda"), form)).status == 409


async def test_each_access_is_in_the_audit(house: House) -> None:
    browser = await signed(house)
    await browser.get(house.visit_url("/summary"))
    await browser.get(house.visit_url("/note"), headers=JSON)
    async with house.cast.database.reading() as session:
        actions = [entry.action for entry in await session.scalars(select(AuditEntry).order_by(AuditEntry.at))]
        details = [entry.detail for entry in await session.scalars(select(AuditEntry))]
    assert actions.count(AuditAction.NOTE_OPENED) == 2
    assert actions.count(AuditAction.NOTE_SIGNED) == 1
    assert not any("Cough" in detail for detail in details)


async def test_the_doctors_room_shows_the_note_as_it_was_left(house: House) -> None:
    browser = await house.browser_of("doctor")
    await save(browser, house, "Cough </script><script>alert(1)</script>")
    page = await (await browser.get(house.visit_url())).text()
    assert "</script><script>alert" not in page
    assert "\\u003c/script\\u003e" in page
    assert '"revision": 1' in page
