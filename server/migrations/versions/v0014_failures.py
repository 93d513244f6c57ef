"""The board asks every few seconds which messages did not arrive: an index of those alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0015"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    failed = sa.text("state = 'failed'")
    op.create_index(
        "ix_message_failed",
        "message",
        ["clinic_id", "created_at"],
        unique=False,
        sqlite_where=failed,
        postgresql_where=failed,
    )
