"""Notes in real Chromium with the keyboard alone: the doctor's way, the patient's, and a sign-in that ran out."""

from __future__ import annotations

from pathlib import Path

import pyotp
import pytest
from sqlalchemy import select

from server.accounts import secondfactor
from server.accounts.links import LinkKind
from server.encounters import chat
from server.encounters.models import Encounter, Participant
from server.records import reading
from server.records.models import Note, NoteHold
from signaling.words import Role
from tests.server.cast import Browser
from tests.server.records.keyboard import Keys, at_keyboard, chromium, look_in_large_type
from tests.server.records.rights import run_jobs, sign, unpacked
from tests.server.visits import House

pytestmark = pytest.mark.browser
SAVED = "#note-status[data-state=saved]"
JSON = {"Accept": "application/json"}


async def the_note(house: House) -> Note:
    async with house.database.reading() as session:
        return (await session.scalars(select(Note))).one()


async def with_a_chat(house: House, *lines: str) -> None:
    cast = house.cast
    doctor = await cast.place(Role.DOCTOR)
    async with house.database.writing() as session:
        encounter = await session.get_one(Encounter, (cast.clinic.id, cast.encounter_id))
        person = await session.get_one(Participant, (cast.clinic.id, doctor))
        for n, text in enumerate(lines):
            await chat.store(
                session, encounter, person, event_id=f"e{n}", text=text, vault=cast.sealer, now=house.clock()
            )


async def with_a_second_factor(house: House) -> pyotp.TOTP:
    secret, cast = pyotp.random_base32(), house.cast
    async with house.database.writing() as session:
        sealed = secondfactor.seal_secret(cast.vault.installation(), cast.doctor, secret)
        await secondfactor.set_up(session, cast.doctor, sealed, 0, house.clock())
    return pyotp.TOTP(secret)


async def work_through_a_morning(house: House, doctor: Browser) -> None:
    """So long that a signature asks for the second factor again; nobody was idle."""
    for _ in range(12):
        house.clock.forward(minutes=25)
        assert (await doctor.get(house.visit_url("/note/start"))).status == 200


async def test_the_doctor_writes_attaches_settles_a_conflict_signs_and_lets_it_go(house: House, tmp_path: Path) -> None:
    doctor = await house.browser_of("doctor")
    await with_a_chat(house, "Drink enough, please.", "Ring us on Monday.")
    totp = await with_a_second_factor(house)
    await work_through_a_morning(house, doctor)
    async with chromium() as browser:
        keys = await at_keyboard(browser, house, doctor)
        await keys.open(house.visit_url("/summary"))
        await keys.to("#note-text")
        await keys.page.keyboard.press("Control+A")
        await keys.page.keyboard.type("Cough for a week.")
        await keys.wait(SAVED)
        await _attach(keys, tmp_path)
        await _settle_a_conflict(keys, doctor)
        await _sign_and_hold(keys, totp)
        await keys.look("note-held")
        await keys.go("form[action$='/note/release'] button")
        async with house.database.reading() as session:
            assert (await session.scalars(select(NoteHold))).all() == []
        async with keys.page.expect_download() as coming:
            await keys.press('a[href$="/note/versions/1/file"]')
        assert Path(await (await coming.value).path()).read_bytes().startswith(b"%PDF-")
        assert keys.troubles == []
    note = await the_note(house)
    async with house.database.reading() as session:
        (version,) = await reading.load_versions(session, house.cast.sealer, note)
    assert version.text is not None
    assert ("Cough for a week." in version.text, "From the other window." in version.text) == (True, True)
    assert version.summary == "Rest, and drink enough."
    assert note.released_at is not None


