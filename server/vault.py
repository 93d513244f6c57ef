"""Seals small objects and wraps data keys under a clinic's keyset; the master keyset seals the clinics' own.

Which object is sealed, and when its content and key are destroyed, is for the areas.
"""

from __future__ import annotations

import json
from pathlib import Path

import tink
from tink import aead, secret_key_access

from server.files import written_once

KEY_BYTES = 32
INSTALLATION = "installation"


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
        self._clinics: dict[str, ClinicVault] = {}

    def clinic(self, clinic_id: str) -> ClinicVault:
        """Raises VaultError when the clinic's keyset does not open under this master keyset."""
        if clinic_id not in self._clinics:
            self._clinics[clinic_id] = ClinicVault(clinic_id, self._load(clinic_id).primitive(aead.Aead))
        return self._clinics[clinic_id]

    def installation(self) -> ClinicVault:
        """What belongs to persons and to no clinic: second factors, browsers known from before, forms put aside."""
        return self.clinic(INSTALLATION)

    def _load(self, clinic_id: str) -> tink.KeysetHandle:
        path = self._folder / f"{clinic_id}.keyset"
        associated = f"bedside keyset {clinic_id}".encode()
        text = written_once(path, lambda: self._made(associated))
        try:
            return tink.json_proto_keyset_format.parse_encrypted(text, self._master, associated)
        except tink.TinkError as error:
            raise VaultError("the clinic's keyset does not open under this master keyset") from error

    def _made(self, associated: bytes) -> str:
        handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
        return str(tink.json_proto_keyset_format.serialize_encrypted(handle, self._master, associated))
