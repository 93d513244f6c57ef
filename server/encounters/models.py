"""The visit: encounter, participants, the patient's card, chat, emergency presses.

Recordings are in `recording_models.py`; what may change is `rules.py`'s, who writes `service.py`'s.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, new_id

ENCOUNTER = ["encounter.clinic_id", "encounter.id"]
LIVE = "status NOT IN ('cancelled', 'entered-in-error')"
PARTICIPANT = ["participant.clinic_id", "participant.id"]


class Encounter(Base):
    """One visit (FHIR R4 Encounter) of an appointment; owns at most one room, whose id is the encounter's.

    An appointment has at most one that is neither cancelled nor in error: put back, it gets another.
    """

    __tablename__ = "encounter"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "appointment_id"], ["appointment.clinic_id", "appointment.id"]),
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"]),
        Index(
            "uq_encounter_live",
            "clinic_id",
            "appointment_id",
            unique=True,
            sqlite_where=text(LIVE),
            postgresql_where=text(LIVE),
        ),
        CheckConstraint(
            "status IN ('planned', 'arrived', 'in-progress', 'finished', 'cancelled', 'entered-in-error')",
            name="status",
        ),
        CheckConstraint(
            "outcome IN ('seen', 'finished_by_phone', 'not_reached', 'left', 'sent_elsewhere', 'wrong_person')",
            name="outcome",
        ),
        Index("ix_encounter_patient", "clinic_id", "patient_id"),
        Index("ix_encounter_status", "status"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, unique=True, default=new_id)
    appointment_id: Mapped[str] = mapped_column(Id)
    patient_id: Mapped[str] = mapped_column(Id)
    status: Mapped[str] = mapped_column(String(32), default="planned")
    zone: Mapped[str] = mapped_column(String(64))
    by_phone: Mapped[bool] = mapped_column(Boolean, default=False)
    outcome: Mapped[str | None] = mapped_column(String(32))
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None] = mapped_column(Id)
    note_signed_at: Mapped[datetime | None]
    """Told by the record: what it decides about the recording is `keeping.py`'s."""
    chat_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class Participant(Base):
    """A participation: one person's place in one visit. `session_id` is the browser that holds it.

    After "not the right person" the row is closed for good; the right one gets a row of their own.
    `reads_after` is the number of the last chat line that was written before they were let in.
    """

    __tablename__ = "participant"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "encounter_id"], ENCOUNTER),
        CheckConstraint("role IN ('doctor', 'patient', 'proxy', 'guest', 'interpreter')", name="role"),
        CheckConstraint("state IN ('invited', 'waiting', 'admitted', 'left')", name="state"),
        CheckConstraint("(state = 'left') = (reason IS NOT NULL)", name="departure"),
        UniqueConstraint("clinic_id", "encounter_id", "person_id"),
        Index("ix_participant_person", "clinic_id", "person_id"),
        Index(
            "uq_participant_open_patient",
            "clinic_id",
            "encounter_id",
            unique=True,
            sqlite_where=text("role = 'patient' AND NOT is_closed"),
            postgresql_where=text("role = 'patient' AND NOT is_closed"),
        ),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, unique=True, default=new_id)
    encounter_id: Mapped[str] = mapped_column(Id)
    role: Mapped[str] = mapped_column(String(16))
    person_id: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    """Doctors only: a patient's place is opened by a link, not by a signed-in person."""
    name: Mapped[str] = mapped_column(String(400))
    relation: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16), default="invited")
    reason: Mapped[str | None] = mapped_column(String(32))
    waiting_since: Mapped[datetime | None]
    admitted_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    reads_after: Mapped[int] = mapped_column(default=0)
    session_id: Mapped[str | None] = mapped_column(Id)
    is_blocked: Mapped[bool] = mapped_column(Boolean, default=False)
    is_closed: Mapped[bool] = mapped_column(Boolean, default=False)
    seen_at: Mapped[datetime | None]
    """When a doctor marked this arrival as seen."""
    agreed_at: Mapped[datetime | None]
    """Guests: when the patient agreed to this name and role; asked before they can be let in."""
    agreed_by: Mapped[str | None] = mapped_column(Id)
    """The participation that said so: the patient's own, or the doctor's when the patient said it aloud. None of an
    interpreter whom the patient asked for when the visit was booked."""
    refused_at: Mapped[datetime | None]
    language: Mapped[str | None] = mapped_column(String(16))
    """Of the door that they came through last: in it they are asked. None for staff."""
    created_at: Mapped[datetime]

    @property
    def is_arranged(self) -> bool:
        """An interpreter, invited beforehand: let in together with the patient."""
        return self.role == "interpreter" and self.agreed_at is not None and self.agreed_by is None


