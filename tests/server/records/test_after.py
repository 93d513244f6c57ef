"""What becomes of a note once signed: who reads it, taken back, called wrong, printed; and what is attached before."""

from __future__ import annotations

import html

import pyotp
import pytest
from aiohttp import FormData
from sqlalchemy import select, update

from server.accounts import secondfactor
from server.accounts.trust_models import StaffNotice
from server.audit import AuditAction, Incident
from server.encounters import chat
from server.encounters.models import Encounter, Participant
from server.events import Events
from server.permissions import Actor, StaffRole
from server.records import chasing, corrections, reading, service, withdrawing
from server.records.models import Note, NoteHold, NoteText
from server.records.service import Writing
from server.scheduling import service as scheduling
from server.scheduling.service import Act
from signaling.words import Role
from tests.server.cast import Browser
from tests.server.visits import House

TEXT = "Rash on the left arm, most likely harmless."
PLAIN = "Your rash is harmless."


async def written(house: House, text: str = TEXT) -> Browser:
    browser = await house.browser_of("doctor")
    headers = {"Accept": "application/json", "If-Match": "0"}
    await browser.request("PUT", house.visit_url("/note/draft"), json={"text": text}, headers=headers)
    return browser


async def signed(house: House, **form: str) -> Browser:
    browser = await written(house)
    answer = await browser.post(house.visit_url("/note/sign"), {"revision": "1", **form})
    assert answer.status == 303, await answer.text()
    return browser


async def home(house: House, rest: str = "", who: str = "patient") -> tuple[int, str]:
    browser = await house.browser_of(who)
    answer = await browser.get(f"/c/{house.cast.clinic.slug}/patients/{house.cast.patient}/home{rest}")
    return answer.status, await answer.text(errors="replace")


async def the_note(house: House) -> Note:
    async with house.cast.database.reading() as session:
        return (await session.scalars(select(Note))).one()


async def test_signed_to_everybody_it_is_read_at_once_with_its_plain_words_and_as_a_file(house: House) -> None:
    cast, browser = house.cast, await signed(house, summary=PLAIN)
    note = await the_note(house)
    status, page = await home(house)
    assert status == 200
    assert TEXT in page
    assert PLAIN in page
    assert (await home(house, f"/notes/{note.id}/versions/1/file"))[1].startswith("%PDF-")
    assert (await home(house, f"/notes/{note.id}/versions/2/file"))[0] == 404
    assert (await home(house, f"/notes/{note.id}/versions/1/file", "other patient"))[0] == 404
    mine = await browser.get(house.visit_url("/note/versions/1/file"))
    assert mine.headers["Content-Security-Policy"] == "sandbox"
    async with house.cast.database.reading() as session:
        assert await service.first_broken(session, cast.sealer, note) is None
        (version,) = await reading.load_versions(session, cast.sealer, note)
        assert version.summary == PLAIN


@pytest.mark.parametrize("readers", ["nobody", "patient_only"])
async def test_a_note_kept_back_is_read_by_whom_the_doctor_chose_until_let_go(house: House, readers: str) -> None:
    browser = await signed(house, readers=readers, reason="harm", review_on="2031-06-10")
    cast, note = house.cast, await the_note(house)
    _, page = await home(house)
    assert (TEXT in page) == (readers == "patient_only")
    file_status, _ = await home(house, f"/notes/{note.id}/versions/1/file")
    assert file_status == (200 if readers == "patient_only" else 404)
    async with cast.database.reading() as session:
        assert await reading.load_released_notes(session, cast.sealer, cast.clinic, cast.patient, for_proxy=True) == []
    house.clock.forward(days=20)
    browser = await house.browser_of("doctor")
    listed = await (await browser.get(f"/c/{cast.clinic.slug}/notes")).text()
    assert house.visit_url("/summary") in listed
    assert (await browser.post(house.visit_url("/note/release"))).status == 303
    async with cast.database.reading() as session:
        (released,) = await reading.load_released_notes(session, cast.sealer, cast.clinic, cast.patient, for_proxy=True)
        assert released.versions[0].text == TEXT
        assert (await session.scalars(select(NoteHold))).all() == []
    assert (await browser.post(house.visit_url("/note/release"))).status == 409


