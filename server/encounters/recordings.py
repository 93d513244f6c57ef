"""A visit's recording as the database has it: the question, the answers, the keys, how far it went, the logs that came.

Runs in the caller's transaction. What becomes of the logs is `films.py`; capture itself is the node's.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.api import SealingKey, StoredLog
from server import audit
from server.audit import AuditAction, DeletionKind
from server.db import new_id
from server.encounters import asking, films, keeping, proxyscopes, rules, texts, wordings
from server.encounters.models import Encounter, Participant
from server.encounters.recording_models import ConsentAnswer, Recording, SegmentKey
from server.encounters.recording_models import StoredLog as StoredLogRow
from server.encounters.rules import Answered, Ask
from server.encounters.strangers import strangers_until
from server.errors import DomainError, not_found
from server.permissions import ProxyScope
from server.vault import KEY_BYTES, ClinicVault
from signaling.ports import ConsentGiven, RecordingFacts
from signaling.words import Code, ParticipantId, RecordingId, Role

Detail = Mapping[str, str | int | bool | None]

AUDITED = {"yes": AuditAction.CONSENT_GIVEN, "withdrawn": AuditAction.CONSENT_WITHDRAWN}
STARTED = AuditAction.RECORDING_STARTED
STOPPED = AuditAction.RECORDING_STOPPED


# ── Asking and answering ─────────────────────────────────────────────────────────────────────────────────────────


async def ask(session: AsyncSession, encounter: Encounter, by: Participant, purpose: str, now: datetime) -> Recording:
    """A new recording, or the question once more. Raises not_allowed, not_found (purpose), wrong_phase."""
    if by.role != Role.DOCTOR or by.is_closed:
        raise DomainError(Code.NOT_ALLOWED)
    if rules.room_phase(encounter.status) == "ended" or encounter.by_phone:
        raise DomainError(Code.WRONG_PHASE)
    why = await wordings.get_purpose(session, encounter.clinic_id, purpose)
    days = await asking.days_kept(session, why)
    newest = await load_newest(session, encounter)
    step = rules.ask(newest.phase, newest.question, newest.answer_by, now) if newest else rules.ask(None, 0, None, now)
    if step is Ask.REFUSE:
        raise DomainError(Code.WRONG_PHASE, "Everybody has been asked twice, or it is recorded already.")
    if newest is not None and step is Ask.SAME:
        return newest
    text = await texts.load_text(session, encounter.clinic_id, texts.RECORDING_CONSENT)
    if text is None:
        raise DomainError(Code.NOT_FOUND, "The clinic has not written the words of this question yet.")
    if newest is None or step is Ask.NEW:
        newest = Recording(
            clinic_id=encounter.clinic_id,
            id=new_id(),
            encounter_id=encounter.id,
            n=await _count(session, encounter) + 1,
            question=0,
            segment=1,
            created_at=now,
        )
        session.add(newest)
    newest.phase, newest.code, newest.question = "asking", None, newest.question + 1
    newest.purpose, newest.text_id, newest.asked_by = why.code, text.id, by.id
    newest.asked_at, newest.answer_by = now, now + rules.ANSWER_WITHIN
    newest.delete_at = now + timedelta(days=days)
    await session.flush()
    detail: Detail = {"encounter": encounter.id, "purpose": why.code, "question": newest.question}
    await _enter(session, newest, AuditAction.RECORDING_ASKED, by, now=now, detail=detail)
    return newest


async def ask_newcomer(session: AsyncSession, recording: Recording, now: datetime) -> None:
    """The same question with a new time limit: whoever is asked last has all of it, and nobody has less."""
    if recording.phase in rules.FINAL_PHASES:
        raise DomainError(Code.WRONG_PHASE)
    recording.answer_by = now + rules.ANSWER_WITHIN


async def ask_again(session: AsyncSession, recording: Recording, person: Participant, now: datetime) -> None:
    """Somebody came in beside this person: what they said before counts no longer."""
    await ask_newcomer(session, recording, now)
    await _lapse(session, recording, person, now)


async def record_consent(
    session: AsyncSession, recording: Recording, person: Participant, given: ConsentGiven, now: datetime
) -> None:
    """Appends the answer; the same one again changes nothing. Raises already_answered, wrong_phase."""
    if given.yes and person.role == Role.PROXY:
        await _check_proxy(session, recording, person, given, now)
    before = (await load_answers(session, recording)).get(person.id)
    if rules.is_repeated(before, question=given.question, yes=given.yes):
        return
    if not rules.may_answer(before, question=given.question, asked=recording.question, yes=given.yes):
        raise DomainError(Code.ALREADY_ANSWERED)
    if given.yes and recording.phase in rules.FINAL_PHASES:
        raise DomainError(Code.WRONG_PHASE)
    word = rules.answer_word(yes=given.yes, unanswered=given.unanswered, before=before)
    await _append(session, recording, person, given, word=word, now=now)
    action = AUDITED.get(word, AuditAction.CONSENT_REFUSED)
    await _enter(session, recording, action, person, now=now, detail={"question": given.question, "answer": word})
    if word == "withdrawn":
        await audit.record_deletion(
            session,
            clinic_id=recording.clinic_id,
            kind=DeletionKind.CONSENT_WITHDRAWN,
            subject=("recording", recording.id),
            now=now,
        )


async def _check_proxy(
    session: AsyncSession, recording: Recording, person: Participant, given: ConsentGiven, now: datetime
) -> None:
    """Who acts for the patient agrees for them where they may; else the patient must be there to say it themself."""
    if ProxyScope.CONSENT in await proxyscopes.scopes_at(session, person, now):
        return
    patients = select(Participant.id).where(
        Participant.clinic_id == recording.clinic_id,
        Participant.encounter_id == recording.encounter_id,
        Participant.role == Role.PATIENT.value,
        Participant.state == "admitted",
    )
    if given.given_for == "patient" or await session.scalar(patients.limit(1)) is None:
        raise DomainError(Code.NOT_ALLOWED, "You may not agree to a recording for the patient. Nothing is recorded.")


async def lapse(session: AsyncSession, encounter: Encounter, person: Participant, now: datetime) -> None:
    """A person's answer counts no longer: they came in anew, or another device holds the place, and are asked again."""
    recording = await load_newest(session, encounter)
    if recording is not None and recording.phase not in rules.FINAL_PHASES:
        await _lapse(session, recording, person, now)