class ClinicText(Base):
    """The clinic's wording of a question, by kind, language and version; a version's words never change."""

    __tablename__ = "clinic_text"
    __table_args__ = (
        UniqueConstraint("clinic_id", "kind", "language", "version"),
        CheckConstraint("kind IN ('video_consent', 'recording_consent')", name="kind"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(32))
    language: Mapped[str] = mapped_column(String(16))
    version: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class VisitCard(Base):
    """What was said at the door, each time it was said; a part that was left out is None and shown as "not given"."""

    __tablename__ = "visit_card"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "encounter_id"], ENCOUNTER),
        ForeignKeyConstraint(["clinic_id", "participant_id"], PARTICIPANT),
        ForeignKeyConstraint(["clinic_id", "agreed_text_id"], ["clinic_text.clinic_id", "clinic_text.id"]),
        CheckConstraint("identity IN ('self', 'helping', 'denied', 'not_given')", name="identity"),
        Index("ix_visit_card_participant", "clinic_id", "participant_id", "at"),
        Index("ix_visit_card_session", "session_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    encounter_id: Mapped[str] = mapped_column(Id)
    participant_id: Mapped[str | None] = mapped_column(Id)
    """None after "no": that browser got no place."""
    session_id: Mapped[str | None] = mapped_column(Id)
    identity: Mapped[str] = mapped_column(String(16))
    place: Mapped[str | None] = mapped_column(String(300))
    phone: Mapped[str | None] = mapped_column(String(32))
    others: Mapped[str | None] = mapped_column(String(300))
    agreed_text_id: Mapped[str | None] = mapped_column(Id)
    at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    """After "no": when the desk took note of it."""


class ChatLine(Base):
    """A line of the visit's chat, numbered from 1; `sealed` holds text and the sender's name as then."""

    __tablename__ = "chat_line"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "encounter_id"], ENCOUNTER),
        ForeignKeyConstraint(["clinic_id", "participant_id"], PARTICIPANT),
        UniqueConstraint("clinic_id", "participant_id", "event_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    encounter_id: Mapped[str] = mapped_column(Id, primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    participant_id: Mapped[str] = mapped_column(Id)
    role: Mapped[str] = mapped_column(String(16))
    event_id: Mapped[str] = mapped_column(String(64))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


class EmergencyPress(Base):
    """The doctor pressed Emergency: when, and which number was shown. Place and phone are on the card."""

    __tablename__ = "emergency_press"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "encounter_id"], ENCOUNTER),
        ForeignKeyConstraint(["clinic_id", "participant_id"], PARTICIPANT),
        Index("ix_emergency_press_encounter", "clinic_id", "encounter_id", "pressed_at"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    encounter_id: Mapped[str] = mapped_column(Id)
    participant_id: Mapped[str] = mapped_column(Id)
    number: Mapped[str] = mapped_column(String(16))
    country: Mapped[str] = mapped_column(String(2))
    pressed_at: Mapped[datetime]


class HandOver(Base):
    """A visit that its doctor gave to a colleague: from then on theirs; the first goes on reading it."""

    __tablename__ = "hand_over"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "encounter_id"], ENCOUNTER),
        CheckConstraint("from_person_id <> to_person_id", name="two"),
        Index("ix_hand_over_encounter", "clinic_id", "encounter_id", "at"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    encounter_id: Mapped[str] = mapped_column(Id)
    from_person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    to_person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    at: Mapped[datetime]


class ProxyPlace(Base):
    """Which place in a visit somebody who acts for the patient holds; it is theirs only while they may attend."""

    __tablename__ = "proxy_place"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "encounter_id"], ENCOUNTER),
        ForeignKeyConstraint(["clinic_id", "participant_id"], PARTICIPANT),
        ForeignKeyConstraint(["clinic_id", "proxy_id"], ["proxy.clinic_id", "proxy.id"]),
        UniqueConstraint("clinic_id", "encounter_id", "proxy_id"),
        Index("ix_proxy_place_proxy", "clinic_id", "proxy_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    participant_id: Mapped[str] = mapped_column(Id, primary_key=True)
    encounter_id: Mapped[str] = mapped_column(Id)
    proxy_id: Mapped[str] = mapped_column(Id)
