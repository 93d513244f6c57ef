"""Scheduling: hours, visit types, appointments with their ticks and history, holds, the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import UtcDateTime

revision = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    _hours()
    _appointments()
    _time()
    _outbox()


def _hours() -> None:
    op.create_table(
        "visit_type",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("length_min", sa.Integer(), nullable=False),
        sa.Column("buffer_before_min", sa.Integer(), nullable=False),
        sa.Column("buffer_after_min", sa.Integer(), nullable=False),
        sa.Column("grid_min", sa.Integer(), nullable=True),
        sa.Column("lead_time_min", sa.Integer(), nullable=False),
        sa.Column("cutoff_min", sa.Integer(), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("reminder_min", sa.Integer(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("buffer_before_min % 5 = 0 AND buffer_after_min % 5 = 0", name="ck_visit_type_buffers"),
        sa.CheckConstraint("length_min > 0 AND length_min % 5 = 0", name="ck_visit_type_length"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_visit_type_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_visit_type"),
    )
    op.create_table(
        "schedule",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=200), nullable=False),
        sa.Column("opens_min", sa.Integer(), nullable=False),
        sa.Column("closes_min", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("role = 'doctor'", name="ck_schedule_role"),
        sa.CheckConstraint("closes_min > opens_min AND opens_min >= 0 AND opens_min < 1440", name="ck_schedule_hours"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "person_id", "role"],
            ["membership.clinic_id", "membership.person_id", "membership.role"],
            name="fk_schedule_clinic_id_person_id_role",
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_schedule_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_schedule"),
    )
    op.create_index("ix_schedule_person", "schedule", ["clinic_id", "person_id"], unique=False)
    op.create_table(
        "schedule_exception",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("opens_min", sa.Integer(), nullable=False),
        sa.Column("closes_min", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('closed', 'extra')", name="ck_schedule_exception_kind"),
        sa.CheckConstraint("role = 'doctor'", name="ck_schedule_exception_role"),
        sa.CheckConstraint(
            "closes_min > opens_min AND opens_min >= 0 AND opens_min < 1440", name="ck_schedule_exception_hours"
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "person_id", "role"],
            ["membership.clinic_id", "membership.person_id", "membership.role"],
            name="fk_schedule_exception_clinic_id_person_id_role",
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_schedule_exception_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_schedule_exception"),
    )
    op.create_index(
        "ix_schedule_exception_person", "schedule_exception", ["clinic_id", "person_id", "on_date"], unique=False
    )


def _appointments() -> None:
    op.create_table(
        "appointment",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("visit_type_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=True),
        sa.Column("created_by", sa.String(length=36), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind <> 'squeezed_in' OR reason IS NOT NULL", name="ck_appointment_squeezed_in_reason"),
        sa.CheckConstraint("kind IN ('normal', 'squeezed_in', 'walk_in')", name="ck_appointment_kind"),
        sa.CheckConstraint(
            "status IN ('proposed', 'booked', 'arrived', 'fulfilled', 'cancelled', 'noshow', "
            "'waitlist', 'entered-in-error')",
            name="ck_appointment_status",
        ),
        sa.CheckConstraint("ends_at > starts_at", name="ck_appointment_order"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"], name="fk_appointment_clinic_id_patient_id"
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "visit_type_id"],
            ["visit_type.clinic_id", "visit_type.id"],
            name="fk_appointment_clinic_id_visit_type_id",
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_appointment_clinic_id"),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_appointment_created_by"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_appointment"),
        sa.UniqueConstraint("clinic_id", "idempotency_key", name="uq_appointment_clinic_id_idempotency_key"),
    )
    op.create_index("ix_appointment_day", "appointment", ["clinic_id", "starts_at"], unique=False)
    op.create_index("ix_appointment_patient", "appointment", ["clinic_id", "patient_id", "starts_at"], unique=False)
    op.create_table(
        "appointment_history",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("appointment_id", sa.String(length=36), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by_person_id", sa.String(length=36), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("from_status", sa.String(length=32), nullable=True),
        sa.Column("to_status", sa.String(length=32), nullable=False),
        sa.Column("from_starts_at", UtcDateTime(), nullable=True),
        sa.Column("to_starts_at", UtcDateTime(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["by_person_id"], ["person.id"], name="fk_appointment_history_by_person_id"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "appointment_id"],
            ["appointment.clinic_id", "appointment.id"],
            name="fk_appointment_history_clinic_id_appointment_id",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_appointment_history"),
    )
    op.create_index(
        "ix_appointment_history_appointment", "appointment_history", ["clinic_id", "appointment_id", "at"], unique=False
    )
    op.create_table(
        "appointment_practitioner",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("appointment_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.CheckConstraint("role = 'doctor'", name="ck_appointment_practitioner_role"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "appointment_id"],
            ["appointment.clinic_id", "appointment.id"],
            name="fk_appointment_practitioner_clinic_id_appointment_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "person_id", "role"],
            ["membership.clinic_id", "membership.person_id", "membership.role"],
            name="fk_appointment_practitioner_clinic_id_person_id_role",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "appointment_id", "person_id", name="pk_appointment_practitioner"),
    )
    op.create_index(
        "ix_appointment_practitioner_person", "appointment_practitioner", ["clinic_id", "person_id"], unique=False
    )


def _time() -> None:
    op.create_table(
        "hold",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("visit_type_id", sa.String(length=36), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=36), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name="ck_hold_order"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "visit_type_id"],
            ["visit_type.clinic_id", "visit_type.id"],
            name="fk_hold_clinic_id_visit_type_id",
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_hold_clinic_id"),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_hold_created_by"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_hold"),
    )
    op.create_index("ix_hold_expires_at", "hold", ["expires_at"], unique=False)
    op.create_table(
        "tick",
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("tick", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("appointment_id", sa.String(length=36), nullable=True),
        sa.Column("hold_id", sa.String(length=36), nullable=True),
        sa.CheckConstraint("(appointment_id IS NULL) <> (hold_id IS NULL)", name="ck_tick_one_owner"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "appointment_id"],
            ["appointment.clinic_id", "appointment.id"],
            name="fk_tick_clinic_id_appointment_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "hold_id"], ["hold.clinic_id", "hold.id"], name="fk_tick_clinic_id_hold_id"
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_tick_clinic_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_tick_person_id"),
        sa.PrimaryKeyConstraint("person_id", "tick", name="pk_tick"),
    )
    op.create_index("ix_tick_appointment", "tick", ["clinic_id", "appointment_id"], unique=False)
    op.create_index("ix_tick_hold", "tick", ["clinic_id", "hold_id"], unique=False)


def _outbox() -> None:
    op.create_table(
        "message",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("appointment_id", sa.String(length=36), nullable=True),
        sa.Column("link_id", sa.String(length=36), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=400), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("ics", sa.LargeBinary(), nullable=True),
        sa.Column("ics_method", sa.String(length=16), nullable=True),
        sa.Column("error", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("channel IN ('mail', 'sms')", name="ck_message_channel"),
        sa.CheckConstraint("state IN ('waiting', 'sending', 'sent', 'failed', 'dropped')", name="ck_message_state"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "appointment_id"],
            ["appointment.clinic_id", "appointment.id"],
            name="fk_message_clinic_id_appointment_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"], name="fk_message_clinic_id_patient_id"
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_message_clinic_id"),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name="fk_message_link_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_message"),
    )
    op.create_index("ix_message_appointment", "message", ["clinic_id", "appointment_id"], unique=False)
    op.create_index("ix_message_patient", "message", ["clinic_id", "patient_id", "created_at"], unique=False)
