"""Keeping a time while a form is filled in: taking it, giving another one back for it, and what is kept now.

Whether a time may be kept is judged as every booking is, by `service.hold`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.scheduling import finding, service
from server.scheduling.history import Act
from server.scheduling.models import Hold, Tick, VisitType


@dataclass(frozen=True, slots=True)
class Held:
    """A time kept for whoever asks."""

    id: str
    visit_type: VisitType
    doctors: tuple[finding.Practitioner, ...]
    starts_at: datetime
    expires_at: datetime


async def exchange(
    session: AsyncSession,
    act: Act,
    visit_type_id: str,
    doctor_ids: tuple[str, ...],
    starts_at: datetime,
    *,
    instead_of: str | None = None,
    patient_person: str | None = None,
) -> Held:
    """Keeps this time and gives back the one kept before. Raises what `service.hold` raises; then nothing changes."""
    if instead_of:
        await service.release(session, act, instead_of)
    visit_type = await finding.get_visit_type(session, act.clinic, visit_type_id)
    kept = await service.hold(session, act, visit_type, doctor_ids, starts_at, patient_person=patient_person)
    found = await load(session, act, kept.id)
    assert found is not None  # noqa: S101 — made just now
    return found


async def keep_one(
    session: AsyncSession, act: Act, visit_type_id: str, doctor_ids: tuple[str, ...], starts_at: datetime
) -> Held:
    """As `exchange`, for a patient, who fills in one form at a time: whatever they kept before is given back."""
    query = select(Hold).where(Hold.clinic_id == act.clinic.id, Hold.created_by == act.by)
    for earlier in (await session.scalars(query)).all():
        if earlier.expires_at - earlier.created_at <= service.HOLD:
            await service.release(session, act, earlier.id)
    return await exchange(session, act, visit_type_id, doctor_ids, starts_at, patient_person=act.by)


async def load(session: AsyncSession, act: Act, hold_id: str | None) -> Held | None:
    """A time of one's own that is still kept; None for none, somebody else's, and one whose minutes are over."""
    kept = await session.get(Hold, (act.clinic.id, hold_id)) if hold_id else None
    if kept is None or kept.created_by != act.by or kept.expires_at <= act.now:
        return None
    query = select(Tick.person_id).where(Tick.clinic_id == act.clinic.id, Tick.hold_id == kept.id).distinct()
    held = set(await session.scalars(query))
    doctors = [each for each in await finding.load_practitioners(session, act.clinic) if each.person_id in held]
    visit_type = await session.get_one(VisitType, (act.clinic.id, kept.visit_type_id))
    return Held(kept.id, visit_type, tuple(doctors), kept.starts_at, kept.expires_at)
