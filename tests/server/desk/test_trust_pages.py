"""Settings of the clinic, and what a patient reads of who opened their record."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.accounts.models import Clinic
from server.audit import AuditAction, AuditEntry
from server.encounters import texts
from server.encounters.models import ClinicText
from server.encounters.recording_models import RecordingPurpose
from tests.server.desk.conftest import Desk

SETTINGS = {
    "name": "Clinic of the North", "neutral_name": "North", "phone": "+49 30 1", "zone": "Europe/Vienna",
    "country": "at", "emergency_text": "Ring 144.", "always_relay": "yes", "letterhead": "North\nMain Street 1",
    "idle_min": "15",
    "proxy_ends_age": "16",
    "notes_kept_years": "30",
}  # fmt: skip


async def test_settings_are_stored_and_the_entry_says_which_not_what(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.administrator)
    assert (await browser.post("/c/north/settings", SETTINGS)).status == 303
    text = await (await browser.get("/c/north/settings")).text()
    stored = ("Clinic of the North", "Europe/Vienna", "Main Street 1", 'value="15"', 'value="30"')
    assert all(words in text for words in stored)
    async with desk.site.database.reading() as session:
        clinic = await session.get_one(Clinic, desk.site.cast.clinic.id)
        query = select(AuditEntry).where(AuditEntry.action == AuditAction.SETTINGS_CHANGED.value)
        entry = (await session.scalars(query)).one()
    assert (clinic.always_relay, clinic.country, clinic.emergency_text) == (True, "AT", "Ring 144.")
    assert "letterhead" in entry.detail
    assert "Main Street" not in entry.detail
    assert (await browser.post("/c/north/settings", SETTINGS)).status == 303
    async with desk.site.database.reading() as session:
        assert len((await session.scalars(query)).all()) == 1, "the same again changes nothing"


@pytest.mark.parametrize(
    "change",
    [{"zone": "Mars/Base"}, {"country": "Austria"}, {"idle_min": "0"}, {"name": "\u200b"}, {"name": "x" * 10_000},
     {"emergency_text": ""}, {"proxy_ends_age": "old"}, {"phone": "1" * 40},
     {"notes_kept_years": "0"}, {"notes_kept_years": "for ever"}],
)  # fmt: skip
async def test_settings_that_cannot_be_are_refused_and_come_back(desk: Desk, change: dict[str, str]) -> None:
    browser = await desk.site.signed_in(desk.site.cast.administrator)
    answer = await browser.post("/c/north/settings", {**SETTINGS, **change})
    assert answer.status == 422
    assert "There is a problem" in await answer.text()
    async with desk.site.database.reading() as session:
        assert (await session.get_one(Clinic, desk.site.cast.clinic.id)).name == "Clinic north"


async def test_new_words_are_a_new_version_and_the_old_ones_stay(desk: Desk) -> None:
    browser, clinic = await desk.site.signed_in(desk.site.cast.administrator), desk.site.cast.clinic.id
    for words in ("First words", "Second <b>words</b>", "Second <b>words</b>"):
        form = {"kind": "video_consent", "text": words}
        assert (await browser.post("/c/north/settings/texts", form)).status == 303
    async with desk.site.database.reading() as session:
        found = await texts.load_texts(session, clinic, texts.VIDEO_CONSENT)
        assert [(one.version, one.text) for one in found] == [(2, "Second <b>words</b>"), (1, "First words")]
        assert len((await session.scalars(select(ClinicText))).all()) == 2
    assert "<b>words" not in await (await browser.get("/c/north/settings")).text()
    assert (await browser.post("/c/north/settings/texts", {"kind": "other", "text": "x"})).status == 422


async def test_a_purpose_is_added_and_put_aside(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.administrator)
    form = {"words": "To learn", "who_may_watch": "Us", "kept_days": "184", "kind": "teaching"}
    german = {"words-de": "Zum <b>Lernen</b>", "who_may_watch-de": "Wir"}
    assert (await browser.post("/c/north/settings/purposes", {**form, **german})).status == 303
    for wrong in (
        {"kept_days": "0"},
        {"kept_days": "185"},
        {"kept_days": ""},
        {"kept_days": "never"},
        {"kind": ""},
        {"kind": "for ever"},
        {"words-de": "Zum Lernen"},
        {"words-de": "x" * 301, "who_may_watch-de": "Wir"},
    ):
        assert (await browser.post("/c/north/settings/purposes", {**form, **wrong})).status == 422, wrong
    page = await (await browser.post("/c/north/settings/purposes", {**form, "kept_days": "185"})).text()
    assert "six months at most" in page
    assert "Zum &lt;b&gt;Lernen" in page
    async with desk.site.database.reading() as session:
        code = (await session.scalars(select(RecordingPurpose.code))).one()
    assert (await browser.post(f"/c/north/settings/purposes/{code}", {"is_active": "no"})).status == 303
    assert (await browser.post("/c/north/settings/purposes/none", {"is_active": "no"})).status == 404
    async with desk.site.database.reading() as session:
        assert (await session.scalars(select(RecordingPurpose.is_active))).one() is False


async def test_the_patient_reads_who_opened_their_record_and_why(desk: Desk) -> None:
    cast = desk.site.cast
    patient = await desk.site.at_page(cast.patient)
    url = f"/c/north/patients/{cast.patient}/home/access"
    text = await (await patient.get(url)).text()
    assert ("Sam Desk" in text, "booked an appointment" in text) == (True, True)
    assert "Dr Ida Weiss" not in text
    assert (await patient.get(f"/c/north/patients/{cast.other_patient}/home/access")).status == 404
    other = await desk.site.at_page(cast.other_patient)
    assert "Sam Desk" not in await (await other.get(f"/c/north/patients/{cast.other_patient}/home/access")).text()
