"""What a patient asked for and a person decides: seeing what is withheld, having a note erased. With a due date.

Whose turn it is: a doctor of the visit for what is withheld, the privacy officer for erasing (`erasing.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit import AuditAction
from server.context import ClinicScope
from server.db import new_id
from server.encounters import films, redacting
from server.encounters.events import FilmGranted
from server.encounters.keeping_models import RecordingHold
from server.encounters.models import Encounter, Participant
from server.encounters.recording_models import Film, FilmGrant, FilmRedaction, SegmentKey
from server.encounters.rules import STRANGER, parse_stretches
from server.errors import DomainError, not_found
from server.records import release, rules, service
from server.records.events import NoteReleased
from server.records.models import Note, NoteHold, NoteVersion, NoteWithdrawal
from server.records.rights_models import RecordRequest
from server.records.service import Writing
from server.scheduling.models import Appointment
from server.vault import ClinicVault
from signaling.words import N_, Code, Role

DUE = timedelta(days=30)
"""The month in which a request of this kind is answered (GDPR Art. 12 (3))."""
REFUSALS = {
    "harm": N_("It could do serious harm"),
    "another_person": N_("It would tell about another person"),
    "law": N_("The law or a court forbids it"),
}
ERASURE_REFUSALS = {
    "kept_by_law": N_("The law wants it kept for longer"),
    "claims": N_("It may be needed for a legal claim"),
    "held": N_("A hold stands on the record"),
}
WHY = {**REFUSALS, **ERASURE_REFUSALS}


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """A request as it is shown, with the words that stand in a redacted note's place, or how far a redacted film is."""

    row: RecordRequest
    starts_at: datetime
    zone: str
    text: str | None
    film_state: str | None = None
    """Of a recording with stretches taken out: asked, ready, failed, gone."""
    is_withdrawn: bool = False
    """The note was taken back as entered in error since: nothing that was given in its place is read either."""


async def ask_for_withheld(session: AsyncSession, clinic: ClinicScope, patient_id: str, now: datetime) -> None:
    """A copy was asked for: what it leaves out goes to those who decide, each once."""
    for kind, subject_id, encounter_id in await _withheld(session, clinic.id, patient_id):
        await _add(session, clinic, ("see", patient_id, kind, subject_id, encounter_id), now)


async def ask_to_erase(
    session: AsyncSession, clinic: ClinicScope, patient_id: str, note_id: str, now: datetime
) -> None:
    """Of a signed note of this patient that is not erased. Raises not_found, already_answered."""
    note = await session.get(Note, (clinic.id, note_id))
    if note is None or note.patient_id != patient_id or note.signed_at is None or note.released_at is None:
        raise not_found()
    if not await _add(session, clinic, ("erase", patient_id, "note", note.id, note.encounter_id), now):
        raise DomainError(Code.ALREADY_ANSWERED, "You asked for this before. The answer is below.")


@dataclass(frozen=True, slots=True, repr=False)
class Decision:
    """What a doctor of the visit decides about something withheld."""

    request_id: str
    outcome: str
    """released, redacted, refused."""
    reason: str | None = None
    text: str | None = None
    """In place of a redacted note."""
    stretches: str | None = None
    """What is taken out of a redacted recording, as the doctor wrote it."""


async def decide(session: AsyncSession, writing: Writing, encounter_id: str, said: Decision) -> None:
    """Once. Raises not_found, already_answered, malformed (no reason, no text, no stretch), wrong_phase (no film)."""
    visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id, lock=True)
    row = await session.get(RecordRequest, (writing.clinic.id, said.request_id))
    if row is None or (row.kind, row.encounter_id) != ("see", visit.encounter.id):
        raise not_found()
    if row.state != "asked":
        raise DomainError(Code.ALREADY_ANSWERED)
    if said.outcome == "refused" and said.reason not in REFUSALS:
        raise DomainError(Code.MALFORMED, "Choose why it is refused. Nothing was decided.")
    if said.outcome == "released":
        await _release(session, writing, row)
    if said.outcome == "redacted":
        await (_shorten if row.subject_kind == "note" else _take_out)(session, writing, row, said)
    await _close(session, writing, row, said.outcome, said.reason if said.outcome == "refused" else None)


