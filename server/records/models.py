"""The visit's note: one draft a visit, and signed versions that never change, chained by commitments.

Sealed text and its key lie apart from the chain, so that erasing both leaves a link that still verifies as erased.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, new_id


class Note(Base):
    """The note of one visit (FHIR Composition); `revision` rises with every saved draft."""

    __tablename__ = "note"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "encounter_id"], ["encounter.clinic_id", "encounter.id"]),
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"]),
        UniqueConstraint("clinic_id", "encounter_id"),
        CheckConstraint("(signed_at IS NULL) OR (draft = '')", name="signed_has_no_draft"),
        Index("ix_note_patient", "clinic_id", "patient_id", "released_at"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    encounter_id: Mapped[str] = mapped_column(Id)
    patient_id: Mapped[str] = mapped_column(Id)
    draft: Mapped[str] = mapped_column(Text, default="")
    revision: Mapped[int] = mapped_column(default=0)
    drafted_by: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    drafted_at: Mapped[datetime]
    signed_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    """From when the patient may read it; unsigned text is never released."""
    created_at: Mapped[datetime]


class NoteVersion(Base):
    """A signed version, or what was added to it later. A trigger refuses update and delete."""

    __tablename__ = "note_version"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "note_id"], ["note.clinic_id", "note.id"]),
        CheckConstraint("kind IN ('signed', 'addendum', 'late_entry', 'correction')", name="kind"),
        CheckConstraint("(n = 1) = (kind = 'signed')", name="first_is_signed"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    note_id: Mapped[str] = mapped_column(Id, primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int]
    author_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    author_name: Mapped[str] = mapped_column(String(400))
    signed_at: Mapped[datetime]
    commitment: Mapped[bytes] = mapped_column(LargeBinary(32))
    previous: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


VERSION = ["note_version.clinic_id", "note_version.note_id", "note_version.n"]


class NoteText(Base):
    """What a version says, sealed (`sealing.py`). Triggers refuse update, and delete of what wasn't erased."""

    __tablename__ = "note_text"
    __table_args__ = (ForeignKeyConstraint(["clinic_id", "note_id", "n"], VERSION),)

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    note_id: Mapped[str] = mapped_column(Id, primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class NoteKey(Base):
    """The key of a version's text, wrapped by the clinic's keyset. A trigger refuses delete of what wasn't erased."""

    __tablename__ = "note_key"
    __table_args__ = (ForeignKeyConstraint(["clinic_id", "note_id", "n"], VERSION),)

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    note_id: Mapped[str] = mapped_column(Id, primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)


class NoteHold(Base):
    """A signed note that somebody does not read yet: nobody of the patient's side, or no proxy. Gone once let go."""

    __tablename__ = "note_hold"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "note_id"], ["note.clinic_id", "note.id"]),
        CheckConstraint("readers IN ('nobody', 'patient_only')", name="readers"),
        CheckConstraint("reason IN ('harm', 'another_person', 'wish')", name="reason"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    note_id: Mapped[str] = mapped_column(Id, primary_key=True)
    readers: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(16))
    review_on: Mapped[date] = mapped_column(Date)
    decided_by: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    decided_at: Mapped[datetime]


class NoteWithdrawal(Base):
    """Entered in error: the versions up to `upto_n` are read by the privacy officer alone."""

    __tablename__ = "note_withdrawal"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "note_id"], ["note.clinic_id", "note.id"]),
        ForeignKeyConstraint(["clinic_id", "offered_to"], ["encounter.clinic_id", "encounter.id"]),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    note_id: Mapped[str] = mapped_column(Id, primary_key=True)
    upto_n: Mapped[int]
    by_person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    at: Mapped[datetime]
    incident_id: Mapped[str] = mapped_column(Id)
    offered_to: Mapped[str | None] = mapped_column(Id)
    """The visit whose draft the text was put into."""


class NoteTemplate(Base):
    """The headings a note of this kind of visit begins with, as the clinic wants them."""

    __tablename__ = "note_template"
    __table_args__ = (ForeignKeyConstraint(["clinic_id", "visit_type_id"], ["visit_type.clinic_id", "visit_type.id"]),)

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    visit_type_id: Mapped[str] = mapped_column(Id, primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    changed_by: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    changed_at: Mapped[datetime]


class CorrectionRequest(Base):
    """This is wrong, said by a patient of a note, and what the doctor answered; both sealed."""

    __tablename__ = "correction_request"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "note_id"], ["note.clinic_id", "note.id"]),
        CheckConstraint("outcome IN ('corrected', 'stands')", name="outcome"),
        CheckConstraint("(answered_at IS NULL) = (outcome IS NULL)", name="answered"),
        Index("ix_correction_request_note", "clinic_id", "note_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    note_id: Mapped[str] = mapped_column(Id)
    sealed_text: Mapped[bytes] = mapped_column(LargeBinary)
    asked_at: Mapped[datetime]
    answered_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    answered_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(16))
    sealed_answer: Mapped[bytes | None] = mapped_column(LargeBinary)


class FactorShown(Base):
    """When a staff session last showed its second factor again, to sign."""

    __tablename__ = "factor_shown"

    session_id: Mapped[str] = mapped_column(Id, ForeignKey("session.id"), primary_key=True)
    at: Mapped[datetime]
