"""A freed time goes down the list of those who wait: one person at a time, each with a deadline and the time held.

The first yes has it; a no or the deadline passes it on. Who waits is `waiting.py`; the page of an offer is the desk's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Patient
from server.db import new_id
from server.errors import DomainError, not_found
from server.jobs import enqueue
from server.scheduling import finding, messages, service, waiting
from server.scheduling.finding import Search
from server.scheduling.history import Act
from server.scheduling.models import Appointment
from server.scheduling.rules import Status
from server.scheduling.service import Booking, Move
from server.scheduling.slots import local_instant
from server.scheduling.waiting_models import FreedTime, WaitlistEntry, WaitlistOffer
from signaling.words import Code

OFFER_FREED = "offer_freed_time"
"""The kind of the job; its subject is the freed time's id."""
OFFER_OVER = "waitlist_offer_over"
"""At an offer's deadline; its subject is the offer's id."""
ANSWER_WITHIN = timedelta(hours=2)
ANSWER_AT_LEAST = timedelta(minutes=20)
BEFORE_START = timedelta(minutes=30)
"""At a start's last half hour nobody is asked any more: the desk may give the time away by phone."""
ASLEEP_FROM, ASLEEP_UNTIL = 21, 8
OPEN, ACCEPTED, DECLINED, EXPIRED, GONE = "open", "accepted", "declined", "expired", "gone"
WHY = "An earlier time became free"


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer with what its page shows."""

    offer: WaitlistOffer
    entry: WaitlistEntry
    patient: Patient
    has_at: datetime | None


async def free_time(
    session: AsyncSession, clinic_id: str, person_id: str, span: tuple[datetime, datetime], now: datetime
) -> None:
    """Notes a time that became free, where somebody waits at all; the job offers it."""
    starts_at, ends_at = span
    if starts_at - now < BEFORE_START + ANSWER_AT_LEAST:
        return
    anybody = exists().where(WaitlistEntry.clinic_id == clinic_id, WaitlistEntry.state == waiting.WAITING)
    if not await session.scalar(select(anybody)):
        return
    freed = FreedTime(
        clinic_id=clinic_id, id=new_id(), person_id=person_id, starts_at=starts_at, ends_at=ends_at, created_at=now
    )
    session.add(freed)
    await session.flush()
    await enqueue(session, OFFER_FREED, freed.id, now, clinic_id=clinic_id)


async def offer_next(session: AsyncSession, act: Act, freed_id: str) -> WaitlistOffer | None:
    """Offers the time to the next whom it suits; None when it is on offer, was taken, or nobody is left."""
    freed = await session.get(FreedTime, (act.clinic.id, freed_id), with_for_update=True)
    if freed is None or await _is_settled(session, act, freed):
        return None
    for entry in await _candidates(session, act, freed):
        made = await _try(session, act, freed, entry)
        if made is not None:
            return made
    return None


async def accept(session: AsyncSession, act: Act, offer_id: str) -> Appointment:
    """Books the time, or moves what they have to it. A second press answers the same.

    Raises conflict once the offer is over, and what booking and moving raise.
    """
    offer, entry, patient = await _get(session, act, offer_id)
    if offer.state == ACCEPTED:
        return await service.get_appointment(session, act.clinic, entry.appointment_id or "")
    if offer.state != OPEN or offer.expires_at <= act.now or entry.state != waiting.WAITING:
        raise over()
    has = await _has(session, act, entry)
    if entry.appointment_id is not None and has is None:
        raise over()
    own = Act(act.clinic, patient.person_id, act.now, act.events)
    await service.release(session, own, offer.hold_id)
    if has is not None:
        asked = Move(has.id, offer.starts_at, (offer.person_id,), why=WHY)
        appointment = await service.move(session, own, asked)
    else:
        wanted = Booking(patient.id, entry.visit_type_id, (offer.person_id,), offer.starts_at, offer.id)
        appointment = await service.book(session, own, wanted)
    offer.state, offer.answered_at = ACCEPTED, act.now
    entry.state, entry.closed_at, entry.appointment_id = waiting.SERVED, act.now, appointment.id
    await session.flush()
    return appointment


async def decline(session: AsyncSession, act: Act, offer_id: str, *, leaves: bool = False) -> None:
    """No, thank you; the next one is asked at once. `leaves`: off the list as well."""
    offer, entry, _ = await _get(session, act, offer_id)
    if offer.state == OPEN:
        await _let_go(session, act, offer, DECLINED)
    if leaves and entry.state == waiting.WAITING:
        entry.state, entry.closed_at = waiting.REMOVED, act.now
    await session.flush()


async def expire(session: AsyncSession, act: Act, offer_id: str) -> None:
    """At the deadline: whoever said nothing keeps their place, the time goes to the next."""
    offer, _, _ = await _get(session, act, offer_id)
    if offer.state == OPEN and offer.expires_at <= act.now:
        await _let_go(session, act, offer, EXPIRED)


async def load(session: AsyncSession, act: Act, offer_id: str) -> Offered:
    """Raises not_found."""
    offer = await session.get(WaitlistOffer, (act.clinic.id, offer_id))
    if offer is None:
        raise not_found()
    entry = await session.get_one(WaitlistEntry, (act.clinic.id, offer.entry_id))
    patient = await session.get_one(Patient, (act.clinic.id, entry.patient_id))
    has = await _has(session, act, entry) if offer.state != ACCEPTED else None
    return Offered(offer, entry, patient, has.starts_at if has else None)


def answer_until(now: datetime, starts_at: datetime, zone: ZoneInfo) -> datetime | None:
    """The deadline of an answer: two hours of the patient's waking day; None when too little is left before the start.

    Nobody is asked to answer in their sleep: at night the two hours begin in the morning.
    """
    local = now.astimezone(zone)
    since = now
    if not ASLEEP_UNTIL <= local.hour < ASLEEP_FROM:
        day = local.date() + timedelta(days=1 if local.hour >= ASLEEP_FROM else 0)
        since = local_instant(day, ASLEEP_UNTIL * 60, zone)
    until = min(since + ANSWER_WITHIN, starts_at - BEFORE_START)
    return until if until - since >= ANSWER_AT_LEAST else None


def over() -> DomainError:
    return DomainError(Code.CONFLICT, "This offer is over: the time was offered to somebody else. Nothing was changed.")


async def _is_settled(session: AsyncSession, act: Act, freed: FreedTime) -> bool:
    query = select(WaitlistOffer.id).where(
        WaitlistOffer.clinic_id == act.clinic.id,
        WaitlistOffer.freed_id == freed.id,
        WaitlistOffer.state.in_((OPEN, ACCEPTED)),
    )
    return (await session.scalars(query.limit(1))).first() is not None


async def _candidates(session: AsyncSession, act: Act, freed: FreedTime) -> list[WaitlistEntry]:
    """Those whom it suits, whom it was not offered to, and who have no other offer open; longest wait first."""
    asked = exists().where(
        WaitlistOffer.clinic_id == WaitlistEntry.clinic_id,
        WaitlistOffer.entry_id == WaitlistEntry.id,
        (WaitlistOffer.freed_id == freed.id) | (WaitlistOffer.state == OPEN),
    )
    query = select(WaitlistEntry).where(
        WaitlistEntry.clinic_id == act.clinic.id, WaitlistEntry.state == waiting.WAITING, ~asked
    )
    zone = ZoneInfo(act.clinic.zone)
    found = []
    for entry in await session.scalars(query.order_by(WaitlistEntry.created_at, WaitlistEntry.id)):
        has = await _has(session, act, entry)
        if entry.appointment_id is not None and has is None:
            continue
        if waiting.suits(entry, freed, has.starts_at if has else None, zone, act.now):
            found.append(entry)
    return found


async def _try(session: AsyncSession, act: Act, freed: FreedTime, entry: WaitlistEntry) -> WaitlistOffer | None:
    """Holds the first start in the freed time that this kind of visit may have, and writes to the patient."""
    patient = await session.get_one(Patient, (act.clinic.id, entry.patient_id))
    visit_type = await finding.load_any_visit_type(session, entry)
    has = await _has(session, act, entry)
    if has is None and not visit_type.is_active:
        return None
    search = Search(visit_type, (freed.person_id,), act.now, patient_id=patient.id, gives_up=has)
    for found in await finding.find_offers(session, act.clinic, search, freed.starts_at, freed.ends_at):
        expires_at = answer_until(act.now, found.slot.starts_at, ZoneInfo(patient.zone or act.clinic.zone))
        if expires_at is None:
            return None
        own = Act(act.clinic, patient.person_id, act.now, act.events)
        kept = await service.hold(
            session, own, visit_type, (freed.person_id,), found.slot.starts_at, expires_at=expires_at
        )
        offer = WaitlistOffer(
            clinic_id=act.clinic.id,
            id=new_id(),
            entry_id=entry.id,
            freed_id=freed.id,
            person_id=freed.person_id,
            starts_at=found.slot.starts_at,
            ends_at=found.slot.ends_at,
            hold_id=kept.id,
            state=OPEN,
            offered_at=act.now,
            expires_at=expires_at,
        )
        if await messages.queue_offer(session, act.clinic, patient, offer.id, act.now) is None:
            await service.release(session, own, kept.id)
            return None
        session.add(offer)
        await session.flush()
        await enqueue(session, OFFER_OVER, offer.id, expires_at, clinic_id=act.clinic.id)
        return offer
    return None


async def _let_go(session: AsyncSession, act: Act, offer: WaitlistOffer, state: str) -> None:
    offer.state, offer.answered_at = state, act.now
    entry = await session.get_one(WaitlistEntry, (act.clinic.id, offer.entry_id))
    patient = await session.get_one(Patient, (act.clinic.id, entry.patient_id))
    await service.release(session, Act(act.clinic, patient.person_id, act.now, act.events), offer.hold_id)
    await session.flush()
    await enqueue(session, OFFER_FREED, offer.freed_id, act.now, clinic_id=act.clinic.id)


async def _get(session: AsyncSession, act: Act, offer_id: str) -> tuple[WaitlistOffer, WaitlistEntry, Patient]:
    offer = await session.get(WaitlistOffer, (act.clinic.id, offer_id), with_for_update=True)
    if offer is None:
        raise not_found()
    entry = await session.get_one(WaitlistEntry, (act.clinic.id, offer.entry_id), with_for_update=True)
    return offer, entry, await session.get_one(Patient, (act.clinic.id, entry.patient_id))


async def _has(session: AsyncSession, act: Act, entry: WaitlistEntry) -> Appointment | None:
    """What they have and would give up, while it can still be moved."""
    if entry.appointment_id is None:
        return None
    found = await session.get(Appointment, (act.clinic.id, entry.appointment_id))
    return found if found is not None and Status(found.status) is Status.BOOKED else None
