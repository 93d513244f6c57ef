"""What trust rests on: second factors, invitations, proxies, looks at a record without a visit, the clinic's policies.

People, sessions and links are `models.py`; who decides what is in the modules named after each table.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, new_id

PATIENT = ["patient.clinic_id", "patient.id"]


class SecondFactor(Base):
    """A person's authenticator app. `last_step` is the newest time step used: no code works twice."""

    __tablename__ = "second_factor"

    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"), primary_key=True)
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(default=0)
    set_up_at: Mapped[datetime]


class RecoveryCode(Base):
    """One of the codes that stand in for the app, each once; hashed, since it is random."""

    __tablename__ = "recovery_code"

    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    used_at: Mapped[datetime | None]


class Invitation(Base):
    """A link to set up how one signs in. `kind`: join (password and app) or second_factor (a new app)."""

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint("kind IN ('join', 'second_factor')", name="kind"),
        Index("ix_invitation_person", "person_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"))
    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    kind: Mapped[str] = mapped_column(String(16))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    """The app's secret that its page shows, until it is confirmed by a code."""
    by_person_id: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    identity_check: Mapped[str | None] = mapped_column(String(32))
    """How the one who asked for a new second factor was recognized."""
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class ClinicPolicy(Base):
    """What an administrator decides beside the clinic's own row; absent, the defaults stand."""

    __tablename__ = "clinic_policy"

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    letterhead: Mapped[str] = mapped_column(Text, default="")
    idle_min: Mapped[int] = mapped_column(default=30)
    proxy_ends_age: Mapped[int] = mapped_column(default=18)
    """The birthday at which a child's proxies end unless renewed."""
    notes_kept_years: Mapped[int] = mapped_column(default=10, server_default="10")
    """For how long the law wants signed notes kept, from the visit on; nothing is erased before for its age."""


class Proxy(Base):
    """Somebody who acts for a patient: how they are related, which authority was seen, what they may do, until when."""

    __tablename__ = "proxy"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], PATIENT),
        CheckConstraint(
            "authority IN ('parent', 'guardian', 'power_of_attorney', 'patient_said_so')", name="authority"
        ),
        Index("ix_proxy_patient", "clinic_id", "patient_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    patient_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(400))
    relation: Mapped[str] = mapped_column(String(200))
    phone: Mapped[str | None] = mapped_column(String(32))
    authority: Mapped[str] = mapped_column(String(32))
    seen_by: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    seen_at: Mapped[datetime]
    may_book: Mapped[bool] = mapped_column(Boolean, default=False)
    may_attend: Mapped[bool] = mapped_column(Boolean, default=False)
    may_read_notes: Mapped[bool] = mapped_column(Boolean, default=False)
    may_watch_films: Mapped[bool] = mapped_column(Boolean, default=False)
    may_consent: Mapped[bool] = mapped_column(Boolean, default=False)
    ends_on: Mapped[date | None] = mapped_column(Date)
    stopped_at: Mapped[datetime | None]
    stopped_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    """None when the patient did it."""
    created_at: Mapped[datetime]


class PatientAccount(Base):
    """How a patient comes to their own page without a link: the address on file and a password of theirs.

    Several patients may share a mailbox; each has an account and a password of their own.
    """

    __tablename__ = "patient_account"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], PATIENT),
        Index("ix_patient_account_email", "clinic_id", "email"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    patient_id: Mapped[str] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(String(320))
    password_hash: Mapped[str] = mapped_column(String(400))
    known_after: Mapped[datetime]
    """Browsers that were known before are asked for a code again."""
    created_at: Mapped[datetime]


class StaffNotice(Base):
    """What a member of staff is told by mail and on their own page. The words stay only where no gateway is set."""

    __tablename__ = "staff_notice"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent', 'failed')", name="state"),
        Index("ix_staff_notice_person", "person_id", "at"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    kind: Mapped[str] = mapped_column(String(32))
    about_person_id: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    """The other member of staff: who did it, or to whom it was done. Never a patient."""
    detail: Mapped[str | None] = mapped_column(String(64))
    """A code, or where on our own pages to look."""
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    subject: Mapped[str | None] = mapped_column(String(400))
    text: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(String(64))
    at: Mapped[datetime]
    sent_at: Mapped[datetime | None]


class SessionProxy(Base):
    """A page session that was opened by a proxy's own link."""

    __tablename__ = "session_proxy"
    __table_args__ = (ForeignKeyConstraint(["clinic_id", "proxy_id"], ["proxy.clinic_id", "proxy.id"]),)

    session_id: Mapped[str] = mapped_column(Id, ForeignKey("session.id"), primary_key=True)
    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    proxy_id: Mapped[str] = mapped_column(Id, primary_key=True)
    opened_at: Mapped[datetime]


class PatientOnly(Base):
    """A visit, note or message that does not exist for proxies."""

    __tablename__ = "patient_only"
    __table_args__ = (ForeignKeyConstraint(["clinic_id", "patient_id"], PATIENT),)

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject_id: Mapped[str] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[str] = mapped_column(Id)
    marked_at: Mapped[datetime]


class BreakGlass(Base):
    """A look at a record without a visit: read only, for an hour, with a reason, closed by somebody's review."""

    __tablename__ = "break_glass"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], PATIENT),
        CheckConstraint("verdict IN ('justified', 'not_justified')", name="verdict"),
        CheckConstraint("(reviewed_at IS NULL) = (verdict IS NULL)", name="review"),
        Index("ix_break_glass_patient", "clinic_id", "patient_id"),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    patient_id: Mapped[str] = mapped_column(Id)
    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    sealed_reason: Mapped[bytes] = mapped_column(LargeBinary)
    opened_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    hidden_until: Mapped[datetime | None]
    """The privacy officer's delay before the patient sees it."""
    sealed_hiding_reason: Mapped[bytes | None] = mapped_column(LargeBinary)
    reviewed_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    reviewed_at: Mapped[datetime | None]
    verdict: Mapped[str | None] = mapped_column(String(16))


class ParkedForm(Base):
    """What somebody was sending when they were signed off, sealed, until they have signed in again."""

    __tablename__ = "parked_form"

    session_id: Mapped[str] = mapped_column(Id, ForeignKey("session.id"), primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]
