"""Scheduling: who waits for an earlier time, and who covers for whom."""

from __future__ import annotations

revision = "0009"
down_revision = "0008"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    """Nothing yet."""
