"""Hours, visit types, appointments with their ticks and history, and the messages about them.

What may be booked is decided in `slots.py` and `rules.py`; all writing is done by `service.py` and `messages.py`.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
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


class VisitType(Base):
    """What can be booked (FHIR ServiceType): its length, the pauses around it, who may book how early and how late."""

    __tablename__ = "visit_type"
    __table_args__ = (
        CheckConstraint("length_min > 0 AND length_min % 5 = 0", name="length"),
        CheckConstraint("buffer_before_min % 5 = 0 AND buffer_after_min % 5 = 0", name="buffers"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    length_min: Mapped[int]
    buffer_before_min: Mapped[int] = mapped_column(default=0)
    buffer_after_min: Mapped[int] = mapped_column(default=0)
    grid_min: Mapped[int | None]
    """Distance between starts; None: the length."""
    lead_time_min: Mapped[int] = mapped_column(default=0)
    """How early before the start a patient must book; staff may book any time that hasn't begun."""
    cutoff_min: Mapped[int] = mapped_column(default=0)
    """Until when before the start a patient may move or cancel."""
    horizon_days: Mapped[int] = mapped_column(default=180)
    reminder_min: Mapped[int | None] = mapped_column(default=24 * 60)
    """How long before the start the reminder is due; None: no reminder."""
    is_active: Mapped[bool] = mapped_column(Boolean, default=True)
    audience: Mapped[str] = mapped_column(String(16), default="any")
    """For whom: `any`, `new` (not seen here before) or `follow_up`."""
    for_patients: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether patients may book it from their own page."""
    created_at: Mapped[datetime]


class VisitTypeOffer(Base):
    """A doctor who offers a kind of visit; one without any such row is offered by every doctor."""

    __tablename__ = "visit_type_offer"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "visit_type_id"], ["visit_type.clinic_id", "visit_type.id"]),
        ForeignKeyConstraint(
            ["clinic_id", "person_id", "role"], ["membership.clinic_id", "membership.person_id", "membership.role"]
        ),
        CheckConstraint("role = 'doctor'", name="role"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    visit_type_id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
    role: Mapped[str] = mapped_column(String(32), default="doctor")


class Schedule(Base):
    """One block of weekly hours of one doctor (FHIR Schedule), in local wall-clock time.

    `opens_min` and `closes_min` count wall-clock minutes from local midnight; above 1440 is the next day (overnight).
    """

    __tablename__ = "schedule"
    __table_args__ = (
        CheckConstraint("closes_min > opens_min AND opens_min >= 0 AND opens_min < 1440", name="hours"),
        CheckConstraint("role = 'doctor'", name="role"),
        ForeignKeyConstraint(
            ["clinic_id", "person_id", "role"], ["membership.clinic_id", "membership.person_id", "membership.role"]
        ),
        Index("ix_schedule_person", "clinic_id", "person_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    person_id: Mapped[str] = mapped_column(Id)
    role: Mapped[str] = mapped_column(String(32), default="doctor")
    zone: Mapped[str] = mapped_column(String(64))
    rule: Mapped[str] = mapped_column(String(200))
    opens_min: Mapped[int]
    closes_min: Mapped[int]
    valid_from: Mapped[date] = mapped_column(Date)
    valid_until: Mapped[date | None] = mapped_column(Date)
    created_at: Mapped[datetime]


class ScheduleException(Base):
    """A local date on which a doctor is `closed` (for these hours) or has `extra` hours."""

    __tablename__ = "schedule_exception"
    __table_args__ = (
        CheckConstraint("kind IN ('closed', 'extra')", name="kind"),
        CheckConstraint("closes_min > opens_min AND opens_min >= 0 AND opens_min < 1440", name="hours"),
        CheckConstraint("role = 'doctor'", name="role"),
        ForeignKeyConstraint(
            ["clinic_id", "person_id", "role"], ["membership.clinic_id", "membership.person_id", "membership.role"]
        ),
        Index("ix_schedule_exception_person", "clinic_id", "person_id", "on_date"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    person_id: Mapped[str] = mapped_column(Id)
    role: Mapped[str] = mapped_column(String(32), default="doctor")
    zone: Mapped[str] = mapped_column(String(64))
    on_date: Mapped[date] = mapped_column(Date)
    kind: Mapped[str] = mapped_column(String(16))
    opens_min: Mapped[int] = mapped_column(default=0)
    closes_min: Mapped[int] = mapped_column(default=1440)
    created_at: Mapped[datetime]


class Appointment(Base):
    """A booked visit (FHIR R4 Appointment). `kind`: normal, squeezed_in (no doctor's ticks), walk_in (no ticks).

    `reason` is why it was squeezed in; no message holds it. `sequence` rises with every change a calendar must see.
    """

    __tablename__ = "appointment"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"]),
        ForeignKeyConstraint(["clinic_id", "visit_type_id"], ["visit_type.clinic_id", "visit_type.id"]),
        UniqueConstraint("clinic_id", "idempotency_key"),
        CheckConstraint("ends_at > starts_at", name="order"),
        CheckConstraint("kind IN ('normal', 'squeezed_in', 'walk_in')", name="kind"),
        CheckConstraint(
            "status IN ('proposed', 'booked', 'arrived', 'fulfilled', 'cancelled', 'noshow', 'waitlist', "
            "'entered-in-error')",
            name="status",
        ),
        CheckConstraint("kind <> 'squeezed_in' OR reason IS NOT NULL", name="squeezed_in_reason"),
        Index("ix_appointment_day", "clinic_id", "starts_at"),
        Index("ix_appointment_patient", "clinic_id", "patient_id", "starts_at"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    patient_id: Mapped[str] = mapped_column(Id)
    visit_type_id: Mapped[str] = mapped_column(Id)
    status: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16), default="normal")
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    zone: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str | None] = mapped_column(Text)
    sequence: Mapped[int] = mapped_column(default=0)
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    language: Mapped[str | None] = mapped_column(String(16))
    """What the visit is spoken in, where it isn't the patient's own language on file."""
    interpreter: Mapped[str | None] = mapped_column(String(8))
    """`spoken` or `signed`: somebody is needed who interprets."""
    is_urgent: Mapped[bool] = mapped_column(Boolean, default=False)
    """Of a walk-in: before those who wait longer."""
    delay_min: Mapped[int | None]
    delay_said: Mapped[str | None] = mapped_column(String(200))
    """Running late, in minutes or in words; the patient reads them on their page and in a message."""
    created_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class AppointmentPractitioner(Base):
    """A doctor of an appointment; the foreign key asks for the doctor's role in this very clinic."""

    __tablename__ = "appointment_practitioner"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "appointment_id"], ["appointment.clinic_id", "appointment.id"]),
        ForeignKeyConstraint(
            ["clinic_id", "person_id", "role"], ["membership.clinic_id", "membership.person_id", "membership.role"]
        ),
        CheckConstraint("role = 'doctor'", name="role"),
        Index("ix_appointment_practitioner_person", "clinic_id", "person_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    appointment_id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
    role: Mapped[str] = mapped_column(String(32), default="doctor")


class Hold(Base):
    """A slot kept while a form is filled in; its ticks point here until it expires or becomes an appointment."""

    __tablename__ = "hold"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "visit_type_id"], ["visit_type.clinic_id", "visit_type.id"]),
        CheckConstraint("ends_at > starts_at", name="order"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    visit_type_id: Mapped[str] = mapped_column(Id)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    created_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    created_at: Mapped[datetime]


class Tick(Base):
    """Five minutes of one person's time, in the whole installation: `tick` = floor(UTC epoch / 300)."""

    __tablename__ = "tick"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "appointment_id"], ["appointment.clinic_id", "appointment.id"]),
        ForeignKeyConstraint(["clinic_id", "hold_id"], ["hold.clinic_id", "hold.id"]),
        CheckConstraint("(appointment_id IS NULL) <> (hold_id IS NULL)", name="one_owner"),
        Index("ix_tick_appointment", "clinic_id", "appointment_id"),
        Index("ix_tick_hold", "clinic_id", "hold_id"),
    )

    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"), primary_key=True)
    tick: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"))
    appointment_id: Mapped[str | None] = mapped_column(Id)
    hold_id: Mapped[str | None] = mapped_column(Id)