async def _attach(keys: Keys, tmp_path: Path) -> None:
    """A file, refused and then taken; lines of the chat; one taken off again."""
    bad, letter = tmp_path / "run.html", tmp_path / "letter.pdf"
    bad.write_text("<script>alert(1)</script>")
    letter.write_bytes(b"%PDF-1.7\nletter\n%%EOF")
    await keys.press("#attached summary")
    for file, said in ((bad, "#attached-status:not(:empty)"), (letter, '#attached-list li:has-text("letter.pdf")')):
        async with keys.page.expect_file_chooser() as coming:
            await keys.press("#attach-file")
        await (await coming.value).set_files(file)
        await keys.wait(said)
        await keys.wait('#attached-status:not(:empty):not(:has-text("Attaching"))')
        assert await keys.page.locator("#attached-list li").count() == (file == letter)
    await keys.press("#attach-chat")
    await keys.press("#attach-line-2", "Space")
    await keys.look("note-attaching")
    await keys.press("#attach-lines")
    await keys.wait('#attached-list li:has-text("From the chat")')
    await keys.press('button[aria-label="Remove letter.pdf"]')
    await keys.page.wait_for_selector('#attached-list li:has-text("letter.pdf")', state="detached")
    assert "1" in await keys.page.inner_text("#attached summary")


async def _settle_a_conflict(keys: Keys, doctor: Browser) -> None:
    """Somebody else's window saved meanwhile: both texts stand there, and both are kept."""
    note = await the_note(keys.house)
    headers = {**JSON, "If-Match": str(note.revision)}
    other = await doctor.request(
        "PUT", keys.house.visit_url("/note/draft"), json={"text": "From the other window."}, headers=headers
    )
    assert other.status == 200
    await keys.to("#note-text")
    await keys.page.keyboard.press("Control+End")
    await keys.page.keyboard.type(" No fever.")
    await keys.wait("#note-conflict:not([hidden])")
    both = await keys.page.inner_text("#note-conflict")
    assert ("Cough for a week. No fever." in both, "From the other window." in both) == (True, True)
    await keys.look("note-conflict")
    await keys.press("#note-conflict .bs-actions button:first-child")
    await keys.wait(SAVED)


async def _sign_and_hold(keys: Keys, totp: pyotp.TOTP) -> None:
    await keys.write("#summary", "Rest, and drink enough.")
    await keys.press(".note__release summary")
    await keys.to("#readers-nobody")
    await keys.write("#reason", "It could")
    await keys.go("#note-sign")
    await keys.look("note-code")
    await keys.write("#code", "000000")
    await keys.page.keyboard.press("Enter")
    await keys.wait(".nhsuk-error-summary")
    assert (await the_note(keys.house)).signed_at is None
    await keys.write("#code", totp.at(keys.house.clock()))
    await keys.page.keyboard.press("Enter")
    await keys.wait('#note h3:has-text("Signed note")')


async def test_the_patient_reads_asks_for_a_correction_and_fetches_a_copy(house: House) -> None:
    cast = house.cast
    await sign(house, "Rash on the left arm.\n\nשלום, 咳嗽.", summary="It is harmless.")
    held = await cast.another_visit(cast.patient)
    await sign(house, "Kept back.", held, readers="nobody", reason="harm", review_on="2031-07-01")
    async with chromium() as browser:
        keys = await at_keyboard(browser, house, await house.browser_of("patient"))
        await keys.open(f"/c/{cast.clinic.slug}/my")
        for words in ("Rash on the left arm.", "It is harmless.", "שלום, 咳嗽"):
            assert words in await keys.page.inner_text("main")
        assert "Kept back." not in await keys.page.content()
        async with keys.page.expect_download() as coming:
            await keys.press('a[href$="/versions/1/file"]')
        assert Path(await (await coming.value).path()).read_bytes().startswith(b"%PDF-")
        await keys.press('details:has(form[action$="/wrong"]) summary')
        await keys.write("textarea[name=text]", "It was the right arm.")
        await keys.look("own-page-wrong")
        await look_in_large_type(keys, "own-page")
        await keys.go('form[action$="/wrong"] button')
        await keys.wait("text=You said something is wrong:")
        assert "It was the right arm." in await keys.page.inner_text("main")

        await keys.go('a[href$="/home/copy"]')
        await keys.go("form[action$='/home/copy'] button")
        await keys.wait("progress")
        await keys.look("copy-made")
        assert "26 June 2031" in await keys.page.inner_text("main") or "2031-06-26" in await keys.page.inner_text(
            "main"
        )
        await run_jobs(house)
        await keys.wait("text=Your copy is ready.")
        await keys.look("copy-ready")
        await look_in_large_type(keys, "copy")
        async with keys.page.expect_download() as coming:
            await keys.press('form[action$="/file"] button')
        found = unpacked(Path(await (await coming.value).path()).read_bytes())
        assert b"It was the right arm." in found["record.fhir.json"]
        assert b"Kept back." not in found["record.fhir.json"]
        assert keys.troubles == []


