"""The notes' tests begin with the visits' cast."""

from __future__ import annotations

from tests.server.encounters.conftest import cast, house

__all__ = ["cast", "house"]
