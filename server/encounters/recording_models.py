"""Recordings: purposes, questions and answers, keys of the packet log, the logs that came, the film made from them.

Which step follows which is in `rules.py`; who writes is `recordings.py` for the room and `films.py` for the film.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, new_id
from server.encounters.models import ENCOUNTER, PARTICIPANT

RECORDING = ["recording.clinic_id", "recording.id"]


class RecordingPurpose(Base):
    """Why a clinic records, as the person asked is told: in words, who may watch, for how many days it is kept."""

    __tablename__ = "recording_purpose"
    __table_args__ = (
        CheckConstraint("kept_days > 0", name="kept_days"),
        CheckConstraint("NOT is_teaching OR kept_days <= 184", name="teaching"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    words: Mapped[str] = mapped_column(String(300))
    who_may_watch: Mapped[str] = mapped_column(String(300))
    kept_days: Mapped[int]
    is_record: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """Part of the record: what the law says of the record decides, so that a wish to delete is answered by a person."""
    is_teaching: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """For learning from: kept half a year at most."""
    is_active: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime]


class PurposeWords(Base):
    """A purpose in a further language; `recording_purpose` has it in the clinic's own."""

    __tablename__ = "recording_purpose_words"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "code"], ["recording_purpose.clinic_id", "recording_purpose.code"]),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    language: Mapped[str] = mapped_column(String(16), primary_key=True)
    words: Mapped[str] = mapped_column(String(300))
    who_may_watch: Mapped[str] = mapped_column(String(300))


