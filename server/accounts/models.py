"""Clinics, people, their roles, patients, sessions and links. Rules about them are in `rules.py` and `service.py`."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Boolean, Date, ForeignKey, ForeignKeyConstraint, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, new_id


class Clinic(Base):
    """`neutral_name` and `phone` are all of the clinic that mail, SMS and calendars may show."""

    __tablename__ = "clinic"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    neutral_name: Mapped[str] = mapped_column(String(200))
    phone: Mapped[str] = mapped_column(String(32))
    zone: Mapped[str] = mapped_column(String(64))
    country: Mapped[str] = mapped_column(String(2))
    language: Mapped[str] = mapped_column(String(16), default="en")
    emergency_text: Mapped[str] = mapped_column(Text)
    always_relay: Mapped[bool] = mapped_column(Boolean, default=False)
    is_demo: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]


class Person(Base):
    """A person of the whole installation: staff, or somebody who is a patient somewhere. Owns ticks.

    `email` (lower case) is what staff sign in with; a patient's address for messages is `Patient.email`.
    """

    __tablename__ = "person"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(400))
    email: Mapped[str | None] = mapped_column(String(320), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(400))
    is_seeded: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]


class Membership(Base):
    """A staff role of one person in one clinic."""

    __tablename__ = "membership"

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(32), primary_key=True)
    is_active: Mapped[bool] = mapped_column(Boolean, default=True)
    always_relay: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]


class Patient(Base):
    """A patient of one clinic (FHIR Patient); the same person may be another clinic's patient too."""

    __tablename__ = "patient"
    __table_args__ = (UniqueConstraint("clinic_id", "person_id"),)

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    name: Mapped[str] = mapped_column(String(400))
    first_name: Mapped[str] = mapped_column(String(400))
    search_key: Mapped[str] = mapped_column(String(800))
    birth_date: Mapped[date] = mapped_column(Date)
    phone: Mapped[str | None] = mapped_column(String(32))
    email: Mapped[str | None] = mapped_column(String(320))
    zone: Mapped[str | None] = mapped_column(String(64))
    language: Mapped[str] = mapped_column(String(16), default="en")
    always_relay: Mapped[bool] = mapped_column(Boolean, default=False)
    picture_first: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]


class Session(Base):
    """A browser's session. `kind`: staff, visits (patients and guests at a visit's door) or page (a patient's page)."""

    __tablename__ = "session"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    person_id: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    locked_at: Mapped[datetime | None]
    """Staff who were idle: signed off until they give password and code again, in place."""
    device: Mapped[str | None] = mapped_column(String(100))
    """What the browser calls itself, shortened, so that its owner knows it in the list."""


class SessionParticipation(Base):
    """A visits session may hold several places (two people's windows in one browser)."""

    __tablename__ = "session_participation"

    session_id: Mapped[str] = mapped_column(Id, ForeignKey("session.id"), primary_key=True)
    participation_id: Mapped[str] = mapped_column(Id, primary_key=True)
    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"))
    opened_at: Mapped[datetime]


class SessionPatient(Base):
    """A page session that passed birth date and code for one patient."""

    __tablename__ = "session_patient"
    __table_args__ = (ForeignKeyConstraint(["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"]),)

    session_id: Mapped[str] = mapped_column(Id, ForeignKey("session.id"), primary_key=True)
    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[str] = mapped_column(Id, primary_key=True)
    opened_at: Mapped[datetime]


class Link(Base):
    """A random personal link, stored hashed. `kind`: visit (subject: appointment), guest (subject: participation),
    page (subject: patient). Sending again makes another row and leaves earlier ones working."""

    __tablename__ = "link"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"))
    kind: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[str] = mapped_column(Id, index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_reason: Mapped[str | None] = mapped_column(String(32))


class PageCode(Base):
    """The code sent to the phone on file for a patient-page link; hashed, short-lived."""

    __tablename__ = "page_code"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    link_id: Mapped[str] = mapped_column(Id, ForeignKey("link.id"), index=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
