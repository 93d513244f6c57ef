"""Scheduling: filled by the change that needs it."""

from __future__ import annotations

revision = "0005"
down_revision = "0004"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    pass
