"""The room's port, on both engines: what each call means, and that saying it twice is saying it once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from server.accounts import links
from server.audit import AuditAction, Deletion, Incident
from server.encounters import chat, emergency
from server.encounters.models import VisitCard
from signaling.ports import ConsentGiven
from signaling.words import (
    Code,
    Departure,
    Outcome,
    ParticipantId,
    Right,
    Role,
    RoomId,
    SessionId,
)
from tests.server.encounters.port import entries, open_visit, refusal, waiting_patient
from tests.server.visits import START, VisitCast

TABLET = SessionId("another-browser")


# ── Seats ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_patient_sits_where_their_browser_was_let_in(cast: VisitCast) -> None:
    patient = await cast.place(Role.PATIENT)
    cookies, session_id = await cast.visits_cookies(patient)
    seat = await cast.port.seat(cookies, patient)
    assert (seat.room_id, seat.session_id, seat.role) == (cast.room, session_id, Role.PATIENT)
    assert seat.rights == {Right.TAKE_PART}
    assert seat.name.reveal() == "Anna Müller"
    assert "Anna" not in repr(seat)


async def test_a_doctor_of_the_visit_holds_every_right(cast: VisitCast) -> None:
    doctor = await cast.place(Role.DOCTOR)
    seat = await cast.port.seat(await cast.staff_cookies("doctor"), doctor)
    assert seat.rights == frozenset(Right)
    assert seat.person_id == cast.doctor


@pytest.mark.parametrize("who", ["colleague", "scheduler", "administrator"])
async def test_no_other_staff_takes_the_doctors_seat(cast: VisitCast, who: str) -> None:
    cookies = await cast.staff_cookies(who)
    for place in (await cast.place(Role.DOCTOR), await cast.place(Role.PATIENT)):
        assert await refusal(cast.port.seat(cookies, place)) in (Code.NOT_FOUND, Code.NOT_SIGNED_IN)


async def test_a_stranger_is_asked_to_sign_in_whatever_they_name(cast: VisitCast) -> None:
    for named in (await cast.place(Role.PATIENT), await cast.place(Role.DOCTOR), "no-such-place", "", "x" * 400):
        assert await refusal(cast.port.seat({}, named)) is Code.NOT_SIGNED_IN


async def test_a_patients_browser_gets_no_seat_but_its_own(cast: VisitCast) -> None:
    cookies, _ = await cast.visits_cookies(await cast.place(Role.PATIENT))
    other = await cast.another_visit(cast.other_patient)
    for place in [one.id for one in (await cast.visit(other)).participants] + ["no-such-place"]:
        assert await refusal(cast.port.seat(cookies, place)) in (Code.NOT_FOUND, Code.NOT_SIGNED_IN)


async def test_a_seat_outlives_the_end_by_the_closing_page_only(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    cookies, _ = await cast.visits_cookies(patient)
    await cast.port.ended(cast.room, doctor, Outcome.SEEN)
    assert (await cast.port.seat(cookies, patient)).participant_id == patient
    cast.clock.forward(hours=2)
    assert await refusal(cast.port.seat(cookies, patient)) is Code.VISIT_OVER


async def test_a_staff_page_of_a_doctor_sees_arrivals(cast: VisitCast) -> None:
    seat = await cast.port.staff_seat(await cast.staff_cookies("doctor"), cast.clinic.slug)
    assert seat.rights == {Right.SEE_ARRIVALS}
    assert (
        await refusal(cast.port.staff_seat(await cast.staff_cookies("scheduler"), cast.clinic.slug)) is Code.NOT_ALLOWED
    )
    assert await refusal(cast.port.staff_seat(await cast.staff_cookies("doctor"), "south")) is Code.NOT_FOUND
    assert await refusal(cast.port.staff_seat(await cast.staff_cookies("doctor"), "nowhere")) is Code.NOT_FOUND
    assert await refusal(cast.port.staff_seat({}, cast.clinic.slug)) is Code.NOT_SIGNED_IN


# ── People ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_waiting_since_is_the_first_time(cast: VisitCast) -> None:
    patient, session_id = await waiting_patient(cast)
    cast.clock.forward(minutes=4)
    assert await cast.port.arrived(cast.room, patient, session_id) == START
    facts = await cast.port.load_room(cast.room)
    assert (facts.phase, await cast.appointment_status()) == ("waiting", "arrived")
    assert await entries(cast, AuditAction.ARRIVED) == 1
    assert list(await cast.port.load_open_rooms()) == [cast.room]


async def test_the_browser_that_came_first_keeps_the_place(cast: VisitCast) -> None:
    patient, session_id = await waiting_patient(cast)
    await cast.port.arrived(cast.room, patient, TABLET)
    assert (await cast.participant(patient)).session_id == session_id
    await cast.port.took_over(cast.room, patient, TABLET)
    await cast.port.took_over(cast.room, patient, TABLET)
    assert (await cast.participant(patient)).session_id == TABLET
    assert await entries(cast, AuditAction.TOOK_OVER) == 1


async def test_a_doctor_coming_in_moves_no_status(cast: VisitCast) -> None:
    doctor = await cast.place(Role.DOCTOR)
    await cast.port.arrived(cast.room, doctor, SessionId("first"))
    await cast.port.arrived(cast.room, doctor, SessionId("second"))
    assert (await cast.participant(doctor)).session_id == "second"
    assert (await cast.visit()).encounter.status == "planned"
    assert await cast.appointment_status() == "booked"


async def test_the_first_admission_opens_the_visit_once(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    first = (await cast.visit()).encounter.started_at
    cast.clock.forward(minutes=1)
    assert await cast.port.admitted(cast.room, patient, doctor) == first
    facts = await cast.port.load_room(cast.room)
    assert (facts.phase, facts.started_at) == ("open", first)
    assert await entries(cast, AuditAction.ADMITTED) == 1


async def test_admitting_two_at_once_admits_each_once(cast: VisitCast) -> None:
    doctor = await cast.place(Role.DOCTOR)
    patient, _ = await waiting_patient(cast)
    await asyncio.gather(*(cast.port.admitted(cast.room, patient, doctor) for _ in range(4)))
    assert await entries(cast, AuditAction.ADMITTED) == 1


async def test_a_guest_comes_in_only_after_the_patients_yes(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    guest = await cast.guest()
    await cast.port.arrived(cast.room, guest, TABLET)
    assert await refusal(cast.port.admitted(cast.room, guest, doctor)) is Code.NOT_ALLOWED
    assert await refusal(cast.port.guest_agreed(cast.room, guest, doctor, True)) is Code.NOT_ALLOWED
    assert await refusal(cast.port.guest_agreed(cast.room, patient, patient, True)) is Code.MALFORMED
    await cast.port.guest_agreed(cast.room, guest, patient, True)
    await cast.port.guest_agreed(cast.room, guest, patient, False)
    assert await refusal(cast.port.admitted(cast.room, guest, doctor)) is Code.NOT_ALLOWED
    await cast.port.guest_agreed(cast.room, guest, patient, True)
    await cast.port.guest_agreed(cast.room, guest, patient, True)
    await cast.port.admitted(cast.room, guest, doctor)
    facts = {one.participant_id: one for one in (await cast.port.load_room(cast.room)).participants}
    assert (facts[guest].state, facts[guest].agreed, facts[patient].agreed) == ("admitted", True, None)
    assert await entries(cast, AuditAction.GUEST_AGREED) == 3


async def test_leaving_names_its_reason_and_coming_back_waits_anew(cast: VisitCast) -> None:
    _, patient = await open_visit(cast)
    await cast.port.departed(cast.room, patient, Departure.LEFT)
    await cast.port.departed(cast.room, patient, Departure.LEFT)
    assert await entries(cast, AuditAction.DEPARTED) == 1
    cast.clock.forward(minutes=3)
    assert await cast.port.arrived(cast.room, patient, TABLET) == cast.clock()
    assert (await cast.participant(patient)).reason is None


async def test_back_to_waiting_and_in_again(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    cast.clock.forward(minutes=2)
    await cast.port.back_to_waiting(cast.room, patient, doctor)
    await cast.port.back_to_waiting(cast.room, patient, doctor)
    assert (await cast.participant(patient)).state == "waiting"
    assert await entries(cast, AuditAction.SENT_BACK) == 1
    cast.clock.forward(minutes=1)
    assert await cast.port.admitted(cast.room, patient, doctor) == cast.clock()


async def test_somebody_blocked_has_no_seat_until_unblocked(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    cookies, _ = await cast.visits_cookies(patient)
    await cast.port.block(cast.room, patient, doctor, True)
    await cast.port.block(cast.room, patient, doctor, True)
    assert await refusal(cast.port.seat(cookies, patient)) is Code.REMOVED
    assert await refusal(cast.port.arrived(cast.room, patient, TABLET)) is Code.REMOVED
    assert await refusal(cast.port.admitted(cast.room, patient, doctor)) is Code.REMOVED
    await cast.port.block(cast.room, patient, doctor, False)
    assert (await cast.port.seat(cookies, patient)).participant_id == patient


async def test_the_wrong_person_is_shut_out_and_the_right_one_gets_a_fresh_place(cast: VisitCast) -> None:
    token = await cast.link()
    doctor, wrong = await open_visit(cast)
    cookies, _ = await cast.visits_cookies(wrong)
    await cast.port.store_chat(cast.room, doctor, "event-0001", "Your result is back")
    await cast.port.wrong_person(cast.room, wrong, doctor)
    await cast.port.wrong_person(cast.room, wrong, doctor)
    assert await refusal(cast.port.seat(cookies, wrong)) is Code.LINK_CLOSED
    assert await refusal(cast.port.admitted(cast.room, wrong, doctor)) is Code.LINK_CLOSED
    async with cast.database.reading() as session:
        link = await links.load_link(session, token)
        assert link is not None
        assert link.closed_reason == "wrong_person"
        assert [row.subject_id for row in await session.scalars(select(Deletion))] == [link.id]
        assert [row.kind for row in await session.scalars(select(Incident))] == ["wrong_person"]
    assert await cast.appointment_status() == "booked"
    assert (await cast.visit()).encounter.status == "planned"
    right = await cast.place(Role.PATIENT)
    assert right != wrong
    await cast.port.arrived(cast.room, right, TABLET)
    await cast.port.admitted(cast.room, right, doctor)
    assert list(await cast.port.load_chat(cast.room, right, 0)) == []
    assert list(await cast.port.load_chat(cast.room, doctor, 0)) == [], "a stranger read it"


async def test_what_a_stranger_did_and_was_asked_is_not_the_patients(cast: VisitCast) -> None:
    doctor, wrong = await open_visit(cast)
    await cast.port.store_chat(cast.room, wrong, "event-0001", "my rash")
    for _ in range(2):
        asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
        await cast.port.record_consent(
            cast.room, ConsentGiven(asked.recording_id, wrong, question=asked.question, yes=False)
        )
        await cast.port.recording_phase(cast.room, asked.recording_id, "declined", 1, None)
    assert await refusal(cast.port.ask_recording(cast.room, doctor, "teaching")) is Code.WRONG_PHASE
    await cast.port.emergency(cast.room, doctor)
    await cast.port.by_phone(cast.room, doctor)
    cast.clock.forward(seconds=1)
    await cast.port.wrong_person(cast.room, wrong, doctor)
    cast.clock.forward(seconds=1)

    facts = await cast.port.load_room(cast.room)
    assert (facts.by_phone, facts.recording, facts.chat_count, facts.chat_from) == (False, None, 1, 1)
    right = await cast.place(Role.PATIENT)
    await cast.port.arrived(cast.room, right, TABLET)
    await cast.port.admitted(cast.room, right, doctor)
    await cast.port.store_chat(cast.room, right, "event-0002", "a cough")
    assert [line.text.reveal() for line in await cast.port.load_chat(cast.room, doctor, 0)] == ["a cough"]
    assert (await cast.port.ask_recording(cast.room, doctor, "teaching")).question == 1
    async with cast.database.reading() as session:
        encounter = (await cast.visit()).encounter
        assert await emergency.load_presses(session, encounter) == []
        strangers = await chat.load_strangers(session, encounter, cast.sealer)
        assert [line.text.reveal() for line in strangers] == ["my rash"]


async def test_arrivals_are_seen_until_they_come_again(cast: VisitCast) -> None:
    patient, session_id = await waiting_patient(cast)
    seat = await cast.port.staff_seat(await cast.staff_cookies("doctor"), cast.clinic.slug)
    assert await cast.port.seen_arrivals([patient]) == frozenset()
    await cast.port.arrivals_seen(seat, [patient, ParticipantId("nobody")])
    assert await cast.port.seen_arrivals([patient]) == {patient}
    await cast.port.departed(cast.room, patient, Departure.LEFT)
    await cast.port.arrived(cast.room, patient, session_id)
    assert await cast.port.seen_arrivals([patient]) == frozenset()


async def test_another_rooms_person_is_not_found(cast: VisitCast) -> None:
    doctor = await cast.place(Role.DOCTOR)
    other = RoomId(await cast.another_visit(cast.other_patient))
    patient = await cast.place(Role.PATIENT)
    assert await refusal(cast.port.admitted(other, patient, doctor)) is Code.NOT_FOUND
    assert await refusal(cast.port.load_room(RoomId("nothing"))) is Code.NOT_FOUND
    assert await refusal(cast.port.departed(RoomId("nothing"), patient, Departure.LEFT)) is Code.NOT_FOUND


# ── Facts ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_facts_say_who_opened_the_link(cast: VisitCast) -> None:
    patient, session_id = await waiting_patient(cast)
    async with cast.database.writing() as session:
        for identity, at, by in (("helping", START, session_id), ("self", START + timedelta(minutes=1), "somebody")):
            session.add(
                VisitCard(
                    clinic_id=cast.clinic.id, encounter_id=cast.encounter_id, participant_id=patient,
                    identity=identity, session_id=by, at=at,
                )
            )  # fmt: skip
    facts = {one.role: one for one in (await cast.port.load_room(cast.room)).participants}
    assert (facts[Role.PATIENT].opened_by, facts[Role.PATIENT].identity) == ("somebody helping", "helping")
    birth_date = facts[Role.PATIENT].birth_date
    assert birth_date is not None
    assert birth_date.reveal() == "1980-05-01"
    assert facts[Role.DOCTOR].birth_date is None
