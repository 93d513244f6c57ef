"""Who waits for an earlier time and what they were offered; who covered for whom.

All writing is done by `waiting.py`, `offers.py` and `cover.py`.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, new_id


class WaitlistEntry(Base):
    """A patient who would come earlier. `appointment_id`: what they have now and would give up for it."""

    __tablename__ = "waitlist_entry"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"]),
        ForeignKeyConstraint(["clinic_id", "visit_type_id"], ["visit_type.clinic_id", "visit_type.id"]),
        ForeignKeyConstraint(["clinic_id", "appointment_id"], ["appointment.clinic_id", "appointment.id"]),
        CheckConstraint("state IN ('waiting', 'served', 'removed')", name="state"),
        Index(
            "uq_waitlist_entry_waiting",
            "clinic_id",
            "patient_id",
            "visit_type_id",
            unique=True,
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    patient_id: Mapped[str] = mapped_column(Id)
    visit_type_id: Mapped[str] = mapped_column(Id)
    appointment_id: Mapped[str | None] = mapped_column(Id)
    person_id: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    """The one doctor they want; None: any who offers the kind."""
    until_on: Mapped[date | None] = mapped_column(Date)
    """The last local day that helps them."""
    notice_min: Mapped[int] = mapped_column(default=120)
    """How long before a start they must know."""
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    created_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class FreedTime(Base):
    """A doctor's time that became free and goes down the list, one person at a time."""

    __tablename__ = "freed_time"
    __table_args__ = (CheckConstraint("ends_at > starts_at", name="order"),)

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    created_at: Mapped[datetime]


class WaitlistOffer(Base):
    """A freed time as one person was offered it. Its hold keeps the time for them until `expires_at`.

    At most one offer of a freed time is open, and nobody is offered the same one twice.
    """

    __tablename__ = "waitlist_offer"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "entry_id"], ["waitlist_entry.clinic_id", "waitlist_entry.id"]),
        ForeignKeyConstraint(["clinic_id", "freed_id"], ["freed_time.clinic_id", "freed_time.id"]),
        UniqueConstraint("clinic_id", "freed_id", "entry_id", name="uq_waitlist_offer_entry"),
        CheckConstraint("state IN ('open', 'accepted', 'declined', 'expired', 'gone')", name="state"),
        Index(
            "uq_waitlist_offer_open",
            "clinic_id",
            "freed_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    entry_id: Mapped[str] = mapped_column(Id)
    freed_id: Mapped[str] = mapped_column(Id)
    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    hold_id: Mapped[str] = mapped_column(Id)
    """No foreign key: expired holds are cleared away, the offer stays as it was made."""
    state: Mapped[str] = mapped_column(String(16), default="open")
    offered_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class Cover(Base):
    """One press that gave a doctor's visits away. It can be undone until its messages leave."""

    __tablename__ = "cover"

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    """Whose visits they were."""
    created_by: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    created_at: Mapped[datetime]
    undo_until: Mapped[datetime]
    undone_at: Mapped[datetime | None]


class CoverMove(Base):
    """One visit of a cover: from whom and when, to whom and when."""

    __tablename__ = "cover_move"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "cover_id"], ["cover.clinic_id", "cover.id"]),
        ForeignKeyConstraint(["clinic_id", "appointment_id"], ["appointment.clinic_id", "appointment.id"]),
    )

    clinic_id: Mapped[str] = mapped_column(Id, primary_key=True)
    cover_id: Mapped[str] = mapped_column(Id, primary_key=True)
    appointment_id: Mapped[str] = mapped_column(Id, primary_key=True)
    from_person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    to_person_id: Mapped[str] = mapped_column(Id, ForeignKey("person.id"))
    from_starts_at: Mapped[datetime]
    to_starts_at: Mapped[datetime]
    sequence: Mapped[int]
    """Of the appointment after this: what changed since can't be undone here."""
