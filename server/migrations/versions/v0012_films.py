"""Recording: how far a film has come, limits on its purposes, and whom it was asked in which language."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels: None = None
depends_on: None = None

ID = sa.String(length=36)
# A column's own check goes with it on both engines; a table's would need SQLite to build the table anew.
ADD_IS_TEACHING = """
ALTER TABLE recording_purpose ADD COLUMN is_teaching BOOLEAN DEFAULT {no} NOT NULL
CONSTRAINT ck_recording_purpose_teaching CHECK (NOT is_teaching OR kept_days <= 184)
"""


def upgrade() -> None:
    """The purposes that a new clinic was given are what their codes say; any other was made without saying it."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(ADD_IS_TEACHING.format(no="0" if is_sqlite else "false"))
    purpose = sa.table(
        "recording_purpose",
        sa.column("code", sa.String),
        sa.column("kept_days", sa.Integer),
        sa.column("is_record", sa.Boolean),
        sa.column("is_teaching", sa.Boolean),
    )
    op.execute(purpose.update().where(purpose.c.code == "care").values(is_record=True))
    teaching = purpose.update().where(purpose.c.code == "teaching", purpose.c.kept_days <= 184)
    op.execute(teaching.values(is_teaching=True))
    op.create_table(
        "recording_purpose_words",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("words", sa.String(length=300), nullable=False),
        sa.Column("who_may_watch", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "code"],
            ["recording_purpose.clinic_id", "recording_purpose.code"],
            name="fk_recording_purpose_words_clinic_id_code",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "code", "language", name="pk_recording_purpose_words"),
    )
    op.add_column("participant", sa.Column("language", sa.String(length=16), nullable=True))
    op.add_column("film", sa.Column("parts", sa.Text(), nullable=True))
    op.add_column("film", sa.Column("parts_key", sa.LargeBinary(), nullable=True))
