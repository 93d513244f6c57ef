"""Checks every clinic's audit chain once a night; a chain that is broken becomes an incident and an ERROR in the log.

Chaining is `server/audit_chain.py`; `bedside audit verify` checks at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, logs
from server.accounts import notices
from server.accounts.models import Clinic
from server.accounts.notices import Notice
from server.audit import AuditAction, AuditEntry
from server.audit_chain import verify
from server.jobs import JobContext
from server.logs import Event
from server.permissions import StaffRole

EVERY = timedelta(hours=22)
LOOK_EVERY_S = 300.0
INCIDENT = "audit_broken"


async def keep_verifying(context: JobContext) -> None:
    """The standing job: each clinic once a night, told apart by what the audit itself says of the last time."""
    while not context.cancelled():
        async with context.database.reading() as session:
            due = await due_clinics(session, context.now())
        for clinic_id in due:
            await check(context, clinic_id)
        await context.pause(LOOK_EVERY_S)


STANDING = {"audit.verify": keep_verifying}


async def due_clinics(session: AsyncSession, now: datetime) -> list[str]:
    """Those whose chain wasn't checked for most of a day."""
    last = (
        select(AuditEntry.clinic_id, func.max(AuditEntry.at).label("at"))
        .where(AuditEntry.action == AuditAction.AUDIT_VERIFIED.value)
        .group_by(AuditEntry.clinic_id)
        .subquery()
    )
    query = select(Clinic.id).outerjoin(last, last.c.clinic_id == Clinic.id)
    query = query.where((last.c.at.is_(None)) | (last.c.at <= now - EVERY)).order_by(Clinic.id)
    return list(await session.scalars(query))


async def check(context: JobContext, clinic_id: str) -> None:
    """Verifies, and writes down what came out."""
    async with context.database.reading() as session:
        verdict = await verify(session, clinic_id)
    now = context.now()
    if not verdict.holds:
        logs.log_error(Event.CHAIN_BROKEN, clinic_id=clinic_id, first_broken=verdict.first_broken)
    async with context.database.writing() as session:
        await audit.enter(
            session,
            clinic_id=clinic_id,
            actor_person_id=None,
            action=AuditAction.AUDIT_VERIFIED,
            subject=("clinic", clinic_id),
            detail={"links": verdict.links, "first_broken": verdict.first_broken, "head": verdict.head},
            now=now,
        )
        is_told = any(one.kind == INCIDENT for one in await audit.open_incidents(session, clinic_id))
        if not verdict.holds and not is_told:
            await audit.file_incident(
                session,
                clinic_id=clinic_id,
                kind=INCIDENT,
                subject=("audit_link", str(verdict.first_broken or 0)),
                filed_by_person_id=None,
                owner_person_id=None,
                now=now,
            )
            everybody = await notices.holders_of(session, clinic_id, StaffRole.ADMINISTRATOR, StaffRole.PRIVACY_OFFICER)
            await notices.tell(session, clinic_id, everybody, Notice("audit_broken"), now)
