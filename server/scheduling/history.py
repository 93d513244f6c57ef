"""Writing down every change of an appointment: who, when, from, to, why, with the clinic's audit entry.

What may change is decided in `rules.py` and `service.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit import AuditAction
from server.context import ClinicScope
from server.db import new_id, plain
from server.events import Events
from server.scheduling import rules, statements
from server.scheduling.models import Appointment
from server.scheduling.rules import Status

_AUDITED = {
    "booked": AuditAction.APPOINTMENT_BOOKED,
    "moved": AuditAction.APPOINTMENT_MOVED,
    "cancelled": AuditAction.APPOINTMENT_CANCELLED,
    "noshow": AuditAction.APPOINTMENT_NO_SHOW,
    "put_back": AuditAction.APPOINTMENT_PUT_BACK,
}
"""Arrivals and ends are the visit's own entries."""


@dataclass(frozen=True, slots=True)
class Act:
    """In whose name, when, and who is to hear of it."""

    clinic: ClinicScope
    by: str | None
    now: datetime
    events: Events
    is_staff: bool = True
    """A patient books with the visit type's notice; staff may book any time that hasn't begun."""


@dataclass(frozen=True, slots=True)
class Before:
    """What an appointment was until now."""

    status: Status
    starts_at: datetime


async def change(
    session: AsyncSession, act: Act, appointment: Appointment, status: Status, *, action: str, why: str | None = None
) -> None:
    """Another status, written down. Raises wrong_phase where it may not become that."""
    before = Before(Status(appointment.status), appointment.starts_at)
    rules.check_change(Status(appointment.status), status)
    appointment.status = status.value
    appointment.changed_at = act.now
    await remember(session, act, appointment, action=action, before=before, why=why)


async def remember(
    session: AsyncSession,
    act: Act,
    appointment: Appointment,
    *,
    action: str,
    before: Before | None = None,
    why: str | None = None,
) -> None:
    """Adds the row of history and, for the acts of the clinic's staff, the audit entry."""
    await session.flush()
    row = {
        "clinic_id": act.clinic.id,
        "id": new_id(),
        "appointment_id": appointment.id,
        "at": act.now,
        "by_person_id": act.by,
        "action": action,
        "from_status": before.status.value if before else None,
        "to_status": appointment.status,
        "from_starts_at": before.starts_at if before else None,
        "to_starts_at": appointment.starts_at,
        "why": why,
    }
    await (await plain(session)).execute(statements.INSERT_HISTORY, row)
    if action in _AUDITED:
        await audit.enter(
            session,
            clinic_id=act.clinic.id,
            actor_person_id=act.by,
            action=_AUDITED[action],
            subject=("appointment", appointment.id),
            now=act.now,
        )
