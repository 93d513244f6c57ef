"""Changing what a clinic asks: a new version of a consent's words, purposes of recording added and put aside.

Old versions and purposes stay, since answers name them. Which wording is asked is `texts.py`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit import AuditAction
from server.context import ClinicScope
from server.db import new_id
from server.encounters.models import ClinicText
from server.encounters.recording_models import RecordingPurpose
from server.errors import not_found


async def add_version(
    session: AsyncSession, scope: ClinicScope, kind: str, language: str, text: str, *, by: str | None, now: datetime
) -> int:
    """The new version's number; the same words again make none."""
    same = (ClinicText.clinic_id == scope.id, ClinicText.kind == kind, ClinicText.language == language)
    newest = (
        await session.scalars(select(ClinicText).where(*same).order_by(ClinicText.version.desc()).limit(1))
    ).first()
    if newest is not None and newest.text == text:
        return newest.version
    highest = await session.scalar(
        select(func.max(ClinicText.version)).where(ClinicText.clinic_id == scope.id, ClinicText.kind == kind)
    )
    row = ClinicText(
        clinic_id=scope.id,
        id=new_id(),
        kind=kind,
        language=language,
        version=int(highest or 0) + 1,
        text=text,
        created_at=now,
    )
    session.add(row)
    await _enter(session, scope, ("clinic_text", row.id), by, now)
    return row.version


async def load_purposes(session: AsyncSession, clinic_id: str) -> list[RecordingPurpose]:
    """All of them, those that may be chosen first."""
    query = select(RecordingPurpose).where(RecordingPurpose.clinic_id == clinic_id)
    return list(await session.scalars(query.order_by(RecordingPurpose.is_active.desc(), RecordingPurpose.words)))


async def add_purpose(
    session: AsyncSession,
    scope: ClinicScope,
    *,
    words: str,
    who_may_watch: str,
    kept_days: int,
    by: str | None,
    now: datetime,
) -> str:
    """Its code; what was promised to somebody never changes, so another promise is another purpose."""
    code = new_id()
    session.add(
        RecordingPurpose(
            clinic_id=scope.id, code=code, words=words, who_may_watch=who_may_watch, kept_days=kept_days, created_at=now
        )
    )
    await session.flush()
    await _enter(session, scope, ("recording_purpose", code), by, now)
    return code


async def switch_purpose(
    session: AsyncSession, scope: ClinicScope, code: str, *, is_active: bool, by: str | None, now: datetime
) -> None:
    """Offers it to doctors, or no longer. Raises not_found."""
    purpose = await session.get(RecordingPurpose, (scope.id, code))
    if purpose is None:
        raise not_found()
    if purpose.is_active == is_active:
        return
    purpose.is_active = is_active
    await _enter(session, scope, ("recording_purpose", code), by, now)


async def _enter(
    session: AsyncSession, scope: ClinicScope, subject: tuple[str, str], by: str | None, now: datetime
) -> None:
    await audit.enter(
        session, clinic_id=scope.id, actor_person_id=by, action=AuditAction.SETTINGS_CHANGED, subject=subject, now=now
    )
