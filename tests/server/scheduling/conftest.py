"""A small clinic to book in: two doctors with weekday hours, three patients, a second clinic that must see nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest

from server.accounts.service import NewPatient
from server.context import ClinicScope
from server.db import Database, new_id
from server.events import Events
from server.permissions import StaffRole
from server.scheduling.models import Schedule, VisitType
from server.scheduling.service import Act
from tests.server.cast import add_clinic, add_patient, add_staff
from tests.server.desk.conftest import desk

__all__ = ["desk"]

NOW = datetime(2026, 3, 16, 7, 0, tzinfo=UTC)
"""A Monday, 08:00 in Berlin."""

PATIENTS = (
    NewPatient("Anna Müller", "Anna", date(1980, 5, 1), "+4930111", "anna@example.org"),
    NewPatient("Boris Ivanov", "Boris", date(1975, 1, 2), "+4930222"),
    NewPatient("陈 Chen", "陈", date(1990, 12, 31)),
)
"""One to be reached by mail, one by text message alone, one not at all."""


@dataclass(frozen=True)
class World:
    """Ids of everybody in the small clinic."""

    database: Database
    clinic: ClinicScope
    other_clinic: ClinicScope
    doctor: str
    colleague: str
    scheduler: str
    anna: str
    boris: str
    chen: str
    visit: str
    events: Events

    def act(
        self, now: datetime = NOW, *, is_staff: bool = True, clinic: ClinicScope | None = None, by: str | None = None
    ) -> Act:
        return Act(clinic or self.clinic, by or self.scheduler, now, self.events, is_staff=is_staff)


@pytest.fixture
async def world(database: Database) -> World:
    return await make_world(database)


async def make_world(database: Database) -> World:
    async with database.writing() as session:
        clinic, other = await add_clinic(session, "north", NOW), await add_clinic(session, "south", NOW)
        doctor = await add_staff(session, clinic, "Dr Ida Weiss", StaffRole.DOCTOR, NOW)
        colleague = await add_staff(session, clinic, "Dr Omar Haddad", StaffRole.DOCTOR, NOW)
        scheduler = await add_staff(session, clinic, "Sam Desk", StaffRole.SCHEDULER, NOW)
        anna, boris, chen = [await add_patient(session, clinic, new, NOW) for new in PATIENTS]
        visit = VisitType(
            clinic_id=clinic.id,
            id=new_id(),
            name="Follow-up",
            length_min=30,
            buffer_after_min=10,
            grid_min=10,
            lead_time_min=120,
            cutoff_min=60,
            created_at=NOW,
        )
        session.add_all([visit, _hours(clinic.id, doctor), _hours(clinic.id, colleague)])
    return World(
        database=database,
        clinic=clinic,
        other_clinic=other,
        doctor=doctor,
        colleague=colleague,
        scheduler=scheduler,
        anna=anna,
        boris=boris,
        chen=chen,
        visit=visit.id,
        events=Events(),
    )


def _hours(clinic_id: str, person_id: str) -> Schedule:
    return Schedule(
        clinic_id=clinic_id,
        id=new_id(),
        person_id=person_id,
        role="doctor",
        zone="Europe/Berlin",
        rule="FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
        opens_min=9 * 60,
        closes_min=17 * 60,
        valid_from=date(2026, 1, 1),
        created_at=NOW,
    )
