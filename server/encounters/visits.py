"""Finding a visit, its people and its newest card; what a visit looks like to the room (`RoomFacts`).

Only reads. Changing a visit is `service.py`, its recordings are `recordings.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Clinic, Membership, Patient
from server.context import ClinicScope
from server.encounters import chat, proxyscopes, recordings, rules
from server.encounters.models import Encounter, HandOver, Participant, VisitCard
from server.encounters.rules import Card
from server.errors import not_found
from server.permissions import VisitFacts, rights_in_room
from server.scheduling.models import Appointment
from signaling.ports import CardFacts, ParticipantFacts, PatientPhones, RoomFacts
from signaling.words import ClinicId, Departure, Outcome, ParticipantId, PersonId, Redacted, Role, RoomId, SessionId

GUESTS = (Role.GUEST, Role.INTERPRETER)
OPENED_BY = {"self": "the patient", "helping": "somebody helping"}


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit with what its appointment says."""

    encounter: Encounter
    appointment: Appointment
    participants: Sequence[Participant]
    former_ids: frozenset[str] = frozenset()
    """Doctors who handed it to a colleague."""

    @property
    def facts(self) -> VisitFacts:
        holders = frozenset(one.person_id for one in self.doctors if one.person_id)
        return VisitFacts(self.encounter.patient_id, holders, self.former_ids - holders)

    @property
    def doctors(self) -> list[Participant]:
        return [one for one in self.participants if one.role == Role.DOCTOR and not one.is_closed]

    @property
    def doctor_name(self) -> str:
        return ", ".join(one.name for one in self.doctors)

    @property
    def every_doctor_name(self) -> str:
        """Those first who handed it on: a note names both."""
        closed = [one for one in self.participants if one.role == Role.DOCTOR and one.is_closed]
        return ", ".join(
            one.name for one in [*(one for one in closed if one.person_id in self.former_ids), *self.doctors]
        )

    def patient_place(self) -> Participant | None:
        """The open place of the patient; None in the moment after a wrong person was shut out."""
        return next((one for one in self.participants if one.role == Role.PATIENT and not one.is_closed), None)

    def place_of(self, person_id: str | None) -> Participant | None:
        return next((one for one in self.doctors if person_id is not None and one.person_id == person_id), None)


async def get_encounter(session: AsyncSession, room_id: str, *, lock: bool = False) -> Encounter:
    """By the room's id alone, for the room's port; pages use `get_visit` with their clinic. Raises not_found."""
    query = select(Encounter).where(Encounter.id == room_id)
    found = (await session.scalars(query.with_for_update() if lock else query)).one_or_none()
    if found is None:
        raise not_found()
    return found


async def get_visit(session: AsyncSession, clinic: ClinicScope, encounter_id: str) -> Visit:
    """Raises not_found for one of another clinic too."""
    encounter = await session.get(Encounter, (clinic.id, encounter_id))
    if encounter is None:
        raise not_found()
    return await visit_of(session, encounter)


async def visit_of(session: AsyncSession, encounter: Encounter) -> Visit:
    appointment = await session.get(Appointment, (encounter.clinic_id, encounter.appointment_id))
    if appointment is None:
        raise not_found()
    query = select(HandOver.from_person_id).where(
        HandOver.clinic_id == encounter.clinic_id, HandOver.encounter_id == encounter.id
    )
    former = frozenset(await session.scalars(query))
    return Visit(encounter, appointment, await load_participants(session, encounter), former)


async def load_live_encounter(session: AsyncSession, clinic_id: str, appointment_id: str) -> Encounter | None:
    """The appointment's visit; one entered in error is none, a cancelled one only where there is no other."""
    query = select(Encounter).where(
        Encounter.clinic_id == clinic_id,
        Encounter.appointment_id == appointment_id,
        Encounter.status != "entered-in-error",
    )
    found = list(await session.scalars(query.order_by(Encounter.created_at.desc())))
    return next((one for one in found if one.status != "cancelled"), found[0] if found else None)


async def load_participants(session: AsyncSession, encounter: Encounter) -> list[Participant]:
    query = select(Participant).where(
        Participant.clinic_id == encounter.clinic_id, Participant.encounter_id == encounter.id
    )
    return list(await session.scalars(query.order_by(Participant.created_at, Participant.role, Participant.id)))


async def get_participant(
    session: AsyncSession, encounter: Encounter, participant_id: str, *, lock: bool = False
) -> Participant:
    """Raises not_found for somebody of another visit."""
    query = select(Participant).where(
        Participant.clinic_id == encounter.clinic_id,
        Participant.encounter_id == encounter.id,
        Participant.id == participant_id,
    )
    found = (await session.scalars(query.with_for_update() if lock else query)).one_or_none()
    if found is None:
        raise not_found()
    return found


