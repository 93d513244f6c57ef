"""Booking as many may ask for it at once: who comes too late is refused from one look, without a transaction.

Whether a booking holds is decided by `service.book` and the ticks alone; this only spares the database vain writes.
"""

from __future__ import annotations

from datetime import timedelta

from server.db import Database
from server.scheduling import service, statements, ticks
from server.scheduling.history import Act
from server.scheduling.models import Appointment
from server.scheduling.rules import Kind, check_five_minutes
from server.scheduling.service import Booking
from server.scheduling.slots import tick_of


async def book(database: Database, act: Act, booking: Booking) -> Appointment:
    """As `service.book`, in a transaction of its own. Raises what that raises."""
    if booking.kind is Kind.NORMAL and await _is_in_vain(database, act, booking):
        raise ticks.taken()
    return await ticks.in_transaction(database, lambda session: service.book(session, act, booking))


async def _is_in_vain(database: Database, act: Act, booking: Booking) -> bool:
    """Whether somebody else has this time, by what is committed: no hold of one's own, nor what this form booked.

    Every hold of whoever is signed in is their own: a form's hold may still be on its way here.
    """
    check_five_minutes(booking.starts_at, timedelta(0))
    asked = {
        "clinic": act.clinic.id,
        "visit_type": booking.visit_type_id,
        "people": list(booking.practitioner_ids),
        "tick": tick_of(booking.starts_at),
        "now": act.now,
        "by": act.by or "",
        "own_hold": "" if act.by is not None else booking.hold_id or "",
        "key": booking.idempotency_key,
    }
    async with database.glancing() as connection:
        return (await connection.execute(statements.IN_VAIN, asked)).first() is not None