@pytest.mark.parametrize(
    "form",
    [
        {"readers": "nobody"},
        {"readers": "nobody", "reason": "harm"},
        {"readers": "nobody", "reason": "because", "review_on": "2031-06-10"},
        {"readers": "patient_only", "reason": "wish", "review_on": "2001-01-01"},
        {"readers": "patient_only", "reason": "wish", "review_on": "soon"},
        {"readers": "the neighbours"},
        {"summary": "x" * 5001},
    ],
)
async def test_keeping_back_without_a_reason_or_a_day_signs_nothing(house: House, form: dict[str, str]) -> None:
    browser = await written(house)
    answer = await browser.post(house.visit_url("/note/sign"), {"revision": "1", **form})
    assert answer.status == 422
    note = await the_note(house)
    assert (note.signed_at, note.draft) == (None, TEXT)


async def test_entered_in_error_it_leaves_every_door_at_once_and_is_offered_to_the_right_visit(house: House) -> None:
    cast = house.cast
    right = await cast.another_visit(cast.other_patient)
    browser = await signed(house, summary=PLAIN)
    note = await the_note(house)
    await home(house)
    assert (await browser.post(house.visit_url("/note/withdrawal"))).status == 303
    for text in (await home(house))[1], await (await browser.get(house.visit_url("/summary"))).text():
        assert TEXT not in text
        assert PLAIN not in text
        assert "An entry was withdrawn" in text
    assert (await home(house, f"/notes/{note.id}/versions/1/file"))[0] == 404
    assert (await browser.get(house.visit_url("/note/versions/1/file"))).status == 404
    async with cast.database.reading() as session:
        assert [one.kind for one in await session.scalars(select(Incident))] == ["entered_in_error"]
        assert await service.first_broken(session, cast.sealer, note) is None
        original = (await reading.load_versions(session, cast.sealer, note))[0]
        assert original.text == TEXT, "the original is kept"
    assert (await browser.post(house.visit_url("/note/withdrawal/offer"), {"visit": cast.encounter_id})).status == 404
    offered = await browser.post(house.visit_url("/note/withdrawal/offer"), {"visit": right})
    assert offered.status == 303
    page = await (await browser.get(f"/c/{cast.clinic.slug}/visits/{right}/summary")).text()
    assert TEXT in page
    assert (await browser.post(house.visit_url("/note/withdrawal/offer"), {"visit": right})).status == 409
    form = {"kind": "late_entry", "text": "Sore throat.", "reason": "This patient's own note"}
    assert (await browser.post(house.visit_url("/note/addenda"), form)).status == 303
    assert "Sore throat." in (await home(house))[1], "the visit's own note can still be written"


async def test_only_the_privacy_officer_reads_the_original_and_who_opened_it(house: House) -> None:
    cast = house.cast
    browser = await signed(house)
    await home(house)
    await browser.post(house.visit_url("/note/withdrawal"))
    note, url = await the_note(house), f"/c/{cast.clinic.slug}/withdrawn"
    assert (await browser.get(f"{url}/{note.id}")).status in (403, 404)
    officer = Actor(
        person_id=cast.administrator, clinic_id=cast.clinic.id, roles=frozenset({StaffRole.PRIVACY_OFFICER})
    )
    async with cast.database.writing() as session:
        writing = Writing(cast.clinic, officer, house.clock(), Events(), cast.sealer)
        found = await withdrawing.get_original(session, writing, note.id)
    assert [one.text for one in found.versions] == [TEXT]
    assert AuditAction.NOTE_READ.value in {entry.action for entry, _ in found.opened}


async def test_this_is_wrong_waits_for_the_doctor_and_comes_back_answered(house: House) -> None:
    cast = house.cast
    doctor = await signed(house)
    note = await the_note(house)
    patient = await house.browser_of("patient")
    url = f"/c/{cast.clinic.slug}/patients/{cast.patient}/home/notes/{note.id}/wrong"
    said = "It was the <right> arm."
    assert (await patient.post(url, {"text": said})).status == 303
    assert "has not answered yet" in (await home(house))[1]
    other = await house.browser_of("other patient")
    assert (await other.post(url, {"text": "x"})).status == 404
    assert house.visit_url("/summary") in await (await doctor.get(f"/c/{cast.clinic.slug}/notes")).text()
    page = await (await doctor.get(house.visit_url("/summary"))).text()
    assert "It was the &lt;right&gt; arm." in page
    async with cast.database.reading() as session:
        (asked,) = await corrections.load(session, cast.vault.clinic(cast.clinic.id), cast.clinic.id, [note.id])
    answer_url = house.visit_url(f"/note/corrections/{asked.id}")
    assert (await doctor.post(answer_url, {"outcome": "maybe", "answer": "x"})).status in (400, 422)
    assert (await doctor.post(answer_url, {"outcome": "corrected", "answer": "You are right."})).status == 303
    assert (await doctor.post(answer_url, {"outcome": "stands", "answer": "No."})).status == 409
    page = (await home(house))[1]
    assert "It was corrected." in page
    assert "You are right." in page


