"""A day of a clinic across the areas: each appointment with its patient, doctors, visit and where the patient stands.

Only reads; the desk owns no tables.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.links import LinkKind
from server.accounts.models import Link, Patient, Person
from server.context import ClinicScope
from server.desk.rules import TONES, WORDS, Facts, Standing, standing
from server.encounters.models import Encounter, Participant, VisitCard
from server.records import due
from server.records.models import Note
from server.scheduling import delays, finding, walkins
from server.scheduling.models import Appointment, AppointmentPractitioner, Message, VisitType
from server.scheduling.slots import local_instant
from server.scheduling.wording import when

_NOT_LIVE = ("cancelled", "entered-in-error")
TOLD_BY = ("confirmation", "change")
STILL_HERE = (Standing.WAITING, Standing.IN_VISIT)


@dataclass(frozen=True, slots=True)
class Line:
    """One appointment as the board and the lists show it."""

    appointment: Appointment
    patient: Patient
    visit_type: str
    doctors: Sequence[tuple[str, str]]
    encounter_id: str | None
    standing: Standing
    waiting_since: datetime | None
    clock: str
    date_words: str
    interpreters: Sequence[tuple[str, str]] = ()
    """Place and name of those who were invited beforehand."""

    @property
    def words(self) -> str:
        return WORDS[self.standing]

    @property
    def tone(self) -> str:
        return TONES[self.standing]

    @property
    def doctor_names(self) -> str:
        return ", ".join(name for _, name in self.doctors)


@dataclass(frozen=True, slots=True)
class _Found:
    """One row of the tables, before it is put into words."""

    appointment: Appointment
    patient: Patient
    visit_type: str
    encounter_id: str | None
    place_state: str | None
    waiting_since: datetime | None
    doctors: Sequence[tuple[str, str]]
    told: str | None
    has_open_link: bool
    interpreters: Sequence[tuple[str, str]]
    went_through_door: bool


async def load_day(
    session: AsyncSession, clinic: ClinicScope, day: date, now: datetime, *, doctor_id: str | None = None
) -> list[Line]:
    """The clinic's appointments of a local day in order; `doctor_id`: only theirs."""
    zone = ZoneInfo(clinic.zone)
    since, until = local_instant(day, 0, zone), local_instant(day, 1440, zone)
    where = and_(Appointment.starts_at >= since, Appointment.starts_at < until)
    if doctor_id is not None:
        where = and_(where, _of_doctor(clinic, doctor_id))
    return await _load(session, clinic, where, now)


async def load_session(session: AsyncSession, clinic: ClinicScope, doctor_id: str, now: datetime) -> list[Line]:
    """What this doctor has now in order: their working day, and whoever is still here from before it."""
    since, until = await finding.load_working_day(session, clinic, doctor_id, now)
    earliest = since - delays.LONGEST_DAY
    where = and_(Appointment.starts_at >= earliest, Appointment.starts_at < until, _of_doctor(clinic, doctor_id))
    found = await _load(session, clinic, where, now)
    return [line for line in found if line.appointment.starts_at >= since or line.standing in STILL_HERE]


async def load_unsigned(session: AsyncSession, clinic: ClinicScope, doctor_id: str, now: datetime) -> list[Line]:
    """This doctor's visits whose note waits to be signed, oldest first; one that was cancelled is among them."""
    query = (
        select(Encounter.id)
        .outerjoin(Note, and_(Note.clinic_id == Encounter.clinic_id, Note.encounter_id == Encounter.id))
        .where(Encounter.clinic_id == clinic.id, due.is_unsigned(now))
    )
    where = and_(_of_doctor(clinic, doctor_id), Encounter.id.in_(query))
    return await _load(session, clinic, where, now, without=("entered-in-error",))


async def load_walk_ins(session: AsyncSession, clinic: ClinicScope, now: datetime) -> list[Line]:
    """Walk-ins that no doctor has yet: urgent ones first, then whoever has waited longest."""
    order = [appointment.id for appointment in await walkins.load_untaken(session, clinic)]
    found = await _load(session, clinic, Appointment.id.in_(order), now)
    return sorted(found, key=lambda line: order.index(line.appointment.id))


def late_by(lines: Sequence[Line], now: datetime) -> int:
    """How many minutes the session runs late: since the start of the first patient who still waits past their time."""
    waiting = [line.appointment.starts_at for line in lines if line.standing is Standing.WAITING]
    return max((minutes_between(starts_at, now) for starts_at in waiting), default=0)


