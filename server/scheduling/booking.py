"""Booking as many may ask for it at once: who comes too late is refused from a read, without the write lock.

Whether a booking holds is decided by `service.book` and the ticks alone; this only spares the database vain writes.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.db import Database
from server.scheduling import service, ticks
from server.scheduling.history import Act
from server.scheduling.models import Appointment, Hold, Tick, VisitType
from server.scheduling.rules import Kind, check_five_minutes
from server.scheduling.service import Booking
from server.scheduling.slots import ticks_between


async def book(database: Database, act: Act, booking: Booking) -> Appointment:
    """As `service.book`, in a transaction of its own. Raises what that raises."""
    if booking.kind is Kind.NORMAL:
        async with database.reading() as session:
            if await _is_in_vain(session, act, booking):
                raise ticks.taken()
    return await ticks.in_transaction(database, lambda session: service.book(session, act, booking))


async def _is_in_vain(session: AsyncSession, act: Act, booking: Booking) -> bool:
    """Whether somebody else has this time: no hold of one's own, nor what this very form booked before."""
    shape = await session.execute(
        select(VisitType.length_min, VisitType.buffer_before_min, VisitType.buffer_after_min).where(
            VisitType.clinic_id == act.clinic.id, VisitType.id == booking.visit_type_id
        )
    )
    row = shape.one_or_none()
    if row is None:
        return False
    length, before, after = (timedelta(minutes=minutes) for minutes in row)
    check_five_minutes(booking.starts_at, length)
    reach = ticks_between(booking.starts_at - before, booking.starts_at + length + after)
    live = exists().where(Hold.clinic_id == Tick.clinic_id, Hold.id == Tick.hold_id, Hold.expires_at > act.now)
    if act.by is not None:
        live = live.where(or_(Hold.created_by.is_(None), Hold.created_by != act.by))
    elif booking.hold_id is not None:
        live = live.where(Hold.id != booking.hold_id)
    taken = select(Tick.tick).where(
        Tick.person_id.in_(booking.practitioner_ids),
        Tick.tick >= reach.start,
        Tick.tick < reach.stop,
        or_(Tick.appointment_id.is_not(None), live),
    )
    if (await session.scalars(taken.limit(1))).first() is None:
        return False
    if booking.idempotency_key is None:
        return True
    mine = select(Appointment.id).where(
        Appointment.clinic_id == act.clinic.id, Appointment.idempotency_key == booking.idempotency_key
    )
    return (await session.scalars(mine.limit(1))).first() is None
