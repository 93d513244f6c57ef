"""Requests for correction: a patient says what is wrong in a note they read, its doctor answers; both are sealed.

What is changed in the note is an entry of its own (`service.add`), never by this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit import AuditAction
from server.db import new_id
from server.errors import DomainError, not_found
from server.records import rules, service
from server.records.models import CorrectionRequest
from server.records.reading import ReleasedNote
from server.records.service import Writing
from server.vault import ClinicVault
from signaling.words import Code

LIMIT_CHARACTERS = 5000
OPEN_MAX = 5
"""Requests about one note that may wait for an answer at a time."""


@dataclass(frozen=True, slots=True, repr=False)
class Correction:
    id: str
    note_id: str
    text: str
    asked_at: datetime
    outcome: str | None
    answer: str | None
    answered_at: datetime | None


async def ask(session: AsyncSession, writing: Writing, vault: ClinicVault, note: ReleasedNote, text: str) -> None:
    """Of a note this patient reads. Raises malformed (nothing said), too_many."""
    text = rules.clean_text(text).strip()
    if not text or len(text) > LIMIT_CHARACTERS:
        raise DomainError(Code.MALFORMED, "Write what is wrong, in at most 5,000 characters.")
    waiting = [one for one in await load(session, vault, writing.clinic.id, [note.note_id]) if one.outcome is None]
    if len(waiting) >= OPEN_MAX:
        raise DomainError(Code.TOO_MANY, "Your doctor has not answered your earlier requests about this note yet.")
    row = CorrectionRequest(clinic_id=writing.clinic.id, id=new_id(), note_id=note.note_id, asked_at=writing.now)
    row.sealed_text = vault.seal(f"correction {row.id}", text.encode())
    session.add(row)
    await session.flush()
    await service.enter(session, writing, AuditAction.CORRECTION_ASKED, note.note_id)


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What the doctor says to one request."""

    request_id: str
    outcome: Literal["corrected", "stands"]
    text: str


async def answer(session: AsyncSession, writing: Writing, vault: ClinicVault, encounter_id: str, said: Answer) -> None:
    """By a doctor of the visit, once. Raises not_found, already_answered, malformed."""
    visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id, lock=True)
    note = await service.load_note(session, visit.encounter)
    row = await session.get(CorrectionRequest, (writing.clinic.id, said.request_id))
    if note is None or row is None or row.note_id != note.id:
        raise not_found()
    if row.answered_at is not None:
        raise DomainError(Code.ALREADY_ANSWERED)
    text = rules.clean_text(said.text).strip()
    if not text:
        raise DomainError(Code.MALFORMED, "Write an answer that the patient can read.")
    row.answered_by, row.answered_at, row.outcome = writing.person_id, writing.now, said.outcome
    row.sealed_answer = vault.seal(f"answer {row.id}", text.encode())
    await service.enter(session, writing, AuditAction.CORRECTION_ANSWERED, note.id, outcome=said.outcome)
    await session.flush()


async def load(session: AsyncSession, vault: ClinicVault, clinic_id: str, note_ids: Sequence[str]) -> list[Correction]:
    """Of these notes, oldest first."""
    query = select(CorrectionRequest).where(
        CorrectionRequest.clinic_id == clinic_id, CorrectionRequest.note_id.in_(note_ids)
    )
    return [_opened(vault, row) for row in await session.scalars(query.order_by(CorrectionRequest.asked_at))]


def _opened(vault: ClinicVault, row: CorrectionRequest) -> Correction:
    said = vault.open(f"answer {row.id}", row.sealed_answer).decode() if row.sealed_answer else None
    return Correction(
        id=row.id,
        note_id=row.note_id,
        text=vault.open(f"correction {row.id}", row.sealed_text).decode(),
        asked_at=row.asked_at,
        outcome=row.outcome,
        answer=said,
        answered_at=row.answered_at,
    )