async def _lapse(session: AsyncSession, recording: Recording, person: Participant, now: datetime) -> None:
    before = (await load_answers(session, recording)).get(person.id)
    if before is None or before.answer == "lapsed":
        return
    nothing = ConsentGiven(RecordingId(recording.id), ParticipantId(person.id), recording.question, yes=False)
    await _append(session, recording, person, nothing, word="lapsed", now=now)


async def _append(
    session: AsyncSession, recording: Recording, person: Participant, given: ConsentGiven, *, word: str, now: datetime
) -> None:
    text = await asking.get_text(session, recording, given.language)
    count = select(func.count()).select_from(ConsentAnswer).where(*_answers_of(recording, person.id))
    session.add(
        ConsentAnswer(
            clinic_id=recording.clinic_id,
            recording_id=recording.id,
            participant_id=person.id,
            n=(await session.scalar(count) or 0) + 1,
            question=given.question,
            answer=word,
            others_present=given.others_present,
            others_agree=given.others_agree,
            given_for=given.given_for,
            text_id=text.id,
            text_version=text.version,
            language=text.language,
            session_id=person.session_id,
            at=now,
        )
    )
    await session.flush()


# ── Keys and phases ──────────────────────────────────────────────────────────────────────────────────────────────


async def sealing_keys(
    session: AsyncSession,
    recording: Recording,
    segment: int,
    people: Sequence[str],
    *,
    vault: ClinicVault,
    now: datetime,
) -> dict[ParticipantId, SealingKey]:
    """A data key for each, the same when asked again. Raises consent_missing unless everybody named said yes."""
    answers = await load_answers(session, recording)
    if recording.phase in rules.FINAL_PHASES or not rules.all_said_yes(answers, recording.question, people):
        raise DomainError(Code.CONSENT_MISSING)
    keys = {}
    for person_id in sorted(set(people)):
        identity = (recording.clinic_id, recording.id, segment, person_id)
        stored = await session.get(SegmentKey, identity)
        name = key_name(recording.id, segment, person_id)
        if stored is None:
            key = os.urandom(KEY_BYTES)
            stored = SegmentKey(
                clinic_id=recording.clinic_id,
                recording_id=recording.id,
                segment=segment,
                participant_id=person_id,
                wrapped=vault.wrap_key(name, key),
                created_at=now,
            )
            session.add(stored)
        else:
            key = vault.unwrap_key(name, stored.wrapped)
        keys[ParticipantId(person_id)] = SealingKey(key=_text(key), wrapped=_text(stored.wrapped))
    await session.flush()
    return keys


