"""Looking at a record without a visit: a reason first, for an hour, read only, closed by somebody else's review.

What is shown is the desk's; the patient reads of it at once unless the privacy officer delays that with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import notices
from server.accounts.notices import Notice
from server.accounts.trust_models import BreakGlass
from server.audit import AuditAction
from server.db import new_id
from server.errors import DomainError, not_found
from server.permissions import StaffRole
from server.vault import ClinicVault
from signaling.words import Code

LASTS = timedelta(minutes=60)
HIDDEN_MAX = timedelta(days=90)


async def open_record(
    session: AsyncSession,
    vault: ClinicVault,
    clinic_id: str,
    patient_id: str,
    *,
    person_id: str,
    reason: str,
    now: datetime,
) -> BreakGlass:
    """From now on for an hour; pressing again goes on with the look that stands."""
    standing = await load_standing(session, clinic_id, patient_id, person_id, now)
    if standing is not None:
        return standing
    look_id = new_id()
    look = BreakGlass(
        clinic_id=clinic_id,
        id=look_id,
        patient_id=patient_id,
        person_id=person_id,
        sealed_reason=vault.seal(f"reason {look_id}", reason.encode()),
        opened_at=now,
        expires_at=now + LASTS,
    )
    session.add(look)
    await session.flush()
    await _enter(session, look, AuditAction.RECORD_OPENED, person_id, now)
    await _tell_reviewers(session, look, now)
    return look


async def _tell_reviewers(session: AsyncSession, look: BreakGlass, now: datetime) -> None:
    """The privacy officers; where there is none, the other doctors."""
    officers = await notices.holders_of(session, look.clinic_id, StaffRole.PRIVACY_OFFICER)
    told = officers or await notices.holders_of(session, look.clinic_id, StaffRole.DOCTOR)
    notice = Notice("look_opened", look.person_id)
    await notices.tell(session, look.clinic_id, set(told) - {look.person_id}, notice, now)


async def load_standing(
    session: AsyncSession, clinic_id: str, patient_id: str, person_id: str | None, now: datetime
) -> BreakGlass | None:
    """This person's look at this record, while its hour lasts and nobody has closed it."""
    query = select(BreakGlass).where(
        BreakGlass.clinic_id == clinic_id,
        BreakGlass.patient_id == patient_id,
        BreakGlass.person_id == person_id,
        BreakGlass.expires_at > now,
        BreakGlass.reviewed_at.is_(None),
    )
    return (await session.scalars(query.limit(1))).first()


async def load_unreviewed(session: AsyncSession, clinic_id: str) -> Sequence[BreakGlass]:
    """The oldest first."""
    query = select(BreakGlass).where(BreakGlass.clinic_id == clinic_id, BreakGlass.reviewed_at.is_(None))
    return list(await session.scalars(query.order_by(BreakGlass.opened_at)))


async def load_shown(session: AsyncSession, clinic_id: str, patient_id: str, now: datetime) -> Sequence[BreakGlass]:
    """What the patient reads of."""
    query = select(BreakGlass).where(BreakGlass.clinic_id == clinic_id, BreakGlass.patient_id == patient_id)
    found = await session.scalars(query.order_by(BreakGlass.opened_at.desc()))
    return [look for look in found if look.hidden_until is None or look.hidden_until <= now]


def reason_of(vault: ClinicVault, look: BreakGlass) -> str:
    return vault.open(f"reason {look.id}", look.sealed_reason).decode()


async def review(session: AsyncSession, clinic_id: str, look_id: str, *, by: str, verdict: str, now: datetime) -> None:
    """Closes a look for good. Raises not_found, not_allowed for one's own, conflict for one that is closed."""
    look = await _get(session, clinic_id, look_id)
    if look.person_id == by:
        raise DomainError(Code.NOT_ALLOWED)
    if look.reviewed_at is not None:
        raise DomainError(Code.CONFLICT)
    look.reviewed_by, look.reviewed_at, look.verdict = by, now, verdict
    await _enter(session, look, AuditAction.RECORD_REVIEWED, by, now, verdict=verdict)
    await notices.tell(session, clinic_id, [look.person_id], Notice("look_reviewed", by), now)
    if verdict == "not_justified":
        await audit.file_incident(
            session,
            clinic_id=clinic_id,
            kind="record_opened_without_cause",
            subject=("break_glass", look.id),
            filed_by_person_id=by,
            owner_person_id=None,
            now=now,
        )


async def hide(
    session: AsyncSession,
    vault: ClinicVault,
    clinic_id: str,
    look_id: str,
    *,
    by: str,
    until: datetime,
    reason: str,
    now: datetime,
) -> None:
    """The patient reads of it later. Raises not_found, malformed for too long a delay."""
    if not now < until <= now + HIDDEN_MAX:
        raise DomainError(Code.MALFORMED)
    look = await _get(session, clinic_id, look_id)
    look.hidden_until, look.sealed_hiding_reason = until, vault.seal(f"hiding {look.id}", reason.encode())
    await _enter(session, look, AuditAction.RECORD_HIDDEN, by, now, until=until.date().isoformat())


async def _get(session: AsyncSession, clinic_id: str, look_id: str) -> BreakGlass:
    look = await session.get(BreakGlass, (clinic_id, look_id))
    if look is None:
        raise not_found()
    return look


async def _enter(
    session: AsyncSession, look: BreakGlass, action: AuditAction, by: str, now: datetime, **detail: str
) -> None:
    await audit.enter(
        session,
        clinic_id=look.clinic_id,
        actor_person_id=by,
        action=action,
        subject=("patient", look.patient_id),
        detail={"look": look.id, **detail},
        now=now,
    )
