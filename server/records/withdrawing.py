"""Entered in error: a signed note's text leaves every page at once, its original stays for the privacy officer.

The link of the chain holds; an incident says what happened; the text is offered as a draft of the right visit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, uploads
from server.accounts import proxies
from server.accounts.models import Patient, Person
from server.audit import AuditAction, AuditEntry, DeletionKind
from server.context import ClinicScope
from server.encounters import visits
from server.encounters.models import Encounter, Participant
from server.encounters.visits import Visit
from server.errors import DomainError, not_found
from server.permissions import ProxyScope
from server.records import exports, reading, requests, service
from server.records.models import Note, NoteVersion, NoteWithdrawal
from server.records.reading import Version
from server.records.rights_models import RecordExport
from server.records.service import Writing
from server.uploads import Stored, Upload
from signaling.words import Code, Role

AROUND = timedelta(days=1)
OPENED = (AuditAction.NOTE_OPENED, AuditAction.NOTE_READ, AuditAction.NOTE_PRINTED)
WITH_NOTES = ProxyScope.READ_NOTES.value


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What the privacy officer sees of one."""

    withdrawal: NoteWithdrawal
    patient: Patient
    by_name: str
    versions: list[Version]
    opened: list[tuple[AuditEntry, str]]
    """Who opened it, its files or a copy that held it, by name; the patient's side is their person, or the proxy."""
    files: list[tuple[Upload, str]]
    """What was attached, by name."""


async def withdraw(session: AsyncSession, writing: Writing, encounter_id: str) -> NoteWithdrawal:
    """Takes what is signed here away from everybody but the privacy officer. Raises not_found, wrong_phase."""
    visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id, lock=True)
    note = await service.load_note(session, visit.encounter)
    versions = await reading.load_versions(session, writing.vault, note) if note else []
    if note is None or not versions:
        raise DomainError(Code.WRONG_PHASE, "The note is not signed: clear it, nobody has read it.")
    row = await _take_away(session, note, versions[-1].n, writing.person_id, writing.now)
    await service.enter(session, writing, AuditAction.NOTE_WITHDRAWN, note.id, n=row.upto_n)
    await audit.record_deletion(
        session,
        clinic_id=note.clinic_id,
        kind=DeletionKind.DELETED,
        subject=("note_withdrawn", f"{note.id}:{row.upto_n}"),
        now=writing.now,
    )
    return row


async def withdraw_again(session: AsyncSession, note_id: str, upto: int, now: datetime) -> bool:
    """After a restore: what was entered in error leaves the wrong patient's page once more."""
    note = (await session.scalars(select(Note).where(Note.id == note_id))).first()
    if note is None:
        return False
    query = select(NoteVersion).where(NoteVersion.clinic_id == note.clinic_id, NoteVersion.note_id == note.id)
    versions = list(await session.scalars(query.where(NoteVersion.n <= upto).order_by(NoteVersion.n)))
    row = await reading.load_withdrawal(session, note)
    if not versions or (row is not None and row.upto_n >= versions[-1].n):
        return False
    await _take_away(session, note, versions[-1].n, versions[-1].author_id, now)
    return True


async def _take_away(session: AsyncSession, note: Note, upto: int, by: str, now: datetime) -> NoteWithdrawal:
    incident = await audit.file_incident(
        session,
        clinic_id=note.clinic_id,
        kind="entered_in_error",
        subject=("note", note.id),
        filed_by_person_id=by,
        owner_person_id=None,
        now=now,
    )
    row = await reading.load_withdrawal(session, note)
    if row is None:
        row = NoteWithdrawal(clinic_id=note.clinic_id, note_id=note.id)
        session.add(row)
    row.upto_n, row.by_person_id, row.at, row.incident_id = upto, by, now, incident
    await exports.discard(session, note.clinic_id, note.patient_id)
    await session.flush()
    await requests.note_withdrawn(session, note, by, now)
    return row


