"""A golden log in the test's own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media.golden import GoldenLog


@pytest.fixture
def golden(tmp_path: Path) -> GoldenLog:
    return GoldenLog(tmp_path / "one.bedlog")
