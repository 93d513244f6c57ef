"""Seals small objects and wraps data keys under a clinic's keyset; the master keyset seals the clinics' own.

Which object is sealed, and when its content and key are destroyed, is for the areas.
"""

from __future__ import annotations

import json
from pathlib import Path

import tink
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from tink import aead, secret_key_access

from server.files import replace, written_once

KEY_BYTES = 32
INSTALLATION = "installation"
ENDING = ".keyset"


class VaultError(Exception):
    """Sealed bytes were altered, moved to another object, or belong to another clinic or keyset."""


def new_keyset() -> str:
    """A fresh AES-256-GCM keyset as one line of JSON, as an environment file wants it; a secret."""
    aead.register()
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    keyset = tink.json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN)
    return json.dumps(json.loads(keyset), separators=(",", ":"))


class ClinicVault:
    """One clinic's keyset. Everything sealed is bound to the clinic, what it is for, and the object's id."""

    def __init__(self, clinic_id: str, primitive: aead.Aead) -> None:
        self._clinic_id = clinic_id
        self._aead = primitive

    def seal(self, object_id: str, plaintext: bytes) -> bytes:
        return bytes(self._aead.encrypt(plaintext, self._bound("object", object_id)))

    def open(self, object_id: str, sealed: bytes) -> bytes:
        """Raises VaultError."""
        return self._decrypt(sealed, self._bound("object", object_id))

    def wrap_key(self, object_id: str, key: bytes) -> bytes:
        """The wrapped form of a 256-bit data key, to be stored beside what it seals."""
        if len(key) != KEY_BYTES:
            raise ValueError("a data key has 256 bits")
        return bytes(self._aead.encrypt(key, self._bound("key", object_id)))

    def unwrap_key(self, object_id: str, wrapped: bytes) -> bytes:
        """Raises VaultError."""
        return self._decrypt(wrapped, self._bound("key", object_id))

    def _bound(self, purpose: str, object_id: str) -> bytes:
        return "\0".join(("bedside", purpose, self._clinic_id, object_id)).encode()

    def _decrypt(self, sealed: bytes, associated: bytes) -> bytes:
        try:
            return bytes(self._aead.decrypt(sealed, associated))
        except tink.TinkError as error:
            raise VaultError("sealed bytes do not open") from error


class Vault:
    """All clinics' keysets: files in `folder`, each sealed by the master keyset, made when first asked for."""

    def __init__(self, folder: Path, master: str) -> None:
        aead.register()
        self._folder = folder
        handle = tink.json_proto_keyset_format.parse(master, secret_key_access.TOKEN)
        self._master: aead.Aead = handle.primitive(aead.Aead)
        self._clinics: dict[str, tuple[int, ClinicVault]] = {}
        self._root = master.encode()

    def clinic(self, clinic_id: str) -> ClinicVault:
        """Raises VaultError when the clinic's keyset does not open under this master keyset.

        A keyset that was rotated meanwhile, by another process too, is read anew.
        """
        known = self._clinics.get(clinic_id)
        path = self._path(clinic_id)
        if known is None or _changed_at(path) != known[0]:
            handle = self._load(clinic_id)
            known = _changed_at(path), ClinicVault(clinic_id, handle.primitive(aead.Aead))
            self._clinics[clinic_id] = known
        return known[1]

    def rotate(self, clinic_id: str) -> None:
        """A new key seals from now on; the old ones go on opening what they sealed."""
        old = json.loads(_clear(self._load(clinic_id)))
        new = json.loads(_clear(tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)))
        merged = {"primaryKeyId": new["primaryKeyId"], "key": [*old["key"], *new["key"]]}
        handle = tink.json_proto_keyset_format.parse(json.dumps(merged), secret_key_access.TOKEN)
        replace(self._path(clinic_id), self._sealed(clinic_id, handle, self._master))

    def names(self) -> list[str]:
        """Whose keysets there are."""
        return sorted(path.name.removesuffix(ENDING) for path in self._folder.glob(f"*{ENDING}"))

    def move_to(self, master: str) -> None:
        """Seals every keyset under another master keyset; what they sealed stays as it is. May run again.

        Raises VaultError, before anything is written, for a keyset that opens under neither.
        """
        other = Vault(self._folder, master)
        sealed = {}
        for name in self.names():
            try:
                sealed[name] = other._sealed(name, self._load(name), other._master)
            except VaultError:
                other._load(name)  # moved already, by a run that was cut short
        for name, text in sealed.items():
            replace(self._path(name), text)

    def browser_key(self, *names: str) -> bytes:
        """What somebody's own browser may seal words with: the same for these names each time, until the master
        keyset is another one; told to nobody but whom the names are of.
        """
        info = "\0".join(("browser", *names)).encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._root)

    def installation(self) -> ClinicVault:
        """What belongs to persons and to no clinic: second factors, browsers known from before, forms put aside."""
        return self.clinic(INSTALLATION)

    def _load(self, clinic_id: str) -> tink.KeysetHandle:
        text = written_once(self._path(clinic_id), lambda: self._made(clinic_id))
        try:
            return tink.json_proto_keyset_format.parse_encrypted(text, self._master, _associated(clinic_id))
        except tink.TinkError as error:
            raise VaultError("the clinic's keyset does not open under this master keyset") from error

    def _made(self, clinic_id: str) -> str:
        return self._sealed(clinic_id, tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM), self._master)

    def _sealed(self, clinic_id: str, handle: tink.KeysetHandle, master: aead.Aead) -> str:
        return str(tink.json_proto_keyset_format.serialize_encrypted(handle, master, _associated(clinic_id)))

    def _path(self, clinic_id: str) -> Path:
        return self._folder / f"{clinic_id}{ENDING}"


def _associated(clinic_id: str) -> bytes:
    return f"bedside keyset {clinic_id}".encode()


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _clear(handle: tink.KeysetHandle) -> str:
    return str(tink.json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
