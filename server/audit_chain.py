"""Chains the audit entries, checks the chain, and copies deletions to the list outside the database's backup.

One linker works at a time, as a standing job. Writing entries and deletions is `audit.py`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit import AuditEntry, AuditLink, AuditPending, Deletion
from server.config import Settings
from server.jobs.context import JobContext

BATCH = 500
LINK_EVERY_S = 0.5
FIRST = bytes(32)
LIST_NAME = "deletions.jsonl"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking one clinic's chain found."""

    links: int
    erased: int
    first_broken: int | None
    """The number of the first link that doesn't hold; None when all do."""
    oldest_unlinked_at: datetime | None
    head: str = ""
    """The last good link's hash; written to the log each night, it proves later that nothing was cut off."""
    unchained: int = 0
    """Entries that neither are linked nor wait for it: their links were taken away."""

    @property
    def holds(self) -> bool:
        return self.first_broken is None and self.unchained == 0


def commitment_of(entry: AuditEntry) -> bytes:
    """What the chain holds of an entry: nobody learns the content from it once content and key are gone."""
    content = [
        entry.id,
        entry.clinic_id,
        entry.at.isoformat(),
        entry.actor_person_id,
        entry.actor_participation_id,
        entry.action,
        entry.subject_kind,
        entry.subject_id,
        entry.detail,
    ]
    return hmac.digest(entry.key, json.dumps(content, separators=(",", ":")).encode(), "sha256")


def link_hash(before: bytes, n: int, entry_id: str, commitment: bytes) -> bytes:
    return hashlib.sha256(before + n.to_bytes(8, "big") + entry_id.encode() + commitment).digest()


async def link_entries(session: AsyncSession, now: datetime, limit: int = BATCH) -> int:
    """Appends a link for entries that have none, oldest first; answers how many."""
    query = select(AuditEntry).join(AuditPending, AuditPending.entry_id == AuditEntry.id)
    entries = (await session.scalars(query.order_by(AuditPending.at, AuditEntry.id).limit(limit))).all()
    heads: dict[str, tuple[int, bytes]] = {}
    for entry in entries:
        n, before = heads.get(entry.clinic_id) or await _head(session, entry.clinic_id)
        commitment = commitment_of(entry)
        link = AuditLink(
            clinic_id=entry.clinic_id,
            n=n + 1,
            entry_id=entry.id,
            commitment=commitment,
            hash=link_hash(before, n + 1, entry.id, commitment),
            linked_at=now,
        )
        session.add(link)
        heads[entry.clinic_id] = (link.n, link.hash)
    await session.flush()
    await session.execute(delete(AuditPending).where(AuditPending.entry_id.in_([entry.id for entry in entries])))
    return len(entries)


async def verify(session: AsyncSession, clinic_id: str) -> Verdict:
    """Checks every link of a clinic, in order; an erased entry's link holds by its commitment."""
    n, before, erased = 0, FIRST, 0
    broken: int | None = None
    while broken is None and (links := await _links_after(session, clinic_id, n)):
        for link, entry in links:
            n += 1
            erased += entry is None
            if link.n != n or not _link_holds(link, entry, before):
                broken = n
                break
            before = link.hash
    oldest = await session.scalar(
        select(AuditPending.at)
        .join(AuditEntry, AuditEntry.id == AuditPending.entry_id)
        .where(AuditEntry.clinic_id == clinic_id)
        .order_by(AuditPending.at)
        .limit(1)
    )
    return Verdict(
        links=n,
        erased=erased,
        first_broken=broken,
        oldest_unlinked_at=oldest,
        head=before.hex(),
        unchained=await _unchained(session, clinic_id),
    )


async def _unchained(session: AsyncSession, clinic_id: str) -> int:
    query = (
        select(func.count())
        .select_from(AuditEntry)
        .outerjoin(AuditLink, AuditLink.entry_id == AuditEntry.id)
        .outerjoin(AuditPending, AuditPending.entry_id == AuditEntry.id)
        .where(AuditEntry.clinic_id == clinic_id, AuditLink.entry_id.is_(None), AuditPending.entry_id.is_(None))
    )
    return int(await session.scalar(query) or 0)


def deletions_folder(settings: Settings) -> Path:
    return settings.deletions or settings.var / "deletions"


async def waiting_deletions(session: AsyncSession, now: datetime, limit: int = BATCH) -> list[Deletion]:
    """Deletions that are due and not on the list yet, oldest first; one that may still be undone isn't due."""
    query = select(Deletion).where(Deletion.listed_at.is_(None), Deletion.at <= now)
    return list((await session.scalars(query.order_by(Deletion.at, Deletion.id).limit(limit))).all())


def append_lines(path: Path, lines: list[str]) -> None:
    """Appends whole lines and waits until they are on the disk; a line cut short by a crash is closed first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, ("\n" * torn + "".join(line + "\n" for line in lines)).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_deletions(folder: Path) -> list[dict[str, str]]:
    """The list as a restore replays it; a line cut short was never marked as listed and stands again behind."""
    path = folder / LIST_NAME
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [found for line in lines if (found := _parsed(line)) is not None]


async def keep_linking(context: JobContext) -> None:
    """The standing job: links entries and lists deletions until told to stop."""
    folder = deletions_folder(context.settings)
    while not context.cancelled():
        busy = await _link_once(context) + await _list_once(context, folder)
        if not busy:
            await context.pause(LINK_EVERY_S)


STANDING = {"audit.link": keep_linking}


async def _link_once(context: JobContext) -> int:
    async with context.database.reading() as session:
        if await session.scalar(select(AuditPending.entry_id).limit(1)) is None:
            return 0
    async with context.database.writing() as session:
        return await link_entries(session, context.now())


async def _list_once(context: JobContext, folder: Path) -> int:
    """A crash between file and mark writes a line twice, which a replay doesn't mind."""
    async with context.database.reading() as session:
        waiting = await waiting_deletions(session, context.now())
    if waiting:
        append_lines(folder / LIST_NAME, [_line(deletion) for deletion in waiting])
        marked = update(Deletion).where(Deletion.id.in_([deletion.id for deletion in waiting]))
        async with context.database.writing() as session:
            await session.execute(marked.values(listed_at=context.now()))
    return len(waiting)


def _parsed(line: str) -> dict[str, str] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


async def _head(session: AsyncSession, clinic_id: str) -> tuple[int, bytes]:
    query = select(AuditLink).where(AuditLink.clinic_id == clinic_id).order_by(AuditLink.n.desc()).limit(1)
    last = (await session.scalars(query)).first()
    return (last.n, last.hash) if last else (0, FIRST)


async def _links_after(session: AsyncSession, clinic_id: str, n: int) -> list[tuple[AuditLink, AuditEntry | None]]:
    query = (
        select(AuditLink, AuditEntry)
        .join(AuditEntry, AuditEntry.id == AuditLink.entry_id, isouter=True)
        .where(AuditLink.clinic_id == clinic_id, AuditLink.n > n)
        .order_by(AuditLink.n)
        .limit(BATCH)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


def _link_holds(link: AuditLink, entry: AuditEntry | None, before: bytes) -> bool:
    if link.hash != link_hash(before, link.n, link.entry_id, link.commitment):
        return False
    return entry is None or hmac.compare_digest(commitment_of(entry), link.commitment)


def _line(deletion: Deletion) -> str:
    content = {
        "at": deletion.at.isoformat(),
        "clinic_id": deletion.clinic_id,
        "kind": deletion.kind,
        "subject_kind": deletion.subject_kind,
        "subject_id": deletion.subject_id,
    }
    return json.dumps(content, sort_keys=True)