async def _shorten(session: AsyncSession, writing: Writing, row: RecordRequest, said: Decision) -> None:
    text = rules.clean_text(said.text or "").strip()
    if not text:
        raise DomainError(Code.MALFORMED, "Write what the patient reads instead. Nothing was decided.")
    if len(text) > rules.NOTE_LIMIT_CHARACTERS:
        raise DomainError(Code.TOO_LONG, limit=rules.NOTE_LIMIT_CHARACTERS)
    row.sealed_text = writing.vault.seal(_name(row), text.encode())


async def _take_out(session: AsyncSession, writing: Writing, row: RecordRequest, said: Decision) -> None:
    film = await films.get_shown_film(session, row.clinic_id, row.subject_id)
    if film.state != "ready" or film.duration_s is None:
        raise DomainError(Code.WRONG_PHASE, "This recording is not there now. Nothing was decided.")
    try:
        stretches = parse_stretches(said.stretches or "", film.duration_s)
    except ValueError:
        raise DomainError(
            Code.MALFORMED, "Say from when until when, such as 2:10-5:00, within the recording. Nothing was decided."
        ) from None
    await redacting.order(session, film, row.patient_id, stretches, by=writing.person_id, now=writing.now)


async def refuse_erasure(session: AsyncSession, writing: Writing, request_id: str, reason: str) -> None:
    """By the privacy officer. Raises not_found, already_answered, malformed."""
    row = await get_erasure(session, writing.clinic.id, request_id)
    if reason not in ERASURE_REFUSALS:
        raise DomainError(Code.MALFORMED, "Choose why it is refused. Nothing was decided.")
    await _close(session, writing, row, "refused", reason)


async def note_erased(session: AsyncSession, writing: Writing, note_id: str) -> None:
    """What was asked of a note that is erased now is answered by it."""
    query = select(RecordRequest).where(
        RecordRequest.clinic_id == writing.clinic.id,
        RecordRequest.subject_id == note_id,
        RecordRequest.state == "asked",
    )
    for row in list(await session.scalars(query)):
        await _close(session, writing, row, "erased", None)


async def note_let_go(session: AsyncSession, writing: Writing, encounter_id: str) -> None:
    """What was asked of a note that everybody reads now is answered by it, also what was refused or shortened."""
    for row in await _seen(session, writing.clinic.id, RecordRequest.encounter_id == encounter_id):
        if row.state != "released":
            row.sealed_text = None
            await _close(session, writing, row, "released", None)


async def note_withdrawn(session: AsyncSession, note: Note, by: str, now: datetime) -> None:
    """What still waits of a note that was entered in error waits no longer: it is somebody else's."""
    for row in await _seen(session, note.clinic_id, RecordRequest.subject_id == note.id):
        if row.state == "asked":
            row.state, row.decided_by, row.decided_at = "redacted", by, now
            await session.flush()
            await _enter(session, row, AuditAction.REQUEST_ANSWERED, by, now)


async def get_erasure(session: AsyncSession, clinic_id: str, request_id: str) -> RecordRequest:
    row = await session.get(RecordRequest, (clinic_id, request_id))
    if row is None or row.kind != "erase":
        raise not_found()
    if row.state != "asked":
        raise DomainError(Code.ALREADY_ANSWERED)
    return row


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def load_of_patient(session: AsyncSession, vault: ClinicVault, clinic_id: str, patient_id: str) -> list[Asked]:
    """Everything this patient asked for, with its answer."""
    return await _load(session, vault, RecordRequest.clinic_id == clinic_id, RecordRequest.patient_id == patient_id)


async def load_of_visit(session: AsyncSession, vault: ClinicVault, encounter: Encounter) -> list[Asked]:
    """What a doctor of this visit decides, or did."""
    return await _load(
        session,
        vault,
        RecordRequest.clinic_id == encounter.clinic_id,
        RecordRequest.encounter_id == encounter.id,
        RecordRequest.kind == "see",
    )


