"""Records: the visit's note, its signed versions and their content."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import UtcDateTime
from server.migrations.triggers import refuse_changes

revision = "0004"
down_revision = "0003"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.create_table(
        "note",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("encounter_id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("draft", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("drafted_by", sa.String(length=36), nullable=False),
        sa.Column("drafted_at", UtcDateTime(), nullable=False),
        sa.Column("signed_at", UtcDateTime(), nullable=True),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("(signed_at IS NULL) OR (draft = '')", name="ck_note_signed_has_no_draft"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "encounter_id"],
            ["encounter.clinic_id", "encounter.id"],
            name="fk_note_clinic_id_encounter_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"], name="fk_note_clinic_id_patient_id"
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_note_clinic_id"),
        sa.ForeignKeyConstraint(["drafted_by"], ["person.id"], name="fk_note_drafted_by"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_note"),
        sa.UniqueConstraint("clinic_id", "encounter_id", name="uq_note_clinic_id_encounter_id"),
    )
    op.create_index("ix_note_patient", "note", ["clinic_id", "patient_id", "released_at"], unique=False)
    op.create_table(
        "note_version",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("note_id", sa.String(length=36), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("author_name", sa.String(length=400), nullable=False),
        sa.Column("signed_at", UtcDateTime(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("(n = 1) = (kind = 'signed')", name="ck_note_version_first_is_signed"),
        sa.CheckConstraint("kind IN ('signed', 'addendum', 'late_entry', 'correction')", name="ck_note_version_kind"),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name="fk_note_version_author_id"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "note_id"], ["note.clinic_id", "note.id"], name="fk_note_version_clinic_id_note_id"
        ),
        sa.PrimaryKeyConstraint("clinic_id", "note_id", "n", name="pk_note_version"),
    )
    op.create_table(
        "note_content",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("note_id", sa.String(length=36), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "note_id", "n"],
            ["note_version.clinic_id", "note_version.note_id", "note_version.n"],
            name="fk_note_content_clinic_id_note_id_n",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "note_id", "n", name="pk_note_content"),
    )
    refuse_changes("note_version")
    refuse_changes("note_content")