class AppointmentHistory(Base):
    """Every change of an appointment: who, when, from, to, why. Rows are only ever added."""

    __tablename__ = "appointment_history"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "appointment_id"], ["appointment.clinic_id", "appointment.id"]),
        Index("ix_appointment_history_appointment", "clinic_id", "appointment_id", "at"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    appointment_id: Mapped[str] = mapped_column(Id)
    at: Mapped[datetime]
    by_person_id: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    action: Mapped[str] = mapped_column(String(32))
    from_status: Mapped[str | None] = mapped_column(String(32))
    to_status: Mapped[str] = mapped_column(String(32))
    from_starts_at: Mapped[datetime | None]
    to_starts_at: Mapped[datetime]
    why: Mapped[str | None] = mapped_column(Text)


_FAILED = text("state = 'failed'")


class Message(Base):
    """The outbox. A row says what is to be told, to whom and when; the words are written when it is sent.

    `recipient` and the words are personal data and never logged. The words stay here only where no gateway is set (the
    table itself is the delivery then, for development and the demo); after a gateway took a message they are dropped.
    """

    __tablename__ = "message"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "appointment_id"], ["appointment.clinic_id", "appointment.id"]),
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"]),
        CheckConstraint("state IN ('waiting', 'sending', 'sent', 'failed', 'dropped')", name="state"),
        CheckConstraint("channel IN ('mail', 'sms')", name="channel"),
        Index("ix_message_appointment", "clinic_id", "appointment_id"),
        Index("ix_message_patient", "clinic_id", "patient_id", "created_at"),
        Index(
            "ix_message_failed",
            "clinic_id",
            "created_at",
            sqlite_where=_FAILED,
            postgresql_where=_FAILED,
        ),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    patient_id: Mapped[str] = mapped_column(Id)
    appointment_id: Mapped[str | None] = mapped_column(Id)
    link_id: Mapped[str | None] = mapped_column(Id, ForeignKey("link.id"))
    """Of a code: the link it belongs to. The code itself is made when the message is sent."""
    offer_id: Mapped[str | None] = mapped_column(Id)
    """Of a freed time that somebody who waits is offered: which offer."""
    kind: Mapped[str] = mapped_column(String(32))
    sequence: Mapped[int] = mapped_column(default=0)
    """Of the appointment when this was put here; a reminder of an older one is dropped, never sent."""
    channel: Mapped[str] = mapped_column(String(8))
    recipient: Mapped[str] = mapped_column(String(320))
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    subject: Mapped[str | None] = mapped_column(String(400))
    text: Mapped[str | None] = mapped_column(Text)
    html: Mapped[str | None] = mapped_column(Text)
    ics: Mapped[bytes | None] = mapped_column(LargeBinary)
    ics_method: Mapped[str | None] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(String(64))
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class ChannelRefusal(Base):
    """A way of being told that a patient doesn't want."""

    __tablename__ = "channel_refusal"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"]),
        CheckConstraint("channel IN ('mail', 'sms')", name="channel"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[str] = mapped_column(Id, primary_key=True)
    channel: Mapped[str] = mapped_column(String(8), primary_key=True)
    created_at: Mapped[datetime]


class DoorCode(Base):
    """A short address and eight digits that the desk reads out: they open the door of one appointment, once."""

    __tablename__ = "door_code"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "appointment_id"], ["appointment.clinic_id", "appointment.id"]),
        UniqueConstraint("address"),
        Index("ix_door_code_appointment", "clinic_id", "appointment_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    appointment_id: Mapped[str] = mapped_column(Id)
    address: Mapped[str] = mapped_column(String(8))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    tries: Mapped[int] = mapped_column(default=0)
    created_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
