"""Trust: patients' own accounts, and visits handed over."""

from __future__ import annotations

revision = "0010"
down_revision = "0009"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    """Nothing yet."""
