"""Reads what slots are made of (hours, exceptions, busy ticks) and asks `slots.py`; changes nothing.

Booking what was found is for `service.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import repeat
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Membership, Patient, Person
from server.context import ClinicScope
from server.db import plain
from server.errors import not_found
from server.permissions import StaffRole
from server.scheduling import slots, statements
from server.scheduling.models import (
    Appointment,
    AppointmentPractitioner,
    VisitType,
)
from server.scheduling.slots import Agenda, DayException, Hours, Shape, Slot
from server.scheduling.ticks import Owner, load_busy
from server.scheduling.waiting_models import WaitlistEntry
from server.scheduling.weekly import parse_weekly

NEXT_SEARCH = timedelta(days=31)
_STARTS_AT = attrgetter("slot.starts_at")


@dataclass(frozen=True, slots=True)
class Practitioner:
    """A doctor of the clinic as pages show them."""

    person_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Search:
    """For whom free starts are looked for; the slot of `moving` doesn't block itself.

    When the patient has something else they are not free: the one named, else the one of `moving`.
    """

    visit_type: VisitType
    person_ids: Collection[str]
    now: datetime
    moving: Appointment | None = None
    patient_id: str | None = None
    gives_up: Appointment | None = None
    """What the patient has and would let go for a start, while its doctor's time stays taken until then."""


class Offer(NamedTuple):
    """A start that one doctor's hours offer."""

    person_id: str
    slot: Slot


async def load_practitioners(session: AsyncSession, clinic: ClinicScope) -> list[Practitioner]:
    """The clinic's active doctors, by name."""
    rows = await session.execute(
        select(Person.id, Person.name)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.clinic_id == clinic.id, Membership.role == StaffRole.DOCTOR.value, Membership.is_active)
        .order_by(Person.name)
    )
    return [Practitioner(person_id, name) for person_id, name in rows]


async def load_offering(session: AsyncSession, search: Search) -> Collection[str]:
    """Of the doctors of a search those who offer its kind; whoever has the visit that is moved keeps it."""
    kind = search.visit_type
    named = set(await session.scalars(statements.NAMED, {"clinic": kind.clinic_id, "visit_type": kind.id}))
    if not named:
        return search.person_ids
    if search.moving is not None:
        moved = search.moving.id
        has = (AppointmentPractitioner.clinic_id == kind.clinic_id, AppointmentPractitioner.appointment_id == moved)
        named |= set(await session.scalars(select(AppointmentPractitioner.person_id).where(*has)))
    return [person_id for person_id in search.person_ids if person_id in named]


async def load_visit_types(session: AsyncSession, clinic: ClinicScope) -> Sequence[VisitType]:
    query = select(VisitType).where(VisitType.clinic_id == clinic.id, VisitType.is_active)
    return (await session.scalars(query.order_by(VisitType.length_min, VisitType.name))).all()


async def get_visit_type(session: AsyncSession, clinic: ClinicScope, visit_type_id: str) -> VisitType:
    """Raises not_found for an unknown or retired one."""
    asked = {"clinic": clinic.id, "id": visit_type_id}
    found = (await session.scalars(statements.VISIT_TYPE, asked)).one_or_none()
    if found is None or not found.is_active:
        raise not_found()
    return found


async def get_for_whom(
    session: AsyncSession, clinic: ClinicScope, patient_id: str, visit_type_id: str
) -> tuple[Patient, VisitType]:
    """Raises not_found when either is of another clinic, unknown or retired."""
    asked = {"clinic": clinic.id, "patient": patient_id, "visit_type": visit_type_id}
    found = (await session.execute(statements.FOR_WHOM, asked)).one_or_none()
    if found is None:
        raise not_found()
    return found[0], found[1]


async def load_any_visit_type(session: AsyncSession, appointment: Appointment | WaitlistEntry) -> VisitType:
    """The kind of an appointment, a retired one too."""
    return await session.get_one(VisitType, (appointment.clinic_id, appointment.visit_type_id))


def shape_of(visit_type: VisitType) -> Shape:
    return Shape(
        length=timedelta(minutes=visit_type.length_min),
        grid=timedelta(minutes=visit_type.grid_min or visit_type.length_min),
        before=timedelta(minutes=visit_type.buffer_before_min),
        after=timedelta(minutes=visit_type.buffer_after_min),
    )


