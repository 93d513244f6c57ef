"""Changing what a clinic asks: a new version of a consent's words, purposes of recording added and put aside.

Old versions and purposes stay, since answers name them. Which wording is asked is `texts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit import AuditAction
from server.context import ClinicScope
from server.db import new_id
from server.encounters import rules
from server.encounters.models import ClinicText
from server.encounters.recording_models import PurposeWords, RecordingPurpose
from server.errors import DomainError, not_found
from signaling.words import Code


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


async def load_open_purposes(session: AsyncSession, clinic_id: str) -> list[RecordingPurpose]:
    """Those that may be chosen."""
    return [one for one in await load_purposes(session, clinic_id) if one.is_active]


async def get_purpose(session: AsyncSession, clinic_id: str, code: str) -> RecordingPurpose:
    """One that may be chosen. Raises not_found."""
    purpose = await session.get(RecordingPurpose, (clinic_id, code))
    if purpose is None or not purpose.is_active:
        raise DomainError(Code.NOT_FOUND, "This purpose is not on the clinic's list.")
    return purpose


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised to whoever is asked. Part of the record, for teaching, or neither.

    `further`: the same two sentences in other languages than the clinic's own, by language.
    """

    words: str
    who_may_watch: str
    kept_days: int
    is_record: bool = False
    is_teaching: bool = False
    further: Mapping[str, tuple[str, str]] = field(default_factory=dict)


async def add_purpose(
    session: AsyncSession, scope: ClinicScope, promise: Promise, *, by: str | None, now: datetime
) -> str:
    """Its code; what was promised to somebody never changes, so another promise is another purpose.

    Raises malformed for what is kept longer than its kind may be.
    """
    if promise.is_teaching and (promise.is_record or promise.kept_days > rules.TEACHING_DAYS_MAX):
        raise DomainError(Code.MALFORMED)
    code = new_id()
    session.add(
        RecordingPurpose(
            clinic_id=scope.id,
            code=code,
            words=promise.words,
            who_may_watch=promise.who_may_watch,
            kept_days=promise.kept_days,
            is_record=promise.is_record,
            is_teaching=promise.is_teaching,
            created_at=now,
        )
    )
    await session.flush()
    for language, (words, who) in promise.further.items():
        session.add(PurposeWords(clinic_id=scope.id, code=code, language=language, words=words, who_may_watch=who))
    await session.flush()
    await _enter(session, scope, ("recording_purpose", code), by, now)
    return code


async def load_further(session: AsyncSession, clinic_id: str) -> dict[str, list[PurposeWords]]:
    """By purpose, its words in other languages."""
    found: dict[str, list[PurposeWords]] = {}
    query = select(PurposeWords).where(PurposeWords.clinic_id == clinic_id).order_by(PurposeWords.language)
    for one in await session.scalars(query):
        found.setdefault(one.code, []).append(one)
    return found


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
