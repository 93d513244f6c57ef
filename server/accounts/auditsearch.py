"""Looking into the audit: which entries, of whom, about what, when; as rows for a page or lines for a file.

Who may look is said by the routes in `auditviews.py`; looking leaves entries of its own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.service import person_names
from server.audit import AuditEntry

SHOWN_MAX = 200
EXPORTED_MAX = 50_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = ("at", "who", "who_id", "participation", "action", "subject", "subject_id", "detail")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; a part that is None stands for all."""

    since: date | None = None
    until: date | None = None
    person_id: str | None = None
    action: str | None = None
    subject_id: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One entry with its actor's name."""

    entry: AuditEntry
    name: str


async def find(session: AsyncSession, clinic_id: str, zone: str, wanted: Wanted, limit: int = SHOWN_MAX) -> list[Line]:
    """The newest first."""
    query = _query(clinic_id, zone, wanted).order_by(AuditEntry.at.desc(), AuditEntry.id).limit(limit)
    entries = (await session.scalars(query)).all()
    names = await person_names(session, {entry.actor_person_id for entry in entries if entry.actor_person_id})
    return [Line(entry, names.get(entry.actor_person_id or "", "")) for entry in entries]


def as_csv(lines: Sequence[Line]) -> str:
    """Lines for a table program; what it would take for a formula is shown as text."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for line in lines:
        entry = line.entry
        row = (
            entry.at.isoformat(),
            line.name,
            entry.actor_person_id or "",
            entry.actor_participation_id or "",
            entry.action,
            entry.subject_kind,
            entry.subject_id,
            entry.detail,
        )
        writer.writerow([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row])
    return written.getvalue()


def _query(clinic_id: str, zone: str, wanted: Wanted) -> Select[AuditEntry]:
    query = select(AuditEntry).where(AuditEntry.clinic_id == clinic_id)
    if wanted.since:
        query = query.where(AuditEntry.at >= _midnight(wanted.since, zone))
    if wanted.until:
        query = query.where(AuditEntry.at < _midnight(wanted.until + timedelta(days=1), zone))
    if wanted.person_id:
        query = query.where(AuditEntry.actor_person_id == wanted.person_id)
    if wanted.action:
        query = query.where(AuditEntry.action == wanted.action)
    if wanted.subject_id:
        query = query.where(AuditEntry.subject_id == wanted.subject_id)
    return query


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone))
