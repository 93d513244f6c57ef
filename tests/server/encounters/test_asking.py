"""Each is asked in the language of the door they came through, and what they agreed to is kept in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import policies
from server.db import new_id
from server.encounters import recordings, texts, visits
from server.encounters.asking import kept_words
from server.encounters.models import ClinicText, Encounter, Participant
from server.encounters.recording_models import ConsentAnswer, PurposeWords, Recording, RecordingPurpose
from signaling.ports import ConsentGiven
from signaling.words import ParticipantId, Role
from tests.server.encounters.port import open_visit
from tests.server.encounters.test_door_languages import ENGLISH, GERMAN
from tests.server.visits import START, House, VisitCast

ENGLISH_WORDS, GERMAN_WORDS = "May we record this visit?", "Dürfen wir aufzeichnen?"


async def write_german(cast: VisitCast, text: str = GERMAN_WORDS, version: int = 4, later_s: int = 0) -> None:
    async with cast.database.writing() as session:
        session.add(
            ClinicText(
                clinic_id=cast.clinic.id, id=new_id(), kind=texts.RECORDING_CONSENT, language="de", version=version,
                text=text, created_at=START + timedelta(seconds=later_s),
            )
        )  # fmt: skip


async def translate_purpose(cast: VisitCast) -> None:
    async with cast.database.writing() as session:
        session.add(
            PurposeWords(
                clinic_id=cast.clinic.id, code="teaching", language="de", words="Zum Lernen",
                who_may_watch="Ärztinnen und Ärzte hier",
            )
        )  # fmt: skip


async def reads(cast: VisitCast, who: ParticipantId, language: str | None) -> None:
    async with cast.database.writing() as session:
        place = await session.get(Participant, (cast.clinic.id, who))
        assert place is not None
        place.language = language


async def answers(cast: VisitCast) -> list[tuple[str, str, int]]:
    async with cast.database.reading() as session:
        rows = await session.scalars(select(ConsentAnswer).order_by(ConsentAnswer.at, ConsentAnswer.n))
        return [(one.answer, one.language, one.text_version) for one in rows]


async def test_each_reads_the_question_in_their_language_and_agrees_to_those_very_words(cast: VisitCast) -> None:
    await write_german(cast)
    await translate_purpose(cast)
    doctor, patient = await open_visit(cast)
    await reads(cast, patient, "de")
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    said, own = asked.wordings[patient], asked.wordings[doctor]
    assert (said.consent_text, said.purpose, said.kept) == (GERMAN_WORDS, "Zum Lernen", "6 Monate lang")
    assert (own.consent_text, own.purpose, own.kept) == (ENGLISH_WORDS, "To teach young doctors", "for 6 months")
    await write_german(cast, "Neue Worte", version=5, later_s=9)
    cast.clock.forward(seconds=10)
    await cast.port.record_consent(
        cast.room, ConsentGiven(asked.recording_id, patient, 1, True, language=said.language)
    )
    assert await answers(cast) == [("yes", "de", 4)], "nobody agreed to words that were written afterwards"
    facts = (await cast.port.ask_newcomer(cast.room, asked.recording_id)).wordings[patient]
    assert facts == said, "the question that stands keeps its words"


@pytest.mark.parametrize("language", ["fr", "", None, "de-AT"])
async def test_a_language_nobody_wrote_falls_back_to_the_clinics(cast: VisitCast, language: str | None) -> None:
    doctor, patient = await open_visit(cast)
    await reads(cast, patient, language)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    said = asked.wordings[patient]
    assert (said.consent_text, said.purpose, said.language) == (ENGLISH_WORDS, "To teach young doctors", "en")
    given = ConsentGiven(asked.recording_id, patient, 1, True, language="<nothing>")
    await cast.port.record_consent(cast.room, given)
    assert await answers(cast) == [("yes", "en", 3)]


@pytest.mark.parametrize(("headers", "words"), [(GERMAN, GERMAN_WORDS), (ENGLISH, ENGLISH_WORDS)])
async def test_the_door_decides_in_which_language_a_person_is_asked(
    house: House, headers: dict[str, str], words: str
) -> None:
    cast = house.cast
    await write_german(cast)
    await house.browser().post(f"/v/{await cast.link()}", {"identity": "self"}, headers=headers)
    doctor, patient = await cast.place(Role.DOCTOR), await cast.place(Role.PATIENT)
    await cast.port.admitted(cast.room, patient, doctor)
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")
    assert asked.wordings[patient].consent_text == words
    assert asked.wordings[doctor].consent_text == ENGLISH_WORDS


@pytest.mark.parametrize(
    ("days", "languages", "words"),
    [
        (1, ("en",), "for 1 day"),
        (1, ("de",), "1 Tag lang"),
        (90, ("de-CH",), "3 Monate lang"),
        (365, ("de",), "1 Jahr lang"),
        (3650, (None, "tlh"), "for 10 years"),
    ],
)
def test_how_long_it_is_kept_is_said_in_their_language(
    days: int, languages: tuple[str | None, ...], words: str
) -> None:
    assert kept_words(days, *languages) == words


async def test_what_is_part_of_the_record_is_kept_as_long_as_the_record_and_as_was_promised(cast: VisitCast) -> None:
    async with cast.database.writing() as session:
        purpose = await session.get_one(RecordingPurpose, (cast.clinic.id, "teaching"))
        purpose.is_record, purpose.is_teaching = True, False
    doctor, _ = await open_visit(cast)
    facts = await cast.port.ask_recording(cast.room, doctor, "teaching")
    assert facts.kept == "for 10 years"
    async with cast.database.writing() as session:
        before = await policies.load(session, cast.clinic.id)
        decided = replace(before, notes_kept_years=30)
        await policies.decide(session, cast.clinic.id, decided, by_person_id=None, now=START)
        [recording] = await session.scalars(select(Recording))
        assert recording.delete_at == START + timedelta(days=3650)
        assert (await recordings.facts_of(session, recording)).kept == "for 10 years", "what was promised stands"
        later = await recordings.ask(session, *await asking_doctor(session, cast, doctor), "teaching", START)
        assert later.question == 1, "the same question, with the same promise"
        recording.phase = "stopped"
    assert (await cast.port.ask_recording(cast.room, doctor, "teaching")).kept == "for 30 years"


async def asking_doctor(session: AsyncSession, cast: VisitCast, doctor: ParticipantId) -> tuple[Encounter, Participant]:
    encounter = await visits.get_encounter(session, cast.room)
    return encounter, await visits.get_participant(session, encounter, doctor)
