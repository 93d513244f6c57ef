"""People who act for a patient: which authority was seen, what they may do, until when; stopped at once, unexplained.

What a stopped, ended or unknown proxy asks for simply isn't there. The pages are `desk/proxyviews.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import links, policies
from server.accounts.links import LinkKind
from server.accounts.models import Clinic, Patient
from server.accounts.trust_models import PatientOnly, Proxy, SessionProxy
from server.audit import AuditAction, AuditEntry
from server.context import ClinicScope
from server.db import new_id
from server.errors import not_found
from server.permissions import ActsFor, ProxyScope

COLUMNS = {
    ProxyScope.BOOK: "may_book",
    ProxyScope.ATTEND: "may_attend",
    ProxyScope.READ_NOTES: "may_read_notes",
    ProxyScope.WATCH_FILMS: "may_watch_films",
    ProxyScope.CONSENT: "may_consent",
}
BY_CHILDHOOD = frozenset({"parent", "guardian"})


@dataclass(frozen=True, slots=True)
class NewProxy:
    """What staff noted when they saw the authority."""

    name: str
    relation: str
    authority: str
    scopes: frozenset[ProxyScope]
    phone: str | None = None
    ends_on: date | None = None


async def add(
    session: AsyncSession, scope: ClinicScope, patient: Patient, new: NewProxy, *, by: str, now: datetime
) -> Proxy:
    """A child's parents end at the clinic's age when no earlier day was given; renewing is adding anew."""
    policy = await policies.load_policy(session, scope.id)
    ends_on = new.ends_on
    if new.authority in BY_CHILDHOOD:
        grown_up = birthday(patient.birth_date, policy.proxy_ends_age)
        ends_on = grown_up if ends_on is None else min(ends_on, grown_up)
    row = Proxy(
        clinic_id=scope.id,
        id=new_id(),
        patient_id=patient.id,
        name=new.name,
        relation=new.relation,
        phone=new.phone,
        authority=new.authority,
        seen_by=by,
        seen_at=now,
        ends_on=ends_on,
        created_at=now,
        **{column: scope_ in new.scopes for scope_, column in COLUMNS.items()},
    )
    session.add(row)
    await session.flush()
    await _enter(session, row, AuditAction.PROXY_ADDED, by, now, authority=new.authority)
    return row


async def stop(
    session: AsyncSession, clinic_id: str, patient_id: str, proxy_id: str, *, by: str | None, now: datetime
) -> None:
    """At once: their link closes, for good, and every page of theirs is gone. Raises not_found."""
    row = await session.get(Proxy, (clinic_id, proxy_id))
    if row is None or row.patient_id != patient_id:
        raise not_found()
    if row.stopped_at is not None:
        return
    row.stopped_at, row.stopped_by = now, by
    await links.close_links(session, row.id, "stopped", now, revoked=True)
    await _enter(session, row, AuditAction.PROXY_STOPPED, by, now)


async def load_of_patient(session: AsyncSession, patient: Patient, zone: str, now: datetime) -> Sequence[Proxy]:
    """Who acts for this patient today."""
    query = select(Proxy).where(
        Proxy.clinic_id == patient.clinic_id, Proxy.patient_id == patient.id, Proxy.stopped_at.is_(None)
    )
    return [row for row in await session.scalars(query.order_by(Proxy.created_at)) if is_open(row, zone, now)]


async def load_page_subjects(session: AsyncSession, patient: Patient) -> list[str]:
    """For whom there may be links to this patient's page: the patient, and whoever acts for them."""
    query = select(Proxy.id).where(Proxy.clinic_id == patient.clinic_id, Proxy.patient_id == patient.id)
    return [patient.id, *await session.scalars(query.where(Proxy.stopped_at.is_(None)))]


async def new_page_link(session: AsyncSession, row: Proxy, now: datetime) -> str:
    """The token of the proxy's own link; it asks for the patient's birth date and a code, as the patient's does."""
    return await links.new_link(session, clinic_id=row.clinic_id, kind=LinkKind.PROXY, subject_id=row.id, now=now)


