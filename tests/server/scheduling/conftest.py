"""A small clinic to book in: two doctors with weekday hours, three patients, a second clinic that must see nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest

from server.accounts.models import Clinic, Membership, Patient, Person
from server.accounts.service import scope_of
from server.context import ClinicScope
from server.db import Database, new_id
from server.events import Events
from server.names import search_key
from server.scheduling.models import Schedule, VisitType
from server.scheduling.service import Act
from tests.server.desk.conftest import desk

__all__ = ["desk"]

NOW = datetime(2026, 3, 16, 7, 0, tzinfo=UTC)
"""A Monday, 08:00 in Berlin."""


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

    def act(self, now: datetime = NOW, *, is_staff: bool = True, clinic: ClinicScope | None = None) -> Act:
        return Act(clinic or self.clinic, self.scheduler, now, self.events, is_staff=is_staff)


@pytest.fixture
async def world(database: Database) -> World:
    return await make_world(database)


async def make_world(database: Database) -> World:
    clinics = [_clinic("north"), _clinic("south")]
    staff = [Person(id=new_id(), name=name, created_at=NOW) for name in ("Dr Ida Weiss", "Dr Omar Haddad", "Sam Desk")]
    patients = [
        _patient(clinics[0], "Anna Müller", "1980-05-01", "anna@example.org", "+4930111"),
        _patient(clinics[0], "Boris Ivanov", "1975-01-02", None, "+4930222"),
        _patient(clinics[0], "陈 Chen", "1990-12-31", None, None),
    ]
    visit = VisitType(
        clinic_id=clinics[0].id,
        id=new_id(),
        name="Follow-up",
        length_min=30,
        buffer_after_min=10,
        grid_min=10,
        lead_time_min=120,
        cutoff_min=60,
        created_at=NOW,
    )
    async with database.writing() as session:
        session.add_all([*clinics, *staff, *(person for person, _ in patients)])
        await session.flush()
        session.add_all(
            Membership(clinic_id=clinics[0].id, person_id=person.id, role=role, created_at=NOW)
            for person, role in zip(staff, ("doctor", "doctor", "scheduler"), strict=True)
        )
        session.add_all(patient for _, patient in patients)
        session.add(visit)
        await session.flush()
        session.add_all(_hours(clinics[0].id, person.id) for person in staff[:2])
    doctor, colleague, scheduler = (person.id for person in staff)
    anna, boris, chen = (patient.id for _, patient in patients)
    return World(
        database=database,
        clinic=scope_of(clinics[0]),
        other_clinic=scope_of(clinics[1]),
        doctor=doctor,
        colleague=colleague,
        scheduler=scheduler,
        anna=anna,
        boris=boris,
        chen=chen,
        visit=visit.id,
        events=Events(),
    )


def _clinic(slug: str) -> Clinic:
    return Clinic(
        id=new_id(),
        slug=slug,
        name=f"{slug.title()} Heart Clinic",
        neutral_name=f"{slug.title()} Practice",
        phone="+49301234",
        zone="Europe/Berlin",
        country="DE",
        language="en",
        emergency_text="Ring 112.",
        created_at=NOW,
    )


def _patient(clinic: Clinic, name: str, born: str, email: str | None, phone: str | None) -> tuple[Person, Patient]:
    person = Person(id=new_id(), name=name, created_at=NOW)
    patient = Patient(
        clinic_id=clinic.id,
        id=new_id(),
        person_id=person.id,
        name=name,
        first_name=name.split(maxsplit=1)[0],
        search_key=search_key(name),
        birth_date=date.fromisoformat(born),
        phone=phone,
        email=email,
        language="en",
        created_at=NOW,
    )
    return person, patient


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
