"""Scheduling: who waits for an earlier time, and who covers for whom."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from server.db import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels: None = None
depends_on: None = None

ID = sa.String(length=36)


def upgrade() -> None:
    _waitlist()
    _offers()
    _cover()
    op.add_column("message", sa.Column("offer_id", ID, nullable=True))


def _waitlist() -> None:
    op.create_table(
        "waitlist_entry",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("visit_type_id", ID, nullable=False),
        sa.Column("appointment_id", ID, nullable=True),
        sa.Column("person_id", ID, nullable=True),
        sa.Column("until_on", sa.Date(), nullable=True),
        sa.Column("notice_min", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_by", ID, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'served', 'removed')", name="ck_waitlist_entry_state"),
        _same_clinic("waitlist_entry", "patient_id", "patient"),
        _same_clinic("waitlist_entry", "visit_type_id", "visit_type"),
        _same_clinic("waitlist_entry", "appointment_id", "appointment"),
        *_people("waitlist_entry", "person_id", "created_by"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_waitlist_entry_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_waitlist_entry"),
    )
    _unique_where("uq_waitlist_entry_waiting", "waitlist_entry", ["patient_id", "visit_type_id"], "state = 'waiting'")


def _offers() -> None:
    op.create_table(
        "freed_time",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name="ck_freed_time_order"),
        *_people("freed_time", "person_id"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_freed_time_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_freed_time"),
    )
    op.create_table(
        "waitlist_offer",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("entry_id", ID, nullable=False),
        sa.Column("freed_id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("hold_id", ID, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("offered_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'accepted', 'declined', 'expired', 'gone')", name="ck_waitlist_offer_state"
        ),
        _same_clinic("waitlist_offer", "entry_id", "waitlist_entry"),
        _same_clinic("waitlist_offer", "freed_id", "freed_time"),
        *_people("waitlist_offer", "person_id"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_waitlist_offer_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_waitlist_offer"),
        sa.UniqueConstraint("clinic_id", "freed_id", "entry_id", name="uq_waitlist_offer_entry"),
    )
    _unique_where("uq_waitlist_offer_open", "waitlist_offer", ["freed_id"], "state = 'open'")


def _cover() -> None:
    op.create_table(
        "cover",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("created_by", ID, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("undo_until", UtcDateTime(), nullable=False),
        sa.Column("undone_at", UtcDateTime(), nullable=True),
        *_people("cover", "person_id", "created_by"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_cover_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_cover"),
    )
    op.create_table(
        "cover_move",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("cover_id", ID, nullable=False),
        sa.Column("appointment_id", ID, nullable=False),
        sa.Column("from_person_id", ID, nullable=False),
        sa.Column("to_person_id", ID, nullable=False),
        sa.Column("from_starts_at", UtcDateTime(), nullable=False),
        sa.Column("to_starts_at", UtcDateTime(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        _same_clinic("cover_move", "cover_id", "cover"),
        _same_clinic("cover_move", "appointment_id", "appointment"),
        *_people("cover_move", "from_person_id", "to_person_id"),
        sa.PrimaryKeyConstraint("clinic_id", "cover_id", "appointment_id", name="pk_cover_move"),
    )


def _same_clinic(table: str, column: str, target: str) -> Any:
    return sa.ForeignKeyConstraint(
        ["clinic_id", column], [f"{target}.clinic_id", f"{target}.id"], name=f"fk_{table}_clinic_id_{column}"
    )


def _people(table: str, *columns: str) -> list[Any]:
    return [sa.ForeignKeyConstraint([column], ["person.id"], name=f"fk_{table}_{column}") for column in columns]


def _unique_where(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, ["clinic_id", *columns], unique=True, sqlite_where=where, postgresql_where=where)
