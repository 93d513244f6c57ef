"""Writing and signing a visit's note. Runs in the caller's transaction.

Who may is asked here, with the facts of the visit; reading is `reading.py`, pages are `views.py`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts.models import Person
from server.audit import AuditAction
from server.context import ClinicScope
from server.db import new_id
from server.encounters import keeping, visits
from server.encounters.models import Encounter
from server.encounters.visits import Visit
from server.errors import DomainError, not_found
from server.events import Events
from server.permissions import Actor, holds_visit, reads_visit
from server.records import rules, sealing
from server.records.events import NoteReleased
from server.records.models import Note, NoteKey, NoteText, NoteVersion
from server.records.rules import Kind, Link, Save
from server.records.sealing import Content
from server.vault import ClinicVault, VaultError
from signaling.words import N_, Code

ATTACHED_TO = "encounter_note"
"""What an upload that stands with a visit's note belongs to; its id is the visit's."""
EARLIEST = timedelta(days=1)
"""A visit that never began in the room was perhaps held by phone the day before; a later one was not held yet."""
IN_ERROR = N_("This visit was not with the patient. What was written here can't go on their record.")
NOT_YET = N_("This visit is still to come. The draft is kept; sign it when the visit was held.")


@dataclass(frozen=True, slots=True)
class Writing:
    """A doctor of the visit at work on its note."""

    clinic: ClinicScope
    actor: Actor
    now: datetime
    events: Events
    vault: ClinicVault

    @property
    def person_id(self) -> str:
        return self.actor.person_id or ""


class DraftConflictError(DomainError):
    """The server holds another text than the one this was written on; neither of them is lost."""

    def __init__(self, code: Code, note: Note | None) -> None:
        super().__init__(code)
        self.held = note.draft if note else ""
        self.revision = note.revision if note else 0


async def get_own_visit(
    session: AsyncSession, clinic: ClinicScope, actor: Actor, encounter_id: str, *, lock: bool = False
) -> Visit:
    """A visit of this doctor's. Raises the same not_found for everybody else as for none at all."""
    if lock:
        query = select(Encounter).where(Encounter.clinic_id == clinic.id, Encounter.id == encounter_id)
        await session.scalars(query.with_for_update())
    visit = await visits.get_visit(session, clinic, encounter_id)
    if not holds_visit(actor, visit.facts):
        raise not_found()
    return visit


async def get_readable_visit(session: AsyncSession, clinic: ClinicScope, actor: Actor, encounter_id: str) -> Visit:
    """A visit that this doctor holds, or held before they handed it to a colleague. Raises not_found."""
    visit = await visits.get_visit(session, clinic, encounter_id)
    if not reads_visit(actor, visit.facts):
        raise not_found()
    return visit


async def load_note(session: AsyncSession, encounter: Encounter) -> Note | None:
    query = select(Note).where(Note.clinic_id == encounter.clinic_id, Note.encounter_id == encounter.id)
    return (await session.scalars(query)).first()


async def save_draft(session: AsyncSession, writing: Writing, encounter_id: str, text: str, based_on: int) -> int:
    """Keeps the draft; answers its revision. Raises not_found, too_long, note_signed, DraftConflictError."""
    text = rules.clean_text(text)
    if len(text) > rules.NOTE_LIMIT_CHARACTERS:
        raise DomainError(Code.TOO_LONG, limit=rules.NOTE_LIMIT_CHARACTERS)
    visit = await get_own_visit(session, writing.clinic, writing.actor, encounter_id, lock=True)
    note = await load_note(session, visit.encounter)
    if note is None:
        note = _new_note(visit, writing)
        session.add(note)
    if note.signed_at is not None:
        raise DomainError(Code.NOTE_SIGNED)
    step = rules.judge(held=note.draft, revision=note.revision, sent=text, based_on=based_on)
    if step is Save.CONFLICT:
        raise DraftConflictError(Code.CONFLICT, note)
    if step is Save.SAVE or note.revision == 0:
        note.draft, note.revision = text, note.revision + 1
        note.drafted_by, note.drafted_at = writing.person_id, writing.now
    await session.flush()
    return note.revision


async def sign(
    session: AsyncSession,
    writing: Writing,
    encounter_id: str,
    revision: int,
    text: str | None = None,
    *,
    summary: str | None = None,
    release_now: bool = True,
) -> Note:
    """Signs what is on the screen: `text`, written on that revision, else the revision; released unless it is held.

    `summary` is the visit in plain words, signed with it.

    Raises not_found, malformed (nothing to sign), note_signed, DraftConflictError (stale_revision): then nothing is
    signed and nothing is changed.
    """
    visit = await get_own_visit(session, writing.clinic, writing.actor, encounter_id, lock=True)
    note = await load_note(session, visit.encounter)
    if note is not None and note.signed_at is not None:
        raise DomainError(Code.NOTE_SIGNED)
    _refuse_unheld(visit, writing.now)
    if (note.revision if note else 0) != revision:
        raise DraftConflictError(Code.STALE_REVISION, note)
    if text is not None:
        await save_draft(session, writing, encounter_id, text, revision)
        note = await load_note(session, visit.encounter)
    if note is None or not note.draft.strip():
        raise DomainError(Code.MALFORMED, "The note is empty. Nothing was signed.")
    summary = rules.clean_text(summary).strip() if summary else None
    note.released_at = writing.now if release_now else None
    await _append(session, writing, note, Kind.SIGNED, text=note.draft, reason=None, summary=summary)
    note.draft, note.signed_at = "", writing.now
    await keeping.note_signed(session, visit.encounter, writing.now)
    await session.flush()
    return note


