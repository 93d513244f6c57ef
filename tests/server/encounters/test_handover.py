"""A visit in a colleague's hands: theirs to write, the first's to read, named by both; nobody else gains anything."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from server.accounts.trust_models import StaffNotice
from server.audit import AuditAction, AuditEntry
from server.db import Database, new_id
from server.encounters.models import HandOver
from server.scheduling.models import Appointment, Tick
from server.scheduling.ticks import Owner, Span, take
from tests.server.cast import Browser
from tests.server.visits import START, House

DRAFT = {"Accept": "application/json", "If-Match": "0"}


async def give(house: House, browser: Browser, to: str, rest: str = "/hand-over") -> int:
    return (await browser.post(house.visit_url(rest), {"colleague": to})).status


async def test_from_then_on_it_is_the_colleague_s_and_the_first_reads(house: House) -> None:
    cast = house.cast
    first, colleague = await house.browser_of("doctor"), await house.browser_of("colleague")
    await first.request("PUT", house.visit_url("/note/draft"), json={"text": "Cough since May."}, headers=DRAFT)
    for path in ("/summary", "/note", ""):
        assert (await colleague.get(house.visit_url(path))).status == 404, "a colleague sees nothing before"
    for who in ("colleague", "scheduler", "administrator", "stranger"):
        assert await give(house, await house.browser_of(who), cast.colleague) in (403, 404)
    for nobody in ("", "x" * 40, cast.scheduler, cast.stranger, "nobody"):
        assert await give(house, first, nobody) in (400, 409, 422)
    assert await give(house, first, cast.doctor) == 409
    assert await give(house, first, cast.colleague) == 303
    assert await give(house, first, cast.colleague) == 404, "it isn't theirs to give any more"

    page = await (await colleague.get(house.visit_url("/summary"))).text()
    assert "Cough since May." in page
    signed = await colleague.post(house.visit_url("/note/sign"), {"revision": "1"})
    assert signed.status == 303, await signed.text()
    read = await first.get(house.visit_url("/summary"))
    text = await read.text()
    assert (read.status, "Cough since May." in text, "handed this visit" in text) == (200, True, True)
    assert "Dr Ida Weiss, Dr Omar Haddad" in text
    assert (await first.get(house.visit_url("/note/versions/1/file"))).status == 200
    assert (await first.get(house.visit_url("/note"), headers={"Accept": "application/json"})).status == 200
    assert (await first.get(house.visit_url(""))).status == 404, "the room is the colleague's"
    more = {"kind": "addendum", "text": "More.", "reason": "Forgot it."}
    assert (await first.post(house.visit_url("/note/addenda"), more)).status == 404
    assert (await first.post(house.visit_url("/note/sign"), {"revision": "1"})).status == 404
    own = await (await (await house.browser_of("patient")).get(f"/c/north/patients/{cast.patient}/home")).text()
    assert "Dr Ida Weiss, Dr Omar Haddad" in own
    async with house.database.reading() as session:
        (row,) = (await session.scalars(select(HandOver))).all()
        (told,) = (await session.scalars(select(StaffNotice))).all()
        query = select(AuditEntry).where(AuditEntry.action == AuditAction.VISIT_HANDED_OVER)
        (entry,) = (await session.scalars(query)).all()
    assert (row.from_person_id, row.to_person_id) == (cast.doctor, cast.colleague)
    assert (told.person_id, told.kind, told.about_person_id) == (cast.colleague, "visit_handed_over", cast.doctor)
    assert entry.actor_person_id == cast.doctor
    assert await give(house, colleague, cast.doctor) == 303, "and back"
    assert (await first.get(house.visit_url(""))).status == 200


async def test_the_time_goes_with_it_and_a_busy_colleague_gets_nothing(house: House) -> None:
    cast, first = house.cast, await house.browser_of("doctor")
    house.clock.forward(hours=-2)
    first = await house.browser_of("doctor")
    other = new_id()
    async with house.database.writing() as session:
        busy = Appointment(
            clinic_id=cast.clinic.id, id=other, patient_id=cast.other_patient, visit_type_id=cast.visit_type_id,
            status="booked", kind="normal", starts_at=START, ends_at=START + timedelta(minutes=20),
            zone=cast.clinic.zone, created_at=START, changed_at=START,
        )  # fmt: skip
        session.add(busy)
        await session.flush()
        span = Span(cast.colleague, START, START + timedelta(minutes=20))
        await take(session, Owner(cast.clinic.id, appointment_id=other), [span], house.clock())
    assert await give(house, first, cast.colleague) == 409
    assert await holders(house.database, cast.appointment_id) == []
    assert (await first.get(house.visit_url(""))).status == 200, "nothing has changed"
    async with house.database.writing() as session:
        await session.delete(await session.get_one(Tick, (cast.colleague, int(START.timestamp()) // 300)))
        for row in await session.scalars(select(Tick).where(Tick.appointment_id == other)):
            await session.delete(row)
    assert await give(house, first, cast.colleague) == 303
    assert cast.colleague in await holders(house.database, cast.appointment_id)


async def holders(database: Database, appointment_id: str) -> list[str]:
    """Whose time the appointment takes."""
    async with database.reading() as session:
        query = select(Tick.person_id).where(Tick.appointment_id == appointment_id).distinct()
        return list(await session.scalars(query))
