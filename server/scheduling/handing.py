"""Giving a colleague an appointment as it stands: same time, same link; the time itself only while it lies ahead.

Whether a visit may be handed over is `encounters/handover.py`'s; moving to another time is `service.move`.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import DomainError
from server.scheduling import claims, finding, history, service, ticks
from server.scheduling.claims import Claim
from server.scheduling.events import AppointmentMoved
from server.scheduling.history import Act
from server.scheduling.models import Appointment
from server.scheduling.rules import Kind
from server.scheduling.ticks import Owner
from signaling.words import Code

BUSY = "Your colleague has another visit at that time. Nothing was changed."


async def hand_over(session: AsyncSession, act: Act, appointment_id: str, from_id: str, to_id: str) -> Appointment:
    """Raises slot_not_offered for somebody who is no doctor here, slot_taken for one who has something else then."""
    appointment = await service.get_appointment(session, act.clinic, appointment_id, lock=True)
    holders = await service.load_practitioner_ids(session, act.clinic, appointment_id)
    await claims.check_practitioners(session, act.clinic, (to_id,))
    after = tuple(sorted({*holders, to_id} - {from_id}))
    if act.now < appointment.starts_at:
        await _exchange_time(session, act, appointment, after)
    await service.replace_practitioners(session, appointment, after)
    service.forget_delay(appointment)
    await history.remember(session, act, appointment, action="handed_over")
    event = AppointmentMoved(
        clinic_id=act.clinic.id,
        appointment_id=appointment.id,
        practitioner_ids=after,
        from_starts_at=appointment.starts_at,
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
        by=act.by,
        at=act.now,
        from_practitioner_ids=holders if appointment.kind == Kind.NORMAL else (),
    )
    await act.events.raise_event(session, event)
    return appointment


async def _exchange_time(session: AsyncSession, act: Act, appointment: Appointment, after: tuple[str, ...]) -> None:
    visit_type = await finding.load_any_visit_type(session, appointment)
    patient = await service.get_patient(session, act.clinic, appointment.patient_id)
    owner = Owner(appointment.clinic_id, appointment_id=appointment.id)
    await ticks.free(session, owner)
    claim = Claim(visit_type, after, appointment.starts_at, Kind(appointment.kind))
    try:
        await claims.take_ticks(session, act, owner, claim, patient.person_id)
    except DomainError as refused:
        if refused.code is not Code.SLOT_TAKEN:
            raise
        raise DomainError(Code.SLOT_TAKEN, BUSY) from None
