"""Notes: filled by the change that needs it."""

from __future__ import annotations

revision = "0007"
down_revision = "0006"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    pass
