"""Everything of a record that one asker may see, gathered once for both forms of its copy.

The patient sees what their page shows; a proxy no more than their scope opens, and nothing that is the patient's alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import proxies
from server.accounts.models import Patient, Person
from server.accounts.service import get_clinic, get_patient
from server.accounts.trust_models import ClinicPolicy
from server.context import ClinicScope
from server.encounters import films
from server.encounters.models import Encounter, Participant, VisitCard
from server.encounters.recording_models import ConsentAnswer, Film, Recording
from server.permissions import ProxyScope
from server.records import attachments, corrections, exports, reading, requests
from server.records.attachments import Attached
from server.records.corrections import Correction
from server.records.reading import ReleasedNote
from server.records.requests import Asked
from server.records.rights_models import RecordExport
from server.scheduling.models import Appointment, AppointmentPractitioner
from server.vault import ClinicVault
from signaling.words import Role

HIDDEN = ("proposed", "waitlist", "entered-in-error")
STILL_TODAY = timedelta(hours=12)
SAID = ("yes", "no", "withdrawn")


@dataclass(frozen=True, slots=True)
class Consented:
    """What the patient's side answered to one question, by the version of its words."""

    id: str
    encounter_id: str
    about: str
    """video, recording."""
    is_given: bool
    at: datetime
    text_version: int | None


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """One patient's record as one asker may read it."""

    clinic: ClinicScope
    letterhead: str
    patient: Patient
    is_own: bool
    """Asked for by the patient: contact details and consents are theirs alone."""
    made_at: datetime
    doctors: dict[str, str] = field(default_factory=dict)
    """Names by person."""
    appointments: Sequence[Appointment] = ()
    doctors_of: dict[str, list[str]] = field(default_factory=dict)
    """Persons by appointment."""
    encounters: Sequence[Encounter] = ()
    notes: Sequence[ReleasedNote] = ()
    asked: Sequence[Correction] = ()
    files: Sequence[Attached] = ()
    films: Sequence[Film] = ()
    consents: Sequence[Consented] = ()
    requests: Sequence[Asked] = ()
    """What is withheld, or was decided about."""


async def load(session: AsyncSession, vault: ClinicVault, row: RecordExport, now: datetime) -> Record:
    """Raises not_found once the proxy may not act any more."""
    clinic = await get_clinic(session, row.clinic_id)
    patient = await get_patient(session, row.clinic_id, row.patient_id)
    policy = await session.get(ClinicPolicy, row.clinic_id)
    scopes, is_own = exports.scopes_of(row), row.proxy_id is None
    alone = frozenset() if is_own else await proxies.load_patient_only(session, patient)
    appointments = await _appointments(session, patient, scopes, is_own=is_own, now=now)
    appointments = [one for one in appointments if one.id not in alone]
    notes = await _notes(session, vault, clinic, patient, may=is_own or ProxyScope.READ_NOTES in scopes, is_own=is_own)
    encounters = await _encounters(session, patient, [note.encounter_id for note in notes], is_own=is_own)
    shown = await films.load_granted_films(session, clinic.id, patient.id)
    may_watch = is_own or ProxyScope.WATCH_FILMS in scopes
    doctors_of, doctors = await _doctors(session, appointments, encounters)
    return Record(
        clinic=clinic,
        letterhead=policy.letterhead if policy else "",
        patient=patient,
        is_own=is_own,
        made_at=now,
        doctors=doctors,
        appointments=appointments,
        doctors_of=doctors_of,
        encounters=encounters,
        notes=notes,
        asked=await corrections.load(session, vault, clinic.id, [one.note_id for one in notes]) if is_own else (),
        files=await attachments.load_of_notes(session, vault, clinic.id, notes),
        films=[one for one in shown if may_watch and one.encounter_id not in alone],
        consents=await _consents(session, patient) if is_own else (),
        requests=await requests.load_of_patient(session, vault, clinic.id, patient.id) if is_own else (),
    )


