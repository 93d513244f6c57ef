"""What patients may ask of their record: exports, what is withheld to be seen, notes to be erased; and what forbids it.

The notes themselves are `models.py`; deciding is `exports.py`, `requests.py` and `erasing.py`.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
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
from server.records.models import VERSION

PATIENT = ["patient.clinic_id", "patient.id"]


class NoteErasure(Base):
    """A version whose text and key were destroyed, on which ground, with proof. A trigger refuses update and delete."""

    __tablename__ = "note_erasure"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "note_id", "n"], VERSION),
        CheckConstraint("ground IN ('period_over', 'entered_in_error', 'ordered', 'restored')", name="ground"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    note_id: Mapped[str] = mapped_column(Id, primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ground: Mapped[str] = mapped_column(String(24))
    decided_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    at: Mapped[datetime]
    proof: Mapped[str] = mapped_column(Text)
    """JSON: hash and commitment of what is gone, the files that went with it; never a word of it."""


class RecordHold(Base):
    """While it stands nothing of this patient's notes is erased, on whatever ground."""

    __tablename__ = "record_hold"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], PATIENT),
        Index("ix_record_hold_patient", "clinic_id", "patient_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    patient_id: Mapped[str] = mapped_column(Id)
    reason: Mapped[str] = mapped_column(String(500))
    placed_by: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    placed_at: Mapped[datetime]
    lifted_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    lifted_at: Mapped[datetime | None]


class RecordExport(Base):
    """A copy of what somebody of the patient's side may see, sealed in the recordings store until it expires."""

    __tablename__ = "record_export"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], PATIENT),
        ForeignKeyConstraint(["clinic_id", "proxy_id"], ["proxy.clinic_id", "proxy.id"]),
        CheckConstraint("state IN ('asked', 'ready', 'failed', 'gone')", name="state"),
        CheckConstraint("(state = 'ready') = (wrapped_key IS NOT NULL)", name="ready"),
        Index("ix_record_export_patient", "clinic_id", "patient_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, unique=True, default=new_id)
    patient_id: Mapped[str] = mapped_column(Id)
    proxy_id: Mapped[str | None] = mapped_column(Id)
    """None: the patient asked."""
    scopes: Mapped[str] = mapped_column(String(200))
    """What a proxy might see when they asked; whoever has less by now doesn't get it."""
    language: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    asked_at: Mapped[datetime]
    ready_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    path: Mapped[str | None] = mapped_column(String(400))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)


class RecordRequest(Base):
    """One note or recording that somebody asked to see though it is withheld, or to have erased; and the answer."""

    __tablename__ = "record_request"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], PATIENT),
        ForeignKeyConstraint(["clinic_id", "encounter_id"], ["encounter.clinic_id", "encounter.id"]),
        CheckConstraint("kind IN ('see', 'erase')", name="kind"),
        CheckConstraint("subject_kind IN ('note', 'film')", name="subject_kind"),
        CheckConstraint("state IN ('asked', 'released', 'redacted', 'refused', 'erased')", name="state"),
        CheckConstraint("(state = 'asked') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("(state = 'refused') = (reason IS NOT NULL)", name="refused"),
        UniqueConstraint("clinic_id", "kind", "subject_kind", "subject_id"),
        Index("ix_record_request_patient", "clinic_id", "patient_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    patient_id: Mapped[str] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(String(16))
    subject_kind: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[str] = mapped_column(Id)
    encounter_id: Mapped[str] = mapped_column(Id)
    asked_at: Mapped[datetime]
    due_on: Mapped[date] = mapped_column(Date)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(24))
    sealed_text: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What the patient reads in place of a redacted note."""
    decided_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