async def load_of_patient(
    session: AsyncSession, clinic: ClinicScope, patient_id: str, now: datetime, *, newest: int | None = None
) -> list[Line]:
    """A patient's appointments, oldest first; the `newest` of a long record, or all. Each by its own zone's clock."""
    mine = Appointment.patient_id == patient_id
    if newest is None:
        return [_by_own_zone(one, clinic.language) for one in await _load(session, clinic, mine, now)]
    # Asked first: as a part of the query, PostgreSQL joins the whole record before it looks which are wanted.
    query = select(Appointment.id).where(Appointment.clinic_id == clinic.id, mine)
    ids = list(await session.scalars(query.order_by(Appointment.starts_at.desc()).limit(newest)))
    return [_by_own_zone(one, clinic.language) for one in await _load(session, clinic, Appointment.id.in_(ids), now)]


def _by_own_zone(line: Line, language: str) -> Line:
    """As the messages say it, which name the appointment's zone; the desk's own pages go by the clinic's."""
    at = when(line.appointment.starts_at, line.appointment.zone, language)
    return replace(line, clock=at["clock"], date_words=at["date"])


async def load_one(session: AsyncSession, clinic: ClinicScope, appointment_id: str, now: datetime) -> Line | None:
    found = await _load(session, clinic, Appointment.id == appointment_id, now)
    return found[0] if found else None


async def load_open_visit(session: AsyncSession, clinic: ClinicScope, doctor_id: str | None) -> str | None:
    """The visit this doctor is in: their pages hide the other patients' names meanwhile, a screen may be shared."""
    query = (
        select(Encounter.id)
        .join(Participant, and_(Participant.clinic_id == Encounter.clinic_id, Participant.encounter_id == Encounter.id))
        .where(
            Encounter.clinic_id == clinic.id,
            Encounter.status == "in-progress",
            Participant.role == "doctor",
            Participant.person_id == doctor_id,
            Participant.is_closed.is_(False),
        )
    )
    return (await session.scalars(query.order_by(Encounter.started_at.desc()).limit(1))).first()


