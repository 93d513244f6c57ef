"""The job table: work to be done later, kept until it is done. Claiming and running it is for the loop."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Float, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, new_id


class Job(Base):
    """One piece of work; (kind, subject) is unique while unfinished. `again`: asked for anew while it was running."""

    __tablename__ = "job"
    __table_args__ = (
        Index(
            "uq_job_kind_subject_unfinished",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index("ix_job_due", "finished_at", "due_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(64))
    clinic_id: Mapped[str | None] = mapped_column(Id)
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None] = mapped_column(Id)
    lease_until: Mapped[datetime | None]
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    error: Mapped[str | None] = mapped_column(String(64))
    again: Mapped[bool] = mapped_column(Boolean, default=False)
    cancelled: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
