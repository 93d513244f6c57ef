"""Who waits for an earlier time: putting patients on the list, taking them off, and whom a freed time suits.

Offering a freed time to them, one after the other, is `offers.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Patient, Person
from server.context import ClinicScope
from server.db import new_id
from server.errors import DomainError, not_found
from server.scheduling import finding, service
from server.scheduling.history import Act
from server.scheduling.models import Appointment, VisitType
from server.scheduling.rules import Status
from server.scheduling.waiting_models import FreedTime, WaitlistEntry, WaitlistOffer
from signaling.words import Code

NOTICE_MIN = 120
NOTICE_MAX = 14 * 24 * 60
WAITING, SERVED, REMOVED = "waiting", "served", "removed"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody waits for; `appointment_id` is what they have now and give up for it."""

    patient_id: str
    visit_type_id: str
    person_id: str | None = None
    until_on: date | None = None
    notice_min: int = NOTICE_MIN
    appointment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One who waits, as the desk's list shows them."""

    entry: WaitlistEntry
    patient: Patient
    visit_type: str
    doctor: str | None
    has_at: datetime | None
    offer: WaitlistOffer | None


async def add(session: AsyncSession, act: Act, wish: Wish) -> WaitlistEntry:
    """Puts them at the end of the list. Who waits for this kind already keeps their place, with the new wishes."""
    await service.get_patient(session, act.clinic, wish.patient_id)
    if wish.appointment_id is None:
        await finding.get_visit_type(session, act.clinic, wish.visit_type_id)
    if wish.person_id is not None:
        known = {doctor.person_id for doctor in await finding.load_practitioners(session, act.clinic)}
        if wish.person_id not in known:
            raise not_found()
    query = select(WaitlistEntry).where(
        WaitlistEntry.clinic_id == act.clinic.id,
        WaitlistEntry.patient_id == wish.patient_id,
        WaitlistEntry.visit_type_id == wish.visit_type_id,
        WaitlistEntry.state == WAITING,
    )
    entry = (await session.scalars(query.with_for_update())).one_or_none()
    if entry is None:
        entry = WaitlistEntry(
            clinic_id=act.clinic.id,
            id=new_id(),
            patient_id=wish.patient_id,
            visit_type_id=wish.visit_type_id,
            state=WAITING,
            created_by=act.by,
            created_at=act.now,
        )
        session.add(entry)
    entry.person_id, entry.until_on = wish.person_id, wish.until_on
    entry.notice_min, entry.appointment_id = wish.notice_min, wish.appointment_id
    await session.flush()
    return entry


async def add_for_appointment(session: AsyncSession, act: Act, appointment_id: str) -> WaitlistEntry:
    """An earlier time than the one they have, with the same doctor. Raises wrong_phase for what can't be moved."""
    appointment = await service.get_appointment(session, act.clinic, appointment_id)
    doctors = await service.load_practitioner_ids(session, act.clinic, appointment_id)
    if appointment.status != Status.BOOKED or appointment.starts_at <= act.now or len(doctors) != 1:
        raise DomainError(Code.WRONG_PHASE, "Nobody can wait for an earlier time than this one.")
    wish = Wish(appointment.patient_id, appointment.visit_type_id, doctors[0], appointment_id=appointment_id)
    return await add(session, act, wish)


async def remove(session: AsyncSession, act: Act, entry_id: str) -> None:
    """Off the list; whoever is off it already stays so. Raises not_found."""
    entry = await session.get(WaitlistEntry, (act.clinic.id, entry_id))
    if entry is None:
        raise not_found()
    if entry.state == WAITING:
        entry.state, entry.closed_at = REMOVED, act.now
        await session.flush()


async def forget_appointment(session: AsyncSession, clinic_id: str, appointment_id: str, now: datetime) -> None:
    """Who cancelled what they had doesn't wait for an earlier one any more."""
    mine = update(WaitlistEntry).where(
        WaitlistEntry.clinic_id == clinic_id,
        WaitlistEntry.appointment_id == appointment_id,
        WaitlistEntry.state == WAITING,
    )
    await session.execute(mine.values(state=REMOVED, closed_at=now).execution_options(synchronize_session="fetch"))


async def load_rows(session: AsyncSession, clinic: ClinicScope, now: datetime) -> Sequence[Row]:
    """Everybody who waits, in the order in which they are asked."""
    query = (
        select(WaitlistEntry, Patient, VisitType.name, Person.name, Appointment.starts_at, WaitlistOffer)
        .join(Patient, and_(Patient.clinic_id == WaitlistEntry.clinic_id, Patient.id == WaitlistEntry.patient_id))
        .join(
            VisitType,
            and_(VisitType.clinic_id == WaitlistEntry.clinic_id, VisitType.id == WaitlistEntry.visit_type_id),
        )
        .outerjoin(Person, Person.id == WaitlistEntry.person_id)
        .outerjoin(
            Appointment,
            and_(Appointment.clinic_id == WaitlistEntry.clinic_id, Appointment.id == WaitlistEntry.appointment_id),
        )
        .outerjoin(
            WaitlistOffer,
            and_(
                WaitlistOffer.clinic_id == WaitlistEntry.clinic_id,
                WaitlistOffer.entry_id == WaitlistEntry.id,
                WaitlistOffer.state == "open",
                WaitlistOffer.expires_at > now,
            ),
        )
        .where(WaitlistEntry.clinic_id == clinic.id, WaitlistEntry.state == WAITING)
        .order_by(WaitlistEntry.created_at, WaitlistEntry.id)
    )
    rows = [Row(*row) for row in (await session.execute(query)).all()]
    today = now.astimezone(ZoneInfo(clinic.zone)).date()
    return [row for row in rows if is_live(row.entry, row.has_at, today, now)]


async def load_entries(session: AsyncSession, clinic_id: str, patient_id: str) -> dict[str, str]:
    """Of one patient: entry by the appointment they would give up."""
    query = select(WaitlistEntry.appointment_id, WaitlistEntry.id).where(
        WaitlistEntry.clinic_id == clinic_id, WaitlistEntry.patient_id == patient_id, WaitlistEntry.state == WAITING
    )
    return {appointment_id: entry_id for appointment_id, entry_id in await session.execute(query) if appointment_id}


def is_live(entry: Any, has_at: datetime | None, today: date, now: datetime) -> bool:
    """Whether any time could still help: not after the last day that does, nor after the visit they have."""
    return (entry.until_on is None or entry.until_on >= today) and (has_at is None or has_at > now)


def suits(entry: WaitlistEntry, freed: FreedTime, has_at: datetime | None, zone: ZoneInfo, now: datetime) -> bool:
    """Whether a freed time is one they wait for: the doctor, the day, enough notice, earlier than what they have."""
    return (
        entry.person_id in (None, freed.person_id)
        and freed.starts_at - now >= timedelta(minutes=entry.notice_min)
        and (entry.until_on is None or freed.starts_at.astimezone(zone).date() <= entry.until_on)
        and (has_at is None or freed.starts_at < has_at)
    )
