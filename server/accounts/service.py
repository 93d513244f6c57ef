"""Clinics, people and patients: what later areas may ask of accounts. Links and sessions have modules of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts.models import Clinic, Membership, Patient, Person
from server.accounts.sessions import Opened
from server.audit import AuditAction
from server.context import ClinicScope
from server.db import new_id
from server.errors import not_found
from server.names import search_key
from server.permissions import StaffRole


@dataclass(frozen=True, slots=True)
class NewPatient:
    """A patient to be registered; the name was cleaned by `names.clean_name`."""

    name: str
    first_name: str
    birth_date: date
    phone: str | None = None
    email: str | None = None
    zone: str | None = None
    language: str = "en"


def scope_of(clinic: Clinic) -> ClinicScope:
    return ClinicScope(
        id=clinic.id,
        slug=clinic.slug,
        name=clinic.name,
        neutral_name=clinic.neutral_name,
        phone=clinic.phone,
        zone=clinic.zone,
        country=clinic.country,
        emergency_text=clinic.emergency_text,
        language=clinic.language,
        is_demo=clinic.is_demo,
        always_relay=clinic.always_relay,
    )


async def load_clinic(session: AsyncSession, slug: str) -> ClinicScope | None:
    """The clinic of an address."""
    clinic = (await session.scalars(select(Clinic).where(Clinic.slug == slug))).first()
    return scope_of(clinic) if clinic else None


async def get_clinic(session: AsyncSession, clinic_id: str) -> ClinicScope:
    """Raises not_found."""
    clinic = await session.get(Clinic, clinic_id)
    if clinic is None:
        raise not_found()
    return scope_of(clinic)


async def person_names(session: AsyncSession, person_ids: set[str]) -> dict[str, str]:
    """Names by person id, for those that exist."""
    if not person_ids:
        return {}
    rows = await session.execute(select(Person.id, Person.name).where(Person.id.in_(sorted(person_ids))))
    return {row.id: row.name for row in rows}


async def load_patient(session: AsyncSession, clinic_id: str, patient_id: str) -> Patient | None:
    return await session.get(Patient, (clinic_id, patient_id))


async def get_patient(session: AsyncSession, clinic_id: str, patient_id: str) -> Patient:
    """Raises not_found, also for another clinic's patient."""
    patient = await load_patient(session, clinic_id, patient_id)
    if patient is None:
        raise not_found()
    return patient


async def create_patient(
    session: AsyncSession,
    scope: ClinicScope,
    new: NewPatient,
    *,
    by_person_id: str | None,
    now: datetime,
    is_seeded: bool = False,
) -> Patient:
    """Registers a patient and the person behind them, with its audit entry. `is_seeded`: made up by the demo's seed."""
    person = Person(id=new_id(), name=new.name, email=None, is_seeded=is_seeded, created_at=now)
    session.add(person)
    await session.flush()
    patient = Patient(
        clinic_id=scope.id,
        id=new_id(),
        person_id=person.id,
        name=new.name,
        first_name=new.first_name,
        search_key=search_key(new.name),
        birth_date=new.birth_date,
        phone=new.phone,
        email=new.email,
        zone=new.zone,
        language=new.language,
        created_at=now,
    )
    session.add(patient)
    await audit.enter(
        session,
        clinic_id=scope.id,
        actor_person_id=by_person_id,
        action=AuditAction.PATIENT_CREATED,
        subject=("patient", patient.id),
        now=now,
    )
    return patient


async def change_patient(
    session: AsyncSession, patient: Patient, changes: Mapping[str, Any], *, by_person_id: str | None, now: datetime
) -> None:
    """Stores what differs; the entry names the fields, not what they say."""
    changed = [name for name, value in changes.items() if getattr(patient, name) != value]
    if not changed:
        return
    for name in changed:
        setattr(patient, name, changes[name])
    await session.flush()
    await audit.enter(
        session,
        clinic_id=patient.clinic_id,
        actor_person_id=by_person_id,
        action=AuditAction.PATIENT_CHANGED,
        subject=("patient", patient.id),
        detail={"changed": " ".join(changed)},
        now=now,
    )


async def load_always_relay(session: AsyncSession, scope: ClinicScope, person_id: str) -> bool:
    membership = await session.get(Membership, (scope.id, person_id, StaffRole.DOCTOR.value))
    return membership is not None and membership.always_relay


async def set_always_relay(
    session: AsyncSession, scope: ClinicScope, person_id: str, wanted: bool, now: datetime
) -> None:
    """A doctor's wish for all their visits in this clinic. Raises not_found for who is no doctor here."""
    membership = await session.get(Membership, (scope.id, person_id, StaffRole.DOCTOR.value))
    if membership is None:
        raise not_found()
    membership.always_relay = wanted
    await audit.enter(
        session,
        clinic_id=scope.id,
        actor_person_id=person_id,
        action=AuditAction.SETTINGS_CHANGED,
        subject=("doctor", person_id),
        now=now,
    )


async def note_sign_in(session: AsyncSession, clinic_id: str, person_id: str, opened: Opened, now: datetime) -> None:
    await audit.enter(
        session,
        clinic_id=clinic_id,
        actor_person_id=person_id,
        action=AuditAction.SIGNED_IN,
        subject=("session", opened.id),
        now=now,
    )