async def test_an_addition_says_when_it_was_signed_and_why(house: House) -> None:
    await signed(house)
    house.clock.forward(days=2)
    browser, form = await house.browser_of("doctor"), {"kind": "correction", "text": "Right arm.", "reason": "Mistyped"}
    assert (await browser.post(house.visit_url("/note/addenda"), form)).status == 303
    page = (await home(house))[1]
    assert [words for words in ("27 May 2031", "29 May 2031", "Mistyped") if words not in page] == []


async def test_nobody_fills_the_doctors_list_with_requests(house: House) -> None:
    await signed(house)
    note, cast = await the_note(house), house.cast
    patient = await house.browser_of("patient")
    url = f"/c/{cast.clinic.slug}/patients/{cast.patient}/home/notes/{note.id}/wrong"
    statuses = [(await patient.post(url, {"text": "Wrong."})).status for _ in range(corrections.OPEN_MAX + 1)]
    assert statuses == [303] * corrections.OPEN_MAX + [429]


async def test_a_file_is_attached_before_signing_and_stays_with_what_was_signed(house: House) -> None:
    browser = await written(house)

    def file(content: bytes) -> FormData:
        form = FormData()
        form.add_field("file", content, filename="letter.pdf", content_type="application/pdf")
        return form

    url = house.visit_url("/note/attachments")
    assert (await browser.request("POST", url, data=file(b"%PDF-1.7\nletter\n%%EOF"))).status == 303
    assert (await browser.request("POST", url, data=file(b"MZ\x90\x00 not what it says"))).status == 400
    page = await (await browser.get(house.visit_url("/summary"))).text()
    assert "letter.pdf" in page
    upload = page.split("/note/attachments/")[1].split('"')[0].split("/")[0]
    got = await browser.get(f"{url}/{upload}")
    assert (got.status, await got.read()) == (200, b"%PDF-1.7\nletter\n%%EOF")
    await browser.post(house.visit_url("/note/sign"), {"revision": "1"})
    for method, rest in (("DELETE", upload), ("DELETE", "1"), ("POST", f"{upload}/remove")):
        assert (await browser.request(method, f"{url}/{rest}")).status == 409, (method, rest)
    assert (await browser.request("POST", url, data=file(b"%PDF-1.7\nmore\n%%EOF"))).status == 409
    colleague = await house.browser_of("colleague")
    assert (await colleague.get(f"{url}/{upload}")).status == 404
    assert (await browser.get(f"{url}/{upload}")).status == 200


async def test_a_removed_attachment_is_gone(house: House) -> None:
    browser, url = await written(house), house.visit_url("/note/attachments")
    form = FormData()
    form.add_field("file", b"plain words", filename="a.txt")
    assert (await browser.request("POST", url, data=form)).status == 303
    page = await (await browser.get(house.visit_url("/summary"))).text()
    upload = page.split("/note/attachments/")[1].split('"')[0].split("/")[0]
    assert (await browser.post(f"{url}/{upload}/remove")).status == 303
    assert (await browser.get(f"{url}/{upload}")).status == 404


async def test_an_old_session_shows_its_second_factor_again_and_signs_nothing_before(house: House) -> None:
    cast = house.cast
    browser = await written(house)
    secret = pyotp.random_base32()
    vault = cast.vault.installation()
    async with cast.database.writing() as session:
        sealed = secondfactor.seal_secret(vault, cast.doctor, secret)
        await secondfactor.set_up(session, cast.doctor, sealed, 0, house.clock())
    for _ in range(12):  # at work all the while: nobody was idle
        house.clock.forward(minutes=25)
        assert (await browser.get(house.visit_url("/note/start"))).status == 200
    asked = await browser.post(house.visit_url("/note/sign"), {"revision": "1", "summary": PLAIN})
    assert asked.status == 422
    assert PLAIN in await asked.text(), "nothing that was typed is lost"
    wrong = await browser.post(house.visit_url("/note/sign"), {"revision": "1", "code": "000000"})
    assert (wrong.status, (await the_note(house)).signed_at) == (422, None)
    code = pyotp.TOTP(secret).at(house.clock())
    assert (await browser.post(house.visit_url("/note/sign"), {"revision": "1", "code": code})).status == 303


