"""Notes: who reads them not yet, what was entered in error, headings, what patients call wrong, plain words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.add_column("note_content", sa.Column("summary", sa.Text(), nullable=True))
    _holds()
    _words()


def _holds() -> None:
    op.create_table(
        "note_hold",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("note_id", sa.String(length=36), nullable=False),
        sa.Column("readers", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("review_on", sa.Date(), nullable=False),
        sa.Column("decided_by", sa.String(length=36), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("readers IN ('nobody', 'patient_only')", name="ck_note_hold_readers"),
        sa.CheckConstraint("reason IN ('harm', 'another_person', 'wish')", name="ck_note_hold_reason"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "note_id"], ["note.clinic_id", "note.id"], name="fk_note_hold_clinic_id_note_id"
        ),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name="fk_note_hold_decided_by"),
        sa.PrimaryKeyConstraint("clinic_id", "note_id", name="pk_note_hold"),
    )
    op.create_table(
        "note_withdrawal",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("note_id", sa.String(length=36), nullable=False),
        sa.Column("upto_n", sa.Integer(), nullable=False),
        sa.Column("by_person_id", sa.String(length=36), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("offered_to", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["clinic_id", "note_id"], ["note.clinic_id", "note.id"], name="fk_note_withdrawal_clinic_id_note_id"
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "offered_to"],
            ["encounter.clinic_id", "encounter.id"],
            name="fk_note_withdrawal_clinic_id_offered_to",
        ),
        sa.ForeignKeyConstraint(["by_person_id"], ["person.id"], name="fk_note_withdrawal_by_person_id"),
        sa.PrimaryKeyConstraint("clinic_id", "note_id", name="pk_note_withdrawal"),
    )


def _words() -> None:
    op.create_table(
        "note_template",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("visit_type_id", sa.String(length=36), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.String(length=36), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "visit_type_id"],
            ["visit_type.clinic_id", "visit_type.id"],
            name="fk_note_template_clinic_id_visit_type_id",
        ),
        sa.ForeignKeyConstraint(["changed_by"], ["person.id"], name="fk_note_template_changed_by"),
        sa.PrimaryKeyConstraint("clinic_id", "visit_type_id", name="pk_note_template"),
    )
    op.create_table(
        "correction_request",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("note_id", sa.String(length=36), nullable=False),
        sa.Column("sealed_text", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("answered_by", sa.String(length=36), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("sealed_answer", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("outcome IN ('corrected', 'stands')", name="ck_correction_request_outcome"),
        sa.CheckConstraint("(answered_at IS NULL) = (outcome IS NULL)", name="ck_correction_request_answered"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "note_id"], ["note.clinic_id", "note.id"], name="fk_correction_request_clinic_id_note_id"
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_correction_request_clinic_id"),
        sa.ForeignKeyConstraint(["answered_by"], ["person.id"], name="fk_correction_request_answered_by"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_correction_request"),
    )
    op.create_index("ix_correction_request_note", "correction_request", ["clinic_id", "note_id"], unique=False)
    op.create_table(
        "factor_shown",
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name="fk_factor_shown_session_id"),
        sa.PrimaryKeyConstraint("session_id", name="pk_factor_shown"),
    )
