"""What somebody may still say of a recording that is over: a yes taken back, kept or deleted, and the clinic's answer.

What a wish leads to is `keeping.py`; the pages are `withdrawviews.py`. In the visit itself the room asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.service import person_names
from server.encounters import asking, films, keeping, recordings, rules
from server.encounters.keeping_models import RecordingWish
from server.encounters.models import Encounter, Participant
from server.encounters.recording_models import ConsentAnswer, Recording
from server.errors import DomainError, not_found
from server.scheduling.wording import when
from signaling.ports import ConsentGiven
from signaling.words import Code, ParticipantId, RecordingId, Role


@dataclass(frozen=True, slots=True)
class Offer:
    """One recording, as whoever said yes to it may still decide about it."""

    recording_id: str
    visit: dict[str, str]
    purpose: str
    until: dict[str, str]
    is_withdrawn: bool
    is_deleted: bool
    is_only_whole: bool
    """Its packets are gone: the film can't be made again without one person."""
    is_request: bool
    """A wish to delete is answered by a person."""
    choice: Literal["keep", "delete_mine", "delete_all"] | None = None
    state: Literal["done", "asked", "granted", "refused"] | None = None
    reason: str = ""
    answered_by: str = ""

    @property
    def may_choose(self) -> bool:
        if self.is_deleted or self.state == "asked":
            return False
        return self.choice in (None, "keep") or self.state == "refused"


async def load_offers(session: AsyncSession, encounter: Encounter, person: Participant, language: str) -> list[Offer]:
    """The recordings that are over and that this person once said yes to, the newest first."""
    said_yes = select(ConsentAnswer.recording_id).where(
        ConsentAnswer.clinic_id == person.clinic_id,
        ConsentAnswer.participant_id == person.id,
        ConsentAnswer.answer == "yes",
    )
    query = select(Recording).where(
        Recording.clinic_id == encounter.clinic_id,
        Recording.encounter_id == encounter.id,
        Recording.id.in_(said_yes),
        Recording.phase.in_(("stopped", "failed")),
    )
    found = await session.scalars(query.order_by(Recording.n.desc()))
    return [
        await _offer(session, encounter, one, person, language) for one in found if await _holds_anything(session, one)
    ]


async def _holds_anything(session: AsyncSession, recording: Recording) -> bool:
    """Whether something was recorded; what was deleted is told as that."""
    film = await films.load_film(session, recording)
    return recording.deleted_at is not None or film is None or film.state != "empty"


async def load_offers_of_patient(session: AsyncSession, clinic_id: str, patient_id: str, language: str) -> list[Offer]:
    """Of all their visits, the newest first."""
    query = (
        select(Encounter, Participant)
        .join(
            Participant,
            (Participant.clinic_id == Encounter.clinic_id) & (Participant.encounter_id == Encounter.id),
        )
        .where(Encounter.clinic_id == clinic_id, *_own_place(patient_id))
        .order_by(Encounter.created_at.desc())
    )
    offers: list[Offer] = []
    for encounter, person in (await session.execute(query)).all():
        offers += await load_offers(session, encounter, person, language)
    return offers


async def get_own_place(session: AsyncSession, clinic_id: str, patient_id: str, recording: Recording) -> Participant:
    """The patient's place in the visit of this recording. Raises not_found for a visit of somebody else."""
    query = (
        select(Participant)
        .join(Encounter, (Encounter.clinic_id == Participant.clinic_id) & (Encounter.id == Participant.encounter_id))
        .where(Encounter.clinic_id == clinic_id, Encounter.id == recording.encounter_id, *_own_place(patient_id))
    )
    found = (await session.scalars(query)).first()
    if found is None:
        raise not_found()
    return found


async def choose(
    session: AsyncSession, recording: Recording, person: Participant, choice: str, now: datetime
) -> Literal["done", "asked"]:
    """Deleting takes back a yes that still stands. Raises not_found without one, wrong_phase while it is recorded."""
    if recording.phase not in rules.FINAL_PHASES:
        raise DomainError(Code.WRONG_PHASE)
    before = (await recordings.load_answers(session, recording)).get(person.id)
    if before is None or before.answer not in ("yes", "withdrawn"):
        raise not_found()
    if before.answer == "yes":
        if choice == "keep":
            return "done"
        text = await _language_of_yes(session, recording, person)
        given = ConsentGiven(
            RecordingId(recording.id), ParticipantId(person.id), before.question, yes=False, language=text
        )
        await recordings.record_consent(session, recording, person, given, now)
        before = (await recordings.load_answers(session, recording))[person.id]
    return await keeping.choose(session, recording, person, choice, before=before, now=now)


async def _language_of_yes(session: AsyncSession, recording: Recording, person: Participant) -> str:
    """In which language they had agreed: what is taken back is that."""
    query = select(ConsentAnswer.language).where(
        ConsentAnswer.clinic_id == person.clinic_id,
        ConsentAnswer.recording_id == recording.id,
        ConsentAnswer.participant_id == person.id,
    )
    return (await session.scalars(query.order_by(ConsentAnswer.n.desc()).limit(1))).one()


def _own_place(patient_id: str) -> tuple[ColumnElement[bool], ...]:
    return (Encounter.patient_id == patient_id, Participant.role == Role.PATIENT, Participant.is_closed.is_(False))


async def _offer(
    session: AsyncSession, encounter: Encounter, recording: Recording, person: Participant, language: str
) -> Offer:
    answer = (await recordings.load_answers(session, recording)).get(person.id)
    wishes = [one for one in await keeping.load_wishes(session, recording) if one.participant_id == person.id]
    wish: RecordingWish | None = wishes[-1] if wishes else None
    names = await person_names(session, {wish.answered_by}) if wish is not None and wish.answered_by else {}
    wording = (await asking.load_question(session, recording)).wording(language)
    return Offer(
        recording_id=recording.id,
        visit=when(recording.created_at, encounter.zone, language),
        purpose=wording.purpose,
        until=when(recording.delete_at, encounter.zone, language),
        is_withdrawn=answer is not None and answer.answer == "withdrawn",
        is_deleted=recording.deleted_at is not None,
        is_only_whole=recording.logs_deleted_at is not None,
        is_request=await keeping.why_asked(session, recording) is not None,
        choice=wish.choice if wish is not None else None,  # type: ignore[arg-type]  # check constraints keep both
        state=wish.state if wish is not None else None,  # type: ignore[arg-type]  # to these words
        reason=wish.reason if wish is not None and wish.answered_by is not None else "",
        answered_by=names.get(wish.answered_by or "", "") if wish is not None else "",
    )
