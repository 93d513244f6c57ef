"""Puts a backup into an empty installation, then does again what the list of deletions says, before anybody comes in.

One transaction: either everything stands and is replayed, or nothing is there. Making backups is `backup.py`; what an
entry of the list means is each area's `replay.py`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Table, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts.models import Clinic, Person
from server.accounts.models import Session as BrowserSession
from server.app import area_modules
from server.audit import AuditAction
from server.audit_chain import Verdict, deletions_folder, link_entries, read_deletions, verify
from server.backup import FOLDERS, FORMAT, MANIFEST, CannotDo, checksums, codecs_of, place_of
from server.config import Settings
from server.db import Base, Database
from server.jobs.models import Job
from server.migrations import migrate, newest

BATCH = 200
Replay = Callable[[AsyncSession, Mapping[str, str], datetime], Awaitable[bool]]
"""Does again what an entry of the list says; whether there was anything left to do."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: rows put back, entries of the list that had to be done again, each clinic's chain."""

    rows: int
    replayed: int
    verdicts: dict[str, Verdict]


def replays() -> dict[tuple[str, str], Replay]:
    """By kind of deletion and kind of subject."""
    found: dict[tuple[str, str], Replay] = {}
    for module in area_modules("replay"):
        found |= module.REPLAYS
    return found


async def restore(database: Database, settings: Settings, folder: Path, now: datetime) -> Restored:
    """Raises CannotDo: not a whole backup, another schema, a database that holds somebody, an unknown deletion."""
    manifest = await asyncio.to_thread(_checked, folder)
    todo = read_deletions(deletions_folder(settings))
    known = replays()
    strange = {(one["kind"], one["subject_kind"]) for one in todo} - set(known)
    if strange:
        words = ", ".join(" of ".join(pair) for pair in sorted(strange))
        raise CannotDo(f"the list of deletions holds what this version cannot do again: {words}")
    await migrate(database)
    async with database.reading() as session:
        if await session.scalar(select(exists().where(Clinic.id.is_not(None)))) or await session.scalar(
            select(exists().where(Person.id.is_not(None)))
        ):
            raise CannotDo("the database is not empty: a backup goes into an empty one")
    await asyncio.to_thread(_put_back_files, settings, folder)
    async with database.writing() as session:
        rows = 0
        for table in Base.metadata.sorted_tables:
            if table.name in manifest["rows"]:
                rows += await _load(session, table, folder / "tables" / f"{table.name}.jsonl")
        replayed = 0
        for entry in todo:
            replayed += await known[entry["kind"], entry["subject_kind"]](session, entry, now)
        await _close_what_was_open(session, now)
        clinics = (await session.scalars(select(Clinic.id).order_by(Clinic.id))).all()
        for clinic_id in clinics:
            await audit.enter(
                session,
                clinic_id=clinic_id,
                actor_person_id=None,
                action=AuditAction.RESTORED,
                subject=("clinic", clinic_id),
                detail={"replayed": replayed},
                now=now,
            )
        while await link_entries(session, now):
            pass
    async with database.reading() as session:
        return Restored(rows, replayed, {clinic_id: await verify(session, clinic_id) for clinic_id in clinics})


def _checked(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CannotDo(f"{folder} holds no finished backup: there is no manifest") from None
    if manifest.get("format") != FORMAT or manifest.get("schema") != newest():
        raise CannotDo("the backup was made by another version: restore it with that one, then upgrade")
    found = checksums(folder)
    wrong = sorted(name for name in {*found, *manifest["sha256"]} if found.get(name) != manifest["sha256"].get(name))
    if wrong:
        raise CannotDo(f"{len(wrong)} files of the backup are missing or altered, the first is {wrong[0]}")
    return manifest


def _put_back_files(settings: Settings, folder: Path) -> None:
    for name in FOLDERS:
        target = place_of(settings, name)
        if target is not None and (folder / name).is_dir():
            shutil.copytree(folder / name, target, dirs_exist_ok=True)


async def _load(session: AsyncSession, table: Table, path: Path) -> int:
    codecs, count = codecs_of(table), 0
    with path.open(encoding="utf-8") as file:
        for lines in _batches(file, BATCH):
            rows = [
                {name: None if value is None else codecs[name].load(value) for name, value in json.loads(line).items()}
                for line in lines
            ]
            await session.execute(insert(table), rows)
            count += len(rows)
    return count


def _batches(lines: Iterable[str], size: int) -> Iterable[list[str]]:
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


async def _close_what_was_open(session: AsyncSession, now: datetime) -> None:
    """Everybody signs in again, since a session may have been revoked after the backup; leases are nobody's."""
    await session.execute(update(BrowserSession).where(BrowserSession.revoked_at.is_(None)).values(revoked_at=now))
    await session.execute(update(Job).where(Job.finished_at.is_(None)).values(lease_owner=None, lease_until=None))