async def load_candidates(session: AsyncSession, writing: Writing, visit: Visit) -> list[tuple[str, str, datetime]]:
    """This doctor's visits of the day around this one whose note is still open: id, patient's name, start."""
    query = (
        select(Encounter.id)
        .join(
            Participant,
            (Participant.clinic_id == Encounter.clinic_id) & (Participant.encounter_id == Encounter.id),
        )
        .outerjoin(Note, (Note.clinic_id == Encounter.clinic_id) & (Note.encounter_id == Encounter.id))
        .where(
            Encounter.clinic_id == writing.clinic.id,
            Encounter.id != visit.encounter.id,
            Encounter.status.in_(["planned", "arrived", "in-progress", "finished"]),
            Participant.role == Role.DOCTOR.value,
            Participant.person_id == writing.person_id,
            Participant.is_closed.is_(False),
            Note.signed_at.is_(None),
        )
    )
    found = []
    for encounter_id in list(await session.scalars(query)):
        other = await visits.get_visit(session, writing.clinic, encounter_id)
        patient = await session.get(Patient, (writing.clinic.id, other.encounter.patient_id))
        if patient is not None and abs(other.appointment.starts_at - visit.appointment.starts_at) <= AROUND:
            found.append((encounter_id, patient.name, other.appointment.starts_at))
    return sorted(found, key=lambda one: one[2])


async def load_files(session: AsyncSession, writing: Writing, encounter_id: str) -> list[Upload]:
    """What goes to the right visit with the text. Raises not_found, wrong_phase."""
    visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id)
    await _movable(session, visit)
    return await uploads.load_of(session, writing.clinic.id, (service.ATTACHED_TO, encounter_id))


async def offer(
    session: AsyncSession, writing: Writing, encounter_id: str, target_id: str, files: Sequence[Stored] = ()
) -> None:
    """Puts the withdrawn text at the end of the right visit's draft, with its files, once.

    Raises not_found, wrong_phase.
    """
    visit = await service.get_own_visit(session, writing.clinic, writing.actor, encounter_id, lock=True)
    note, row = await _movable(session, visit)
    if target_id == encounter_id:
        raise not_found()
    versions = await reading.load_versions(session, writing.vault, note)
    texts = [one.text for one in versions if one.n <= row.upto_n and one.text]
    target = await service.get_own_visit(session, writing.clinic, writing.actor, target_id)
    held = await service.load_note(session, target.encounter)
    draft, revision = (held.draft, held.revision) if held else ("", 0)
    await service.save_draft(session, writing, target_id, "\n\n".join([*filter(None, [draft]), *texts]), revision)
    for one in files:
        subject = (service.ATTACHED_TO, target_id)
        await uploads.add(
            session, writing.clinic.id, one, subject=subject, now=writing.now, by_person_id=writing.person_id
        )
        await audit.enter(
            session,
            clinic_id=writing.clinic.id,
            actor_person_id=writing.person_id,
            action=AuditAction.DOCUMENT_ADDED,
            subject=("upload", one.id),
            now=writing.now,
        )
    row.offered_to = target_id
    await session.flush()


async def _movable(session: AsyncSession, visit: Visit) -> tuple[Note, NoteWithdrawal]:
    note = await service.load_note(session, visit.encounter)
    row = await reading.load_withdrawal(session, note) if note else None
    if note is None or row is None or row.offered_to is not None:
        raise DomainError(Code.WRONG_PHASE, "There is no withdrawn text to move.")
    return note, row


async def load_all(session: AsyncSession, clinic: ClinicScope) -> list[NoteWithdrawal]:
    query = select(NoteWithdrawal).where(NoteWithdrawal.clinic_id == clinic.id)
    return list(await session.scalars(query.order_by(NoteWithdrawal.at.desc())))


