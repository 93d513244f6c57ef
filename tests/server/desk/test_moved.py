"""What a moved appointment takes with it: a visit that may be held, and the clock that the messages name."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from server.encounters.models import Encounter
from server.scheduling.models import Appointment
from tests.server.desk.conftest import TEN, Desk


async def test_a_visit_nobody_came_to_can_be_held_once_it_is_moved(desk: Desk) -> None:
    site, page = desk.site, f"{desk.root}/appointments/{desk.appointment}"
    site.clock.forward(minutes=50)
    browser = await site.browser_of("scheduler")
    assert (await browser.post(f"{page}/no-show")).status == 303
    async with site.database.reading() as session:
        assert [one.status for one in await session.scalars(select(Encounter))] == ["finished"]
    tomorrow = f"{site.cast.doctor}|{(TEN + timedelta(days=1)).isoformat()}"
    form = {"slot": tomorrow, "sequence": str((await desk.load()).sequence)}
    assert (await browser.post(f"{page}/move", form)).status == 303
    assert (await desk.load()).status == "booked"
    async with site.database.reading() as session:
        (visit,) = (await session.scalars(select(Encounter))).all()
    assert (visit.status, visit.outcome, visit.ended_at) == ("planned", None, None)


async def test_the_patients_page_says_the_time_by_the_zone_it_names(desk: Desk) -> None:
    async with desk.site.database.writing() as session:
        found = await session.get_one(Appointment, (desk.site.cast.clinic.id, desk.appointment))
        found.zone = "America/New_York"
    browser = await desk.site.browser_of("patient")
    text = await (await browser.get(f"{desk.root}/patients/{desk.site.cast.patient}/home")).text()
    assert "05:30" in text
    assert "America/New_York" in text
    assert "10:30" not in text
