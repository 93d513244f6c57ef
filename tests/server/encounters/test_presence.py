"""Until when a doctor counts as busy: in a visit, and while a patient of theirs may come in."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from server.encounters.presence import last_in_visit
from server.scheduling.models import Appointment
from signaling.words import Departure, SessionId
from tests.server.encounters.port import open_visit
from tests.server.visits import VisitCast


async def last(cast: VisitCast, at: datetime) -> datetime | None:
    async with cast.database.reading() as session:
        return await last_in_visit(session, cast.doctor, at)


async def starts(cast: VisitCast) -> datetime:
    async with cast.database.reading() as session:
        return (await session.get_one(Appointment, (cast.clinic.id, cast.appointment_id))).starts_at


@pytest.mark.parametrize(("minutes", "is_awaited"), [(-31, False), (-29, True), (59, True), (61, False)])
async def test_a_visit_that_is_open_awaits_its_doctor(cast: VisitCast, minutes: int, is_awaited: bool) -> None:
    at = await starts(cast) + timedelta(minutes=minutes)
    assert await last(cast, at) == (at if is_awaited else None)


async def test_who_waits_awaits_their_doctor_as_long_as_the_day_lasts(cast: VisitCast) -> None:
    visit = await cast.visit()
    patient = next(one.id for one in visit.participants if one.role == "patient")
    await cast.port.arrived(cast.room, patient, SessionId("tablet"))
    at = await starts(cast) + timedelta(hours=5)
    assert await last(cast, at) == at
    assert await last(cast, at + timedelta(hours=8)) is None


async def test_after_a_visit_it_is_when_they_left(cast: VisitCast) -> None:
    doctor, _ = await open_visit(cast)
    cast.clock.forward(minutes=9)
    await cast.port.departed(cast.room, doctor, Departure.LEFT)
    left = cast.clock()
    assert await last(cast, left + timedelta(hours=1)) == left
