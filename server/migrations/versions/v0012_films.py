"""Recording: how far a film has come, and limits on its purposes."""

from __future__ import annotations

revision = "0012"
down_revision = "0011"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    """Nothing yet."""