def key_name(recording_id: str, segment: int, participant_id: str) -> str:
    """What a segment's wrapped key is bound to."""
    return f"segment/{recording_id}/{segment}/{participant_id}"


async def set_phase(
    session: AsyncSession, recording: Recording, phase: str, *, segment: int, code: str | None, now: datetime
) -> None:
    """How far it is. An ended recording never moves again; ending one asks for its film."""
    recording.segment = max(recording.segment, segment)
    if phase == recording.phase == "paused":
        recording.code = code
    if not rules.follows(recording.phase, phase):
        return
    first_run = phase == "running" and recording.phase not in rules.CAPTURED_PHASES
    recording.phase, recording.code = phase, code
    if phase != "asking":
        recording.answer_by = None if phase != "paused" else recording.answer_by
    if phase == "paused":
        await _enter(session, recording, AuditAction.RECORDING_PAUSED, None, now=now, detail={"code": code})
    if first_run:
        await _enter(session, recording, STARTED, None, now=now, detail={"segment": segment})
    if phase in ("stopped", "failed"):
        await _enter(session, recording, STOPPED, None, now=now, detail={"segment": segment, "code": code})
        await films.expect(session, recording, now)


async def end_strangers(session: AsyncSession, encounter: Encounter, now: datetime) -> None:
    """Somebody who was not the patient is shut out: what they were asked, or what runs, has ended with them."""
    recording = await load_newest(session, encounter)
    if recording is not None and recording.phase not in rules.FINAL_PHASES:
        phase = "declined" if recording.phase == "asking" else "stopped"
        await set_phase(session, recording, phase, segment=recording.segment, code="wrong_person", now=now)


async def log_stored(
    session: AsyncSession, encounter: Encounter, recording: Recording, log: StoredLog, now: datetime
) -> None:
    """A closed log lies in the store. Told twice is told once: each server that starts hears again what nodes keep.

    Where the logs were let go, or all of it is deleted, it is taken away and nothing else changes. A visit that is
    over has no room left to say that its recording stopped, if the servers died at its end: the log says it.
    """
    if recording.logs_deleted_at is None and recording.deleted_at is None:
        if await session.get(StoredLogRow, (recording.clinic_id, recording.id, log.path)) is not None:
            return
        _add_log(session, recording, log, now)
        await session.flush()
    await keeping.log_came(session, recording, now)
    if recording.phase in rules.FINAL_PHASES:
        await films.expect(session, recording, now)
    elif rules.room_phase(encounter.status) == "ended":
        await set_phase(session, recording, "stopped", segment=log.segment, code="visit_ended", now=now)


def _add_log(session: AsyncSession, recording: Recording, log: StoredLog, now: datetime) -> None:
    session.add(
        StoredLogRow(
            clinic_id=recording.clinic_id,
            recording_id=recording.id,
            path=log.path,
            segment=log.segment,
            bytes=log.bytes,
            packets=log.packets,
            is_complete=log.complete,
            stored_at=now,
        )
    )


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def load_facts(session: AsyncSession, encounter: Encounter) -> RecordingFacts | None:
    """The visit's newest recording as the room sees it."""
    recording = await load_newest(session, encounter)
    return await facts_of(session, recording) if recording else None