class Recording(Base):
    """One recording of one visit, from the question on; `question` counts how often everybody was asked."""

    __tablename__ = "recording"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "encounter_id"], ENCOUNTER),
        ForeignKeyConstraint(["clinic_id", "asked_by"], PARTICIPANT),
        ForeignKeyConstraint(["clinic_id", "purpose"], ["recording_purpose.clinic_id", "recording_purpose.code"]),
        ForeignKeyConstraint(["clinic_id", "text_id"], ["clinic_text.clinic_id", "clinic_text.id"]),
        CheckConstraint(
            "phase IN ('asking', 'starting', 'running', 'paused', 'stopped', 'declined', 'failed')", name="phase"
        ),
        UniqueConstraint("clinic_id", "encounter_id", "n"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, unique=True, default=new_id)
    encounter_id: Mapped[str] = mapped_column(Id)
    n: Mapped[int]
    """1 for the visit's first recording; a new one only begins when the one before has ended."""
    phase: Mapped[str] = mapped_column(String(16))
    code: Mapped[str | None] = mapped_column(String(64))
    question: Mapped[int] = mapped_column(default=1)
    purpose: Mapped[str] = mapped_column(String(64))
    text_id: Mapped[str] = mapped_column(Id)
    asked_by: Mapped[str] = mapped_column(Id)
    asked_at: Mapped[datetime]
    answer_by: Mapped[datetime | None]
    segment: Mapped[int] = mapped_column(default=1)
    delete_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    logs_deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class ConsentAnswer(Base):
    """One answer of one person to one question. Only ever added; the newest of a person counts.

    `lapsed` stands for nothing: who came in anew, or on another device, is asked again.
    """

    __tablename__ = "consent_answer"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "recording_id"], RECORDING),
        ForeignKeyConstraint(["clinic_id", "participant_id"], PARTICIPANT),
        ForeignKeyConstraint(["clinic_id", "text_id"], ["clinic_text.clinic_id", "clinic_text.id"]),
        CheckConstraint("answer IN ('yes', 'no', 'unanswered', 'withdrawn', 'lapsed')", name="answer"),
        CheckConstraint("given_for IN ('self', 'patient')", name="given_for"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    recording_id: Mapped[str] = mapped_column(Id, primary_key=True)
    participant_id: Mapped[str] = mapped_column(Id, primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The person's own answers in their order, from 1."""
    question: Mapped[int]
    answer: Mapped[str] = mapped_column(String(16))
    others_present: Mapped[str] = mapped_column(String(200), default="")
    others_agree: Mapped[bool] = mapped_column(Boolean, default=False)
    given_for: Mapped[str] = mapped_column(String(16), default="self")
    text_id: Mapped[str] = mapped_column(Id)
    text_version: Mapped[int]
    language: Mapped[str] = mapped_column(String(16))
    session_id: Mapped[str | None] = mapped_column(Id)
    at: Mapped[datetime]


class SegmentKey(Base):
    """The data key of one participant in one segment of the packet log, wrapped by the clinic's keyset."""

    __tablename__ = "segment_key"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "recording_id"], RECORDING),
        ForeignKeyConstraint(["clinic_id", "participant_id"], PARTICIPANT),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    recording_id: Mapped[str] = mapped_column(Id, primary_key=True)
    segment: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    participant_id: Mapped[str] = mapped_column(Id, primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    label: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """SHA-256 of the wrapped form that the log names, where the one here was wrapped anew since."""
    created_at: Mapped[datetime]


class StoredLog(Base):
    """A closed packet log in the recordings store; `is_complete` is false when it was found after a crash."""

    __tablename__ = "stored_log"
    __table_args__ = (ForeignKeyConstraint(["clinic_id", "recording_id"], RECORDING),)

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    recording_id: Mapped[str] = mapped_column(Id, primary_key=True)
    path: Mapped[str] = mapped_column(String(400), primary_key=True)
    segment: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    packets: Mapped[int] = mapped_column(BigInteger)
    is_complete: Mapped[bool] = mapped_column(Boolean)
    stored_at: Mapped[datetime]


class Film(Base):
    """The film of one recording: `empty` when nothing was recorded. Sealed in blocks at `path` in the recordings store.

    `composed_from` is the sorted list (JSON) of the logs it was made from: another list means another film is due.
    """

    __tablename__ = "film"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "recording_id"], RECORDING),
        ForeignKeyConstraint(["clinic_id", "encounter_id"], ENCOUNTER),
        UniqueConstraint("clinic_id", "recording_id"),
        CheckConstraint("state IN ('queued', 'composing', 'ready', 'empty', 'failed')", name="state"),
        CheckConstraint("state <> 'ready' OR (path IS NOT NULL AND wrapped_key IS NOT NULL)", name="ready"),
        CheckConstraint("state <> 'empty' OR path IS NULL", name="empty"),
        Index("ix_film_encounter", "clinic_id", "encounter_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    recording_id: Mapped[str] = mapped_column(Id)
    encounter_id: Mapped[str] = mapped_column(Id)
    state: Mapped[str] = mapped_column(String(16))
    progress: Mapped[float] = mapped_column(default=0.0)
    code: Mapped[str | None] = mapped_column(String(64))
    report: Mapped[str | None] = mapped_column(Text)
    path: Mapped[str | None] = mapped_column(String(400))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    duration_s: Mapped[float | None]
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    composed_from: Mapped[str] = mapped_column(Text, default="[]")
    with_names: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    with_clock: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    tracks_path: Mapped[str | None] = mapped_column(String(400))
    """The originals in one Matroska file, where a doctor asked for them; sealed beside the logs, and gone with them."""
    tracks_bytes: Mapped[int | None] = mapped_column(BigInteger)
    tracks_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    parts: Mapped[str | None] = mapped_column(Text)
    """What a film in the making has so far, as JSON of `filmparts.py`; sealed beside it, gone once it is made."""
    parts_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    composing_since: Mapped[datetime | None]
    made_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class FilmGrant(Base):
    """A doctor of the visit let the patient watch this film on the patient's own page."""

    __tablename__ = "film_grant"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "film_id"], ["film.clinic_id", "film.id"]),
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"]),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    film_id: Mapped[str] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[str] = mapped_column(Id, primary_key=True)
    granted_by: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    granted_at: Mapped[datetime]


class FilmRedaction(Base):
    """A film with stretches taken out, which the patient may watch though not the whole. `stretches` is JSON."""

    __tablename__ = "film_redaction"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "film_id"], ["film.clinic_id", "film.id"]),
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"]),
        CheckConstraint("state IN ('asked', 'ready', 'failed', 'gone')", name="state"),
        CheckConstraint("(state = 'ready') = (wrapped_key IS NOT NULL)", name="ready"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    film_id: Mapped[str] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[str] = mapped_column(Id)
    stretches: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    code: Mapped[str | None] = mapped_column(String(64))
    decided_by: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    decided_at: Mapped[datetime]
    path: Mapped[str | None] = mapped_column(String(400))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    made_at: Mapped[datetime | None]
