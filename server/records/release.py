"""Who reads a signed note: everybody of the patient's side at once, the patient alone, or nobody yet.

Holding back has a coded reason and a day on which its doctor looks again; letting go is one tap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import proxies
from server.accounts.trust_models import Proxy
from server.audit import AuditAction
from server.context import ClinicScope
from server.encounters.models import Encounter
from server.errors import DomainError
from server.records import reading, service
from server.records.events import NoteReleased
from server.records.models import NoteHold
from server.records.service import Writing
from signaling.words import N_, Code

REASONS = {
    "harm": N_("It could do harm to read it now"),
    "another_person": N_("It holds another person's information"),
    "wish": N_("The patient wishes it so"),
}


class Readers(StrEnum):
    EVERYBODY = "everybody"
    PATIENT_ONLY = "patient_only"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Release:
    """What the doctor chose beside Sign."""

    readers: Readers = Readers.EVERYBODY
    reason: str | None = None
    review_on: date | None = None


def judge(release: Release, now: datetime, zone: str) -> dict[str, str]:
    """What is missing, one sentence a field; nothing for a release to everybody."""
    if release.readers is Readers.EVERYBODY:
        return {}
    wrong = {}
    if release.reason not in REASONS:
        wrong["reason"] = N_("Choose why it isn't read yet")
    if release.review_on is None or release.review_on < now.astimezone(ZoneInfo(zone)).date():
        wrong["review_on"] = N_("Enter the day on which you look at this again, today or later")
    return wrong


async def load_hold(session: AsyncSession, clinic_id: str, note_id: str) -> NoteHold | None:
    return await session.get(NoteHold, (clinic_id, note_id))


async def hold(session: AsyncSession, writing: Writing, note_id: str, release: Release) -> None:
    """Keeps a note back as chosen; called by signing, in its transaction."""
    session.add(
        NoteHold(
            clinic_id=writing.clinic.id,
            note_id=note_id,
            readers=release.readers.value,
            reason=release.reason,
            review_on=release.review_on,
            decided_by=writing.person_id,
            decided_at=writing.now,
        )
    )
    await service.enter(
        session, writing, AuditAction.NOTE_HELD, note_id, readers=release.readers.value, reason=str(release.reason)
    )


async def let_go(session: AsyncSession, writing: Writing, encounter_id: str) -> None:
    """Everybody of the patient's side reads it from now on. Raises not_found, wrong_phase (nothing is held)."""
    visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id, lock=True)
    note = await service.load_note(session, visit.encounter)
    held = await load_hold(session, writing.clinic.id, note.id) if note else None
    if note is None or held is None:
        raise DomainError(Code.WRONG_PHASE, "This note is not held back.")
    await session.delete(held)
    await service.enter(session, writing, AuditAction.NOTE_LET_GO, note.id)
    if note.released_at is None:
        note.released_at = writing.now
        told = NoteReleased(note.clinic_id, note.patient_id, note.encounter_id, note.id, 1, writing.now)
        await writing.events.raise_event(session, told)
    await session.flush()


async def load_proxies(
    session: AsyncSession, clinic: ClinicScope, encounter: Encounter, now: datetime
) -> list[tuple[Proxy, bool]]:
    """Who acts for this visit's patient today, and whether they read its note: their scope, and no mark against it."""
    query = select(Proxy).where(
        Proxy.clinic_id == clinic.id, Proxy.patient_id == encounter.patient_id, Proxy.stopped_at.is_(None)
    )
    alone = await reading.is_patients_alone(session, encounter)
    return [
        (row, row.may_read_notes and not alone)
        for row in await session.scalars(query.order_by(Proxy.created_at))
        if proxies.is_open(row, clinic.zone, now)
    ]
