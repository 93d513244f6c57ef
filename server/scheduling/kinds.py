"""Keeping the kinds of visit: what is booked, how long, with which pauses, for whom and by whom.

What may be booked follows in `finding.py` and `claims.py`; the page is `hoursviews.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit import AuditAction
from server.context import ClinicScope
from server.db import new_id
from server.errors import FormError, not_found
from server.scheduling import finding
from server.scheduling.history import Act
from server.scheduling.models import Appointment, VisitType, VisitTypeOffer
from server.scheduling.rules import Status


async def load_all(session: AsyncSession, clinic: ClinicScope) -> Sequence[VisitType]:
    """Those in use first."""
    query = select(VisitType).where(VisitType.clinic_id == clinic.id)
    return (
        await session.scalars(query.order_by(VisitType.is_active.desc(), VisitType.length_min, VisitType.name))
    ).all()


async def get(session: AsyncSession, clinic: ClinicScope, visit_type_id: str) -> VisitType:
    """A retired one too. Raises not_found."""
    found = await session.get(VisitType, (clinic.id, visit_type_id))
    if found is None:
        raise not_found()
    return found


async def load_offering(session: AsyncSession, clinic: ClinicScope, visit_type_id: str) -> set[str]:
    """The doctors who offer it; none: every doctor does."""
    query = select(VisitTypeOffer.person_id).where(
        VisitTypeOffer.clinic_id == clinic.id, VisitTypeOffer.visit_type_id == visit_type_id
    )
    return set(await session.scalars(query))


async def save(
    session: AsyncSession, act: Act, visit_type_id: str | None, values: dict[str, Any], offering: Collection[str]
) -> VisitType:
    """A new kind, or the same with other values; visits that are booked keep their time. Raises FormError."""
    known = {doctor.person_id for doctor in await finding.load_practitioners(session, act.clinic)}
    if not set(offering) <= known:
        raise FormError({"offering": "Choose doctors of this clinic"})
    if visit_type_id is None:
        kind = VisitType(clinic_id=act.clinic.id, id=new_id(), created_at=act.now, **values)
        session.add(kind)
    else:
        kind = await get(session, act.clinic, visit_type_id)
        for name, value in values.items():
            setattr(kind, name, value)
    await session.flush()
    mine = (VisitTypeOffer.clinic_id == act.clinic.id, VisitTypeOffer.visit_type_id == kind.id)
    await session.execute(delete(VisitTypeOffer).where(*mine).execution_options(synchronize_session=False))
    if set(offering) != known:
        session.add_all(
            VisitTypeOffer(clinic_id=act.clinic.id, visit_type_id=kind.id, person_id=person)
            for person in sorted(set(offering))
        )
    await session.flush()
    await audit.enter(
        session,
        clinic_id=act.clinic.id,
        actor_person_id=act.by,
        action=AuditAction.SETTINGS_CHANGED,
        subject=("visit_type", kind.id),
        now=act.now,
    )
    return kind


async def is_new_here(session: AsyncSession, clinic: ClinicScope, patient_id: str) -> bool:
    """Whether this patient has not been seen here yet."""
    seen = exists().where(
        Appointment.clinic_id == clinic.id,
        Appointment.patient_id == patient_id,
        Appointment.status == Status.FULFILLED.value,
    )
    return not await session.scalar(select(seen))


async def load_for_patient(session: AsyncSession, clinic: ClinicScope, patient_id: str) -> Sequence[VisitType]:
    """The kinds that this patient may book on their own page."""
    is_new = await is_new_here(session, clinic, patient_id)
    every = await finding.load_visit_types(session, clinic)
    return [kind for kind in every if kind.for_patients and is_for(kind, is_new=is_new)]


def is_for(kind: VisitType, *, is_new: bool) -> bool:
    """Whether the kind is meant for somebody new, or for somebody seen before."""
    return kind.audience == "any" or (kind.audience == "new") == is_new
