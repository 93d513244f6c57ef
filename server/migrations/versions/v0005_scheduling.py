"""Scheduling: who offers a kind of visit, interpreters, delays, refused channels, codes that the desk reads out."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from server.db import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    _columns()
    _offers()
    _reaching()


def _columns() -> None:
    of_visit_type: list[sa.Column[Any]] = [
        sa.Column("audience", sa.String(length=16), nullable=False, server_default="any"),
        sa.Column("for_patients", sa.Boolean(), nullable=False, server_default=sa.false()),
    ]
    of_appointment: list[sa.Column[Any]] = [
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("interpreter", sa.String(length=8), nullable=True),
        sa.Column("is_urgent", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("delay_min", sa.Integer(), nullable=True),
        sa.Column("delay_said", sa.String(length=200), nullable=True),
    ]
    for table, columns in (("visit_type", of_visit_type), ("appointment", of_appointment)):
        for column in columns:
            op.add_column(table, column)


def _offers() -> None:
    op.create_table(
        "visit_type_offer",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("visit_type_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.CheckConstraint("role = 'doctor'", name="ck_visit_type_offer_role"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "visit_type_id"],
            ["visit_type.clinic_id", "visit_type.id"],
            name="fk_visit_type_offer_clinic_id_visit_type_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "person_id", "role"],
            ["membership.clinic_id", "membership.person_id", "membership.role"],
            name="fk_visit_type_offer_clinic_id_person_id_role",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "visit_type_id", "person_id", name="pk_visit_type_offer"),
    )


def _reaching() -> None:
    op.create_table(
        "channel_refusal",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("channel IN ('mail', 'sms')", name="ck_channel_refusal_channel"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["patient.clinic_id", "patient.id"],
            name="fk_channel_refusal_clinic_id_patient_id",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "patient_id", "channel", name="pk_channel_refusal"),
    )
    op.create_table(
        "door_code",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("appointment_id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.String(length=8), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=36), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["clinic_id", "appointment_id"],
            ["appointment.clinic_id", "appointment.id"],
            name="fk_door_code_clinic_id_appointment_id",
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_door_code_clinic_id"),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_door_code_created_by"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_door_code"),
        sa.UniqueConstraint("address", name="uq_door_code_address"),
    )
    op.create_index("ix_door_code_appointment", "door_code", ["clinic_id", "appointment_id"], unique=False)