async def facts_of(session: AsyncSession, recording: Recording) -> RecordingFacts:
    own, wordings = await asking.load_wordings(session, recording)
    answers = rules.standing(await load_answers(session, recording), recording.question)
    return RecordingFacts(
        recording_id=RecordingId(recording.id),
        phase=recording.phase,  # type: ignore[arg-type]  # a check constraint keeps it to these words
        question=recording.question,
        purpose=own.purpose,
        who_may_watch=own.who_may_watch,
        kept=own.kept,
        consent_text=own.consent_text,
        asked_by=ParticipantId(recording.asked_by),
        answer_by=recording.answer_by,
        segment=recording.segment,
        code=recording.code,
        consents={ParticipantId(person): yes for person, yes in answers.items()},
        wordings=wordings,
    )


async def load_newest(session: AsyncSession, encounter: Encounter) -> Recording | None:
    """None that somebody who was not the patient was asked about: the patient is asked as if for the first time."""
    query = select(Recording).where(Recording.clinic_id == encounter.clinic_id, Recording.encounter_id == encounter.id)
    if until := await strangers_until(session, encounter):
        query = query.where(Recording.created_at > until)
    return (await session.scalars(query.order_by(Recording.n.desc()).limit(1))).first()


async def _count(session: AsyncSession, encounter: Encounter) -> int:
    query = select(func.max(Recording.n)).where(
        Recording.clinic_id == encounter.clinic_id, Recording.encounter_id == encounter.id
    )
    return await session.scalar(query) or 0


async def get_recording(session: AsyncSession, recording_id: str, *, encounter: Encounter | None = None) -> Recording:
    """Raises not_found, also for one of another visit."""
    query = select(Recording).where(Recording.id == recording_id)
    if encounter is not None:
        query = query.where(Recording.clinic_id == encounter.clinic_id, Recording.encounter_id == encounter.id)
    found = (await session.scalars(query)).one_or_none()
    if found is None:
        raise not_found()
    return found


async def load_answers(session: AsyncSession, recording: Recording) -> Mapping[str, Answered]:
    """Each person's newest answer."""
    query = select(ConsentAnswer).where(*_answers_of(recording)).order_by(ConsentAnswer.n)
    return {one.participant_id: Answered(one.question, one.answer) for one in await session.scalars(query)}


async def load_said(session: AsyncSession, encounter: Encounter) -> list[tuple[Participant, ConsentAnswer]]:
    """Every answer about recording in its order, and whose; none of a stranger who had the patient's link."""
    strangers = and_(Participant.role == Role.PATIENT, Participant.is_closed.is_(True))
    query = (
        select(Participant, ConsentAnswer)
        .join_from(
            ConsentAnswer,
            Recording,
            and_(Recording.clinic_id == ConsentAnswer.clinic_id, Recording.id == ConsentAnswer.recording_id),
        )
        .join(
            Participant,
            and_(Participant.clinic_id == ConsentAnswer.clinic_id, Participant.id == ConsentAnswer.participant_id),
        )
        .where(Recording.clinic_id == encounter.clinic_id, Recording.encounter_id == encounter.id, ~strangers)
    )
    rows = await session.execute(query.order_by(ConsentAnswer.at, ConsentAnswer.n))
    return [(person, answer) for person, answer in rows]


def _answers_of(recording: Recording, participant_id: str | None = None) -> list[ColumnElement[bool]]:
    clauses = [ConsentAnswer.clinic_id == recording.clinic_id, ConsentAnswer.recording_id == recording.id]
    if participant_id is not None:
        clauses.append(ConsentAnswer.participant_id == participant_id)
    return clauses


async def _enter(
    session: AsyncSession,
    recording: Recording,
    action: AuditAction,
    person: Participant | None,
    *,
    now: datetime,
    detail: Detail,
) -> None:
    await audit.enter(
        session,
        clinic_id=recording.clinic_id,
        actor_person_id=person.person_id if person else None,
        actor_participation_id=person.id if person else None,
        action=action,
        subject=("recording", recording.id),
        detail=detail,
        now=now,
    )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
