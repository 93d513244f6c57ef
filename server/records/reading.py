"""Reading signed notes: the versions of one, and what a patient's page shows of all.

Who may is asked by those who call; writing and signing are `service.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.trust_models import PatientOnly
from server.context import ClinicScope
from server.encounters.models import Encounter, HandOver, Participant
from server.errors import not_found
from server.records import sealing
from server.records.models import Note, NoteHold, NoteKey, NoteText, NoteVersion, NoteWithdrawal
from server.records.rules import Kind
from server.records.sealing import Content
from server.scheduling.models import Appointment
from server.vault import ClinicVault, VaultError
from signaling.words import Role

PAGE = 20
"""Notes a patient's page shows at once, newest first."""


@dataclass(frozen=True, slots=True)
class Version:
    """A signed version as it is read; `text` is None once it was erased."""

    n: int
    kind: Kind
    author_name: str
    signed_at: datetime
    text: str | None
    reason: str | None
    summary: str | None
    hash: bytes
    is_altered: bool = False
    """It no longer opens: somebody changed what lies in the database, so nothing of it is shown."""


@dataclass(frozen=True, slots=True)
class ReleasedNote:
    """What a patient's page shows of one visit."""

    encounter_id: str
    note_id: str
    starts_at: datetime
    zone: str
    doctor_name: str
    released_at: datetime
    versions: Sequence[Version]
    is_withdrawn: bool = False
    """Something was entered here in error: its text is in none of the versions."""


async def load_versions(session: AsyncSession, vault: ClinicVault, note: Note) -> list[Version]:
    """All that was signed, also what was withdrawn since: for the chain and the privacy officer."""
    found = await _versions(session, vault, note.clinic_id, [note.id])
    return found[note.id]


async def load_readable(session: AsyncSession, vault: ClinicVault, note: Note) -> list[Version]:
    """What may still be read: nothing that was entered in error."""
    withdrawal = await load_withdrawal(session, note)
    versions = await load_versions(session, vault, note)
    return [one for one in versions if withdrawal is None or one.n > withdrawal.upto_n]


async def load_withdrawal(session: AsyncSession, note: Note) -> NoteWithdrawal | None:
    return await session.get(NoteWithdrawal, (note.clinic_id, note.id))


async def is_patients_alone(session: AsyncSession, encounter: Encounter) -> bool:
    """Whether the patient keeps this visit for themself: then nobody who acts for them reads its note."""
    notes = select(Note.id).where(Note.clinic_id == encounter.clinic_id, Note.encounter_id == encounter.id)
    mark = select(PatientOnly.subject_id).where(
        PatientOnly.clinic_id == encounter.clinic_id,
        or_(
            PatientOnly.subject_id.in_([encounter.id, encounter.appointment_id]),
            PatientOnly.subject_id.in_(notes),
        ),
    )
    return (await session.scalars(mark.limit(1))).first() is not None


async def load_released_notes(
    session: AsyncSession,
    vault: ClinicVault,
    clinic: ClinicScope,
    patient_id: str,
    *,
    for_proxy: bool = False,
    before: datetime | None = None,
    limit: int | None = None,
) -> list[ReleasedNote]:
    """What this patient may read, newest first: signed and released, never a draft; a proxy's part of it at most."""
    query = _released(clinic.id, patient_id)
    if for_proxy:
        query = query.where(*_open_to_proxies())
    if before is not None:
        query = query.where(Note.released_at < before)
    rows = (await session.execute(query.order_by(Note.released_at.desc()).limit(limit))).all()
    return await _with_versions(session, vault, clinic.id, [(note, encounter, at) for note, encounter, at in rows])


async def get_released_note(
    session: AsyncSession,
    vault: ClinicVault,
    clinic: ClinicScope,
    patient_id: str,
    note_id: str,
    *,
    for_proxy: bool = False,
) -> ReleasedNote:
    """One of them. Raises the same not_found for what is held, unsigned, or somebody else's."""
    query = _released(clinic.id, patient_id).where(Note.id == note_id)
    row = (await session.execute(query.where(*_open_to_proxies()) if for_proxy else query)).first()
    if row is None:
        raise not_found()
    found, encounter, at = row
    return (await _with_versions(session, vault, clinic.id, [(found, encounter, at)]))[0]


# ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _released(clinic_id: str, patient_id: str) -> Select[Note, Encounter, datetime]:
    return (
        select(Note, Encounter, Appointment.starts_at)
        .join(Encounter, and_(Encounter.clinic_id == Note.clinic_id, Encounter.id == Note.encounter_id))
        .join(
            Appointment,
            and_(Appointment.clinic_id == Encounter.clinic_id, Appointment.id == Encounter.appointment_id),
        )
        .where(
            Note.clinic_id == clinic_id,
            Note.patient_id == patient_id,
            Note.signed_at.is_not(None),
            Note.released_at.is_not(None),
        )
    )


def _open_to_proxies() -> tuple[ColumnElement[bool], ...]:
    held = select(NoteHold.note_id).where(NoteHold.clinic_id == Note.clinic_id, NoteHold.note_id == Note.id)
    marked = select(PatientOnly.subject_id).where(
        PatientOnly.clinic_id == Note.clinic_id,
        PatientOnly.subject_id.in_([Note.id, Note.encounter_id, Encounter.appointment_id]),
    )
    return ~held.exists(), ~marked.exists()


async def _with_versions(
    session: AsyncSession, vault: ClinicVault, clinic_id: str, rows: Sequence[tuple[Note, Encounter, datetime]]
) -> list[ReleasedNote]:
    ids = [note.id for note, _, _ in rows]
    versions = await _versions(session, vault, clinic_id, ids)
    doctors = await _doctors(session, clinic_id, [encounter.id for _, encounter, _ in rows])
    query = select(NoteWithdrawal).where(NoteWithdrawal.clinic_id == clinic_id, NoteWithdrawal.note_id.in_(ids))
    upto = {one.note_id: one.upto_n for one in await session.scalars(query)}
    return [
        ReleasedNote(
            encounter_id=encounter.id,
            note_id=note.id,
            starts_at=starts_at,
            zone=encounter.zone,
            doctor_name=doctors.get(encounter.id, ""),
            released_at=note.released_at or note.created_at,
            versions=[one for one in versions[note.id] if one.n > upto.get(note.id, 0)],
            is_withdrawn=note.id in upto,
        )
        for note, encounter, starts_at in rows
    ]


async def _versions(
    session: AsyncSession, vault: ClinicVault, clinic_id: str, note_ids: Sequence[str]
) -> Mapping[str, list[Version]]:
    query = (
        select(NoteVersion, NoteText, NoteKey)
        .outerjoin(NoteText, _of_version(NoteText))
        .outerjoin(NoteKey, _of_version(NoteKey))
        .where(NoteVersion.clinic_id == clinic_id, NoteVersion.note_id.in_(note_ids))
        .order_by(NoteVersion.note_id, NoteVersion.n)
    )
    found: dict[str, list[Version]] = defaultdict(list)
    for row, text, key in await session.execute(query):
        try:
            content = sealing.unseal(vault, text, key) if text is not None and key is not None else None
            found[row.note_id].append(_version(row, content))
        except VaultError:
            found[row.note_id].append(_version(row, None, is_altered=True))
    return found


def _of_version(kept: type[NoteText | NoteKey]) -> ColumnElement[bool]:
    return and_(kept.clinic_id == NoteVersion.clinic_id, kept.note_id == NoteVersion.note_id, kept.n == NoteVersion.n)


async def _doctors(session: AsyncSession, clinic_id: str, encounter_ids: Sequence[str]) -> dict[str, str]:
    """Who holds the visit, and who handed it to a colleague: the note names both."""
    handed = select(HandOver.id).where(
        HandOver.clinic_id == Participant.clinic_id,
        HandOver.encounter_id == Participant.encounter_id,
        HandOver.from_person_id == Participant.person_id,
    )
    query = select(Participant.encounter_id, Participant.name).where(
        Participant.clinic_id == clinic_id,
        Participant.encounter_id.in_(encounter_ids),
        Participant.role == Role.DOCTOR.value,
        or_(Participant.is_closed.is_(False), handed.exists()),
    )
    names: dict[str, list[str]] = defaultdict(list)
    for encounter_id, name in await session.execute(query.order_by(Participant.is_closed.desc(), Participant.name)):
        names[encounter_id].append(name)
    return {encounter_id: ", ".join(found) for encounter_id, found in names.items()}


def _version(version: NoteVersion, content: Content | None, *, is_altered: bool = False) -> Version:
    return Version(
        n=version.n,
        kind=Kind(version.kind),
        author_name=version.author_name,
        signed_at=version.signed_at,
        text=content.text if content else None,
        reason=content.reason if content else None,
        summary=content.summary if content else None,
        hash=version.hash,
        is_altered=is_altered,
    )
