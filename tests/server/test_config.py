"""Settings: what is missing, unknown or wrong is named, one a line, and never with its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.config import Settings, SettingsRefused, is_loopback, load_settings

DEVELOPMENT = {"BEDSIDE_ENV": "development"}
PRODUCTION = {
    "BEDSIDE_PUBLIC_URL": "https://visits.example.org",
    "BEDSIDE_NODE_SECRET": "a-secret-of-enough-letters",
    "BEDSIDE_KEYSET": "{}",
}


def refused(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsRefused) as caught:
        load_settings(environ)
    return caught.value.complaints


def test_production_is_the_default_and_names_everything_missing() -> None:
    complaints = refused({})
    assert [line.split()[0] for line in complaints] == ["BEDSIDE_PUBLIC_URL", "BEDSIDE_NODE_SECRET", "BEDSIDE_KEYSET"]


def test_development_needs_nothing() -> None:
    settings = load_settings(DEVELOPMENT)
    assert settings.database.startswith("sqlite+aiosqlite:///")
    assert settings.origin == "http://127.0.0.1:8700"


def test_complete_production_settings_are_taken() -> None:
    settings = load_settings(PRODUCTION)
    assert settings.origin == "https://visits.example.org"
    assert not settings.wants_demo


@pytest.mark.parametrize("name", ["BEDSIDE_PUBLICURL", "BEDSIDE_DATABASE", "BEDSIDE_VAR_FILE", "BEDSIDE_"])
def test_an_unknown_name_is_refused(name: str) -> None:
    assert refused({**DEVELOPMENT, name: "x"}) == [f"{name} is not a setting"]


def test_the_nodes_own_names_are_left_to_the_node() -> None:
    assert load_settings({**DEVELOPMENT, "BEDSIDE_MEDIA_PORT": "1"}).port == 8700


def test_several_faults_are_all_named() -> None:
    complaints = refused({"BEDSIDE_ENV": "staging", "BEDSIDE_PORT": "many", "BEDSIDE_X": "1"})
    named = {line.split()[0].rstrip(":") for line in complaints}
    assert named >= {"BEDSIDE_ENV", "BEDSIDE_PORT", "BEDSIDE_X", "BEDSIDE_PUBLIC_URL"}


def test_a_complaint_never_repeats_the_value() -> None:
    lines = refused({**PRODUCTION, "BEDSIDE_PUBLIC_URL": "ftp://hunter2", "BEDSIDE_NODE_SECRET": "hunter2"})
    assert lines
    assert not any("hunter2" in line for line in lines)


@pytest.mark.parametrize("url", ["visits.example.org", "https://a.example/path", "https://", "javascript:alert(1)"])
def test_a_public_address_must_be_an_origin(url: str) -> None:
    assert any("BEDSIDE_PUBLIC_URL" in line for line in refused({**PRODUCTION, "BEDSIDE_PUBLIC_URL": url}))


def test_plain_http_is_refused_in_production() -> None:
    assert any("https://" in line for line in refused({**PRODUCTION, "BEDSIDE_PUBLIC_URL": "http://a.example"}))


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-a-file-0123456789\n")
    environ = {name: value for name, value in PRODUCTION.items() if name != "BEDSIDE_NODE_SECRET"}
    settings = load_settings({**environ, "BEDSIDE_NODE_SECRET_FILE": str(file)})
    assert settings.secret == "from-a-file-0123456789"


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refused({**DEVELOPMENT, "BEDSIDE_KEYSET_FILE": str(tmp_path / "absent")}) == [
        "BEDSIDE_KEYSET_FILE cannot be read"
    ]


@pytest.mark.parametrize(
    "url", ["stun:a.example", "turn:", "turn:a.example/x", "https://a.example", "turn:u@a.example"]
)
def test_a_turn_server_is_an_address_of_one(url: str) -> None:
    lines = refused({**PRODUCTION, "BEDSIDE_TURN_URLS": url, "BEDSIDE_TURN_SECRET": "hunter2"})
    assert [line.split(":")[0] for line in lines] == ["BEDSIDE_TURN_URLS"]


def test_turn_needs_addresses_and_secret_and_may_have_several(tmp_path: Path) -> None:
    urls = "turn:a.example:3478?transport=udp, turns:[2001:db8::7]:443"
    for half in ({"BEDSIDE_TURN_URLS": urls}, {"BEDSIDE_TURN_SECRET": "hunter2"}):
        assert refused({**PRODUCTION, **half}) == ["BEDSIDE_TURN_URLS and BEDSIDE_TURN_SECRET belong together"]
    (tmp_path / "turn").write_text("hunter2\n")
    secret = {"BEDSIDE_TURN_SECRET_FILE": str(tmp_path / "turn")}
    settings = load_settings({**PRODUCTION, "BEDSIDE_TURN_URLS": urls, **secret})
    assert settings.turn_urls == tuple(urls.split(", "))
    assert "hunter2" not in repr(settings)


def test_secrets_do_not_print() -> None:
    settings = load_settings({**PRODUCTION, "BEDSIDE_DATABASE_URL": "postgresql+asyncpg://u:hunter2@h/d"})
    assert "hunter2" not in repr(settings)
    assert "a-secret-of" not in repr(settings)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False), ("", False)],
)
def test_loopback(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]
