"""Keeping: wishes after a withdrawal, holds, deletions with proof; when a note was signed and logs went."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels: None = None
depends_on: None = None

ID = sa.String(length=36)
RECORDING = ["recording.clinic_id", "recording.id"]
PARTICIPANT = ["participant.clinic_id", "participant.id"]


def upgrade() -> None:
    _wishes()
    _holds()
    _deletions()
    op.add_column("encounter", sa.Column("note_signed_at", UtcDateTime(), nullable=True))
    op.add_column("recording", sa.Column("deleted_at", UtcDateTime(), nullable=True))
    op.add_column("recording", sa.Column("logs_deleted_at", UtcDateTime(), nullable=True))
    op.add_column("recording_purpose", sa.Column("is_record", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("segment_key", sa.Column("label", sa.LargeBinary(length=32), nullable=True))
    op.add_column("film", sa.Column("tracks_path", sa.String(length=400), nullable=True))
    op.add_column("film", sa.Column("tracks_bytes", sa.BigInteger(), nullable=True))
    op.add_column("film", sa.Column("tracks_key", sa.LargeBinary(), nullable=True))
    op.add_column("film", sa.Column("composing_since", UtcDateTime(), nullable=True))
    op.add_column("film", sa.Column("with_names", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("film", sa.Column("with_clock", sa.Boolean(), nullable=False, server_default=sa.false()))


def _wishes() -> None:
    op.create_table(
        "recording_wish",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("recording_id", ID, nullable=False),
        sa.Column("participant_id", ID, nullable=False),
        sa.Column("choice", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("wished_at", UtcDateTime(), nullable=False),
        sa.Column("answered_by", ID, nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.CheckConstraint("choice IN ('keep', 'delete_mine', 'delete_all')", name="ck_recording_wish_choice"),
        sa.CheckConstraint("state IN ('done', 'asked', 'granted', 'refused')", name="ck_recording_wish_state"),
        sa.CheckConstraint(
            "state NOT IN ('granted', 'refused') OR answered_by IS NOT NULL", name="ck_recording_wish_answered"
        ),
        sa.ForeignKeyConstraint(["answered_by"], ["person.id"], name="fk_recording_wish_answered_by"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "participant_id"], PARTICIPANT, name="fk_recording_wish_clinic_id_participant_id"
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "recording_id"], RECORDING, name="fk_recording_wish_clinic_id_recording_id"
        ),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_recording_wish"),
    )
    op.create_index("ix_recording_wish_recording", "recording_wish", ["clinic_id", "recording_id"], unique=False)


def _holds() -> None:
    op.create_table(
        "recording_hold",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("recording_id", ID, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("placed_by", ID, nullable=False),
        sa.Column("placed_at", UtcDateTime(), nullable=False),
        sa.Column("lifted_by", ID, nullable=True),
        sa.Column("lifted_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["clinic_id", "recording_id"], RECORDING, name="fk_recording_hold_clinic_id_recording_id"
        ),
        sa.ForeignKeyConstraint(["lifted_by"], ["person.id"], name="fk_recording_hold_lifted_by"),
        sa.ForeignKeyConstraint(["placed_by"], ["person.id"], name="fk_recording_hold_placed_by"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_recording_hold"),
    )
    op.create_index("ix_recording_hold_recording", "recording_hold", ["clinic_id", "recording_id"], unique=False)


def _deletions() -> None:
    op.create_table(
        "recording_deletion",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("recording_id", ID, nullable=False),
        sa.Column("participant_id", ID, nullable=True),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("ordered_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "cause IN ('withdrawn', 'granted', 'due', 'restored', 'log_done')", name="ck_recording_deletion_cause"
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "participant_id"], PARTICIPANT, name="fk_recording_deletion_clinic_id_participant_id"
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "recording_id"], RECORDING, name="fk_recording_deletion_clinic_id_recording_id"
        ),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_recording_deletion"),
        sa.UniqueConstraint("id", name="uq_recording_deletion_id"),
    )
    op.create_index(
        "ix_recording_deletion_recording", "recording_deletion", ["clinic_id", "recording_id"], unique=False
    )
