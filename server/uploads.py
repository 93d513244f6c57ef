"""The one door for uploads: bounded while they arrive, told by content, renamed, sealed at rest, served as downloads.

`receive` → `store` → `add` (in the act's transaction) on the way in, `get` → `read` → `download` on the way out,
`forget` to erase. Who may do which, and what an upload belongs to, is for the area that asks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import obstore
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from obstore.store import LocalStore, ObjectStore, from_url
from sqlalchemy import ForeignKey, Index, LargeBinary, String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from server import audit
from server.audit import DeletionKind
from server.config import Settings
from server.db import Base, Id, new_id
from server.errors import DomainError, not_found
from server.filekinds import disposition, kind_of, shown_name
from server.forms import FIELDS_MAX, FORM_LIMIT_BYTES
from server.vault import ClinicVault, VaultError
from signaling.words import N_, Code

UPLOAD_MAX_BYTES = 20 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
KEY_BYTES = 32
ONCE = bytes(12)
"""The nonce: every object is sealed once, under a key of its own."""
UNKNOWN_KIND = N_("We take PDF, plain text and pictures (PNG, JPEG, GIF, WebP, HEIC). This file is something else.")
EMPTY = N_("The file is empty.")


class Upload(Base):
    """A sealed file. `subject_kind` and `subject_id` say what it belongs to; erased, content, name and key are gone."""

    __tablename__ = "upload"
    __table_args__ = (Index("ix_upload_subject", "clinic_id", "subject_kind", "subject_id"),)

    clinic_id: Mapped[str] = mapped_column(Id, ForeignKey("clinic.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    subject_kind: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(String(80))
    """Its media type, by content."""
    size: Mapped[int]
    sealed_name: Mapped[bytes | None] = mapped_column(LargeBinary)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    by_person_id: Mapped[str | None] = mapped_column(Id, ForeignKey("person.id"))
    by_participation_id: Mapped[str | None] = mapped_column(Id)
    at: Mapped[datetime]
    erased_at: Mapped[datetime | None]

    @property
    def path(self) -> str:
        return upload_path(self.clinic_id, self.id)


@dataclass(frozen=True, slots=True)
class Received:
    """A file as it came through the door: its name made harmless, its kind told by content."""

    name: str
    kind: str
    content: bytes
    fields: dict[str, str]
    """The form's other fields."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A sealed object that no row names yet."""

    id: str
    kind: str
    size: int
    sealed_name: bytes
    wrapped_key: bytes


def open_uploads(settings: Settings) -> ObjectStore:
    """Where uploads lie: beside the recordings in their bucket, else a folder under `var`."""
    if settings.recordings_url is not None and "://" in settings.recordings_url:
        return from_url(settings.recordings_url)
    folder = settings.var / "uploads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(Path(folder))


def upload_path(clinic_id: str, upload_id: str) -> str:
    return f"uploads/{clinic_id}/{upload_id}"


async def receive(request: web.Request, field: str = "file", limit: int = UPLOAD_MAX_BYTES) -> Received:
    """The one file of a multipart form. Raises DomainError: malformed (no file, or a kind we don't take), too_long."""
    if request.content_type != "multipart/form-data":
        raise DomainError(Code.MALFORMED)
    fields: dict[str, str] = {}
    found: tuple[str, bytes] | None = None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None or len(fields) >= FIELDS_MAX:
                raise DomainError(Code.MALFORMED)
            if part.filename is None:
                fields[part.name] = (await _bounded(part, FORM_LIMIT_BYTES)).decode("utf-8").replace("\x00", "")
            elif part.name == field and found is None:
                found = part.filename, await _bounded(part, limit)
            else:
                raise DomainError(Code.MALFORMED)
    except (ValueError, AssertionError, LookupError, RuntimeError, HttpProcessingError):
        raise DomainError(Code.MALFORMED) from None
    return _judged(found, fields)


def _judged(found: tuple[str, bytes] | None, fields: dict[str, str]) -> Received:
    if found is None or not found[1]:
        raise DomainError(Code.MALFORMED, EMPTY)
    name, content = found
    kind = kind_of(content)
    if kind is None:
        raise DomainError(Code.MALFORMED, UNKNOWN_KIND)
    return Received(shown_name(name, kind), kind.media_type, content, fields)