async def load_card(session: AsyncSession, participant: Participant) -> Card | None:
    """What counts of the cards of a place."""
    query = select(VisitCard).where(
        VisitCard.clinic_id == participant.clinic_id, VisitCard.participant_id == participant.id
    )
    rows = list(await session.scalars(query.order_by(VisitCard.at.desc())))
    holder = participant.session_id
    ordered = sorted(rows, key=lambda row: holder is None or row.session_id != holder)
    return rules.card_that_counts(
        [Card(row.identity, row.place, row.phone, row.others, row.agreed_text_id) for row in ordered]
    )


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the patient says they are, and how to reach them when the picture is gone."""

    place: str | None
    phones: PatientPhones


async def load_whereabouts(session: AsyncSession, encounter: Encounter) -> Whereabouts:
    card = None
    for person in await load_participants(session, encounter):
        if person.role in (Role.PATIENT, Role.PROXY) and not person.is_closed:
            said = await load_card(session, person)
            card = said if said is not None and (card is None or person.role == Role.PATIENT) else card
    patient = await session.get(Patient, (encounter.clinic_id, encounter.patient_id))
    phones = PatientPhones(given=card.phone if card else None, on_file=patient.phone if patient else None)
    return Whereabouts(card.place if card else None, phones)


async def load_room_facts(session: AsyncSession, room_id: str) -> RoomFacts:
    """Everything the room is rebuilt from. Raises not_found."""
    encounter = await get_encounter(session, room_id)
    visit = await visit_of(session, encounter)
    patient = await session.get(Patient, (encounter.clinic_id, encounter.patient_id))
    if patient is None:
        raise not_found()
    people = [await _participant_facts(session, one, patient) for one in visit.participants]
    return RoomFacts(
        room_id=RoomId(encounter.id),
        clinic_id=ClinicId(encounter.clinic_id),
        phase=rules.room_phase(encounter.status),
        doctor_ids=frozenset(PersonId(one.person_id) for one in visit.doctors if one.person_id),
        doctor_name=Redacted(visit.doctor_name),
        starts_at=visit.appointment.starts_at,
        late_at=rules.late_at(visit.appointment.starts_at),
        always_relay=await _always_relay(session, visit, patient),
        participants=people,
        recording=await recordings.load_facts(session, encounter),
        by_phone=encounter.by_phone,
        chat_count=encounter.chat_count,
        chat_from=await chat.load_begin(session, encounter),
        started_at=encounter.started_at,
        outcome=Outcome(encounter.outcome) if encounter.outcome else None,
        ended_at=encounter.ended_at,
    )


async def load_open_rooms(session: AsyncSession) -> list[RoomId]:
    """Rooms where somebody waits or is: a planned visit that nobody came to needs no room."""
    query = select(Encounter.id).where(Encounter.status.in_(("arrived", "in-progress")))
    return [RoomId(found) for found in await session.scalars(query.order_by(Encounter.created_at))]


async def _always_relay(session: AsyncSession, visit: Visit, patient: Patient) -> bool:
    clinic_id = visit.encounter.clinic_id
    clinic = await session.get(Clinic, clinic_id)
    if patient.always_relay or (clinic is not None and clinic.always_relay):
        return True
    query = select(Membership.person_id).where(
        Membership.clinic_id == clinic_id,
        Membership.person_id.in_([one.person_id for one in visit.doctors]),
        Membership.always_relay,
    )
    return (await session.scalars(query)).first() is not None


async def _participant_facts(session: AsyncSession, one: Participant, patient: Patient) -> ParticipantFacts:
    role = Role(one.role)
    card = await load_card(session, one) if role in (Role.PATIENT, Role.PROXY) else None
    is_guest = role in GUESTS
    identity = card.identity if card is not None else "not_given"
    return ParticipantFacts(
        participant_id=ParticipantId(one.id),
        role=role,
        name=Redacted(one.name),
        rights=frozenset() if one.is_closed else rights_in_room(role),
        state=one.state,  # type: ignore[arg-type]  # a check constraint keeps it to these words
        reason=Departure(one.reason) if one.reason else None,
        person_id=PersonId(one.person_id) if one.person_id else None,
        birth_date=Redacted(patient.birth_date.isoformat()) if role in (Role.PATIENT, Role.PROXY) else None,
        opened_by=_opened_by(one, identity, patient),
        identity=identity,  # type: ignore[arg-type]
        card=_card_facts(card) if card is not None else None,
        waiting_since=one.waiting_since,
        blocked=one.is_blocked,
        link_closed=one.is_closed,
        picture_first=patient.picture_first and role in (Role.PATIENT, Role.INTERPRETER),
        agreed=_agreed(one) if is_guest else None,
        may_consent_for_patient=role is Role.PROXY and await proxyscopes.may_consent(session, one),
        session_id=SessionId(one.session_id) if one.session_id else None,
    )


def _opened_by(one: Participant, identity: str, patient: Patient) -> str | None:
    if one.role == Role.PROXY:
        return f"{one.relation or 'somebody'} of {patient.name}, who acts for them"
    return one.relation or one.role if Role(one.role) in GUESTS else OPENED_BY.get(identity)


def _card_facts(card: Card) -> CardFacts:
    place, phone, others = (Redacted(part) if part else None for part in (card.place, card.phone, card.others))
    return CardFacts(place, phone, others, agrees=card.agreed_text_id is not None)


def _agreed(guest: Participant) -> bool | None:
    if guest.agreed_at is not None:
        return True
    return False if guest.refused_at is not None else None
