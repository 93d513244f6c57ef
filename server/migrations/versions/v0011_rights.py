"""Records: exports, erasures, and held-back items on a clinician's list."""

from __future__ import annotations

revision = "0011"
down_revision = "0010"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    """Nothing yet."""
