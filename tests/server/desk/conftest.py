"""The application with hours, a kind of visit and one booked appointment, for the desk's pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from server import context
from server.db import new_id
from server.scheduling import service
from server.scheduling.models import Appointment, Message, Schedule, VisitType
from server.scheduling.rules import Kind
from server.scheduling.service import Act, Booking
from server.scheduling.ticks import in_transaction
from tests.server.cast import Browser, Site

TEN = datetime.fromisoformat("2026-03-16T10:30:00+01:00")
"""Half an hour after the cast's now."""
EVERYBODY = ("doctor", "colleague", "scheduler", "administrator", "stranger", "patient", "other patient", "guest")


@dataclass
class Desk:
    """The site, its kind of visit, an appointment of the patient with the doctor."""

    site: Site
    visit_type: str
    appointment: str = ""

    @property
    def root(self) -> str:
        return f"/c/{self.site.cast.clinic.slug}"

    def act(self, by: str | None = None) -> Act:
        cast = self.site.cast
        return Act(cast.clinic, by or cast.scheduler, self.site.clock(), self.site.app[context.EVENTS])

    async def book(self, patient: str, doctor: str, starts_at: datetime, **more: object) -> str:
        asked = Booking(patient, self.visit_type, (doctor,), starts_at, **more)  # type: ignore[arg-type]
        made = await in_transaction(self.site.database, lambda session: service.book(session, self.act(), asked))
        return made.id

    async def load(self, appointment_id: str | None = None) -> Appointment:
        async with self.site.database.reading() as session:
            return await service.get_appointment(session, self.site.cast.clinic, appointment_id or self.appointment)

    async def appointments(self) -> list[Appointment]:
        async with self.site.database.reading() as session:
            return list(await session.scalars(select(Appointment).order_by(Appointment.created_at)))

    async def messages(self) -> list[Message]:
        async with self.site.database.reading() as session:
            return list(await session.scalars(select(Message).order_by(Message.created_at)))

    async def everybody(self) -> dict[str, Browser]:
        """The whole cast at its browsers; the guest has none of our cookies yet."""
        return {who: await self.site.browser_of(who) for who in EVERYBODY}


@pytest.fixture
async def desk(site: Site) -> Desk:
    cast = site.cast
    made = Desk(site, new_id())
    async with site.database.writing() as session:
        session.add(
            VisitType(
                clinic_id=cast.clinic.id,
                id=made.visit_type,
                name="Follow-up",
                length_min=30,
                grid_min=30,
                created_at=site.clock(),
            )
        )
        session.add_all(
            Schedule(
                clinic_id=cast.clinic.id,
                id=new_id(),
                person_id=person,
                zone="Europe/Berlin",
                rule="FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
                opens_min=9 * 60,
                closes_min=17 * 60,
                valid_from=date(2026, 1, 1),
                created_at=site.clock(),
            )
            for person in (cast.doctor, cast.colleague)
        )
    made.appointment = await made.book(cast.patient, cast.doctor, TEN)
    return made


async def at(desk: Desk, minutes: int) -> datetime:
    """A start so many minutes after ten thirty."""
    return TEN + timedelta(minutes=minutes)


SQUEEZED = {"kind": Kind.SQUEEZED_IN, "reason": "Results came"}
