"""Recording: films with stretches taken out, for a patient who may not watch the whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import UtcDateTime

revision = "0015"
down_revision = "0012"
branch_labels: None = None
depends_on: None = None

ID = sa.String(length=36)


def upgrade() -> None:
    op.create_table(
        "film_redaction",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("film_id", ID, nullable=False),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("stretches", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("decided_by", ID, nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.Column("path", sa.String(length=400), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("made_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("state IN ('asked', 'ready', 'failed', 'gone')", name="ck_film_redaction_state"),
        sa.CheckConstraint("(state = 'ready') = (wrapped_key IS NOT NULL)", name="ck_film_redaction_ready"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "film_id"], ["film.clinic_id", "film.id"], name="fk_film_redaction_clinic_id_film_id"
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["patient.clinic_id", "patient.id"],
            name="fk_film_redaction_clinic_id_patient_id",
        ),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name="fk_film_redaction_decided_by"),
        sa.PrimaryKeyConstraint("clinic_id", "film_id", name="pk_film_redaction"),
    )