async def test_c110_a_sign_in_that_runs_out_costs_no_word_and_shows_none_to_anybody_else(house: House) -> None:
    cast = house.cast
    text = "".join(f"{n:03d} word " for n in range(330))
    await cast.another_visit(cast.other_patient, doctor=cast.colleague)
    async with chromium() as browser:
        keys = await at_keyboard(browser, house, await house.browser_of("doctor"))
        await keys.open(house.visit_url("/summary"))
        await keys.to("#note-text")
        await keys.page.keyboard.press("Control+A")
        for part in range(4):  # 40 minutes of typing against an idle limit of 30
            await keys.page.keyboard.insert_text(text[part * 750 : (part + 1) * 750])
            await keys.wait(f"{SAVED}:not(:empty)")
            house.clock.forward(minutes=10)
        house.clock.forward(minutes=35)
        await keys.page.keyboard.type("and the end")
        await keys.wait("#note-status[data-state=refused]")
        await keys.look("note-signed-off")
        written = await keys.page.input_value("#note-text")
        assert written == text[:3000] + "and the end"
        assert (await the_note(house)).draft == text[:3000]

        await keys.become(await house.browser_of("colleague"))
        assert await keys.open(house.visit_url("/summary")) == 404
        own = house.visit_url("/summary").replace(cast.encounter_id, await _visit_of(house, cast.colleague))
        assert await keys.open(own) == 200
        await keys.wait("#note-text")
        kept = str(await keys.page.evaluate("() => JSON.stringify(localStorage)"))
        assert "bedside-draft" in kept
        for seen in (await keys.page.content(), await keys.page.input_value("#note-text"), kept):
            assert "and the end" not in seen
        await keys.become(await house.browser_of("doctor"))
        await keys.open(house.visit_url("/summary"))
        await keys.wait(f"{SAVED}:not(:empty)")
        assert await keys.page.input_value("#note-text") == written
        assert keys.troubles == []
    assert (await the_note(house)).draft == written


async def _visit_of(house: House, person_id: str) -> str:
    async with house.database.reading() as session:
        query = select(Participant.encounter_id).where(Participant.person_id == person_id)
        return str((await session.scalars(query)).one())


async def test_a_visit_is_handed_over_and_read_and_a_locked_link_is_opened_again(house: House) -> None:
    """Pages of people who go on: the first doctor's reading page, and the desk's for a patient who is locked out."""
    cast = house.cast
    await with_a_chat(house, "Drink enough, please.")
    doctor = await sign(house, "Cough for a week.\n\nNo fever.", summary="Rest.")
    token = await cast.link(LinkKind.PAGE, cast.patient)
    async with chromium() as browser:
        keys = await at_keyboard(browser, house, doctor)
        await keys.open(house.visit_url("/summary"))
        await keys.press('details:has(form[action$="/hand-over"]) summary')
        await keys.to("#colleague")
        await keys.look("hand-over")
        await keys.go('form[action$="/hand-over"] button')
        for words in ("You can read it here.", "Cough for a week.", "In plain words", "Rest."):
            assert words in await keys.page.inner_text("main")
        await keys.look("handed")

        for _ in range(5):
            await house.browser().post(f"/p/{token}", {"birth_date": "1980-05-01", "code": "000000"})
        await keys.become(await house.browser_of("scheduler"))
        await keys.open(f"/c/{cast.clinic.slug}/appointments/{cast.appointment_id}")
        await keys.to('form[action$="/page-link/unlock"] button')
        await keys.look("locked")
        await keys.go('form[action$="/page-link/unlock"] button')
        assert "work again" in await keys.page.inner_text("main")
        await keys.look("unlocked")
        assert keys.troubles == []
