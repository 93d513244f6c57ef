"""Settings: what is refused is named, one complaint a line, and no value is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.config import SettingsRefused, load_settings

SECRET = "0123456789abcdef-secret"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415

    for name in list(os.environ):
        if name.startswith("BEDSIDE_"):
            monkeypatch.delenv(name)


def given(monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)


def complaints() -> list[str]:
    with pytest.raises(SettingsRefused) as caught:
        load_settings()
    return caught.value.complaints


def test_outside_development_a_secret_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert complaints() == ["BEDSIDE_NODE_SECRET (or BEDSIDE_NODE_SECRET_FILE) is missing"]
    given(monkeypatch, BEDSIDE_ENV="development")
    assert load_settings().secret is None


def test_a_short_secret_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, BEDSIDE_NODE_SECRET="swordfish")
    assert "swordfish" not in "".join(complaints())


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    given(monkeypatch, BEDSIDE_NODE_SECRET_FILE=str(tmp_path / "secret"))
    assert load_settings().secret == SECRET
    given(monkeypatch, BEDSIDE_NODE_SECRET_FILE=str(tmp_path / "none"))
    assert "BEDSIDE_NODE_SECRET_FILE cannot be read" in complaints()


def test_a_secret_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, BEDSIDE_NODE_SECRET=SECRET)
    assert SECRET not in repr(load_settings()) + str(load_settings())


def test_unknown_names_of_the_node_are_refused_and_others_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given(
        monkeypatch,
        BEDSIDE_NODE_SECRET=SECRET,
        BEDSIDE_MEDIA_PROT="1",
        BEDSIDE_MEDIA_NODE_SECRET="1",
        BEDSIDE_REDIS_URL="redis://",
    )
    assert complaints() == ["BEDSIDE_MEDIA_NODE_SECRET is not a setting", "BEDSIDE_MEDIA_PROT is not a setting"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BEDSIDE_ENV", "test"),
        ("BEDSIDE_MEDIA_PORT", "70000"),
        ("BEDSIDE_MEDIA_PORT", "http"),
        ("BEDSIDE_MEDIA_CONTROL_PORT", "-1"),
        ("BEDSIDE_MEDIA_ADDRESSES", "0.0.0.0"),
        ("BEDSIDE_MEDIA_ADDRESSES", "127.0.0.1,::"),
        ("BEDSIDE_MEDIA_ADVERTISED", "media.example"),
        ("BEDSIDE_MEDIA_NODE_ID", "a b"),
        ("BEDSIDE_MEDIA_MAX_ROOMS", "0"),
    ],
)
def test_a_wrong_value_is_named_by_its_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    given(monkeypatch, BEDSIDE_NODE_SECRET=SECRET, **{name: value})
    (complaint,) = complaints()
    assert complaint.startswith(name + ": ")


def test_addresses_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, BEDSIDE_NODE_SECRET=SECRET, BEDSIDE_MEDIA_ADDRESSES=" 127.0.0.1, ::1,")
    assert load_settings().addresses == ("127.0.0.1", "::1")
    assert load_settings(addresses=("127.0.0.2",)).addresses == ("127.0.0.2",)
