"""The room's port, on both engines: lines of chat, the question, its answers, the keys, the film's job."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from media.api import StoredLog
from server.audit import AuditAction, Deletion
from server.encounters.models import ChatLine, Participant
from server.encounters.recording_models import ConsentAnswer, Film
from server.jobs.models import Job
from signaling.ports import ConsentGiven
from signaling.words import (
    Code,
    Departure,
    Role,
    SessionId,
)
from tests.server.encounters.port import count, entries, open_visit, refusal, say
from tests.server.visits import START, VisitCast

TABLET = SessionId("another-browser")


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


async def test_c60_answers_are_added_never_changed(cast: VisitCast) -> None:
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


async def test_c60_keys_come_only_after_everybodys_newest_yes(cast: VisitCast) -> None:
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


@pytest.mark.parametrize("way", ["sent back", "left"])
async def test_a_yes_ends_when_its_giver_goes_and_the_next_one_is_stored_as_its_own(cast: VisitCast, way: str) -> None:
    doctor, patient = await open_visit(cast)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    for who in (doctor, patient):
        await say(cast, asked.recording_id, who, True)
    await cast.port.recording_phase(cast.room, asked.recording_id, "running", 1)
    if way == "left":
        await cast.port.departed(cast.room, patient, Departure.LEFT)
        await cast.port.arrived(cast.room, patient, TABLET)
    else:
        await cast.port.back_to_waiting(cast.room, patient, doctor)
    for _ in range(2):
        await cast.port.admitted(cast.room, patient, doctor)
    facts = (await cast.port.load_room(cast.room)).recording
    assert facts is not None
    assert dict(facts.consents) == {doctor: True}, "a room rebuilt now has not heard from the patient"
    await say(cast, asked.recording_id, patient, True)
    async with cast.database.reading() as session:
        query = select(ConsentAnswer.answer).where(ConsentAnswer.participant_id == patient).order_by(ConsentAnswer.n)
        assert list(await session.scalars(query)) == ["yes", "lapsed", "yes"]


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
    assert (facts.question, facts.answer_by) == (1, START + timedelta(minutes=11))
    cast.clock.forward(seconds=58)
    later = await cast.port.ask_newcomer(cast.room, asked.recording_id)
    assert later.answer_by == START + timedelta(minutes=11, seconds=58), "not what is left of somebody else's"


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