async def test_headings_alone_are_no_note(house: House) -> None:
    browser = await house.browser_of("doctor")
    page = await (await browser.get(house.visit_url("/summary"))).text()
    assert "Subjective" in page
    admin = await house.browser_of("administrator")
    url = f"/c/{house.cast.clinic.slug}/note-templates/{house.cast.visit_type_id}"
    assert (await admin.post(url, {"text": "Seen:\n\nDone:"})).status == 303
    assert "Seen:" in await (await browser.get(house.visit_url("/summary"))).text()
    answer = await browser.post(house.visit_url("/note/sign"), {"revision": "0", "text": "Seen:\n\nDone:\n"})
    assert answer.status == 400
    assert (await admin.post(url, {"text": ""})).status == 303
    assert "Subjective" in await (await browser.get(house.visit_url("/summary"))).text()
    assert (await admin.post(url.rsplit("/", 1)[0] + "/unknown", {"text": "x"})).status == 404


async def test_the_start_line_says_what_is_known_and_not_asked_for_the_rest(house: House) -> None:
    browser = await house.browser_of("doctor")
    line = (await (await browser.get(house.visit_url("/note/start"))).json())["text"]
    for expected in ("Identity: not asked", "Consent to video: not asked", "Consent to recording: not asked"):
        assert expected in line
    await house.browser().post(f"/v/{await house.cast.link()}", {"identity": "self", "place": "12 Mill Lane"})
    line = (await (await browser.get(house.visit_url("/note/start"))).json())["text"]
    assert "Identity: confirmed by the patient at the door" in line
    assert "12 Mill Lane" in line


async def test_lines_of_the_chat_are_taken_over_as_a_file_of_the_note(house: House) -> None:
    cast, browser = house.cast, await written(house)
    doctor, visit = await cast.place(Role.DOCTOR), await cast.visit()
    async with cast.database.writing() as session:
        for n, text in enumerate(["Drink enough.", "Ring on Monday.", "Bye."]):
            person = await session.get_one(Participant, (cast.clinic.id, doctor))
            encounter = await session.get_one(Encounter, (cast.clinic.id, visit.encounter.id))
            said = {"event_id": f"e{n}", "text": text, "vault": cast.sealer, "now": house.clock()}
            await chat.store(session, encounter, person, **said)  # type: ignore[arg-type]
    url = house.visit_url("/note/attachments/chat")
    json = {"Accept": "application/json"}
    told = (await (await browser.get(url, headers=json)).json())["lines"]
    assert [one["text"] for one in told] == ["Drink enough.", "Ring on Monday.", "Bye."]
    for bad in ({}, {"line": "x"}, {"line": "99"}):
        assert (await browser.post(url, bad)).status in (400, 404, 422)
    answer = await browser.request("POST", url, data=[("line", "2"), ("line", "1")], headers=json)
    (attached,) = (await answer.json())["attached"]
    content = await (await browser.get(house.visit_url(f"/note/attachments/{attached['id']}"))).text()
    assert content.index("Dr Ida Weiss: Drink enough.") < content.index("Ring on Monday.")
    assert "Bye." not in content
    await browser.post(house.visit_url("/note/sign"), {"revision": "1"})
    assert (await browser.post(url, {"line": "1"})).status == 409
    status, page = await home(house)
    assert (status, attached["name"] in page) == (200, True)
    note = await the_note(house)
    assert (await home(house, f"/notes/{note.id}/attachments/{attached['id']}"))[1] == content
    assert (await home(house, f"/notes/{note.id}/attachments/{attached['id']}", "other patient"))[0] == 404


