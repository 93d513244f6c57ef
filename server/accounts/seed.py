"""The demo clinic's people: names that test fonts and directions, all of them made up.

Appointments and visits are seeded by later areas, in the order `server/seed.py` calls them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Clinic, Membership, Person
from server.accounts.service import NewPatient, create_patient, scope_of
from server.context import ClinicScope
from server.db import new_id
from server.permissions import StaffRole

STAFF = (
    ("Dr Ada Okafor", StaffRole.DOCTOR, "ada.okafor@lindenhof.example"),
    ("Dr Jonas Weiß", StaffRole.DOCTOR, "jonas.weiss@lindenhof.example"),
    ("Mina Park", StaffRole.SCHEDULER, "mina.park@lindenhof.example"),
    ("Peter Novák", StaffRole.ADMINISTRATOR, "peter.novak@lindenhof.example"),
    ("Lea Brandt", StaffRole.PRIVACY_OFFICER, "lea.brandt@lindenhof.example"),
)
FAMILY_MAILBOX = "family.baker@mail.example"
PATIENTS = (
    NewPatient("Anna Lindqvist", "Anna", date(1984, 3, 27), "+493023125101", "anna@mail.example"),
    NewPatient("Zoë Çelik-Núñez", "Zoë", date(1991, 11, 2), "+493023125102", "zoe@mail.example"),
    NewPatient("محمد عبد الرحمن", "محمد", date(1969, 7, 14), "+493023125103", "mohamed@mail.example"),
    NewPatient("王小明", "小明", date(2001, 1, 30), "+493023125104", "xiaoming@mail.example"),
    NewPatient("Robin 👩🏽‍🌾 Sommer", "Robin", date(1978, 5, 9), "+493023125105", "robin@mail.example"),
    NewPatient(
        "Maria del Carmen Guadalupe Wolfeschlegelsteinhausenbergerdorff",
        "Maria del Carmen",
        date(1950, 12, 24),
        "+493023125106",
        "maria@mail.example",
    ),
    NewPatient("Thomas Baker", "Thomas", date(1982, 8, 18), "+493023125107", FAMILY_MAILBOX),
    NewPatient("Lily Baker", "Lily", date(2017, 2, 3), "+493023125107", FAMILY_MAILBOX),
)


@dataclass(frozen=True, slots=True)
class DemoPeople:
    """Ids of the demo's people: staff by person, patients by patient."""

    clinic: ClinicScope
    doctors: tuple[str, ...]
    scheduler: str
    administrator: str
    patients: tuple[str, ...]


async def seed(session: AsyncSession, now: datetime) -> DemoPeople:
    """Makes the clinic and everybody in it."""
    clinic = Clinic(
        id=new_id(),
        slug="lindenhof",
        name="Lindenhof Practice",
        neutral_name="Lindenhof",
        phone="+49 30 23125 100",
        zone="Europe/Berlin",
        country="DE",
        language="en",
        emergency_text="If somebody is in danger, ring 112 at once. Don't wait for this visit.",
        is_demo=True,
        created_at=now,
    )
    session.add(clinic)
    await session.flush()
    staff = {role: await _staff(session, clinic, role, now) for role in StaffRole}
    scope = scope_of(clinic)
    patients = [
        await create_patient(session, scope, new, by_person_id=None, now=now, is_seeded=True) for new in PATIENTS
    ]
    return DemoPeople(
        clinic=scope,
        doctors=staff[StaffRole.DOCTOR],
        scheduler=staff[StaffRole.SCHEDULER][0],
        administrator=staff[StaffRole.ADMINISTRATOR][0],
        patients=tuple(patient.id for patient in patients),
    )


async def _staff(session: AsyncSession, clinic: Clinic, role: StaffRole, now: datetime) -> tuple[str, ...]:
    ids = []
    for name, wanted, email in STAFF:
        if wanted is not role:
            continue
        person = Person(id=new_id(), name=name, email=email, is_seeded=True, created_at=now)
        session.add(person)
        await session.flush()
        session.add(Membership(clinic_id=clinic.id, person_id=person.id, role=role.value, created_at=now))
        ids.append(person.id)
    await session.flush()
    return tuple(ids)
