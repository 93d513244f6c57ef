"""What each person of a visit is asked about a recording: in the language of the door they came through.

That they are asked, and what they answered, is `recordings.py`; the wordings themselves are written in `wordings.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import policies
from server.accounts.models import Patient
from server.accounts.service import get_clinic
from server.encounters import rules, texts
from server.encounters.models import ClinicText, Encounter, Participant
from server.encounters.recording_models import PurposeWords, Recording, RecordingPurpose
from server.errors import not_found
from server.languages import SOURCE, choose, shipped
from signaling.ports import Wording
from signaling.words import ParticipantId, Role


@dataclass(frozen=True, slots=True)
class Question:
    """A recording's question in every language that the clinic has written it in."""

    purpose: RecordingPurpose
    translated: Mapping[str, PurposeWords]
    wordings: Sequence[ClinicText]
    language: str
    """The clinic's."""
    kept_days: int
    """As was promised when it was asked."""

    def wording(self, *languages: str | None) -> Wording:
        """Each part in the first of these languages that it is written in, else in the clinic's. Raises not_found."""
        text = texts.wording_for((*languages, self.language), self.wordings)
        if text is None:
            raise not_found()
        best = choose((*languages, self.language), {*self.translated, self.language})
        purpose = self.translated.get(best or "", self.purpose)
        return Wording(
            purpose=purpose.words,
            who_may_watch=purpose.who_may_watch,
            kept=kept_words(self.kept_days, *languages, self.language),
            consent_text=text.text,
            language=text.language,
        )


async def load_question(session: AsyncSession, recording: Recording) -> Question:
    """As it stood when it was asked: what is written later was read by nobody. Raises not_found."""
    purpose = await session.get(RecordingPurpose, (recording.clinic_id, recording.purpose))
    if purpose is None:
        raise not_found()
    rows = select(PurposeWords).where(
        PurposeWords.clinic_id == recording.clinic_id, PurposeWords.code == recording.purpose
    )
    wordings = await texts.load_texts(session, recording.clinic_id, texts.RECORDING_CONSENT)
    # Of two servers one may be a little ahead: the wording that was asked with is never too new.
    until = max([recording.asked_at, *(one.created_at for one in wordings if one.id == recording.text_id)])
    return Question(
        purpose=purpose,
        translated={one.language: one for one in await session.scalars(rows)},
        wordings=[one for one in wordings if one.created_at <= until],
        language=(await get_clinic(session, recording.clinic_id)).language,
        kept_days=(recording.delete_at - recording.asked_at).days,
    )


async def days_kept(session: AsyncSession, purpose: RecordingPurpose) -> int:
    """From now on: what is part of the record as long as the record itself, all else as its purpose says."""
    if not purpose.is_record:
        return purpose.kept_days
    policy = await policies.load_policy(session, purpose.clinic_id)
    return rules.DAYS_OF_A_YEAR * policy.notes_kept_years


async def load_wordings(session: AsyncSession, recording: Recording) -> tuple[Wording, dict[ParticipantId, Wording]]:
    """The clinic's own wording, and that of everybody who has a place in the visit. Raises not_found."""
    question = await load_question(session, recording)
    encounter = await session.get_one(Encounter, (recording.clinic_id, recording.encounter_id))
    patient = await session.get_one(Patient, (recording.clinic_id, encounter.patient_id))
    people = select(Participant).where(
        Participant.clinic_id == recording.clinic_id, Participant.encounter_id == recording.encounter_id
    )
    said = {
        ParticipantId(one.id): question.wording(one.language, patient.language if one.role == Role.PATIENT else None)
        for one in await session.scalars(people)
    }
    return question.wording(), said


async def get_text(session: AsyncSession, recording: Recording, language: str) -> ClinicText:
    """The very words that were read by whoever was asked in this language; without one, in the clinic's."""
    if language:
        for text in (await load_question(session, recording)).wordings:
            if text.language == language:
                return text
    return await session.get_one(ClinicText, (recording.clinic_id, recording.text_id))


def kept_words(days: int, *languages: str | None) -> str:
    """How long it is kept, in the first of these languages that sentences are shipped in."""
    number, unit = rules.days_in_words(days)
    catalogues = shipped()
    ngettext = catalogues[choose(languages, catalogues) or SOURCE].sentences.ngettext
    words = {
        "days": ngettext("for %(num)s day", "for %(num)s days", number),
        "months": ngettext("for %(num)s month", "for %(num)s months", number),
        "years": ngettext("for %(num)s year", "for %(num)s years", number),
    }
    return words[unit] % {"num": number}