async def test_a_note_that_does_not_verify_says_so_and_shows_nothing_that_was_altered(house: House) -> None:
    browser, cast = await signed(house), house.cast
    async with cast.database.writing() as session:
        await (await session.connection()).exec_driver_sql("DROP TRIGGER note_text_no_update")
        await session.execute(update(NoteText).values(sealed=b"something else"))
    page = await browser.get(house.visit_url("/summary"))
    words = await page.text()
    assert page.status == 200
    assert "This note does not verify" in words
    assert "was altered and is not shown" in words
    assert (await browser.get(house.visit_url("/note/versions/1/file"))).status == 404
    status, mine = await home(house)
    assert (status, "Please ring the clinic" in mine) == (200, True)


async def test_a_note_left_unsigned_is_chased_until_it_is_signed(house: House) -> None:
    cast, browser = house.cast, await written(house)
    async with cast.database.writing() as session:
        encounter = await session.get_one(Encounter, (cast.clinic.id, cast.encounter_id))
        encounter.status, encounter.outcome, encounter.ended_at = "finished", "seen", house.clock()

    async def chased() -> int:
        async with cast.database.writing() as session:
            return await chasing.chase(session, house.clock())

    house.clock.forward(hours=23)
    assert await chased() == 0, "it is still on time"
    house.clock.forward(hours=2)
    assert [await chased(), await chased()] == [1, 0]
    house.clock.forward(days=4)
    assert await chased() == 1, "and again"
    browser = await house.browser_of("doctor")
    page = await (await browser.get(f"/c/{cast.clinic.slug}/account")).text()
    assert "not signed yet" in page
    assert "Anna" not in page, "a notice names no patient"
    assert house.visit_url("/summary") in await (await browser.get(f"/c/{cast.clinic.slug}/notes")).text()
    assert (await browser.post(house.visit_url("/note/sign"), {"revision": "1"})).status == 303
    house.clock.forward(days=4)
    assert await chased() == 0
    async with cast.database.reading() as session:
        told = list(await session.scalars(select(StaffNotice)))
    assert {(one.person_id, one.kind) for one in told} == {(cast.doctor, "note_unsigned")}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("finished", "left"), ("finished", "not_reached"), ("cancelled", None), ("in-progress", None)],
)
async def test_whatever_is_on_the_list_is_chased_too(house: House, status: str, outcome: str | None) -> None:
    """Also what was written of a visit that nobody came to, or that its doctor left open."""
    cast, browser = house.cast, await written(house)
    async with cast.database.writing() as session:
        encounter = await session.get_one(Encounter, (cast.clinic.id, cast.encounter_id))
        encounter.status, encounter.outcome = status, outcome
        encounter.ended_at = house.clock() if status == "finished" else None
    house.clock.forward(days=2)
    browser = await house.browser_of("doctor")
    assert house.visit_url("/summary") in await (await browser.get(f"/c/{cast.clinic.slug}/notes")).text()
    async with cast.database.writing() as session:
        assert await chasing.chase(session, house.clock()) == 1


@pytest.mark.parametrize("how", ["cancelled", "noshow", "in error"])
async def test_what_was_written_of_a_visit_that_never_was_is_found_to_be_signed(house: House, how: str) -> None:
    cast = house.cast
    browser = await written(house)
    async with house.database.writing() as session:
        act = Act(cast.clinic, cast.scheduler, house.clock(), cast.events)
        if how == "cancelled":
            await scheduling.cancel(session, act, cast.appointment_id, "rang")
        elif how == "noshow":
            await scheduling.mark_no_show(session, act, cast.appointment_id)
        else:
            (await session.get_one(Encounter, (cast.clinic.id, cast.encounter_id))).status = "entered-in-error"
    unsigned = f'id="unsigned-{cast.appointment_id}"'
    for page, line in {"notes": house.visit_url("/summary"), "clinic": unsigned, "clinic/list": unsigned}.items():
        text = await (await browser.get(f"/c/{cast.clinic.slug}/{page}")).text()
        assert (line in text) == (how != "in error"), page


async def test_a_follow_up_opens_the_booking_with_this_patient_and_kind_of_visit(house: House) -> None:
    cast, browser = house.cast, await signed(house)
    page = await (await browser.get(house.visit_url("/summary"))).text()
    address = page.split('href="')
    link = html.unescape(next(one for one in address if one.startswith(f"/c/{cast.clinic.slug}/book/")).split('"')[0])
    booking = await browser.get(link)
    text = await booking.text()
    assert (booking.status, "Anna Müller" in text) == (200, True)
    assert f'value="{cast.visit_type_id}" selected' in text