async def load_open(
    session: AsyncSession, clinic_id: str, proxy_id: str, now: datetime
) -> tuple[Proxy, Patient] | None:
    """The proxy of a link and their patient, while they may act."""
    row = await session.get(Proxy, (clinic_id, proxy_id))
    clinic = await session.get(Clinic, clinic_id)
    if row is None or clinic is None or row.stopped_at is not None or not is_open(row, clinic.zone, now):
        return None
    return row, await session.get_one(Patient, (clinic_id, row.patient_id))


async def load_acts(session: AsyncSession, session_id: str, clinic_id: str, now: datetime) -> frozenset[ActsFor]:
    """For whom this page session acts in this clinic, asked anew with every request."""
    query = (
        select(Proxy, Clinic.zone)
        .join(SessionProxy, (SessionProxy.clinic_id == Proxy.clinic_id) & (SessionProxy.proxy_id == Proxy.id))
        .join(Clinic, Clinic.id == Proxy.clinic_id)
        .where(SessionProxy.session_id == session_id, Proxy.clinic_id == clinic_id, Proxy.stopped_at.is_(None))
    )
    rows = (await session.execute(query)).all()
    return frozenset(
        ActsFor(row[0].id, row[0].patient_id, scopes_of(row[0])) for row in rows if is_open(row[0], row[1], now)
    )


async def mark_patient_only(
    session: AsyncSession, patient: Patient, subject: tuple[str, str], *, by: str | None, now: datetime
) -> None:
    """From now on this doesn't exist for proxies."""
    kind, subject_id = subject
    if await session.get(PatientOnly, (patient.clinic_id, kind, subject_id)) is not None:
        return
    session.add(
        PatientOnly(
            clinic_id=patient.clinic_id, subject_kind=kind, subject_id=subject_id, patient_id=patient.id, marked_at=now
        )
    )
    await session.flush()
    await audit.enter(
        session,
        clinic_id=patient.clinic_id,
        actor_person_id=by,
        action=AuditAction.PATIENT_ONLY_MARKED,
        subject=subject,
        now=now,
    )


async def load_patient_only(session: AsyncSession, patient: Patient) -> frozenset[str]:
    """Ids of everything that is the patient's alone."""
    query = select(PatientOnly.subject_id).where(
        PatientOnly.clinic_id == patient.clinic_id, PatientOnly.patient_id == patient.id
    )
    return frozenset(await session.scalars(query))


async def load_names(session: AsyncSession, clinic_id: str, patient_id: str) -> dict[str, str]:
    """Everybody who acts or ever acted for this patient, by id."""
    query = select(Proxy.id, Proxy.name).where(Proxy.clinic_id == clinic_id, Proxy.patient_id == patient_id)
    return {row[0]: row[1] for row in await session.execute(query)}


def acting_in(entry: AuditEntry) -> str:
    """The id of the proxy who did what this entry says; empty when none did."""
    return str(json.loads(entry.detail).get("proxy") or "")


def scopes_of(row: Proxy) -> frozenset[ProxyScope]:
    return frozenset(scope for scope, column in COLUMNS.items() if getattr(row, column))


def is_open(row: Proxy, zone: str, now: datetime) -> bool:
    """Through the day before it ends, on the clinic's clocks."""
    return row.ends_on is None or now.astimezone(ZoneInfo(zone)).date() < row.ends_on


def birthday(born: date, age: int) -> date:
    """Who was born on 29 February is a year older on 1 March."""
    try:
        return born.replace(year=born.year + age)
    except ValueError:
        return date(born.year + age, 3, 1)


async def _enter(
    session: AsyncSession, row: Proxy, action: AuditAction, by: str | None, now: datetime, **detail: str
) -> None:
    await audit.enter(
        session,
        clinic_id=row.clinic_id,
        actor_person_id=by,
        action=action,
        subject=("patient", row.patient_id),
        detail={"proxy": row.id, **detail},
        now=now,
    )
