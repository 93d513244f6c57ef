"""An operator's commands: the first clinic, a lost last administrator, the audit, keys, backup and restore."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.__main__ import _migrate, cli
from server.commands import EXIT_BROKEN
from server.config import load_settings
from server.serving import CannotStart
from server.supervisor import EXIT_CANNOT_START
from server.vault import Vault

ADD_CLINIC = ("staff", "add-clinic", "north", "Clinic north", "--zone", "Europe/Berlin", "--country", "de")
ADD_ADMIN = ("staff", "add-administrator", "north", "Ada One", "Ada@North.example")


@dataclass
class Shell:
    """The command line over a migrated database of its own."""

    var: Path
    path: Path

    def run(self, *words: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, list(words))
        return done.exit_code, done.output

    def rows(self, query: str) -> list[tuple[object, ...]]:
        opened = sqlite3.connect(self.path)
        try:
            found = opened.execute(query).fetchall()
            opened.commit()
            return found
        finally:
            opened.close()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, sqlite_template: Path, tmp_path: Path) -> Shell:
    for name in os.environ:
        if name.startswith("BEDSIDE_"):
            monkeypatch.delenv(name)
    path = tmp_path / "one.db"
    path.write_bytes(sqlite_template.read_bytes())
    monkeypatch.setenv("BEDSIDE_ENV", "development")
    monkeypatch.setenv("BEDSIDE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("BEDSIDE_DATABASE_URL", f"sqlite+aiosqlite:///{path}")
    return Shell(tmp_path / "var", path)


def test_a_first_clinic_its_administrator_and_their_way_back_in(shell: Shell) -> None:
    assert shell.run(*ADD_CLINIC)[0] == 0
    code, said = shell.run(*ADD_ADMIN)
    assert (code, bool(re.search(r"/join/[A-Za-z0-9_-]{32}\n$", said))) == (0, True)
    assert shell.rows("SELECT email, role FROM person JOIN membership ON person_id = person.id") == [
        ("ada@north.example", "administrator")
    ]
    code, again = shell.run("staff", "recover", "north", "ada@north.example")
    assert (code, "/join/" in again, again != said) == (0, True, True)
    assert shell.rows("SELECT count(*) FROM invitation WHERE closed_at IS NULL") == [(1,)]
    checks = shell.rows("SELECT detail FROM audit_entry WHERE action = 'staff_invited'")
    assert [text for (text,) in checks] == ['{"check":"on_the_server"}'] * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("staff", "recover", "north", "nobody@north.example"), "nobody with this address"),
        (("staff", "add-administrator", "south", "Ada", "a@b.example"), "there is no clinic south"),
        (("staff", "add-clinic", "x", "X", "--zone", "Mars/Base", "--country", "de"), "Mars/Base is no time zone"),
        (ADD_CLINIC, "there is a clinic north already"),
        (("restore", "/nowhere/at/all"), "no finished backup"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(shell: Shell, words: tuple[str, ...], said: str) -> None:
    shell.run(*ADD_CLINIC)
    code, output = shell.run(*words)
    assert code == EXIT_CANNOT_START
    assert said in output
    assert len(output.splitlines()) == 1
    assert shell.rows("SELECT slug FROM clinic") == [("north",)]


def test_everything_that_is_wrong_with_a_new_clinic_is_said_a_line_each(shell: Shell) -> None:
    where = ("--zone", "Europe/Berlin", "--country", "de")
    for words, said in {
        ("Bad Slug!", " ", "--zone", "europe/berlin", "--country", "germany"): (
            "Bad Slug! is no name for addresses",
            "name has 1 to 200 characters",
            "europe/berlin is no time zone",
            "GERMANY is no country",
        ),
        ("x-", "X", "--zone", "UTC", "--country", "zz"): ("x- is no name for addresses", "ZZ is no country"),
        ("x" * 65, "X" * 201, *where): ("is no name for addresses", "name has 1 to 200 characters"),
        ("x", "X", *where, "--phone", "ring us"): ("ring us: enter a phone number",),
        ("x", "X", *where, "--phone", "+49 " + "0" * 30): ("enter a phone number", "32 characters at most"),
    }.items():
        code, output = shell.run("staff", "add-clinic", *words)
        lines = output.splitlines()
        assert code == EXIT_CANNOT_START
        assert len(lines) == len(said), output
        assert all(each in line for each, line in zip(said, lines, strict=True)), output
    assert shell.rows("SELECT slug FROM clinic") == []


def test_a_clinic_without_a_phone_number_is_named_at_once(shell: Shell) -> None:
    assert "no phone number" in shell.run(*ADD_CLINIC)[1]
    east = ("staff", "add-clinic", "east", "Clinic east", *ADD_CLINIC[4:], "--phone", "030 901820")
    code, said = shell.run(*east)
    assert (code, "no phone number" in said) == (0, False)
    assert shell.rows("SELECT phone, country FROM clinic ORDER BY slug") == [("030 901820", "DE"), ("", "DE")]


EVERY = (
    ADD_CLINIC,
    ADD_ADMIN,
    ("staff", "recover", "north", "ada@north.example"),
    ("audit", "verify"),
    ("keys", "rotate"),
    ("keys", "end-sessions"),
    ("backup", "somewhere"),
)


@pytest.mark.parametrize("where", ["new", "nowhere/at/all", "noise"])
def test_a_database_that_is_not_migrated_or_not_there_is_said_in_one_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEDSIDE_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path / where}")
    (tmp_path / "noise").write_bytes(b"no database" * 100)
    said = "the database cannot be reached" if where == "noise" else "run `bedside migrate`"
    for words in EVERY:
        code, output = shell.run(*words)
        assert code == EXIT_CANNOT_START, words
        assert said in output, words
        assert len(output.splitlines()) == 1, words
    if where != "new":
        with pytest.raises(CannotStart, match="the database cannot be reached"):
            asyncio.run(_migrate(load_settings()))


def test_the_audit_is_verified_and_tampering_named(shell: Shell) -> None:
    shell.run(*ADD_CLINIC)
    shell.run(*ADD_ADMIN)
    code, said = shell.run("audit", "verify")
    assert (code, said.startswith("north: 0 links hold")) == (0, True)
    assert "oldest entry without a link" in said
    shell.rows("DELETE FROM audit_pending")
    code, said = shell.run("audit", "verify")
    assert (code, "entries lost their links" in said) == (EXIT_BROKEN, True)


def test_keys_rotate_move_to_a_new_master_and_sessions_end(shell: Shell) -> None:
    shell.run(*ADD_CLINIC)
    shell.run(*ADD_ADMIN)
    folder, master = shell.var / "keys" / "clinics", shell.var / "keys" / "master.keyset"
    before = Vault(folder, master.read_text())
    sealed = before.installation().seal("x", b"from before")
    assert shell.run("keys", "rotate")[0] == 0
    later = before.installation().seal("x", b"under the new key")
    assert before.installation().open("x", sealed) == b"from before"
    old_master = master.read_text()
    assert shell.run("keys", "new-master")[0] == 0
    assert master.read_text() != old_master
    assert (master.stat().st_mode & 0o777) == 0o600
    moved = Vault(folder, master.read_text()).installation()
    assert (moved.open("x", sealed), moved.open("x", later)) == (b"from before", b"under the new key")
    assert shell.run("keys", "end-sessions") == (0, "0 sessions ended\n")


def test_backup_and_restore_by_command(shell: Shell, sqlite_template: Path, tmp_path: Path) -> None:
    shell.run(*ADD_CLINIC)
    shell.run(*ADD_ADMIN)
    folder = tmp_path / "backup"
    code, said = shell.run("backup", str(folder))
    assert (code, said.startswith("backed up ")) == (0, True)
    assert shell.run("restore", str(folder))[0] == EXIT_CANNOT_START, "somebody lives here"
    shell.path.write_bytes(sqlite_template.read_bytes())
    code, said = shell.run("restore", str(folder))
    assert (code, "everybody signs in anew" in said) == (0, True)
    assert shell.rows("SELECT slug FROM clinic") == [("north",)]
    assert shell.run("audit", "verify")[0] == 0
