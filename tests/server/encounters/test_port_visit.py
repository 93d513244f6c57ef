"""The room's port, on both engines: emergency, the phone, the end of a visit and taking it back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from media.api import StoredLog
from server import audit, audit_chain
from server.accounts import links
from server.audit import AuditAction
from server.encounters import visits
from server.encounters.models import EmergencyPress, Encounter, VisitCard
from server.jobs.models import Job
from signaling.ports import EmergencyNumber, PatientPhones
from signaling.words import (
    Code,
    Outcome,
    ParticipantId,
    Role,
    RoomId,
    SessionId,
)
from tests.server.encounters.port import count, entries, open_visit, refusal
from tests.server.visits import START, VisitCast

TABLET = SessionId("another-browser")


async def test_emergency_shows_place_and_number_and_writes_the_time_once(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    nothing = await cast.port.emergency(cast.room, doctor)
    assert (nothing.place, nothing.number, nothing.country) == (None, "112", "DE")
    assert nothing.phones == PatientPhones(given=None, on_file="+493023125101")
    async with cast.database.writing() as session:
        session.add(
            VisitCard(
                clinic_id=cast.clinic.id, encounter_id=cast.encounter_id, participant_id=patient, identity="self",
                place="4 Rue du Lac, Lyon, France", phone="+33 6 12 34 56 78", at=START,
            )
        )  # fmt: skip
    cast.clock.forward(minutes=5)
    contact = await cast.port.emergency(cast.room, doctor)
    again = await cast.port.emergency(cast.room, doctor)
    assert contact == again
    assert contact.country_from == "place"
    assert contact.also is None, "the phone says France as well"
    assert (contact.number, contact.country, contact.pressed_at) == ("15", "FR", START + timedelta(minutes=5))
    assert await count(cast, EmergencyPress) == 2


async def test_a_place_that_the_phone_contradicts_gives_both_numbers(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    async with cast.database.writing() as session:
        session.add(
            VisitCard(
                clinic_id=cast.clinic.id, encounter_id=cast.encounter_id, participant_id=patient, identity="self",
                place="Bad Schandau, Sächsische Schweiz", phone="the usual one", at=START,
            )
        )  # fmt: skip
    contact = await cast.port.emergency(cast.room, doctor)
    assert (contact.number, contact.country, contact.country_from) == ("112", "DE", "phone")
    assert contact.also == EmergencyNumber("144", "CH", "place")


async def test_by_phone_answers_what_was_given_at_the_door_and_the_number_on_file(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    assert await cast.port.by_phone(cast.room, doctor) == PatientPhones(given=None, on_file="+493023125101")
    async with cast.database.writing() as session:
        session.add(
            VisitCard(
                clinic_id=cast.clinic.id, encounter_id=cast.encounter_id, participant_id=patient, identity="self",
                phone="the usual one", at=START,
            )
        )  # fmt: skip
    assert await cast.port.by_phone(cast.room, doctor) == PatientPhones("the usual one", "+493023125101")
    assert (await cast.port.load_room(cast.room)).by_phone
    assert await entries(cast, AuditAction.BY_PHONE) == 1
    assert await refusal(cast.port.ask_recording(cast.room, doctor, "teaching")) is Code.WRONG_PHASE


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.SEEN, "fulfilled"),
        (Outcome.FINISHED_BY_PHONE, "fulfilled"),
        (Outcome.LEFT, "fulfilled"),
        (Outcome.SENT_ELSEWHERE, "fulfilled"),
        (Outcome.NOT_REACHED, "noshow"),
        (Outcome.WRONG_PERSON, "booked"),
    ],
)
async def test_the_end_is_one_tap_and_can_be_undone(cast: VisitCast, outcome: Outcome, status: str) -> None:
    doctor, patient = await open_visit(cast)
    await cast.port.ended(cast.room, doctor, outcome)
    await cast.port.ended(cast.room, doctor, outcome)
    assert (await cast.port.load_room(cast.room)).outcome is outcome
    assert await cast.appointment_status() == status
    is_wrong = outcome is Outcome.WRONG_PERSON
    assert (await cast.participant(patient)).reason == ("wrong_person" if is_wrong else "visit_ended")
    cast.clock.forward(seconds=10)
    await cast.port.reopened(cast.room, doctor)
    await cast.port.reopened(cast.room, doctor)
    facts = await cast.port.load_room(cast.room)
    assert (facts.phase, facts.outcome, facts.ended_at) == ("open", None, None)
    assert (await cast.participant(patient)).state == "admitted"
    assert await cast.appointment_status() == "arrived"
    assert await entries(cast, AuditAction.VISIT_ENDED) == 1


async def test_undoing_the_end_of_a_visit_nobody_came_to_leaves_it_planned(cast: VisitCast) -> None:
    doctor = await cast.place(Role.DOCTOR)
    await cast.port.ended(cast.room, doctor, Outcome.NOT_REACHED)
    assert await cast.appointment_status() == "noshow"
    await cast.port.reopened(cast.room, doctor)
    assert (await cast.visit()).encounter.status == "planned"
    assert await cast.appointment_status() == "booked"


async def test_a_reconnection_after_the_end_makes_nobody_wait_again(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    await cast.port.ended(cast.room, doctor, Outcome.SEEN)
    await cast.port.arrived(cast.room, patient, TABLET)
    assert (await cast.participant(patient)).state == "left"


async def test_a_log_that_outlives_its_servers_still_asks_for_a_film(cast: VisitCast) -> None:
    doctor, _ = await open_visit(cast)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    await cast.port.recording_phase(cast.room, asked.recording_id, "running", 1)
    await cast.port.ended(cast.room, doctor, Outcome.SEEN)
    await cast.port.log_stored(
        StoredLog(recording_id=asked.recording_id, segment=1, path="logs/a", bytes=9, packets=1, complete=False)
    )
    facts = (await cast.port.load_room(cast.room)).recording
    assert facts is not None
    assert facts.phase == "stopped"
    assert await count(cast, Job, Job.kind == "film", Job.subject == asked.recording_id) == 1


async def test_too_late_to_undo(cast: VisitCast) -> None:
    doctor, _ = await open_visit(cast)
    await cast.port.ended(cast.room, doctor, Outcome.SEEN)
    cast.clock.forward(seconds=16)
    assert await refusal(cast.port.reopened(cast.room, doctor)) is Code.WRONG_PHASE
    assert await refusal(cast.port.ended(cast.room, doctor, Outcome.LEFT)) is Code.WRONG_PHASE


async def test_ending_with_the_wrong_person_leaves_the_patients_visit_to_come(cast: VisitCast) -> None:
    token = await cast.link()
    doctor, wrong = await open_visit(cast)
    await cast.port.ended(cast.room, doctor, Outcome.WRONG_PERSON)
    await cast.port.ended(cast.room, doctor, Outcome.WRONG_PERSON)
    assert (await cast.visit()).encounter.status == "entered-in-error"
    assert await cast.appointment_status() == "booked"
    async with cast.database.reading() as session:
        link = await links.load_link(session, token)
        planned = list(await session.scalars(select(Encounter).where(Encounter.status == "planned")))
    assert link is not None
    assert link.closed_at is not None
    assert [one.appointment_id for one in planned] == [cast.appointment_id]
    assert (await cast.participant(wrong)).is_closed
    cast.clock.forward(seconds=16)
    assert await refusal(cast.port.reopened(cast.room, doctor)) is Code.WRONG_PHASE


async def test_undoing_an_end_with_the_wrong_person_leaves_nothing_of_it(cast: VisitCast) -> None:
    token = await cast.link()
    doctor, patient = await open_visit(cast)
    await cast.port.ended(cast.room, doctor, Outcome.WRONG_PERSON)
    async with cast.database.reading() as session:
        assert not await audit_chain.waiting_deletions(session, cast.clock() + timedelta(seconds=10))
        assert await audit_chain.waiting_deletions(session, cast.clock() + timedelta(seconds=16))
    await cast.port.reopened(cast.room, doctor)
    async with cast.database.reading() as session:
        assert (await links.resolve(session, token, links.LinkKind.VISIT)).closed_reason is None
        assert not await audit_chain.waiting_deletions(session, cast.clock() + timedelta(days=1))
        assert not await audit.open_incidents(session, cast.clinic.id)
        live = await visits.load_live_encounter(session, cast.clinic.id, cast.appointment_id)
    assert live is not None
    assert (live.id, live.status) == (cast.encounter_id, "in-progress")
    assert not (await cast.participant(patient)).is_closed
    assert await entries(cast, AuditAction.INCIDENT_CLOSED) == 1
    await cast.port.ended(cast.room, doctor, Outcome.WRONG_PERSON)
    assert (await cast.participant(patient)).is_closed


async def test_an_end_isnt_undone_once_somebody_came_to_the_visit_planned_instead(cast: VisitCast) -> None:
    doctor, wrong = await open_visit(cast)
    await cast.port.ended(cast.room, doctor, Outcome.WRONG_PERSON)
    async with cast.database.reading() as session:
        planned = await visits.load_live_encounter(session, cast.clinic.id, cast.appointment_id)
        assert planned is not None
        right = next(one for one in await visits.load_participants(session, planned) if one.role == Role.PATIENT)
    await cast.port.arrived(RoomId(planned.id), ParticipantId(right.id), TABLET)
    assert await refusal(cast.port.reopened(cast.room, doctor)) is Code.WRONG_PHASE
    assert (await cast.participant(wrong)).is_closed
