"""A backup as a folder: every table as lines of JSON out of one snapshot, clinics' sealed keysets, files, checksums.

The same on SQLite and PostgreSQL, and from one to the other. Putting it back is `restore.py`. The list of deletions and
the master keyset are left out on purpose: they belong somewhere else.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.config import Settings
from server.db import Base, Database, UtcDateTime
from server.migrations import newest

FORMAT = 1
MANIFEST = "manifest.json"
FOLDERS = ("keys/clinics", "uploads", "recordings")


class CannotDo(Exception):  # noqa: N818 — said to a person, in one line
    """Why nothing was backed up or restored, in one line."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How one kind of value goes into JSON and comes back."""

    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


CODECS: dict[type, Codec] = {
    bytes: Codec(lambda value: base64.b64encode(value).decode(), base64.b64decode),
    datetime: Codec(lambda value: value.isoformat(), datetime.fromisoformat),
    date: Codec(lambda value: value.isoformat(), date.fromisoformat),
}
AS_IT_IS = Codec(lambda value: value, lambda value: value)


def codecs_of(table: Table) -> dict[str, Codec]:
    """By column; what JSON knows by itself goes as it is."""
    return {column.name: CODECS.get(_python_type(column), AS_IT_IS) for column in table.columns}


def _python_type(column: Column[Any]) -> type:
    return datetime if isinstance(column.type, UtcDateTime) else column.type.python_type


async def back_up(database: Database, settings: Settings, folder: Path, now: datetime) -> dict[str, int]:
    """Writes a new folder; answers the rows by table. Raises CannotDo when there is something already."""
    tables, counts = await asyncio.to_thread(_prepared, folder), {}
    async with database.reading() as session:
        for table in Base.metadata.sorted_tables:
            counts[table.name] = await _dump(session, table, tables / f"{table.name}.jsonl")
    await asyncio.to_thread(_copy_folders, settings, folder)
    sums = await asyncio.to_thread(checksums, folder)
    content = {"format": FORMAT, "schema": newest(), "made_at": now.isoformat(), "rows": counts, "sha256": sums}
    write_private(folder / MANIFEST, json.dumps(content, indent=1, sort_keys=True).encode())
    return counts


def _prepared(folder: Path) -> Path:
    if folder.exists() and any(folder.iterdir()):
        raise CannotDo(f"{folder} is not empty: give each backup a folder of its own")
    tables = folder / "tables"
    tables.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return tables


async def _dump(session: AsyncSession, table: Table, path: Path) -> int:
    """One row a line, in the order of its key, fetched in pieces."""
    codecs, count = codecs_of(table), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        rows = await session.stream(select(table).order_by(*table.primary_key.columns).execution_options(yield_per=500))
        async for row in rows.mappings():
            shown = {name: None if row[name] is None else codec.dump(row[name]) for name, codec in codecs.items()}
            file.write(json.dumps(shown, separators=(",", ":")) + "\n")
            count += 1
    return count


def _copy_folders(settings: Settings, folder: Path) -> None:
    for name in FOLDERS:
        source = place_of(settings, name)
        if source is not None and source.is_dir():
            shutil.copytree(source, folder / name)


def place_of(settings: Settings, name: str) -> Path | None:
    """Where a folder of files lies; None where a bucket holds it, which has backups of its own."""
    if name == "recordings" and settings.recordings_url is not None:
        return None if "://" in settings.recordings_url else Path(settings.recordings_url)
    return settings.var / name


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 by path, of everything but the manifest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