async def load_open_erasures(session: AsyncSession, vault: ClinicVault, clinic_id: str) -> list[Asked]:
    return await _load(
        session,
        vault,
        RecordRequest.clinic_id == clinic_id,
        RecordRequest.kind == "erase",
        RecordRequest.state == "asked",
    )


async def load_overdue(session: AsyncSession, vault: ClinicVault, clinic_id: str, today: date) -> list[Asked]:
    """What no doctor has decided in time: the privacy officer sees that it waits."""
    return await _load(
        session,
        vault,
        RecordRequest.clinic_id == clinic_id,
        RecordRequest.kind == "see",
        RecordRequest.state == "asked",
        RecordRequest.due_on < today,
    )


async def _load(session: AsyncSession, vault: ClinicVault, *where: object) -> list[Asked]:
    query = (
        select(RecordRequest, Appointment.starts_at, Encounter.zone, FilmRedaction.state, NoteWithdrawal)
        .join(
            Encounter,
            (Encounter.clinic_id == RecordRequest.clinic_id) & (Encounter.id == RecordRequest.encounter_id),
        )
        .join(
            Appointment,
            (Appointment.clinic_id == Encounter.clinic_id) & (Appointment.id == Encounter.appointment_id),
        )
        .outerjoin(
            FilmRedaction,
            (FilmRedaction.clinic_id == RecordRequest.clinic_id) & (FilmRedaction.film_id == RecordRequest.subject_id),
        )
        .outerjoin(NoteWithdrawal, _withdrawal())
        .where(*where)  # type: ignore[arg-type]
        .order_by(RecordRequest.asked_at, Appointment.starts_at)
    )
    return [
        Asked(row, starts_at, zone, None if is_gone else _text(vault, row), film_state, is_gone)
        for row, starts_at, zone, film_state, withdrawal in await session.execute(query)
        for is_gone in [_is_gone(row, withdrawal)]
    ]


# ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _withheld(session: AsyncSession, clinic_id: str, patient_id: str) -> Sequence[tuple[str, str, str]]:
    """Notes that nobody of the patient's side reads, and films with other people in them: kind, id, visit."""
    notes = (
        select(Note.id, Note.encounter_id)
        .join(NoteHold, (NoteHold.clinic_id == Note.clinic_id) & (NoteHold.note_id == Note.id))
        .outerjoin(NoteWithdrawal, and_(NoteWithdrawal.clinic_id == Note.clinic_id, NoteWithdrawal.note_id == Note.id))
        .where(Note.clinic_id == clinic_id, Note.patient_id == patient_id, NoteHold.readers == "nobody")
        .where(
            exists().where(
                NoteVersion.clinic_id == Note.clinic_id,
                NoteVersion.note_id == Note.id,
                NoteVersion.n > func.coalesce(NoteWithdrawal.upto_n, 0),
            )
        )
    )
    others = exists().where(
        SegmentKey.clinic_id == Film.clinic_id,
        SegmentKey.recording_id == Film.recording_id,
        Participant.clinic_id == SegmentKey.clinic_id,
        Participant.id == SegmentKey.participant_id,
        Participant.role.in_([Role.GUEST.value, Role.INTERPRETER.value, Role.PROXY.value]),
    )
    granted = exists().where(FilmGrant.clinic_id == Film.clinic_id, FilmGrant.film_id == Film.id)
    stranger = exists().where(
        RecordingHold.clinic_id == Film.clinic_id,
        RecordingHold.recording_id == Film.recording_id,
        RecordingHold.reason == STRANGER,
    )
    recorded = (
        select(Film.id, Film.encounter_id)
        .join(Encounter, (Encounter.clinic_id == Film.clinic_id) & (Encounter.id == Film.encounter_id))
        .where(Film.clinic_id == clinic_id, Encounter.patient_id == patient_id, Film.state == "ready")
        .where(others, ~granted, ~stranger)
    )
    found = [("note", one, visit) for one, visit in await session.execute(notes)]
    return found + [("film", one, visit) for one, visit in await session.execute(recorded)]