async def _bounded(part: BodyPartReader, limit: int) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(CHUNK_BYTES):
        content += chunk
        if len(content) > limit:
            raise DomainError(Code.TOO_LONG, limit=limit)
    return bytes(content)


async def store(place: ObjectStore, vault: ClinicVault, clinic_id: str, received: Received) -> Stored:
    """Seals the file under a new id and a key of its own; outside any transaction."""
    upload_id, key = new_id(), os.urandom(KEY_BYTES)
    path = upload_path(clinic_id, upload_id)
    await obstore.put_async(place, path, AESGCM(key).encrypt(ONCE, received.content, path.encode()))
    return Stored(
        upload_id,
        received.kind,
        len(received.content),
        vault.seal(upload_id, received.name.encode()),
        vault.wrap_key(upload_id, key),
    )


async def add(
    session: AsyncSession,
    clinic_id: str,
    stored: Stored,
    *,
    subject: tuple[str, str],
    now: datetime,
    by_person_id: str | None = None,
    by_participation_id: str | None = None,
) -> Upload:
    """The row that makes a stored file an upload; the area writes its own audit entry."""
    row = Upload(
        clinic_id=clinic_id,
        id=stored.id,
        subject_kind=subject[0],
        subject_id=subject[1],
        kind=stored.kind,
        size=stored.size,
        sealed_name=stored.sealed_name,
        wrapped_key=stored.wrapped_key,
        by_person_id=by_person_id,
        by_participation_id=by_participation_id,
        at=now,
    )
    session.add(row)
    await session.flush()
    return row


async def get(session: AsyncSession, clinic_id: str, upload_id: str) -> Upload:
    """Raises not_found, also for what was erased."""
    row = await session.get(Upload, (clinic_id, upload_id))
    if row is None or row.erased_at is not None:
        raise not_found()
    return row


async def load_of(session: AsyncSession, clinic_id: str, subject: tuple[str, str]) -> list[Upload]:
    """What belongs to this subject and wasn't erased, in the order it came."""
    query = select(Upload).where(
        Upload.clinic_id == clinic_id,
        Upload.subject_kind == subject[0],
        Upload.subject_id == subject[1],
        Upload.erased_at.is_(None),
    )
    return list(await session.scalars(query.order_by(Upload.at, Upload.id)))


def name_of(vault: ClinicVault, row: Upload) -> str:
    """The name as it is shown; raises VaultError for a row that was altered."""
    if row.sealed_name is None:
        return ""
    return vault.open(row.id, row.sealed_name).decode()


async def read(place: ObjectStore, vault: ClinicVault, row: Upload) -> bytes:
    """The file. Raises not_found once it is gone, VaultError when it was altered or moved."""
    if row.wrapped_key is None:
        raise not_found()
    key = vault.unwrap_key(row.id, row.wrapped_key)
    try:
        sealed = bytes(await (await obstore.get_async(place, row.path)).bytes_async())
    except FileNotFoundError:
        raise not_found() from None
    try:
        return AESGCM(key).decrypt(ONCE, sealed, row.path.encode())
    except InvalidTag as error:
        raise VaultError("a sealed upload does not open") from error


def download(name: str, kind: str, content: bytes) -> web.Response:
    """The answer that carries it: always saved, never shown or run in our origin."""
    headers = {
        "Content-Disposition": disposition(name),
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return web.Response(body=content, content_type=kind, headers=headers)


async def forget(session: AsyncSession, row: Upload, now: datetime) -> None:
    """Erases key and name and puts it on the list that a restore replays; `remove` the object after the commit."""
    row.sealed_name, row.wrapped_key, row.erased_at = None, None, now
    await audit.record_deletion(
        session, clinic_id=row.clinic_id, kind=DeletionKind.DELETED, subject=("upload", row.id), now=now
    )


async def remove(place: ObjectStore, clinic_id: str, upload_id: str) -> None:
    """Takes the sealed object away; one that is gone already is no mistake."""
    try:
        await obstore.delete_async(place, upload_path(clinic_id, upload_id))
    except FileNotFoundError:
        return
