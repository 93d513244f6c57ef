"""Copies of a record: asked for, made by a job, kept sealed for a week, fetched after a fresh sign-in, or discarded.

What goes into one is `export_facts.py`, its two forms are `printing.py` and `fhir.py`, making it is `jobs.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, jobs
from server.accounts.models import Session
from server.audit import AuditAction
from server.db import new_id
from server.encounters.filmstore import SealedFilm
from server.errors import not_found
from server.permissions import ActsFor, ProxyScope
from server.records.models import FactorShown
from server.records.rights_models import RecordExport
from server.vault import ClinicVault

JOB = "export"
KEPT = timedelta(days=7)
FRESH = timedelta(minutes=10)
"""A sign-in this old needs a new code before anything is fetched."""
SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody of the patient's side: the patient, or a proxy within their scope."""

    clinic_id: str
    patient_id: str
    person_id: str | None
    """The patient's own; a proxy has none."""
    proxy: ActsFor | None = None

    @property
    def scopes(self) -> frozenset[ProxyScope]:
        return self.proxy.scopes if self.proxy else frozenset()

    @property
    def proxy_id(self) -> str | None:
        return self.proxy.proxy_id if self.proxy else None


def path_of(export_id: str) -> str:
    return f"exports/{export_id}.zip"


def key_name(export_id: str) -> str:
    """What the wrapped key is bound to."""
    return f"export {export_id}"


async def ask(session: AsyncSession, asker: Asker, language: str, now: datetime) -> RecordExport:
    """One that is still being made stands; else a job begins another."""
    for earlier in await load_of(session, asker, now):
        if earlier.state == "asked":
            job = await jobs.load_job(session, JOB, earlier.id)
            if job is None or job.finished_at is None:
                return earlier
            earlier.state = "failed"
    row = RecordExport(
        clinic_id=asker.clinic_id,
        id=new_id(),
        patient_id=asker.patient_id,
        proxy_id=asker.proxy_id,
        scopes=_words(asker.scopes),
        language=language,
        state="asked",
        asked_at=now,
    )
    session.add(row)
    await session.flush()
    await enter(session, row, AuditAction.EXPORT_ASKED, asker.person_id, now)
    await jobs.enqueue(session, JOB, row.id, now, clinic_id=row.clinic_id)
    return row


async def load_of(session: AsyncSession, asker: Asker, now: datetime) -> Sequence[RecordExport]:
    """This asker's own, newest first; nobody sees another's."""
    query = select(RecordExport).where(
        RecordExport.clinic_id == asker.clinic_id,
        RecordExport.patient_id == asker.patient_id,
        RecordExport.proxy_id == asker.proxy_id if asker.proxy_id else RecordExport.proxy_id.is_(None),
    )
    rows = await session.scalars(query.order_by(RecordExport.asked_at.desc()).limit(SHOWN_MAX))
    return [row for row in rows if row.state != "ready" or _stands(row, asker, now)]


async def get_ready(session: AsyncSession, asker: Asker, export_id: str, now: datetime) -> RecordExport:
    """One to fetch. Raises not_found: another's, not made yet, expired, or wider than this proxy's scope by now."""
    row = await session.get(RecordExport, (asker.clinic_id, export_id))
    if row is None or row.patient_id != asker.patient_id or row.proxy_id != asker.proxy_id:
        raise not_found()
    if row.state != "ready" or not _stands(row, asker, now):
        raise not_found()
    return row


def opened(vault: ClinicVault, row: RecordExport) -> SealedFilm:
    """Where it lies and what opens it. Raises VaultError."""
    key = vault.unwrap_key(key_name(row.id), row.wrapped_key or b"")
    return SealedFilm(row.path or "", row.size_bytes or 0, key)


async def discard(session: AsyncSession, clinic_id: str, patient_id: str, *, of_proxies: bool = False) -> None:
    """Something in them is no longer theirs to read: keys go now, the bytes with the next look of the job."""
    these = [
        RecordExport.clinic_id == clinic_id,
        RecordExport.patient_id == patient_id,
        RecordExport.state.in_(["asked", "ready"]),
    ]
    if of_proxies:
        these.append(RecordExport.proxy_id.is_not(None))
    await session.execute(update(RecordExport).where(*these).values(state="gone", wrapped_key=None))


async def expire(session: AsyncSession, now: datetime) -> None:
    """After its week nothing opens a copy any more."""
    past = update(RecordExport).where(RecordExport.state == "ready", RecordExport.expires_at <= now)
    await session.execute(past.values(state="gone", wrapped_key=None))


# ── A fresh sign-in ──────────────────────────────────────────────────────────────────────────────────────────────


async def is_fresh(session: AsyncSession, page_session_id: str | None, now: datetime) -> bool:
    """Whether this browser gave birth date and code just now."""
    if page_session_id is None:
        return False
    page = await session.get(Session, page_session_id)
    shown = await session.get(FactorShown, page_session_id)
    last = shown.at if shown else page.created_at if page else None
    return last is not None and now - last <= FRESH


async def note_fresh(session: AsyncSession, page_session_id: str, now: datetime) -> None:
    shown = await session.get(FactorShown, page_session_id)
    if shown is None:
        session.add(FactorShown(session_id=page_session_id, at=now))
    else:
        shown.at = now
    await session.flush()


async def enter(
    session: AsyncSession, row: RecordExport, action: AuditAction, person_id: str | None, now: datetime
) -> None:
    await audit.enter(
        session,
        clinic_id=row.clinic_id,
        actor_person_id=person_id,
        action=action,
        subject=("patient", row.patient_id),
        detail={"export": row.id, "proxy": row.proxy_id},
        now=now,
    )


def scopes_of(row: RecordExport) -> frozenset[ProxyScope]:
    return frozenset(ProxyScope(one) for one in row.scopes.split())


def _words(scopes: frozenset[ProxyScope]) -> str:
    return " ".join(sorted(scope.value for scope in scopes))


def _stands(row: RecordExport, asker: Asker, now: datetime) -> bool:
    in_time = row.expires_at is not None and now < row.expires_at
    return in_time and (row.proxy_id is None or scopes_of(row) <= asker.scopes)
