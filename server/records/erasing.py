"""Erasing a signed note where the law allows: its keys and words are destroyed, its chain goes on holding, with proof.

What the law allows is `rules.which_erased`; a hold on the patient's record stands above every ground.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, uploads
from server.accounts import policies
from server.audit import AuditAction, DeletionKind
from server.db import new_id
from server.encounters.models import Encounter
from server.errors import DomainError, not_found
from server.records import exports, rules, service
from server.records.models import CorrectionRequest, Note, NoteKey, NoteText, NoteVersion, NoteWithdrawal
from server.records.rights_models import NoteErasure, RecordHold, RecordRequest
from server.records.rules import Erasable, Ground, Obstacle
from server.records.service import ATTACHED_TO, Writing
from server.scheduling.models import Appointment
from signaling.words import N_, Code

RESTORED = "restored"
OBSTACLES = {
    Obstacle.HELD: N_("A hold stands on this patient’s record. Nothing was erased."),
    Obstacle.KEPT_BY_LAW: N_("The law wants this note kept until the day shown. Nothing was erased."),
    Obstacle.NOT_IN_ERROR: N_("Nothing of this note was entered in error. Nothing was erased."),
    Obstacle.NOTHING_LEFT: N_("Nothing is left to erase: it was erased before."),
}


@dataclass(frozen=True, slots=True)
class Erased:
    """What went: versions, and files whose sealed bytes are to be taken away after the commit."""

    versions: tuple[int, ...]
    files: tuple[str, ...]


async def load_erasable(session: AsyncSession, note: Note) -> Erasable:
    policy = await policies.load_policy(session, note.clinic_id)
    query = select(NoteKey.n).where(NoteKey.clinic_id == note.clinic_id, NoteKey.note_id == note.id)
    withdrawal = await session.get(NoteWithdrawal, (note.clinic_id, note.id))
    return Erasable(
        left=tuple(await session.scalars(query.order_by(NoteKey.n))),
        withdrawn_upto=withdrawal.upto_n if withdrawal else 0,
        kept_until=rules.years_after(await _visit_day(session, note), policy.notes_kept_years),
        is_held=await load_hold(session, note.clinic_id, note.patient_id) is not None,
    )


async def erase(session: AsyncSession, writing: Writing, note_id: str, ground: Ground) -> Erased:
    """By the privacy officer. Raises not_found, wrong_phase (what stands against it)."""
    query = select(Note).where(Note.clinic_id == writing.clinic.id, Note.id == note_id)
    note = (await session.scalars(query.with_for_update())).first()
    if note is None or note.signed_at is None:
        raise not_found()
    today = writing.now.astimezone(ZoneInfo(writing.clinic.zone)).date()
    gone = rules.which_erased(await load_erasable(session, note), ground, today)
    if isinstance(gone, Obstacle):
        raise DomainError(Code.WRONG_PHASE, OBSTACLES[gone])
    erased = await _destroy(session, note, gone, ground=ground.value, by=writing.person_id, now=writing.now)
    await service.enter(session, writing, AuditAction.NOTE_ERASED, note.id, ground=ground.value, n=gone[-1])
    await audit.record_deletion(
        session,
        clinic_id=note.clinic_id,
        kind=DeletionKind.DELETED,
        subject=("note", f"{note.id}:{gone[-1]}"),
        now=writing.now,
    )
    if await service.first_broken(session, writing.vault, note) is not None:
        raise DomainError(Code.WRONG_PHASE, "The chain of this note does not verify. Nothing was erased.")
    return erased


async def erase_again(session: AsyncSession, note_id: str, upto: int, now: datetime) -> bool:
    """After a restore: what the list of deletions says is gone goes once more; whether anything was left."""
    note = (await session.scalars(select(Note).where(Note.id == note_id))).first()
    if note is None:
        return False
    left = tuple(n for n in (await load_erasable(session, note)).left if n <= upto)
    if left:
        await _destroy(session, note, left, ground=RESTORED, by=None, now=now)
    return bool(left)


async def load_proofs(session: AsyncSession, clinic_id: str, note_id: str) -> list[NoteErasure]:
    query = select(NoteErasure).where(NoteErasure.clinic_id == clinic_id, NoteErasure.note_id == note_id)
    return list(await session.scalars(query.order_by(NoteErasure.n)))


# ── Holds ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def place_hold(session: AsyncSession, writing: Writing, patient_id: str, reason: str) -> None:
    """Raises malformed without a reason; one that stands is left as it is."""
    reason = rules.clean_text(reason).strip()
    if not reason or len(reason) > 500:
        raise DomainError(Code.MALFORMED, "Say why, in at most 500 characters. Nothing was changed.")
    if await load_hold(session, writing.clinic.id, patient_id) is not None:
        return
    hold = RecordHold(
        clinic_id=writing.clinic.id,
        id=new_id(),
        patient_id=patient_id,
        reason=reason,
        placed_by=writing.person_id,
        placed_at=writing.now,
    )
    session.add(hold)
    await session.flush()
    await _enter_of_patient(session, writing, AuditAction.RECORD_HELD, patient_id)


async def lift_hold(session: AsyncSession, writing: Writing, patient_id: str) -> None:
    hold = await load_hold(session, writing.clinic.id, patient_id)
    if hold is not None:
        hold.lifted_by, hold.lifted_at = writing.person_id, writing.now
        await session.flush()
        await _enter_of_patient(session, writing, AuditAction.RECORD_HOLD_LIFTED, patient_id)


async def load_hold(session: AsyncSession, clinic_id: str, patient_id: str) -> RecordHold | None:
    query = select(RecordHold).where(
        RecordHold.clinic_id == clinic_id, RecordHold.patient_id == patient_id, RecordHold.lifted_at.is_(None)
    )
    return (await session.scalars(query.limit(1))).first()


# ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _destroy(
    session: AsyncSession, note: Note, gone: tuple[int, ...], *, ground: str, by: str | None, now: datetime
) -> Erased:
    """The erasure is written down first: only then do the tables let their rows go."""
    files = await _forget_files(session, note, now)
    await _forget_what_was_asked(session, note)
    query = select(NoteVersion).where(NoteVersion.clinic_id == note.clinic_id, NoteVersion.note_id == note.id)
    for version in await session.scalars(query.where(NoteVersion.n.in_(gone))):
        proof = {"hash": version.hash.hex(), "commitment": version.commitment.hex(), "files": sorted(files)}
        row = NoteErasure(clinic_id=note.clinic_id, note_id=note.id, n=version.n, ground=ground, decided_by=by, at=now)
        row.proof = json.dumps(proof, sort_keys=True)
        session.add(row)
    await session.flush()
    for table in (NoteKey, NoteText):
        await session.execute(delete(table).where(*_these(table, note, gone)))
        if await session.scalar(select(func.count()).select_from(table).where(*_these(table, note, gone))):
            raise DomainError(Code.INTERNAL)
    await exports.discard(session, note.clinic_id, note.patient_id)
    return Erased(gone, tuple(files))


def _these(
    table: type[NoteKey | NoteText], note: Note, gone: Sequence[int]
) -> tuple[ColumnElement[bool], ColumnElement[bool], ColumnElement[bool]]:
    return table.clinic_id == note.clinic_id, table.note_id == note.id, table.n.in_(gone)


async def _forget_files(session: AsyncSession, note: Note, now: datetime) -> list[str]:
    rows = await uploads.load_of(session, note.clinic_id, (ATTACHED_TO, note.encounter_id))
    for row in rows:
        await uploads.forget(session, row, now)
    return [row.id for row in rows]


async def _forget_what_was_asked(session: AsyncSession, note: Note) -> None:
    """What a patient and a doctor wrote about its words, and what was shown in their place."""
    of_note = (CorrectionRequest.clinic_id == note.clinic_id, CorrectionRequest.note_id == note.id)
    await session.execute(delete(CorrectionRequest).where(*of_note))
    shown = update(RecordRequest).where(RecordRequest.clinic_id == note.clinic_id, RecordRequest.subject_id == note.id)
    await session.execute(shown.values(sealed_text=None))


async def _visit_day(session: AsyncSession, note: Note) -> date:
    query = (
        select(Appointment.starts_at, Encounter.zone)
        .join(
            Encounter,
            (Encounter.clinic_id == Appointment.clinic_id) & (Encounter.appointment_id == Appointment.id),
        )
        .where(Encounter.clinic_id == note.clinic_id, Encounter.id == note.encounter_id)
    )
    starts_at, zone = (await session.execute(query)).one()
    day: date = max(starts_at, note.signed_at or starts_at).astimezone(ZoneInfo(zone)).date()
    return day


async def _enter_of_patient(session: AsyncSession, writing: Writing, action: AuditAction, patient_id: str) -> None:
    await audit.enter(
        session,
        clinic_id=writing.clinic.id,
        actor_person_id=writing.person_id,
        action=action,
        subject=("patient", patient_id),
        now=writing.now,
    )


def proof_of(erasure: NoteErasure) -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads(erasure.proof)
    return found
