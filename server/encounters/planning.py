"""A visit follows its appointment: planned with its doctors and its patient, moved, cancelled, put back.

Runs in the appointment's transaction. What happens in the visit itself is `service.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Patient, Person
from server.db import new_id
from server.encounters import visits
from server.encounters.models import Encounter, Participant
from server.errors import not_found
from server.scheduling.models import Appointment, AppointmentPractitioner
from signaling.words import Departure, Outcome, Role


async def plan(session: AsyncSession, clinic_id: str, appointment_id: str, now: datetime) -> Encounter:
    """The visit of an appointment, planned with its doctors and its patient; one that lives is answered as it is."""
    live = await visits.load_live_encounter(session, clinic_id, appointment_id)
    if live is not None and live.status != "cancelled":
        return live
    appointment = await session.get(Appointment, (clinic_id, appointment_id))
    if appointment is None:
        raise not_found()
    encounter = _new_encounter(appointment, "planned", now)
    session.add(encounter)
    await session.flush()
    await open_patient_place(session, encounter, now)
    await set_doctors(session, encounter, await _practitioners(session, appointment), now)
    return encounter


async def split_off_error(session: AsyncSession, encounter: Encounter, now: datetime) -> Encounter:
    """A visit in error, over at once, for what was written of a stranger in `encounter`, which stays the patient's."""
    appointment = await session.get(Appointment, (encounter.clinic_id, encounter.appointment_id))
    if appointment is None:
        raise not_found()
    error = _new_encounter(appointment, "entered-in-error", now)
    error.outcome, error.started_at, error.ended_at = Outcome.WRONG_PERSON.value, encounter.started_at, now
    error.by_phone = encounter.by_phone
    session.add(error)
    await session.flush()
    await set_doctors(session, error, await _practitioners(session, appointment), now)
    return error


def _new_encounter(appointment: Appointment, status: str, now: datetime) -> Encounter:
    return Encounter(
        clinic_id=appointment.clinic_id,
        id=new_id(),
        appointment_id=appointment.id,
        patient_id=appointment.patient_id,
        status=status,
        zone=appointment.zone,
        by_phone=False,
        chat_count=0,
        created_at=now,
    )


async def open_patient_place(session: AsyncSession, encounter: Encounter, now: datetime) -> Participant:
    """The patient's open place: the one that is there, or, after a wrong person was shut out, a fresh one."""
    for one in await visits.load_participants(session, encounter):
        if one.role == Role.PATIENT and not one.is_closed:
            return one
    patient = await session.get(Patient, (encounter.clinic_id, encounter.patient_id))
    if patient is None:
        raise not_found()
    place = new_participant(encounter, Role.PATIENT, patient.name, now)
    session.add(place)
    await session.flush()
    return place


def new_participant(
    encounter: Encounter,
    role: Role,
    name: str,
    now: datetime,
    *,
    person_id: str | None = None,
    relation: str | None = None,
) -> Participant:
    return Participant(
        clinic_id=encounter.clinic_id,
        id=new_id(),
        encounter_id=encounter.id,
        role=role.value,
        person_id=person_id,
        name=name,
        relation=relation,
        state="invited",
        reads_after=0,
        is_blocked=False,
        is_closed=False,
        created_at=now,
    )


async def set_doctors(session: AsyncSession, encounter: Encounter, person_ids: Sequence[str], now: datetime) -> None:
    """Exactly these doctors hold the visit: a new one gets a place, one who gave it away loses theirs."""
    there = {one.person_id: one for one in await visits.load_participants(session, encounter) if one.person_id}
    for person_id, place in there.items():
        place.is_closed = person_id not in person_ids
    for person_id in person_ids:
        if person_id in there:
            continue
        person = await session.get(Person, person_id)
        if person is None:
            raise not_found()
        session.add(new_participant(encounter, Role.DOCTOR, person.name, now, person_id=person_id))
    await session.flush()


async def follow_appointment(session: AsyncSession, clinic_id: str, appointment_id: str, now: datetime) -> None:
    """The appointment was moved or given to others: the visit's zone and doctors follow."""
    encounter = await plan(session, clinic_id, appointment_id, now)
    appointment = await session.get(Appointment, (clinic_id, appointment_id))
    if appointment is None:
        raise not_found()
    if encounter.status == "finished":  # nobody had come to it, else it could not be moved
        await put_back(session, clinic_id, appointment_id, now)
    encounter.zone = appointment.zone
    await set_doctors(session, encounter, await _practitioners(session, appointment), now)


async def cancel_visit(session: AsyncSession, clinic_id: str, appointment_id: str, now: datetime) -> None:
    encounter = await visits.load_live_encounter(session, clinic_id, appointment_id)
    if encounter is None or encounter.status in ("finished", "cancelled"):
        return
    encounter.status = "cancelled"
    encounter.ended_at = now
    await everybody_leaves(session, encounter, Departure.LINK_CLOSED, now)


async def note_no_show(session: AsyncSession, clinic_id: str, appointment_id: str, now: datetime) -> None:
    encounter = await visits.load_live_encounter(session, clinic_id, appointment_id)
    if encounter is None or encounter.status in ("finished", "cancelled"):
        return
    encounter.status = "finished"
    encounter.outcome = Outcome.NOT_REACHED.value
    encounter.ended_at = now
    await everybody_leaves(session, encounter, Departure.VISIT_ENDED, now)


async def put_back(session: AsyncSession, clinic_id: str, appointment_id: str, now: datetime) -> None:
    """The appointment is booked again: its visit is planned again, or another one is."""
    encounter = await plan(session, clinic_id, appointment_id, now)
    if encounter.status in ("planned", "cancelled"):
        return
    encounter.status = "planned"
    encounter.outcome = encounter.ended_at = encounter.ended_by = encounter.started_at = None
    encounter.by_phone = False


async def everybody_leaves(session: AsyncSession, encounter: Encounter, reason: Departure, now: datetime) -> None:
    for person in await visits.load_participants(session, encounter):
        if person.state in ("waiting", "admitted"):
            person.state, person.reason, person.left_at = "left", reason.value, now


async def _practitioners(session: AsyncSession, appointment: Appointment) -> tuple[str, ...]:
    query = select(AppointmentPractitioner.person_id).where(
        AppointmentPractitioner.clinic_id == appointment.clinic_id,
        AppointmentPractitioner.appointment_id == appointment.id,
    )
    return tuple(await session.scalars(query.order_by(AppointmentPractitioner.person_id)))
