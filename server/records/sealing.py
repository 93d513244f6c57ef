"""A signed version's words as they lie in the database: sealed under a key of their own, bound to their place.

The key is wrapped by the clinic's keyset; destroying it is erasing (`erasing.py`). The chain is `rules.py`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.records.models import NoteKey, NoteText, NoteVersion
from server.vault import KEY_BYTES, ClinicVault, VaultError

ONCE = bytes(12)
"""The nonce: each key seals one version, once."""


@dataclass(frozen=True, slots=True, repr=False)
class Content:
    """What was signed, and the key of its commitment."""

    text: str
    reason: str | None
    summary: str | None
    key: bytes


def seal(vault: ClinicVault, version: NoteVersion, content: Content) -> tuple[NoteText, NoteKey]:
    """Two rows, not yet stored: the sealed words, and what opens them."""
    key, place = os.urandom(KEY_BYTES), (version.clinic_id, version.note_id, version.n)
    words = {"text": content.text, "reason": content.reason, "summary": content.summary, "key": content.key.hex()}
    sealed = AESGCM(key).encrypt(ONCE, json.dumps(words, ensure_ascii=False).encode(), _bound(*place))
    clinic_id, note_id, n = place
    return (
        NoteText(clinic_id=clinic_id, note_id=note_id, n=n, sealed=sealed),
        NoteKey(clinic_id=clinic_id, note_id=note_id, n=n, wrapped=vault.wrap_key(_name(note_id, n), key)),
    )


def unseal(vault: ClinicVault, text: NoteText, key: NoteKey) -> Content:
    """Raises VaultError for what was altered or moved."""
    opened = key.wrapped if is_bare(key) else vault.unwrap_key(_name(key.note_id, key.n), key.wrapped)
    try:
        words = json.loads(AESGCM(opened).decrypt(ONCE, text.sealed, _bound(text.clinic_id, text.note_id, text.n)))
    except InvalidTag as error:
        raise VaultError("a sealed note does not open") from error
    return Content(words["text"], words["reason"], words["summary"], bytes.fromhex(words["key"]))


def wrap_bare(vault: ClinicVault, key: NoteKey) -> None:
    """A key that an upgrade of the schema made, where no keyset was at hand."""
    if is_bare(key):
        key.wrapped = vault.wrap_key(_name(key.note_id, key.n), key.wrapped)


def rewrap(vault: ClinicVault, key: NoteKey) -> None:
    """Under the keyset's newest key; the words are not touched."""
    wrap_bare(vault, key)
    name = _name(key.note_id, key.n)
    key.wrapped = vault.wrap_key(name, vault.unwrap_key(name, key.wrapped))


async def rewrap_all(session: AsyncSession, clinic_id: str, vault: ClinicVault) -> None:
    """After the clinic's keyset was rotated."""
    for key in await session.scalars(select(NoteKey).where(NoteKey.clinic_id == clinic_id)):
        rewrap(vault, key)


def is_bare(key: NoteKey) -> bool:
    """A wrapped key is longer than the key."""
    return len(key.wrapped) == KEY_BYTES


def _name(note_id: str, n: int) -> str:
    return f"note {note_id} {n}"


def _bound(clinic_id: str, note_id: str, n: int) -> bytes:
    return f"bedside note v1\0{clinic_id}\0{note_id}\0{n}".encode()