async def add(
    session: AsyncSession, writing: Writing, encounter_id: str, kind: Kind, *, text: str, reason: str
) -> NoteVersion:
    """Adds to a signed note; what was signed stays. Raises not_found, wrong_phase (not signed yet), malformed."""
    text, reason = rules.clean_text(text).strip(), rules.clean_text(reason).strip()
    if kind is Kind.SIGNED or not text or not reason:
        raise DomainError(Code.MALFORMED, "Write what is added and why.")
    if len(text) > rules.NOTE_LIMIT_CHARACTERS:
        raise DomainError(Code.TOO_LONG, limit=rules.NOTE_LIMIT_CHARACTERS)
    visit = await get_own_visit(session, writing.clinic, writing.actor, encounter_id, lock=True)
    note = await load_note(session, visit.encounter)
    if note is None or note.signed_at is None:
        raise DomainError(Code.WRONG_PHASE, "The note is not signed yet: write into the note itself.")
    return await _append(session, writing, note, kind, text=text, reason=reason)


async def first_broken(session: AsyncSession, vault: ClinicVault, note: Note) -> int | None:
    """The number of the first version whose content or place in the chain is not what was signed; None: all hold.

    Content that is gone with its key counts as erased, and holds.
    """
    previous, expected = rules.FIRST, 1
    query = select(NoteVersion).where(NoteVersion.clinic_id == note.clinic_id, NoteVersion.note_id == note.id)
    for version in await session.scalars(query.order_by(NoteVersion.n)):
        try:
            content = await _load_content(session, vault, version)
        except VaultError:
            return version.n
        is_true = content is None or version.commitment == _commitment_of(content)
        in_place = version.n == expected and version.previous == previous
        if not is_true or not in_place or version.hash != rules.link_hash(_link(version)):
            return version.n
        previous, expected = version.hash, expected + 1
    return None


async def enter(
    session: AsyncSession, writing: Writing, action: AuditAction, note_id: str, **detail: str | int
) -> None:
    await audit.enter(
        session,
        clinic_id=writing.clinic.id,
        actor_person_id=writing.actor.person_id,
        action=action,
        subject=("note", note_id),
        detail=detail,
        now=writing.now,
    )


# ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _refuse_unheld(visit: Visit, now: datetime) -> None:
    """A note says what was: not of somebody else, and not before its day has come. Raises wrong_phase."""
    if visit.encounter.status == "entered-in-error":
        raise DomainError(Code.WRONG_PHASE, IN_ERROR)
    if visit.encounter.started_at is None and visit.appointment.starts_at > now + EARLIEST:
        raise DomainError(Code.WRONG_PHASE, NOT_YET)


def _new_note(visit: Visit, writing: Writing) -> Note:
    return Note(
        clinic_id=visit.encounter.clinic_id,
        id=new_id(),
        encounter_id=visit.encounter.id,
        patient_id=visit.encounter.patient_id,
        draft="",
        revision=0,
        drafted_by=writing.person_id,
        drafted_at=writing.now,
        created_at=writing.now,
    )


async def _append(
    session: AsyncSession,
    writing: Writing,
    note: Note,
    kind: Kind,
    *,
    text: str,
    reason: str | None,
    summary: str | None = None,
) -> NoteVersion:
    author = await session.get(Person, writing.person_id)
    if author is None:
        raise not_found()
    query = select(NoteVersion).where(NoteVersion.clinic_id == note.clinic_id, NoteVersion.note_id == note.id)
    last = (await session.scalars(query.order_by(NoteVersion.n.desc()).limit(1))).first()
    content = Content(text, reason, summary, os.urandom(32))
    version = NoteVersion(
        clinic_id=note.clinic_id,
        note_id=note.id,
        n=last.n + 1 if last else 1,
        kind=kind.value,
        revision=note.revision,
        author_id=author.id,
        author_name=author.name,
        signed_at=writing.now,
        commitment=_commitment_of(content),
        previous=last.hash if last else rules.FIRST,
    )
    version.hash = rules.link_hash(_link(version))
    session.add(version)
    await session.flush()
    session.add_all(sealing.seal(writing.vault, version, content))
    await session.flush()
    action = AuditAction.NOTE_SIGNED if kind is Kind.SIGNED else AuditAction.NOTE_ADDED_TO
    await enter(session, writing, action, note.id, n=version.n, kind=kind.value)
    if note.released_at is not None:
        told = NoteReleased(note.clinic_id, note.patient_id, note.encounter_id, note.id, version.n, writing.now)
        await writing.events.raise_event(session, told)
    return version


async def _load_content(session: AsyncSession, vault: ClinicVault, version: NoteVersion) -> Content | None:
    place = (version.clinic_id, version.note_id, version.n)
    text, key = await session.get(NoteText, place), await session.get(NoteKey, place)
    return sealing.unseal(vault, text, key) if text is not None and key is not None else None


def _commitment_of(content: Content) -> bytes:
    return rules.commitment(content.key, content.text, content.reason, content.summary)


def _link(version: NoteVersion) -> Link:
    return Link(
        clinic_id=version.clinic_id,
        note_id=version.note_id,
        n=version.n,
        kind=version.kind,
        revision=version.revision,
        author_id=version.author_id,
        author_name=version.author_name,
        signed_at=version.signed_at,
        commitment=version.commitment,
        previous=version.previous,
    )