async def load_agendas(
    session: AsyncSession,
    clinic: ClinicScope,
    person_ids: Collection[str],
    span: tuple[datetime, datetime],
    busy: Mapping[str, Collection[int]],
    *,
    elsewhere: Collection[int] = (),
) -> dict[str, Agenda]:
    """The weekly hours and exceptions of each doctor that can touch the span, with the ticks that are taken.

    `elsewhere`: the ticks that the patient has.
    """
    await session.flush()  # plain tables: what the session still holds back must be seen
    first, last = (span[0] - timedelta(days=3)).date(), (span[1] + timedelta(days=2)).date()
    hours = await _load_hours(session, clinic, person_ids, last)
    exceptions = await _load_exceptions(session, clinic, person_ids, (first, last))
    others = frozenset(elsewhere)
    return {person: Agenda(hours[person], exceptions[person], busy[person], others) for person in person_ids}


async def load_working_day(
    session: AsyncSession, clinic: ClinicScope, person_id: str, now: datetime
) -> tuple[datetime, datetime]:
    """From when until when this doctor's day goes that is now: a night's hours belong to the day they began on."""
    agendas = await load_agendas(session, clinic, [person_id], (now, now), {person_id: ()})
    return slots.working_day(agendas[person_id], now, ZoneInfo(clinic.zone))


async def find_offers(
    session: AsyncSession, clinic: ClinicScope, search: Search, since: datetime, until: datetime
) -> list[Offer]:
    """Every free start in [since, until) that hasn't begun, by time."""
    shape = shape_of(search.visit_type)
    ignore = (Owner(clinic.id, appointment_id=search.moving.id),) if search.moving is not None else ()
    margin = shape.length + shape.before + shape.after
    around = (since - margin, until + margin)
    person_ids = await load_offering(session, search)
    busy = await load_busy(session, person_ids, around, search.now, ignore=ignore)
    elsewhere = await _load_elsewhere(session, clinic, search, around)
    agendas = await load_agendas(session, clinic, person_ids, (since, until), busy, elsewhere=elsewhere)
    earliest = max(since, search.now)
    found: list[Offer] = []
    for person_id, free in slots.list_each(agendas, shape, earliest, until):
        found += map(Offer._make, zip(repeat(person_id), free))
    found.sort(key=_STARTS_AT)
    return found


async def find_next(
    session: AsyncSession, clinic: ClinicScope, search: Search, since: datetime, *, count: int = 3
) -> list[Offer]:
    """The next `count` free starts from `since` on; what a stale page is offered."""
    offers = await find_offers(session, clinic, search, since, since + NEXT_SEARCH)
    return offers[:count]


async def load_local_zone(session: AsyncSession, clinic: ClinicScope, person_ids: Iterable[str]) -> str:
    """The zone of the first doctor's schedule; the clinic's own where there is none."""
    found = await (await plain(session)).scalars(statements.ZONE, {"clinic": clinic.id, "people": list(person_ids)})
    return found.first() or clinic.zone


async def _load_elsewhere(
    session: AsyncSession, clinic: ClinicScope, search: Search, span: tuple[datetime, datetime]
) -> Collection[int]:
    """The ticks of the patient's other visits; none where a search is for nobody in particular."""
    own = search.moving or search.gives_up
    patient_id = search.patient_id or (own.patient_id if own is not None else None)
    patient = await session.get(Patient, (clinic.id, patient_id)) if patient_id is not None else None
    if patient is None:
        return ()
    ignore = (Owner(clinic.id, appointment_id=own.id),) if own is not None else ()
    busy = await load_busy(session, [patient.person_id], span, search.now, ignore=ignore)
    return busy[patient.person_id]


async def _load_hours(
    session: AsyncSession, clinic: ClinicScope, person_ids: Collection[str], last: date
) -> dict[str, list[Hours]]:
    hours: dict[str, list[Hours]] = {person_id: [] for person_id in person_ids}
    asked = {"clinic": clinic.id, "people": list(person_ids), "last": last}
    rows = await (await plain(session)).execute(statements.HOURS, asked)
    for person_id, zone, rule, *minutes_and_dates in rows:
        hours[person_id].append(Hours(ZoneInfo(zone), parse_weekly(rule), *minutes_and_dates))
    return hours


async def _load_exceptions(
    session: AsyncSession, clinic: ClinicScope, person_ids: Collection[str], dates: tuple[date, date]
) -> dict[str, list[DayException]]:
    exceptions: dict[str, list[DayException]] = {person_id: [] for person_id in person_ids}
    asked = {"clinic": clinic.id, "people": list(person_ids), "first": dates[0], "last": dates[1]}
    rows = await (await plain(session)).execute(statements.EXCEPTIONS, asked)
    for person_id, zone, on_date, kind, opens_min, closes_min in rows:
        exceptions[person_id].append(DayException(ZoneInfo(zone), on_date, kind == "closed", opens_min, closes_min))
    return exceptions
