"""Who did what: entries written in the act's own transaction, incidents, and the list of deletions.

Chaining the entries and writing that list out is `audit_chain.py`; what an act means is the areas' business.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ForeignKey,
    ForeignKeyConstraint,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    delete,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, new_id, plain, table_of
from server.errors import not_found

KEY_BYTES = 32


class AuditAction(StrEnum):
    """Every act that leaves an entry; add, never rename."""

    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    SESSION_REVOKED = "session_revoked"
    SIGNED_OFF = "signed_off"
    STAFF_INVITED = "staff_invited"
    SIGN_IN_SET_UP = "sign_in_set_up"
    SECOND_FACTOR_REPLACED = "second_factor_replaced"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 — what happened
    ROLES_CHANGED = "roles_changed"
    ACCOUNT_MADE = "account_made"
    ACCOUNT_CLOSED = "account_closed"
    VISIT_HANDED_OVER = "visit_handed_over"
    REFUSED = "refused"
    LINK_UNLOCKED = "link_unlocked"
    PROXY_ADDED = "proxy_added"
    PROXY_STOPPED = "proxy_stopped"
    PROXY_ACTED = "proxy_acted"
    PATIENT_ONLY_MARKED = "patient_only_marked"
    RECORD_OPENED = "record_opened"
    RECORD_REVIEWED = "record_reviewed"
    RECORD_HIDDEN = "record_hidden"
    INCIDENT_ASSIGNED = "incident_assigned"
    AUDIT_SEARCHED = "audit_searched"
    AUDIT_EXPORTED = "audit_exported"
    AUDIT_VERIFIED = "audit_verified"
    KEYS_ROTATED = "keys_rotated"
    RESTORED = "restored"
    PATIENT_CREATED = "patient_created"
    PATIENT_CHANGED = "patient_changed"
    PATIENT_SEARCHED = "patient_searched"
    PATIENT_SEEN = "patient_seen"
    LINK_MADE = "link_made"
    LINK_OPENED = "link_opened"
    LINK_CLOSED = "link_closed"
    LINK_LOCKED = "link_locked"
    PAGE_OPENED = "page_opened"
    PAGE_CODE_READ_OUT = "page_code_read_out"
    APPOINTMENT_BOOKED = "appointment_booked"
    APPOINTMENT_MOVED = "appointment_moved"
    APPOINTMENT_CANCELLED = "appointment_cancelled"
    APPOINTMENT_CONFIRMED = "appointment_confirmed"
    APPOINTMENT_NO_SHOW = "appointment_no_show"
    APPOINTMENT_PUT_BACK = "appointment_put_back"
    DOOR_CODE_READ_OUT = "door_code_read_out"
    MESSAGE_SENT = "message_sent"
    PRESENCE_GIVEN = "presence_given"
    IDENTITY_DENIED = "identity_denied"
    ARRIVED = "arrived"
    ADMITTED = "admitted"
    TOOK_OVER = "took_over"
    DEPARTED = "departed"
    SENT_BACK = "sent_back"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    WRONG_PERSON = "wrong_person"
    GUEST_INVITED = "guest_invited"
    GUEST_AGREED = "guest_agreed"
    CHAT_READ = "chat_read"
    EMERGENCY = "emergency"
    BY_PHONE = "by_phone"
    VISIT_ENDED = "visit_ended"
    VISIT_REOPENED = "visit_reopened"
    RECORDING_ASKED = "recording_asked"
    CONSENT_GIVEN = "consent_given"
    CONSENT_REFUSED = "consent_refused"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    RECORDING_STARTED = "recording_started"
    RECORDING_STOPPED = "recording_stopped"
    RECORDING_PAUSED = "recording_paused"
    RECORDING_WATCHED = "recording_watched"
    RECORDING_GRANTED = "recording_granted"
    RECORDING_DELETED = "recording_deleted"
    RECORDING_WISH = "recording_wish"
    RECORDING_EXPORTED = "recording_exported"
    RECORDING_HELD = "recording_held"
    RECORDING_RELEASED = "recording_released"
    NOTE_OPENED = "note_opened"
    NOTE_SIGNED = "note_signed"
    NOTE_READ = "note_read"
    NOTE_ADDED_TO = "note_added_to"
    NOTE_HELD = "note_held"
    NOTE_LET_GO = "note_let_go"
    NOTE_WITHDRAWN = "note_withdrawn"
    NOTE_PRINTED = "note_printed"
    CORRECTION_ASKED = "correction_asked"
    CORRECTION_ANSWERED = "correction_answered"
    DOCUMENT_ADDED = "document_added"
    DOCUMENT_READ = "document_read"
    DOCUMENT_DELETED = "document_deleted"
    NOTE_ERASED = "note_erased"
    RECORD_HELD = "record_held"
    RECORD_HOLD_LIFTED = "record_hold_lifted"
    EXPORT_ASKED = "export_asked"
    EXPORT_MADE = "export_made"
    EXPORT_FETCHED = "export_fetched"
    REQUEST_MADE = "request_made"
    REQUEST_ANSWERED = "request_answered"
    INCIDENT_FILED = "incident_filed"
    INCIDENT_CLOSED = "incident_closed"
    SETTINGS_CHANGED = "settings_changed"


class AuditEntry(Base):
    """One act, by ids and codes; never text, a name or a contact. A trigger refuses update and delete."""

    __tablename__ = "audit_entry"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), index=True)
    at: Mapped[datetime]
    actor_person_id: Mapped[str | None] = mapped_column(Id)
    actor_participation_id: Mapped[str | None] = mapped_column(Id)
    action: Mapped[str] = mapped_column(String(40))
    subject_kind: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text)
    key: Mapped[bytes] = mapped_column(LargeBinary(KEY_BYTES))
    """Of this entry's commitment alone: the chain holds only the commitment."""