async def _add(session: AsyncSession, clinic: ClinicScope, what: tuple[str, str, str, str, str], now: datetime) -> bool:
    """False when it was asked before: then its answer, or its due date, stands."""
    kind, patient_id, subject_kind, subject_id, encounter_id = what
    query = select(RecordRequest).where(
        RecordRequest.clinic_id == clinic.id,
        RecordRequest.kind == kind,
        RecordRequest.subject_kind == subject_kind,
        RecordRequest.subject_id == subject_id,
    )
    row = (await session.scalars(query)).first()
    if row is None:
        row = RecordRequest(
            clinic_id=clinic.id,
            id=new_id(),
            patient_id=patient_id,
            kind=kind,
            subject_kind=subject_kind,
            subject_id=subject_id,
            encounter_id=encounter_id,
        )
        session.add(row)
    elif not _is_gone(row, await session.get(NoteWithdrawal, (clinic.id, subject_id))):
        return False
    row.state, row.reason, row.sealed_text, row.decided_by, row.decided_at = "asked", None, None, None, None
    row.asked_at, row.due_on = now, (now + DUE).astimezone(ZoneInfo(clinic.zone)).date()
    await session.flush()
    await _enter(session, row, AuditAction.REQUEST_MADE, None, now)
    return True


async def _release(session: AsyncSession, writing: Writing, row: RecordRequest) -> None:
    """To the patient alone: those who act for them go on reading nothing of it until the doctor lets it go."""
    if row.subject_kind == "film":
        film = await films.get_shown_film(session, row.clinic_id, row.subject_id)
        if await films.grant(session, film, row.patient_id, writing.person_id, writing.now):
            told_film = FilmGranted(film.clinic_id, row.patient_id, film.encounter_id, film.id, writing.now)
            await writing.events.raise_event(session, told_film)
        return
    note = await session.get_one(Note, (row.clinic_id, row.subject_id))
    hold = await release.load_hold(session, row.clinic_id, note.id)
    if hold is not None:
        hold.readers = release.Readers.PATIENT_ONLY.value
    if note.released_at is None:
        note.released_at = writing.now
        told = NoteReleased(note.clinic_id, note.patient_id, note.encounter_id, note.id, 1, writing.now)
        await writing.events.raise_event(session, told)


async def _seen(session: AsyncSession, clinic_id: str, where: ColumnElement[bool]) -> Sequence[RecordRequest]:
    """What was asked to be seen of notes that are kept back."""
    query = select(RecordRequest).where(
        RecordRequest.clinic_id == clinic_id,
        RecordRequest.kind == "see",
        RecordRequest.subject_kind == "note",
        where,
    )
    return list(await session.scalars(query))


def _withdrawal() -> ColumnElement[bool]:
    return and_(
        NoteWithdrawal.clinic_id == RecordRequest.clinic_id,
        NoteWithdrawal.note_id == RecordRequest.subject_id,
        RecordRequest.kind == "see",
    )


def _is_gone(row: RecordRequest, withdrawal: NoteWithdrawal | None) -> bool:
    """It was answered about words that were taken back since; what was added later can be asked for anew."""
    if withdrawal is None or row.kind != "see" or row.decided_at is None:
        return False
    return bool(row.decided_at <= withdrawal.at)


def _text(vault: ClinicVault, row: RecordRequest) -> str | None:
    return vault.open(_name(row), row.sealed_text).decode() if row.sealed_text is not None else None


async def _close(session: AsyncSession, writing: Writing, row: RecordRequest, state: str, reason: str | None) -> None:
    row.state, row.reason, row.decided_by, row.decided_at = state, reason, writing.person_id, writing.now
    await session.flush()
    await _enter(session, row, AuditAction.REQUEST_ANSWERED, writing.person_id, writing.now)


async def _enter(session: AsyncSession, row: RecordRequest, action: AuditAction, by: str | None, now: datetime) -> None:
    await audit.enter(
        session,
        clinic_id=row.clinic_id,
        actor_person_id=by,
        action=action,
        subject=(row.subject_kind, row.subject_id),
        detail={"request": row.id, "kind": row.kind, "state": row.state, "reason": row.reason},
        now=now,
    )


def _name(row: RecordRequest) -> str:
    return f"request {row.id}"