async def _notes(
    session: AsyncSession, vault: ClinicVault, clinic: ClinicScope, patient: Patient, *, may: bool, is_own: bool
) -> list[ReleasedNote]:
    if not may:
        return []
    return await reading.load_released_notes(session, vault, clinic, patient.id, for_proxy=not is_own)


async def _appointments(
    session: AsyncSession, patient: Patient, scopes: frozenset[ProxyScope], *, is_own: bool, now: datetime
) -> list[Appointment]:
    """A proxy's page shows what is still to come, and only to those who book or come along."""
    query = select(Appointment).where(
        Appointment.clinic_id == patient.clinic_id,
        Appointment.patient_id == patient.id,
        Appointment.status.not_in(HIDDEN),
    )
    if not is_own:
        if not scopes & {ProxyScope.BOOK, ProxyScope.ATTEND}:
            return []
        query = query.where(Appointment.status.in_(["booked", "arrived"]), Appointment.ends_at > now - STILL_TODAY)
    return list(await session.scalars(query.order_by(Appointment.starts_at)))


async def _encounters(session: AsyncSession, patient: Patient, noted: list[str], *, is_own: bool) -> list[Encounter]:
    """Visits that took place, or have a note that is read here; a proxy's are those of their notes alone."""
    query = select(Encounter).where(Encounter.clinic_id == patient.clinic_id, Encounter.patient_id == patient.id)
    held = Encounter.status.in_(["in-progress", "finished"])
    query = query.where(or_(held, Encounter.id.in_(noted)) if is_own else Encounter.id.in_(noted))
    return list(await session.scalars(query.order_by(Encounter.started_at)))


async def _doctors(
    session: AsyncSession, appointments: Sequence[Appointment], encounters: Sequence[Encounter]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    wanted = {one.id for one in appointments} | {one.appointment_id for one in encounters}
    query = (
        select(AppointmentPractitioner.appointment_id, Person.id, Person.name)
        .join(Person, Person.id == AppointmentPractitioner.person_id)
        .where(AppointmentPractitioner.appointment_id.in_(sorted(wanted)))
        .order_by(Person.name)
    )
    doctors_of: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for appointment_id, person_id, name in await session.execute(query):
        doctors_of.setdefault(appointment_id, []).append(person_id)
        names[person_id] = name
    return doctors_of, names


async def _consents(session: AsyncSession, patient: Patient) -> list[Consented]:
    mine = select(Encounter.id).where(Encounter.clinic_id == patient.clinic_id, Encounter.patient_id == patient.id)
    cards = select(VisitCard).where(
        VisitCard.clinic_id == patient.clinic_id,
        VisitCard.encounter_id.in_(mine),
        VisitCard.agreed_text_id.is_not(None),
        VisitCard.participant_id.is_not(None),
    )
    found = [
        Consented(card.id, card.encounter_id, "video", True, card.at, None)
        for card in await session.scalars(cards.order_by(VisitCard.at))
    ]
    answers = (
        select(ConsentAnswer, Recording.encounter_id)
        .join(
            Recording,
            (Recording.clinic_id == ConsentAnswer.clinic_id) & (Recording.id == ConsentAnswer.recording_id),
        )
        .join(
            Participant,
            (Participant.clinic_id == ConsentAnswer.clinic_id) & (Participant.id == ConsentAnswer.participant_id),
        )
        .where(
            Recording.clinic_id == patient.clinic_id,
            Recording.encounter_id.in_(mine),
            Participant.role.in_([Role.PATIENT.value, Role.PROXY.value]),
            ConsentAnswer.answer.in_(SAID),
        )
        .order_by(ConsentAnswer.at)
    )
    for row, encounter_id in await session.execute(answers):
        name = uuid.uuid5(uuid.UUID(row.recording_id), f"{row.participant_id} {row.n}")
        found.append(Consented(str(name), encounter_id, "recording", row.answer == "yes", row.at, row.text_version))
    return found
