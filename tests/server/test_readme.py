"""The README names every setting, and every `make` target it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from media.config import PREFIX, NodeSettings
from server.config import Settings

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"env", "var", "node_secret"}


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_setting_is_named_and_nothing_else(readme: str) -> None:
    ours = {f"BEDSIDE_{name.upper()}" for name in Settings.model_fields}
    nodes = {f"{PREFIX}{name}".upper() for name in NodeSettings.model_fields if name not in SHARED}
    assert set(re.findall(r"BEDSIDE_[A-Z_]*[A-Z]", readme)) == ours | nodes


def test_every_make_target_it_names_is_there(readme: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^    |`)make ([a-z]+)", readme, re.MULTILINE))
    assert {"run", "test"} <= named <= targets


def test_the_pictures_it_shows_are_there(readme: str) -> None:
    shown = re.findall(r"\]\(([^)#]+)\)", readme)
    assert shown
    assert all((ROOT / path).is_file() for path in shown)