class AuditPending(Base):
    """An entry that waits for the linker, written with it and taken away by its link."""

    __tablename__ = "audit_pending"

    entry_id: Mapped[str] = mapped_column(Id, ForeignKey("audit_entry.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)


class AuditLink(Base):
    """The chain of a clinic's entries, made by one linker. A trigger refuses update and delete."""

    __tablename__ = "audit_link"
    __table_args__ = (UniqueConstraint("entry_id"),)

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry_id: Mapped[str] = mapped_column(Id)
    """No foreign key: an erased entry's link stays."""
    commitment: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    linked_at: Mapped[datetime]


class Incident(Base):
    """Something went wrong that somebody must look into; open until its owner closes it."""

    __tablename__ = "incident"
    __table_args__ = (
        ForeignKeyConstraint(["owner_person_id"], ["person.id"]),
        ForeignKeyConstraint(["filed_by_person_id"], ["person.id"]),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(40))
    subject_kind: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str] = mapped_column(String(64))
    filed_by_person_id: Mapped[str | None] = mapped_column(Id)
    owner_person_id: Mapped[str | None] = mapped_column(Id)
    filed_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class DeletionKind(StrEnum):
    LINK_REVOKED = "link_revoked"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    DELETED = "deleted"


class Deletion(Base):
    """Waits here, from the act's transaction on, until the linker has written it to the list outside the backup."""

    __tablename__ = "deletion"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"))
    kind: Mapped[str] = mapped_column(String(40))
    subject_kind: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    listed_at: Mapped[datetime | None] = mapped_column(index=True)


_INSERT_ENTRY = insert(table_of(AuditEntry))
_INSERT_PENDING = insert(table_of(AuditPending))


async def enter(
    session: AsyncSession,
    *,
    clinic_id: str,
    actor_person_id: str | None,
    action: AuditAction,
    subject: tuple[str, str],
    now: datetime,
    detail: Mapping[str, str | int | bool | None] | None = None,
    actor_participation_id: str | None = None,
) -> None:
    """Writes the entry in the act's own transaction. `subject` is (kind, id); `detail` holds ids and codes only."""
    kind, subject_id = subject
    entry = {
        "id": new_id(),
        "clinic_id": clinic_id,
        "at": now,
        "actor_person_id": actor_person_id,
        "actor_participation_id": actor_participation_id,
        "action": action.value,
        "subject_kind": kind,
        "subject_id": subject_id,
        "detail": json.dumps(dict(detail or {}), sort_keys=True, separators=(",", ":")),
        "key": os.urandom(KEY_BYTES),
    }
    await session.flush()
    connection = await plain(session)
    await connection.execute(_INSERT_ENTRY, entry)
    await connection.execute(_INSERT_PENDING, {"entry_id": entry["id"], "at": now})


async def file_incident(
    session: AsyncSession,
    *,
    clinic_id: str,
    kind: str,
    subject: tuple[str, str],
    filed_by_person_id: str | None,
    owner_person_id: str | None,
    now: datetime,
) -> str:
    """Files an incident with its owner and its audit entry; answers its id."""
    incident = Incident(
        clinic_id=clinic_id,
        id=new_id(),
        kind=kind,
        subject_kind=subject[0],
        subject_id=subject[1],
        filed_by_person_id=filed_by_person_id,
        owner_person_id=owner_person_id,
        filed_at=now,
    )
    session.add(incident)
    await enter(
        session,
        clinic_id=clinic_id,
        actor_person_id=filed_by_person_id,
        action=AuditAction.INCIDENT_FILED,
        subject=("incident", incident.id),
        detail={"kind": kind},
        now=now,
    )
    return incident.id


async def open_incidents(session: AsyncSession, clinic_id: str) -> list[Incident]:
    """The clinic's incidents that nobody has closed, oldest first."""
    query = select(Incident).where(Incident.clinic_id == clinic_id, Incident.closed_at.is_(None))
    return list((await session.scalars(query.order_by(Incident.filed_at))).all())


async def close_incident(
    session: AsyncSession,
    clinic_id: str,
    incident_id: str,
    *,
    by_person_id: str | None,
    now: datetime,
    detail: Mapping[str, str | int | bool | None] | None = None,
) -> None:
    """Closes an incident, once. Raises not_found."""
    incident = await session.get(Incident, (clinic_id, incident_id))
    if incident is None:
        raise not_found()
    if incident.closed_at is not None:
        return
    incident.closed_at = now
    await enter(
        session,
        clinic_id=clinic_id,
        actor_person_id=by_person_id,
        action=AuditAction.INCIDENT_CLOSED,
        subject=("incident", incident_id),
        detail=detail,
        now=now,
    )


async def undo_incidents(
    session: AsyncSession, clinic_id: str, kind: str, subject_id: str, *, by_person_id: str | None, now: datetime
) -> None:
    """What they tell of was undone at once: they are closed, and their audit entries say why."""
    for incident in await open_incidents(session, clinic_id):
        if (incident.kind, incident.subject_id) == (kind, subject_id):
            undone = {"undone": True}
            await close_incident(session, clinic_id, incident.id, by_person_id=by_person_id, now=now, detail=undone)


async def assign_incident(
    session: AsyncSession,
    clinic_id: str,
    incident_id: str,
    *,
    owner_person_id: str,
    by_person_id: str | None,
    now: datetime,
) -> None:
    """Says who looks into it from now on. Raises not_found."""
    incident = await session.get(Incident, (clinic_id, incident_id))
    if incident is None:
        raise not_found()
    incident.owner_person_id = owner_person_id
    await enter(
        session,
        clinic_id=clinic_id,
        actor_person_id=by_person_id,
        action=AuditAction.INCIDENT_ASSIGNED,
        subject=("incident", incident_id),
        detail={"owner": owner_person_id},
        now=now,
    )


async def record_deletion(
    session: AsyncSession, *, clinic_id: str, kind: DeletionKind, subject: tuple[str, str], now: datetime
) -> None:
    """Puts a revoked link, a withdrawal or a deletion on the list that a restore replays before it opens.

    The row is part of the act's transaction; the linker copies it to the file outside the backup within a second of
    `now`, which may lie ahead: until then it can be taken back.
    """
    session.add(
        Deletion(
            id=new_id(), clinic_id=clinic_id, kind=kind.value, subject_kind=subject[0], subject_id=subject[1], at=now
        )
    )
    await session.flush()


async def withdraw_deletion(session: AsyncSession, subject: tuple[str, str]) -> bool:
    """Takes back what isn't on the list yet; false when it is there already."""
    kind, subject_id = subject
    gone = delete(Deletion).where(
        Deletion.subject_kind == kind, Deletion.subject_id == subject_id, Deletion.listed_at.is_(None)
    )
    return bool(list(await session.scalars(gone.returning(Deletion.id))))
