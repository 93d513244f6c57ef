"""What is kept of a recording and what is not: wishes after a withdrawal, legal holds, deletions with their proof.

What may happen when is `keeping.py`'s; deleting itself is the job in `erasing.py`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, new_id
from server.encounters.models import PARTICIPANT
from server.encounters.recording_models import RECORDING


class RecordingWish(Base):
    """What somebody who withdrew wants done with what was recorded. `asked` ones are answered by a named person."""

    __tablename__ = "recording_wish"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "recording_id"], RECORDING),
        ForeignKeyConstraint(["clinic_id", "participant_id"], PARTICIPANT),
        CheckConstraint("choice IN ('keep', 'delete_mine', 'delete_all')", name="choice"),
        CheckConstraint("state IN ('done', 'asked', 'granted', 'refused')", name="state"),
        CheckConstraint("state NOT IN ('granted', 'refused') OR answered_by IS NOT NULL", name="answered"),
        Index("ix_recording_wish_recording", "clinic_id", "recording_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    recording_id: Mapped[str] = mapped_column(Id)
    participant_id: Mapped[str] = mapped_column(Id)
    choice: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    wished_at: Mapped[datetime]
    answered_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    answered_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(String(500), default="")


class RecordingHold(Base):
    """Nothing of this recording is deleted while a hold stands, whoever wishes it and whatever its date."""

    __tablename__ = "recording_hold"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "recording_id"], RECORDING),
        Index("ix_recording_hold_recording", "clinic_id", "recording_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    recording_id: Mapped[str] = mapped_column(Id)
    reason: Mapped[str] = mapped_column(String(500))
    placed_by: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    placed_at: Mapped[datetime]
    lifted_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    lifted_at: Mapped[datetime | None]


class RecordingDeletion(Base):
    """One deletion, of a person's part or (no participant) of all of it; `proof` says what is gone, as JSON."""

    __tablename__ = "recording_deletion"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "recording_id"], RECORDING),
        ForeignKeyConstraint(["clinic_id", "participant_id"], PARTICIPANT),
        CheckConstraint("cause IN ('withdrawn', 'granted', 'due', 'restored', 'log_done')", name="cause"),
        Index("ix_recording_deletion_recording", "clinic_id", "recording_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, unique=True, default=new_id)
    recording_id: Mapped[str] = mapped_column(Id)
    participant_id: Mapped[str | None] = mapped_column(Id)
    cause: Mapped[str] = mapped_column(String(16))
    ordered_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    proof: Mapped[str | None] = mapped_column(Text)
