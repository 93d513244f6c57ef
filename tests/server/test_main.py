"""The command line: its commands, and settings that are complained of one a line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from server.__main__ import cli, main
from server.supervisor import EXIT_CANNOT_START


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415 — the one test module that reads the environment itself

    for name in os.environ:
        if name.startswith("BEDSIDE_"):
            monkeypatch.delenv(name)


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output
    for command in ("serve", "server", "media", "jobs", "migrate", "seed", "check-config"):
        assert f" {command} " in shown


@pytest.mark.parametrize("command", ["serve", "server", "jobs", "migrate", "seed", "check-config"])
def test_missing_settings_are_named_one_a_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bedside", command])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == EXIT_CANNOT_START
    for name in ("BEDSIDE_PUBLIC_URL", "BEDSIDE_NODE_SECRET", "BEDSIDE_KEYSET"):
        assert len([line for line in said if name in line]) == 1, said


def test_complete_settings_are_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDSIDE_ENV", "development")
    assert "complete" in CliRunner().invoke(cli, ["check-config"]).output


def test_both_parts_of_the_settings_are_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"BEDSIDE_ENV": "development", "BEDSIDE_MEDIA_X": "1", "BEDSIDE_Y": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["bedside", "check-config"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert "BEDSIDE_MEDIA_X is not a setting" in said
    assert "BEDSIDE_Y is not a setting" in said


@pytest.mark.parametrize("address", ["mail.example.org", "smtp://", "http://hunter2@a.example", "smtp://a:hunter2"])
def test_an_address_of_no_mail_gateway_is_named_in_one_line_without_its_value(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"BEDSIDE_ENV": "development", "BEDSIDE_SMTP_URL": address}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["bedside", "check-config"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == EXIT_CANNOT_START
    (line,) = capsys.readouterr().err.splitlines()
    assert "BEDSIDE_SMTP_URL" in line
    assert "hunter2" not in line


def test_a_new_keyset_is_printed_for_the_operator() -> None:
    assert json.loads(CliRunner().invoke(cli, ["check-config", "--new-keyset"]).output)["key"]
