"""The room's port, on both engines: what each call means, and that saying it twice is saying it once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DBAPIError

from media.api import StoredLog
from server.accounts import links
from server.audit import AuditAction, AuditEntry, Deletion, Incident
from server.encounters.models import ChatLine, EmergencyPress, Encounter, Participant, VisitCard
from server.encounters.recording_models import ConsentAnswer, Film
from server.jobs.models import Job
from signaling.ports import ConsentGiven
from signaling.words import (
    Code,
    Departure,
    Outcome,
    ParticipantId,
    RecordingId,
    Refused,
    Right,
    Role,
    RoomId,
    SessionId,
)
from tests.server.visits import START, VisitCast

TABLET = SessionId("another-browser")


async def refusal(call: object) -> Code:
    with pytest.raises(Refused) as caught:
        await call  # type: ignore[misc]
    return caught.value.code


async def count(cast: VisitCast, what: type, *clauses: object) -> int:
    async with cast.database.reading() as session:
        query = select(func.count()).select_from(what).where(*clauses)  # type: ignore[arg-type]
        return await session.scalar(query) or 0


async def entries(cast: VisitCast, action: AuditAction) -> int:
    return await count(cast, AuditEntry, AuditEntry.action == action.value)


async def waiting_patient(cast: VisitCast) -> tuple[ParticipantId, SessionId]:
    patient = await cast.place(Role.PATIENT)
    _, session_id = await cast.visits_cookies(patient)
    await cast.port.arrived(cast.room, patient, session_id)
    return patient, session_id


async def open_visit(cast: VisitCast) -> tuple[ParticipantId, ParticipantId]:
    doctor = await cast.place(Role.DOCTOR)
    patient, _ = await waiting_patient(cast)
    await cast.port.admitted(cast.room, patient, doctor)
    return doctor, patient


async def say(cast: VisitCast, recording: RecordingId, who: ParticipantId, yes: bool, question: int = 1) -> None:
    await cast.port.record_consent(cast.room, ConsentGiven(recording, who, question, yes))


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
    assert len(await cast.port.load_chat(cast.room, doctor, 0)) == 1


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


# ── Chat ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_line_is_stored_once_sealed_and_numbered(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    first = await cast.port.store_chat(cast.room, doctor, "event-0001", "hello")
    again = await cast.port.store_chat(cast.room, doctor, "event-0001", "hello")
    second = await cast.port.store_chat(cast.room, patient, "event-0001", "hi")
    assert (first, second.n) == (again, 2)
    async with cast.database.reading() as session:
        sealed = [line.sealed for line in await session.scalars(select(ChatLine))]
    assert not any(b"hello" in one or b"Doctor" in one for one in sealed)
    assert (await cast.port.load_room(cast.room)).chat_count == 2


async def test_lines_at_the_same_moment_get_numbers_of_their_own(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    lines = await asyncio.gather(
        *(cast.port.store_chat(cast.room, who, f"event-{n:04}", "x") for n in range(6) for who in (doctor, patient))
    )
    assert sorted(line.n for line in lines) == list(range(1, 13))


async def test_a_line_keeps_the_senders_name_of_then(cast: VisitCast) -> None:
    doctor, _ = await open_visit(cast)
    await cast.port.store_chat(cast.room, doctor, "event-0001", "hello")
    async with cast.database.writing() as session:
        await session.execute(update(Participant).where(Participant.id == doctor).values(name="Guest"))
    await cast.port.departed(cast.room, doctor, Departure.LEFT)
    (line,) = await cast.port.load_chat(cast.room, doctor, 0)
    assert (line.name.reveal(), line.role) == ("Dr Ida Weiss", Role.DOCTOR)


async def test_a_guest_reads_only_what_came_after_them(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    await cast.port.store_chat(cast.room, doctor, "event-0001", "before")
    guest = await cast.guest()
    await cast.port.arrived(cast.room, guest, TABLET)
    assert await refusal(cast.port.load_chat(cast.room, guest, 0)) is Code.NOT_ADMITTED
    assert await refusal(cast.port.store_chat(cast.room, guest, "event-0009", "let me in")) is Code.NOT_ADMITTED
    await cast.port.guest_agreed(cast.room, guest, patient, True)
    await cast.port.admitted(cast.room, guest, doctor)
    await cast.port.store_chat(cast.room, doctor, "event-0002", "after")
    assert [line.text.reveal() for line in await cast.port.load_chat(cast.room, guest, 0)] == ["after"]
    assert [line.n for line in await cast.port.load_chat(cast.room, patient, 1)] == [2]


@pytest.mark.parametrize(
    ("text", "code"), [("x" * 4001, Code.TOO_LONG), ("  \n", Code.MALFORMED), ("", Code.MALFORMED)]
)
async def test_a_line_that_cannot_be_taken(cast: VisitCast, text: str, code: Code) -> None:
    doctor, _ = await open_visit(cast)
    assert await refusal(cast.port.store_chat(cast.room, doctor, "event-0001", text)) is code
    assert await count(cast, ChatLine) == 0


# ── Recording ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_asking_twice_at_once_is_one_question(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    first = await cast.port.ask_recording(cast.room, doctor, "teaching")
    assert await cast.port.ask_recording(cast.room, doctor, "teaching") == first
    assert (first.phase, first.question, first.kept) == ("asking", 1, "for 6 months")
    assert first.answer_by == START + timedelta(seconds=60)
    assert await refusal(cast.port.ask_recording(cast.room, doctor, "fun")) is Code.NOT_FOUND
    assert await refusal(cast.port.ask_recording(cast.room, patient, "teaching")) is Code.NOT_ALLOWED


async def test_a_no_may_be_asked_once_more_and_then_stands(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    await say(cast, asked.recording_id, patient, False)
    await cast.port.recording_phase(cast.room, asked.recording_id, "declined", 1)
    again = await cast.port.ask_recording(cast.room, doctor, "teaching")
    assert (again.recording_id, again.question, dict(again.consents)) == (asked.recording_id, 2, {})
    await say(cast, asked.recording_id, patient, False, question=2)
    await cast.port.recording_phase(cast.room, asked.recording_id, "declined", 1)
    assert await refusal(cast.port.ask_recording(cast.room, doctor, "teaching")) is Code.WRONG_PHASE


async def test_answers_are_added_never_changed(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    given = ConsentGiven(
        asked.recording_id, patient, 1, True, others_present="my sister", others_agree=True, given_for="patient"
    )
    await cast.port.record_consent(cast.room, given)
    await cast.port.record_consent(cast.room, given)
    await say(cast, asked.recording_id, patient, False)
    await say(cast, asked.recording_id, patient, False)
    assert await refusal(say(cast, asked.recording_id, patient, True)) is Code.ALREADY_ANSWERED
    async with cast.database.reading() as session:
        rows = list(await session.scalars(select(ConsentAnswer).order_by(ConsentAnswer.n)))
        assert [(row.n, row.answer, row.text_version, row.language) for row in rows] == [
            (1, "yes", 3, "en"),
            (2, "withdrawn", 3, "en"),
        ]
        assert (rows[0].others_present, rows[0].given_for, rows[0].at) == ("my sister", "patient", START)
        assert [row.kind for row in await session.scalars(select(Deletion))] == ["consent_withdrawn"]
    for change in (update(ConsentAnswer).values(answer="yes"), delete(ConsentAnswer)):
        with pytest.raises(DBAPIError):
            async with cast.database.writing() as session:
                await session.execute(change)


async def test_keys_come_only_after_everybodys_newest_yes(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    both = [doctor, patient]
    keys = cast.port.sealing_keys
    assert await refusal(keys(cast.room, asked.recording_id, 1, both)) is Code.CONSENT_MISSING
    await say(cast, asked.recording_id, doctor, True)
    assert await refusal(keys(cast.room, asked.recording_id, 1, both)) is Code.CONSENT_MISSING
    await say(cast, asked.recording_id, patient, True)
    first = await keys(cast.room, asked.recording_id, 1, both)
    assert await keys(cast.room, asked.recording_id, 1, both) == first
    assert (await keys(cast.room, asked.recording_id, 2, both))[patient] != first[patient]
    assert len({key.key for key in first.values()}) == 2
    assert await refusal(keys(cast.room, asked.recording_id, 1, [])) is Code.CONSENT_MISSING
    await cast.port.took_over(cast.room, patient, TABLET)
    assert await refusal(keys(cast.room, asked.recording_id, 1, both)) is Code.CONSENT_MISSING
    await say(cast, asked.recording_id, patient, True)
    assert await keys(cast.room, asked.recording_id, 1, both) == first
    await say(cast, asked.recording_id, patient, False)
    assert await refusal(keys(cast.room, asked.recording_id, 1, both)) is Code.CONSENT_MISSING


async def test_an_earlier_yes_does_not_answer_a_new_question(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    await say(cast, asked.recording_id, doctor, True)
    await say(cast, asked.recording_id, patient, False)
    await cast.port.recording_phase(cast.room, asked.recording_id, "declined", 1)
    await cast.port.ask_recording(cast.room, doctor, "teaching")
    await say(cast, asked.recording_id, patient, True, question=2)
    refused = await refusal(cast.port.sealing_keys(cast.room, asked.recording_id, 1, [doctor, patient]))
    assert refused is Code.CONSENT_MISSING


async def test_a_newcomer_gets_a_time_limit_of_their_own(cast: VisitCast) -> None:
    doctor, _ = await open_visit(cast)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    await cast.port.recording_phase(cast.room, asked.recording_id, "running", 1)
    cast.clock.forward(minutes=10)
    facts = await cast.port.ask_newcomer(cast.room, asked.recording_id)
    cast.clock.forward(seconds=5)
    assert (await cast.port.ask_newcomer(cast.room, asked.recording_id)).answer_by == facts.answer_by
    assert (facts.question, facts.answer_by) == (1, START + timedelta(minutes=11))


async def test_an_ended_recording_never_runs_again(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    for phase in ("starting", "running", "paused", "running", "stopped", "running"):
        await cast.port.recording_phase(cast.room, asked.recording_id, phase, 1)
    facts = (await cast.port.load_room(cast.room)).recording
    assert facts is not None
    assert facts.phase == "stopped"
    assert await entries(cast, AuditAction.RECORDING_STARTED) == 1
    another = await cast.port.ask_recording(cast.room, doctor, "teaching")
    assert another.recording_id != asked.recording_id
    assert await refusal(say(cast, asked.recording_id, patient, True)) is Code.WRONG_PHASE


async def test_the_films_job_is_asked_for_once(cast: VisitCast) -> None:
    doctor, _ = await open_visit(cast)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    await cast.port.recording_phase(cast.room, asked.recording_id, "running", 1)
    log = StoredLog(recording_id=asked.recording_id, segment=1, path="logs/a", bytes=1000, packets=20, complete=True)
    await cast.port.log_stored(log)
    assert await count(cast, Job) == 0, "the recording still runs"
    await cast.port.recording_phase(cast.room, asked.recording_id, "stopped", 1)
    await cast.port.log_stored(log)
    await cast.port.log_stored(log.model_copy(update={"segment": 2, "path": "logs/b"}))
    assert await count(cast, Job, Job.kind == "film", Job.subject == asked.recording_id) == 1
    assert await count(cast, Film, Film.state == "queued") == 1
    assert await refusal(cast.port.log_stored(log.model_copy(update={"recording_id": "x"}))) is Code.NOT_FOUND


# ── The visit ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_emergency_shows_place_and_number_and_writes_the_time_once(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    nothing = await cast.port.emergency(cast.room, doctor)
    assert (nothing.place, nothing.phone, nothing.number, nothing.country) == (None, None, "112", "DE")
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
    assert (contact.number, contact.country, contact.pressed_at) == ("15", "FR", START + timedelta(minutes=5))
    assert await count(cast, EmergencyPress) == 2


async def test_by_phone_shows_the_number_given_at_the_door_first(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    assert await cast.port.by_phone(cast.room, doctor) == "+493023125101"
    async with cast.database.writing() as session:
        session.add(
            VisitCard(
                clinic_id=cast.clinic.id, encounter_id=cast.encounter_id, participant_id=patient, identity="self",
                phone="020 7946 0001", at=START,
            )
        )  # fmt: skip
    assert await cast.port.by_phone(cast.room, doctor) == "020 7946 0001"
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
    ],
)
async def test_the_end_is_one_tap_and_can_be_undone(cast: VisitCast, outcome: Outcome, status: str) -> None:
    doctor, patient = await open_visit(cast)
    await cast.port.ended(cast.room, doctor, outcome)
    await cast.port.ended(cast.room, doctor, outcome)
    assert (await cast.port.load_room(cast.room)).outcome is outcome
    assert await cast.appointment_status() == status
    assert (await cast.participant(patient)).reason == "visit_ended"
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
    assert await refusal(cast.port.reopened(cast.room, doctor)) is Code.WRONG_PHASE
