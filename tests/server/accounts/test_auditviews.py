"""The audit's pages: searched and exported by the privacy officer, each look an entry; refusals; incidents' owners."""

from __future__ import annotations

import csv
import io
import json

import pytest
from sqlalchemy import select, update

from server import audit
from server.accounts.auditsearch import Wanted, as_csv, find
from server.accounts.models import Person
from server.audit import AuditAction, AuditEntry, Incident
from server.db import new_id
from server.permissions import StaffRole
from tests.server.cast import Browser, Site, add_staff


@pytest.fixture
async def officer(site: Site) -> Browser:
    async with site.database.writing() as session:
        person = await add_staff(session, site.cast.clinic, "Lea Brandt", StaffRole.PRIVACY_OFFICER, site.clock())
        for n, action in enumerate((AuditAction.PATIENT_SEEN, AuditAction.NOTE_READ)):
            await audit.enter(
                session, clinic_id=site.cast.clinic.id, actor_person_id=site.cast.doctor, action=action,
                subject=("patient", f"subject-{n}"), now=site.clock(),
            )  # fmt: skip
    return await site.signed_in(person)


async def actions(site: Site) -> list[tuple[str, str]]:
    async with site.database.reading() as session:
        return [(row.action, row.subject_kind) for row in await session.scalars(select(AuditEntry))]


async def test_entries_are_found_by_who_what_about_and_when(site: Site, officer: Browser) -> None:
    async def found(query: str) -> str:
        answer = await officer.get(f"/c/north/audit?{query}")
        assert answer.status == 200
        return await answer.text()

    text = await found(f"person={site.cast.doctor}&action=note_read")
    assert ("subject-1" in text, "subject-0" in text, "Dr Ida Weiss" in text) == (True, False, True)
    assert "subject-0" in await found("subject=subject-0")
    assert "subject-0" in await found("since=2026-03-16&until=2026-03-16")
    assert "subject-0" not in await found("until=2026-03-15")
    assert (AuditAction.AUDIT_SEARCHED, "clinic") in await actions(site)
    for query in ("since=never", "action=make_tea", "person=" + "x" * 90):
        assert (await officer.get(f"/c/north/audit?{query}")).status == 422


async def test_an_export_is_a_file_without_formulas_and_an_entry(site: Site, officer: Browser) -> None:
    async with site.database.writing() as session:
        named = update(Person).where(Person.id == site.cast.doctor).values(name='=HYPERLINK("//evil.example")')
        await session.execute(named)
    answer = await officer.post("/c/north/audit/export", {"person": site.cast.doctor})
    assert answer.status == 200
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    rows = list(csv.reader(io.StringIO(await answer.text())))
    assert len(rows) == 3
    assert {row[1] for row in rows[1:]} == {'\'=HYPERLINK("//evil.example")'}
    assert (AuditAction.AUDIT_EXPORTED, "clinic") in await actions(site)


async def test_another_clinics_entries_are_not_found(site: Site, officer: Browser) -> None:
    async with site.database.reading() as session:
        lines = await find(session, site.cast.other_clinic.id, "Europe/Berlin", Wanted(subject_id="subject-0"))
    assert lines == []
    assert as_csv(lines).count("\n") == 1


async def test_what_somebody_known_is_refused_is_an_entry(site: Site) -> None:
    visit = new_id()
    colleague = await site.signed_in(site.cast.colleague)
    assert (await colleague.get(f"/c/north/visits/{visit}/note")).status == 404
    assert (await (await site.signed_in(site.cast.scheduler)).get("/c/north/people")).status == 403
    await site.browser().get("/c/north/people")
    async with site.database.reading() as session:
        query = (
            select(AuditEntry).where(AuditEntry.action == AuditAction.REFUSED.value).order_by(AuditEntry.subject_kind)
        )
        entries = (await session.scalars(query)).all()
    told = [(one.subject_kind, one.subject_id, one.actor_person_id, json.loads(one.detail)["code"]) for one in entries]
    assert told == [
        ("note", visit, site.cast.colleague, "not_found"),
        ("people", "-", site.cast.scheduler, "not_allowed"),
    ]


async def test_an_incident_is_handed_to_whoever_may_look_into_it(site: Site, officer: Browser) -> None:
    async with site.database.writing() as session:
        incident = await audit.file_incident(
            session, clinic_id=site.cast.clinic.id, kind="wrong_person", subject=("encounter", "e"),
            filed_by_person_id=None, owner_person_id=None, now=site.clock(),
        )  # fmt: skip
    url = f"/c/north/incidents/{incident}/owner"
    assert (await officer.post(url, {"owner": site.cast.doctor})).status == 404
    assert (await officer.post(url, {"owner": site.cast.stranger})).status == 404
    assert (await officer.post(url, {})).status == 400
    assert (await officer.post(url, {"owner": site.cast.administrator})).status == 303
    assert (await officer.post("/c/north/incidents/absent/owner", {"owner": site.cast.administrator})).status == 404
    async with site.database.reading() as session:
        assert (await session.scalars(select(Incident.owner_person_id))).one() == site.cast.administrator
    assert "Ira Admin" in await (await officer.get("/c/north/incidents")).text()