async def get_original(session: AsyncSession, writing: Writing, note_id: str) -> Withdrawn:
    """The original with everybody who opened it; the look is entered. Raises not_found for what wasn't withdrawn."""
    note = await session.get(Note, (writing.clinic.id, note_id))
    row = await reading.load_withdrawal(session, note) if note else None
    patient = await session.get(Patient, (writing.clinic.id, note.patient_id)) if note else None
    if note is None or row is None or patient is None:
        raise not_found()
    by = await session.get(Person, row.by_person_id)
    opened = await _load_opened(session, note, row)
    versions = [one for one in await reading.load_versions(session, writing.vault, note) if one.n <= row.upto_n]
    await service.enter(session, writing, AuditAction.NOTE_OPENED, note.id)
    attached = await uploads.load_of(session, note.clinic_id, (service.ATTACHED_TO, note.encounter_id))
    files = [(one, uploads.name_of(writing.vault, one)) for one in attached]
    return Withdrawn(row, patient, by.name if by else "", versions, opened, files)


async def get_file(session: AsyncSession, writing: Writing, note_id: str, upload_id: str) -> Upload:
    """One of a withdrawn note's files, for the privacy officer; the look is entered. Raises not_found."""
    note = await session.get(Note, (writing.clinic.id, note_id))
    row = await uploads.get(session, writing.clinic.id, upload_id)
    of_note = note is not None and (row.subject_kind, row.subject_id) == (service.ATTACHED_TO, note.encounter_id)
    if note is None or not of_note or await reading.load_withdrawal(session, note) is None:
        raise not_found()
    await audit.enter(
        session,
        clinic_id=note.clinic_id,
        actor_person_id=writing.person_id,
        action=AuditAction.DOCUMENT_READ,
        subject=("upload", row.id),
        now=writing.now,
    )
    return row


async def _load_opened(session: AsyncSession, note: Note, row: NoteWithdrawal) -> list[tuple[AuditEntry, str]]:
    files = select(Upload.id).where(
        Upload.clinic_id == note.clinic_id,
        Upload.subject_kind == service.ATTACHED_TO,
        Upload.subject_id == note.encounter_id,
    )
    of_note = and_(
        AuditEntry.subject_kind == "note",
        AuditEntry.subject_id == note.id,
        AuditEntry.action.in_([one.value for one in OPENED]),
    )
    of_files = and_(
        AuditEntry.subject_kind == "upload",
        AuditEntry.subject_id.in_(files),
        AuditEntry.action == AuditAction.DOCUMENT_READ.value,
    )
    of_copies = and_(
        AuditEntry.subject_kind == "patient",
        AuditEntry.subject_id == note.patient_id,
        AuditEntry.action == AuditAction.EXPORT_FETCHED.value,
        AuditEntry.at <= row.at,
    )
    query = (
        select(AuditEntry, Person.name)
        .outerjoin(Person, Person.id == AuditEntry.actor_person_id)
        .where(AuditEntry.clinic_id == note.clinic_id, or_(of_note, of_files, of_copies))
    )
    copies, acting = (
        await _copies_with(session, note),
        await proxies.load_names(session, note.clinic_id, note.patient_id),
    )
    return [
        (entry, name or acting.get(proxies.acting_in(entry), ""))
        for entry, name in await session.execute(query.order_by(AuditEntry.at))
        if entry.action != AuditAction.EXPORT_FETCHED.value or json.loads(entry.detail).get("export") in copies
    ]


async def _copies_with(session: AsyncSession, note: Note) -> set[str]:
    """Copies of the record made since it was released, by whoever may read notes."""
    if note.released_at is None:
        return set()
    query = select(RecordExport).where(
        RecordExport.clinic_id == note.clinic_id,
        RecordExport.patient_id == note.patient_id,
        RecordExport.ready_at >= note.released_at,
    )
    return {one.id for one in await session.scalars(query) if one.proxy_id is None or WITH_NOTES in one.scopes.split()}
