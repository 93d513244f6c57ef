"""Whether somebody waits for a visit or is in it: then the desk neither cancels nor moves it, and they did come.

Nobody but the doctor ends a visit; the doctor's tap is `service.ended`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.encounters import rules, visits
from server.encounters.models import Encounter
from server.errors import DomainError
from server.scheduling.events import AppointmentAtStake
from signaling.words import Code, Role


@dataclass(frozen=True, slots=True)
class Underway:
    """What goes on in an appointment's visit just now."""

    is_open: bool = False
    is_patient_here: bool = False


async def load(session: AsyncSession, clinic_id: str, appointment_id: str, *, lock: bool = False) -> Underway:
    """With `lock`, nobody is let in until the transaction ends."""
    if lock:
        rows = select(Encounter.id).where(Encounter.clinic_id == clinic_id, Encounter.appointment_id == appointment_id)
        await session.scalars(rows.order_by(Encounter.id).with_for_update())
    encounter = await visits.load_live_encounter(session, clinic_id, appointment_id)
    if encounter is None or rules.room_phase(encounter.status) == "ended":
        return Underway()
    people = await visits.load_participants(session, encounter)
    here = any(
        one.role in (Role.PATIENT, Role.PROXY) and not one.is_closed and one.state in ("waiting", "admitted")
        for one in people
    )
    return Underway(is_open=rules.room_phase(encounter.status) == "open", is_patient_here=here)


async def refuse(session: AsyncSession, asked: AppointmentAtStake) -> None:
    """Raises wrong_phase where the change would cut somebody off."""
    found = await load(session, asked.clinic_id, asked.appointment_id, lock=True)
    if found.is_open:
        raise DomainError(
            Code.WRONG_PHASE, "They are in the visit now. Nothing was changed: the doctor ends a visit, in the visit."
        )
    if asked.wanted == "no_show" and found.is_patient_here:
        raise DomainError(Code.WRONG_PHASE, "The patient is here and waits. Nothing was changed; look again.")
