"""Erasing signed notes where the law allows, with holds and proof; what is withheld and asked for; after a restore."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest
from aiohttp import FormData
from sqlalchemy import select

from server.accounts import policies
from server.audit import Deletion, DeletionKind
from server.errors import DomainError
from server.permissions import StaffRole
from server.records import erasing, reading, replay, rules, service, withdrawing
from server.records.models import CorrectionRequest, Note, NoteKey, NoteText
from server.records.replay import REPLAYS
from server.records.rights_models import RecordHold, RecordRequest
from server.records.rules import Erasable, Ground, Kind, Obstacle, which_erased
from server.records.service import Writing
from tests.server.cast import Browser, add_staff
from tests.server.records.rights import copy_url, make_copy, sign, unpacked, writing_of
from tests.server.visits import START, House, VisitCast

TEXT = "Cough for a week."


# ── What the law says ──


@pytest.mark.parametrize(
    ("of", "ground", "today", "answer"),
    [
        (((1, 2), 0, False), Ground.PERIOD_OVER, date(2041, 5, 26), Obstacle.KEPT_BY_LAW),
        (((1, 2), 0, False), Ground.PERIOD_OVER, date(2041, 5, 27), (1, 2)),
        (((1, 2), 0, True), Ground.PERIOD_OVER, date(2060, 1, 1), Obstacle.HELD),
        (((1, 2), 0, False), Ground.ENTERED_IN_ERROR, date(2060, 1, 1), Obstacle.NOT_IN_ERROR),
        (((1, 2), 1, False), Ground.ENTERED_IN_ERROR, date(2031, 5, 28), (1,)),
        (((2,), 1, False), Ground.ENTERED_IN_ERROR, date(2031, 5, 28), Obstacle.NOTHING_LEFT),
        (((1, 2), 0, False), Ground.ORDERED, date(2031, 5, 28), (1, 2)),
        (((1,), 1, True), Ground.ORDERED, date(2031, 5, 28), Obstacle.HELD),
        (((), 0, False), Ground.ORDERED, date(2031, 5, 28), Obstacle.NOTHING_LEFT),
    ],
)
def test_the_law_and_holds_decide_which_versions_go(
    of: tuple[tuple[int, ...], int, bool], ground: Ground, today: date, answer: tuple[int, ...] | Obstacle
) -> None:
    left, upto, is_held = of
    assert which_erased(Erasable(left, upto, date(2041, 5, 27), is_held), ground, today) == answer


def test_years_are_counted_from_a_leap_day_too() -> None:
    assert rules.years_after(date(2028, 2, 29), 10) == date(2038, 3, 1)
    assert rules.years_after(date(2031, 5, 27), 10) == date(2041, 5, 27)


# ── On both databases ──


async def erased_once(cast: VisitCast, ground: Ground, note: Note) -> Writing:
    writing = writing_of(cast, StaffRole.PRIVACY_OFFICER, cast.administrator)
    async with cast.database.writing() as session:
        await erasing.erase(session, writing, note.id, ground)
    return writing


async def signed_note(cast: VisitCast) -> Note:
    writing = writing_of(cast)
    async with cast.database.writing() as session:
        await service.save_draft(session, writing, cast.encounter_id, TEXT, 0)
        note = await service.sign(session, writing, cast.encounter_id, 1)
        await service.add(session, writing, cast.encounter_id, Kind.ADDENDUM, text="Better", reason="Rang")
        return note


async def test_erasing_leaves_no_word_and_no_key_and_a_chain_that_holds(cast: VisitCast) -> None:
    note = await signed_note(cast)
    writing = await erased_once(cast, Ground.ORDERED, note)
    async with cast.database.writing() as session:
        assert (await session.scalars(select(NoteText))).all() == []
        assert (await session.scalars(select(NoteKey))).all() == []
        assert await service.first_broken(session, cast.sealer, note) is None
        versions = await reading.load_versions(session, cast.sealer, note)
        assert [one.text for one in versions] == [None, None]
        proofs = await erasing.load_proofs(session, cast.clinic.id, note.id)
        assert [erasing.proof_of(one)["hash"] for one in proofs] == [one.hash.hex() for one in versions]
        listed = (await session.scalars(select(Deletion))).one()
        assert (listed.kind, listed.subject_kind, listed.subject_id) == ("deleted", "note", f"{note.id}:2")
        with pytest.raises(DomainError):
            await erasing.erase(session, writing, note.id, Ground.ORDERED)


async def test_a_hold_keeps_everything_until_it_is_lifted(cast: VisitCast) -> None:
    note = await signed_note(cast)
    writing = writing_of(cast, StaffRole.PRIVACY_OFFICER, cast.administrator)
    async with cast.database.writing() as session:
        await erasing.place_hold(session, writing, cast.patient, "A claim")
    with pytest.raises(DomainError):
        await erased_once(cast, Ground.ORDERED, note)
    async with cast.database.writing() as session:
        assert len((await session.scalars(select(NoteKey))).all()) == 2
        await erasing.lift_hold(session, writing, cast.patient)
    await erased_once(cast, Ground.ORDERED, note)


async def test_after_a_restore_what_was_erased_and_withdrawn_is_so_again(cast: VisitCast) -> None:
    """A database that came back from before: the list outside it is done again, and again finds nothing left."""
    note = await signed_note(cast)
    erase, withdraw = REPLAYS[DeletionKind.DELETED.value, "note"], REPLAYS[DeletionKind.DELETED.value, "note_withdrawn"]
    for redo, upto in ((withdraw, 1), (erase, 2)):
        entry = {"subject_id": f"{note.id}:{upto}"}
        for done in (True, False):
            async with cast.database.writing() as session:
                assert await redo(session, entry, START) is done
    async with cast.database.reading() as session:
        assert [one.text for one in await reading.load_versions(session, cast.sealer, note)] == [None, None]
        assert await service.first_broken(session, cast.sealer, note) is None
        row = await reading.load_withdrawal(session, note)
        assert row is not None
        assert row.upto_n == 1
    async with cast.database.writing() as session:
        assert not await replay.erase_note(session, {"subject_id": "nothing:1"}, START)


# ── The pages ──


async def officer_of(house: House) -> Browser:
    async with house.database.writing() as session:
        person = await add_staff(session, house.cast.clinic, "Lea Privacy", StaffRole.PRIVACY_OFFICER, START)
    return await house.signed_in(person)


async def test_a_patient_asks_the_officer_answers_and_the_page_says_so(house: House) -> None:
    cast = house.cast
    doctor = await house.browser_of("doctor")
    form = FormData()
    form.add_field("file", b"plain words", filename="a.txt")
    await doctor.request("POST", house.visit_url("/note/attachments"), data=form)
    await sign(house, TEXT)
    patient, officer = await house.browser_of("patient"), await officer_of(house)
    async with cast.database.reading() as session:
        note = (await session.scalars(select(Note))).one()
    home = copy_url(house).removesuffix("/copy")
    await patient.post(f"{home}/notes/{note.id}/wrong", {"text": "It was a cold."})
    export = await make_copy(house, patient)
    other = await house.browser_of("other patient")
    assert (await other.post(f"{home}/notes/{note.id}/erase")).status == 404
    assert (await patient.post(f"{home}/notes/{note.id}/erase")).status == 303
    assert (await patient.post(f"{home}/notes/{note.id}/erase")).status == 409
    url = f"/c/{cast.clinic.slug}/erasures"
    assert "2031-06-26" in await (await officer.get(url)).text(), "due a month after it was asked"
    page = await (await officer.get(f"{url}/{note.id}")).text()
    assert "2041-05-27" in page
    assert TEXT not in page, "what is erased isn't read for it"
    for who in ("doctor", "administrator", "scheduler"):
        browser = await house.browser_of(who)
        assert (await browser.post(f"{url}/{note.id}", {"ground": "ordered"})).status in (403, 404)
    for ground, status in (("period_over", 409), ("entered_in_error", 409), ("because", 422), ("", 422)):
        assert (await officer.post(f"{url}/{note.id}", {"ground": ground})).status in (status, 400), ground
    assert TEXT in await (await patient.get(home)).text()
    assert (await officer.post(f"{url}/{note.id}", {"ground": "ordered"})).status == 303
    page = await (await patient.get(home)).text()
    assert TEXT not in page
    assert "This text was erased" in page
    assert "a.txt" not in page
    assert "It was erased." in await (await patient.get(copy_url(house))).text()
    assert (await patient.post(f"{copy_url(house)}/{export}/file")).status == 404, "the copy that held it is gone"
    assert "Proof of what was erased" in await (await officer.get(f"{url}/{note.id}")).text()
    async with cast.database.reading() as session:
        assert (await session.scalars(select(CorrectionRequest))).all() == []


async def test_for_how_many_years_a_note_is_kept_is_the_clinics_to_say(house: House) -> None:
    cast, note = house.cast, await signed_note(house.cast)
    house.clock.forward(days=365 * 2 + 1)
    with pytest.raises(DomainError) as refused:
        await erased_once(cast, Ground.PERIOD_OVER, note)
    assert "The law wants this note kept" in str(refused.value.message)
    async with house.database.writing() as session:
        decided = replace(await policies.load(session, cast.clinic.id), notes_kept_years=2)
        await policies.decide(session, cast.clinic.id, decided, by_person_id=cast.administrator, now=house.clock())
    await erased_once(cast, Ground.PERIOD_OVER, note)


async def test_an_erasure_is_refused_with_a_coded_reason(house: House) -> None:
    await sign(house, TEXT)
    patient, officer = await house.browser_of("patient"), await officer_of(house)
    async with house.cast.database.reading() as session:
        note = (await session.scalars(select(Note))).one()
    await patient.post(f"{copy_url(house).removesuffix('/copy')}/notes/{note.id}/erase")
    async with house.cast.database.reading() as session:
        asked = (await session.scalars(select(RecordRequest))).one()
    url = f"/c/{house.cast.clinic.slug}/erasure-requests/{asked.id}"
    assert (await officer.post(url, {"reason": "no time"})).status == 400
    assert (await officer.post(url, {"reason": "kept_by_law"})).status == 303
    assert (await officer.post(url, {"reason": "kept_by_law"})).status == 409
    assert "The law wants it kept for longer" in await (await patient.get(copy_url(house))).text()


async def test_holds_have_a_reason_and_are_lifted_by_the_officer(house: House) -> None:
    officer, cast = await officer_of(house), house.cast
    url = f"/c/{cast.clinic.slug}/patients/{cast.patient}/hold"
    assert (await officer.post(url, {"reason": " "})).status == 400
    assert (await officer.post(url, {"reason": "A claim <b>"})).status == 303
    assert (await officer.post(url, {"reason": "Another"})).status == 303
    assert "A claim &lt;b&gt;" in await (await officer.get(f"/c/{cast.clinic.slug}/erasures")).text()
    assert (await officer.post(f"{url}/lift")).status == 303
    async with cast.database.reading() as session:
        holds = (await session.scalars(select(RecordHold))).all()
    assert [isinstance(one.lifted_at, datetime) for one in holds] == [True]


@pytest.mark.parametrize(
    ("decision", "shown", "reads"),
    [
        ({"outcome": "released"}, "You can read it now", "Kept back."),
        ({"outcome": "redacted", "text": "Shortened."}, "Shortened.", "Shortened."),
        ({"outcome": "refused", "reason": "harm"}, "It could do serious harm", "It could do serious harm"),
    ],
)
async def test_what_is_withheld_goes_to_its_doctor_who_releases_redacts_or_refuses(
    house: House, decision: dict[str, str], shown: str, reads: str
) -> None:
    doctor = await sign(house, "Kept back.", readers="nobody", reason="harm", review_on="2031-07-01")
    patient, cast = await house.browser_of("patient"), house.cast
    await make_copy(house, patient)
    page = await (await patient.get(copy_url(house))).text()
    assert "2031-06-26" in page, "the due date is shown"
    assert "Kept back." not in page
    assert house.visit_url("/summary") in await (await doctor.get(f"/c/{cast.clinic.slug}/notes")).text()
    assert "2031-06-26" in await (await doctor.get(house.visit_url("/summary"))).text()
    async with cast.database.reading() as session:
        asked = (await session.scalars(select(RecordRequest))).one()
    url = house.visit_url(f"/note/requests/{asked.id}")
    for bad in ({"outcome": "refused"}, {"outcome": "redacted", "text": " "}, {"outcome": "perhaps"}, {}):
        assert (await doctor.post(url, bad)).status in (400, 422), bad
    colleague = await house.browser_of("colleague")
    assert (await colleague.post(url, decision)).status == 404
    assert (await doctor.post(url, decision)).status == 303
    assert (await doctor.post(url, decision)).status == 409
    assert shown in await (await patient.get(copy_url(house))).text()
    house.clock.forward(minutes=1)
    export = await make_copy(house, patient)
    answer = await patient.post(f"{copy_url(house)}/{export}/file")
    found = unpacked(await answer.read())
    assert ("Kept back." in found["record.fhir.json"].decode()) == (decision["outcome"] == "released")
    assert found["record.pdf"].startswith(b"%PDF-")
    async with cast.database.reading() as session:
        released = await reading.load_released_notes(session, cast.sealer, cast.clinic, cast.patient, for_proxy=True)
    assert released == [], "nobody who acts for the patient reads it by that"
    assert reads


async def test_what_no_doctor_decides_in_time_is_seen_by_the_privacy_officer(house: House) -> None:
    await sign(house, "Kept back.", readers="nobody", reason="harm", review_on="2031-07-01")
    await make_copy(house, await house.browser_of("patient"))
    url = f"/c/{house.cast.clinic.slug}/erasures"
    assert "not decided in time" not in await (await (await officer_of(house)).get(url)).text()
    house.clock.forward(days=31)
    assert "not decided in time" in await (await (await officer_of(house)).get(url)).text()


async def test_an_entry_made_in_error_is_erased_alone(cast: VisitCast) -> None:
    note = await signed_note(cast)
    writing = writing_of(cast)
    async with cast.database.writing() as session:
        await withdrawing.withdraw(session, writing, cast.encounter_id)
        await service.add(session, writing, cast.encounter_id, Kind.LATE_ENTRY, text="The right one", reason="Theirs")
    await erased_once(cast, Ground.ENTERED_IN_ERROR, note)
    async with cast.database.reading() as session:
        assert [one.text for one in await reading.load_versions(session, cast.sealer, note)] == [
            None, None, "The right one",
        ]  # fmt: skip
