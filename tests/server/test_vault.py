"""Sealed objects open for their clinic and object alone; keysets are made once."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.vault import Vault, VaultError, new_keyset


def test_what_was_sealed_opens(vault: Vault) -> None:
    clinic = vault.clinic("c1")
    assert clinic.open("note-1", clinic.seal("note-1", b"words")) == b"words"


def test_another_object_clinic_or_purpose_does_not_open_it(vault: Vault) -> None:
    clinic = vault.clinic("c1")
    sealed, wrapped = clinic.seal("note-1", b"w" * 32), clinic.wrap_key("note-1", b"k" * 32)
    attempts: list[Callable[[], bytes]] = [
        lambda: clinic.open("note-2", sealed),
        lambda: vault.clinic("c2").open("note-1", sealed),
        lambda: clinic.unwrap_key("note-1", sealed),
        lambda: clinic.open("note-1", wrapped),
        lambda: clinic.open("note-1", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        lambda: clinic.open("note-1", b""),
    ]
    for attempt in attempts:
        with pytest.raises(VaultError):
            attempt()


def test_a_data_key_comes_back(vault: Vault) -> None:
    key = os.urandom(32)
    assert vault.clinic("c").unwrap_key("film", vault.clinic("c").wrap_key("film", key)) == key
    with pytest.raises(ValueError, match="256"):
        vault.clinic("c").wrap_key("film", b"short")


def test_a_clinics_keyset_is_kept_sealed_and_private(tmp_path: Path, keyset: str) -> None:
    sealed = Vault(tmp_path, keyset).clinic("c1").seal("x", b"y")
    file = tmp_path / "c1.keyset"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "encryptedKeyset" in file.read_text()
    assert Vault(tmp_path, keyset).clinic("c1").open("x", sealed) == b"y"


def test_another_master_keyset_does_not_open_it(tmp_path: Path, keyset: str) -> None:
    Vault(tmp_path, keyset).clinic("c1")
    with pytest.raises(VaultError):
        Vault(tmp_path, new_keyset()).clinic("c1")


def test_processes_that_start_together_share_one_keyset(tmp_path: Path, keyset: str) -> None:
    vaults = [Vault(tmp_path, keyset) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda one: one.clinic("c1").seal("x", b"y"), vaults))
    assert all(Vault(tmp_path, keyset).clinic("c1").open("x", each) == b"y" for each in sealed)


def test_a_rotated_keyset_is_noticed_by_whoever_has_it_open(tmp_path: Path) -> None:
    master = new_keyset()
    one, other = Vault(tmp_path, master), Vault(tmp_path, master)
    sealed = one.clinic("c").seal("o", b"old")
    assert other.clinic("c").open("o", sealed) == b"old"
    one.rotate("c")
    new = one.clinic("c").seal("o", b"new")
    assert other.clinic("c").open("o", new) == b"new"
    assert other.clinic("c").open("o", sealed) == b"old"


def test_moving_to_a_new_master_may_be_cut_short_and_done_again(tmp_path: Path) -> None:
    master, fresh = new_keyset(), new_keyset()
    vault = Vault(tmp_path, master)
    sealed = {name: vault.clinic(name).seal("o", name.encode()) for name in ("a", "b")}
    half = (tmp_path / "b.keyset").read_text()
    vault.move_to(fresh)
    (tmp_path / "b.keyset").write_text(half)
    vault.move_to(fresh)
    moved = Vault(tmp_path, fresh)
    assert {name: moved.clinic(name).open("o", text) for name, text in sealed.items()} == {"a": b"a", "b": b"b"}
    with pytest.raises(VaultError):
        Vault(tmp_path, new_keyset()).move_to(new_keyset())


def test_a_browsers_key_is_the_same_for_the_same_names_and_for_no_others(tmp_path: Path, keyset: str) -> None:
    vault, names = Vault(tmp_path, keyset), ("clinic", "person", "visit")
    key = vault.browser_key(*names)
    assert (len(key), Vault(tmp_path / "elsewhere", keyset).browser_key(*names)) == (32, key)
    others = [("clinic", "other", "visit"), ("clinic", "person", "other"), ("other", "person", "visit"), names[:2]]
    assert key not in [vault.browser_key(*one) for one in others]
    assert Vault(tmp_path, new_keyset()).browser_key(*names) != key
