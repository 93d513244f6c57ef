"""A record without a visit: reason, an hour, read only, reviewed by somebody else, read of by the patient."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.accounts.trust_models import BreakGlass
from server.audit import AuditAction, AuditEntry, Incident
from server.permissions import StaffRole
from tests.server.cast import Browser, add_staff
from tests.server.desk.conftest import Desk

REASON = {"reason": "Found <b>unconscious</b> in the waiting room"}


@pytest.fixture
async def officer(desk: Desk) -> Browser:
    async with desk.site.database.writing() as session:
        person = await add_staff(session, desk.site.cast.clinic, "Lea", StaffRole.PRIVACY_OFFICER, desk.site.clock())
    return await desk.site.signed_in(person)


def record(desk: Desk) -> str:
    return f"/c/north/patients/{desk.site.cast.patient}/record"


async def look_of(desk: Desk) -> BreakGlass:
    async with desk.site.database.reading() as session:
        return (await session.scalars(select(BreakGlass))).one()


async def test_without_a_reason_nothing_opens_and_with_one_for_an_hour(desk: Desk) -> None:
    colleague = await desk.site.signed_in(desk.site.cast.colleague)
    assert "Say why" in await (await colleague.get(record(desk))).text()
    for reason in ("", "because"):
        assert (await colleague.post(record(desk), {"reason": reason})).status == 422
    assert (await colleague.post(record(desk), REASON)).status == 303
    assert "to read only" in await (await colleague.get(record(desk))).text()
    assert b"unconscious" not in (await look_of(desk)).sealed_reason
    other = await desk.site.signed_in(desk.site.cast.doctor)
    assert "Say why" in await (await other.get(record(desk))).text(), "each opens it for themself"
    desk.site.clock.forward(minutes=29)
    await colleague.get("/c/north/clinic")
    desk.site.clock.forward(minutes=29)
    assert "to read only" in await (await colleague.get(record(desk))).text()
    desk.site.clock.forward(minutes=3)
    assert "Say why" in await (await colleague.get(record(desk))).text()


async def test_somebody_else_reviews_it_and_no_cause_is_an_incident(desk: Desk, officer: Browser) -> None:
    colleague = await desk.site.signed_in(desk.site.cast.colleague)
    await colleague.post(record(desk), REASON)
    look = await look_of(desk)
    url = f"/c/north/looks/{look.id}/review"
    text = await (await officer.get("/c/north/looks")).text()
    assert ("Found &lt;b&gt;unconscious" in text, "Dr Omar Haddad" in text) == (True, True)
    assert (await colleague.post(url, {"verdict": "justified"})).status == 403
    assert (await officer.post(url, {"verdict": "whatever"})).status == 400
    assert (await officer.post(url, {"verdict": "not_justified"})).status == 303
    assert (await officer.post(url, {"verdict": "justified"})).status == 409
    assert "Say why" in await (await colleague.get(record(desk))).text(), "a closed look is over"
    async with desk.site.database.reading() as session:
        kinds = (await session.scalars(select(Incident.kind))).all()
        actions = set((await session.scalars(select(AuditEntry.action))).all())
    assert kinds == ["record_opened_without_cause"]
    assert {AuditAction.RECORD_OPENED, AuditAction.RECORD_REVIEWED} <= actions


async def test_the_patient_reads_of_it_at_once_unless_it_is_delayed_with_a_reason(desk: Desk, officer: Browser) -> None:
    colleague = await desk.site.signed_in(desk.site.cast.colleague)
    await colleague.post(record(desk), REASON)
    patient = await desk.site.at_page(desk.site.cast.patient)
    page = record(desk).replace("/record", "/home/access")
    text = await (await patient.get(page)).text()
    assert ("without a visit" in text, "Found &lt;b&gt;unconscious" in text) == (True, True)
    url = f"/c/north/looks/{(await look_of(desk)).id}/hide"
    later = {"until": "2026-03-20", "reason": "An inquiry is under way"}
    assert (await colleague.post(url, later)).status == 403
    for wrong in ({"until": "2026-03-01"}, {"until": "2027-03-01"}, {"reason": ""}):
        assert (await officer.post(url, {**later, **wrong})).status == 400
    assert (await officer.post(url, later)).status == 303
    assert "without a visit" not in await (await patient.get(page)).text()
    desk.site.clock.forward(days=5)
    patient = await desk.site.at_page(desk.site.cast.patient)
    assert "without a visit" in await (await patient.get(page)).text()