def minutes_between(since: datetime, now: datetime) -> int:
    return max(0, int((now - since).total_seconds() // 60))


def _of_doctor(clinic: ClinicScope, doctor_id: str) -> ColumnElement[bool]:
    return Appointment.id.in_(
        select(AppointmentPractitioner.appointment_id).where(
            AppointmentPractitioner.clinic_id == clinic.id, AppointmentPractitioner.person_id == doctor_id
        )
    )


async def _load(
    session: AsyncSession,
    clinic: ClinicScope,
    where: ColumnElement[bool],
    now: datetime,
    *,
    without: Sequence[str] = _NOT_LIVE,
) -> list[Line]:
    """`without`: what visits are in none of these; an appointment stays in the list."""
    rows = (await session.execute(_query(clinic, where, without))).all()
    ids = [row[0].id for row in rows]
    doctors = await _load_doctors(session, clinic, ids)
    told = await _load_told(session, clinic, ids)
    opening = await _load_opening(session, clinic, ids)
    invited = await _load_interpreters(session, clinic, [row[3] for row in rows if row[0].interpreter])
    at_door = await _load_at_door(session, clinic, [row[3] for row in rows if row[4] == "invited"])
    found = [
        _Found(
            *row,
            doctors.get(row[0].id, []),
            told.get(row[0].id),
            row[0].id in opening,
            invited.get(row[3] or "", []),
            row[3] in at_door,
        )
        for row in rows
    ]
    return [_line(clinic, each, now) for each in found]


def _query(
    clinic: ClinicScope, where: ColumnElement[bool], without: Sequence[str]
) -> Select[Appointment, Patient, str, str, str, datetime | None]:
    """Each appointment with its patient, its kind and, where there is one, its visit and the patient's place in it."""
    return (
        select(Appointment, Patient, VisitType.name, Encounter.id, Participant.state, Participant.waiting_since)
        .join(Patient, and_(Patient.clinic_id == Appointment.clinic_id, Patient.id == Appointment.patient_id))
        .join(VisitType, and_(VisitType.clinic_id == Appointment.clinic_id, VisitType.id == Appointment.visit_type_id))
        .outerjoin(
            Encounter,
            and_(
                Encounter.clinic_id == Appointment.clinic_id,
                Encounter.appointment_id == Appointment.id,
                Encounter.status.not_in(without),
            ),
        )
        .outerjoin(
            Participant,
            and_(
                Participant.clinic_id == Encounter.clinic_id,
                Participant.encounter_id == Encounter.id,
                Participant.role == "patient",
                Participant.is_closed.is_(False),
            ),
        )
        .where(Appointment.clinic_id == clinic.id, where)
        .order_by(Appointment.starts_at, Patient.name, Appointment.id)
    )


def _line(clinic: ClinicScope, found: _Found, now: datetime) -> Line:
    appointment = found.appointment
    facts = Facts(
        appointment_status=appointment.status,
        starts_at=appointment.starts_at,
        place_state=found.place_state,
        message_state=found.told,
        has_address=bool(found.patient.email or found.patient.phone),
        has_open_link=found.has_open_link,
        went_through_door=found.went_through_door,
    )
    at = when(appointment.starts_at, clinic.zone, clinic.language)
    word = standing(facts, now)
    return Line(
        appointment=appointment,
        patient=found.patient,
        visit_type=found.visit_type,
        doctors=found.doctors,
        encounter_id=found.encounter_id,
        standing=word,
        waiting_since=found.waiting_since if word is Standing.WAITING else None,
        clock=at["clock"],
        date_words=at["date"],
        interpreters=found.interpreters,
    )


async def _load_doctors(
    session: AsyncSession, clinic: ClinicScope, ids: Collection[str]
) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    query = (
        select(AppointmentPractitioner.appointment_id, Person.id, Person.name)
        .join(Person, Person.id == AppointmentPractitioner.person_id)
        .where(AppointmentPractitioner.clinic_id == clinic.id, AppointmentPractitioner.appointment_id.in_(ids))
        .order_by(Person.name)
    )
    for appointment_id, person_id, name in await session.execute(query):
        found.setdefault(appointment_id, []).append((person_id, name))
    return found


async def _load_interpreters(
    session: AsyncSession, clinic: ClinicScope, encounter_ids: Collection[str]
) -> dict[str, list[tuple[str, str]]]:
    """Those who were invited beforehand, by visit."""
    found: dict[str, list[tuple[str, str]]] = {}
    if not encounter_ids:
        return found
    query = select(Participant).where(
        Participant.clinic_id == clinic.id,
        Participant.encounter_id.in_(encounter_ids),
        Participant.role == "interpreter",
        Participant.is_closed.is_(False),
    )
    for place in await session.scalars(query.order_by(Participant.created_at)):
        if place.is_arranged:
            found.setdefault(place.encounter_id, []).append((place.id, place.name))
    return found


async def _load_told(session: AsyncSession, clinic: ClinicScope, ids: Collection[str]) -> dict[str, str]:
    """The state of the newest message that carries the link, by appointment."""
    query = (
        select(Message.appointment_id, Message.state)
        .where(Message.clinic_id == clinic.id, Message.appointment_id.in_(ids), Message.kind.in_(TOLD_BY))
        .where(Message.state != "dropped")
        .order_by(Message.created_at)
    )
    return {appointment_id: state for appointment_id, state in await session.execute(query) if appointment_id}


async def _load_opening(session: AsyncSession, clinic: ClinicScope, ids: Collection[str]) -> set[str]:
    """The appointments with a link that still opens; after a wrong person there is none until it is sent again."""
    query = select(Link.subject_id).where(
        Link.clinic_id == clinic.id, Link.subject_id.in_(ids), Link.kind == LinkKind.VISIT, Link.closed_at.is_(None)
    )
    return set(await session.scalars(query))


async def _load_at_door(session: AsyncSession, clinic: ClinicScope, encounter_ids: Collection[str]) -> set[str]:
    """The visits whose patient, not in the waiting room yet, has gone through the door."""
    if not encounter_ids:
        return set()
    query = select(VisitCard.encounter_id).join(
        Participant,
        and_(Participant.clinic_id == VisitCard.clinic_id, Participant.id == VisitCard.participant_id),
    )
    query = query.where(VisitCard.clinic_id == clinic.id, VisitCard.encounter_id.in_(encounter_ids))
    return set(await session.scalars(query.where(Participant.role == "patient", Participant.is_closed.is_(False))))
