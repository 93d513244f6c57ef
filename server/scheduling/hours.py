"""Keeping a doctor's weekly hours and the days on which they differ; what contradicts itself is refused whole.

What slots follow from them is `slots.py`; the page is `hoursviews.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit import AuditAction
from server.context import ClinicScope
from server.db import new_id
from server.errors import FormError, not_found
from server.scheduling import finding, rules
from server.scheduling.finding import Practitioner
from server.scheduling.history import Act
from server.scheduling.models import Appointment, AppointmentPractitioner, Schedule, ScheduleException
from server.scheduling.slots import DayException, Hours, local_instant
from server.scheduling.weekly import parse_weekly

_A_YEAR = 54
"""Weeks in which two zones' clocks have changed against each other in every way they do."""
_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)
R = TypeVar("R", Schedule, ScheduleException)


@dataclass(frozen=True, slots=True)
class Kept:
    """All that a doctor's page of hours shows."""

    blocks: Sequence[Schedule]
    exceptions: Sequence[ScheduleException]


async def get_doctor(session: AsyncSession, clinic: ClinicScope, person_id: str) -> Practitioner:
    """Raises not_found for whoever is no active doctor here."""
    for doctor in await finding.load_practitioners(session, clinic):
        if doctor.person_id == person_id:
            return doctor
    raise not_found()


async def load(session: AsyncSession, clinic: ClinicScope, person_id: str, today: date) -> Kept:
    """The blocks that haven't ended and the exceptions from yesterday on, by time."""
    blocks = await session.scalars(_mine(Schedule, clinic, person_id).order_by(Schedule.opens_min, Schedule.id))
    exceptions = await session.scalars(
        _mine(ScheduleException, clinic, person_id)
        .where(ScheduleException.on_date >= today - _DAY)
        .order_by(ScheduleException.on_date, ScheduleException.opens_min)
    )
    return Kept(
        [block for block in blocks if block.valid_until is None or block.valid_until >= today], exceptions.all()
    )


async def add_block(session: AsyncSession, act: Act, block: Schedule) -> None:
    """Raises FormError where these hours meet other hours of the doctor."""
    others = list(await session.scalars(_mine(Schedule, act.clinic, block.person_id).with_for_update()))
    if any(meet(hours_of(block), hours_of(other)) for other in others):
        raise FormError({"opens": "The doctor has hours then already. End those first, or choose other times"})
    block.created_at = act.now
    session.add(block)
    await _note(session, act, block)


async def end_block(session: AsyncSession, act: Act, block_id: str, person_id: str, last_day: date | None) -> None:
    """The block's last day; none: it goes on. A last day before the first takes the block away."""
    block = await _get(session, Schedule, act.clinic, person_id, block_id)
    if last_day is not None and last_day < block.valid_from:
        await session.delete(block)
    else:
        others = await session.scalars(_mine(Schedule, act.clinic, person_id).where(Schedule.id != block_id))
        block.valid_until = last_day
        if any(meet(hours_of(block), hours_of(other)) for other in others):
            raise FormError({"valid_until": "The doctor has other hours after that day already"})
    await _note(session, act, block)


async def remove_block(session: AsyncSession, act: Act, block_id: str, person_id: str) -> None:
    block = await _get(session, Schedule, act.clinic, person_id, block_id)
    await session.delete(block)
    await _note(session, act, block)


async def add_exceptions(session: AsyncSession, act: Act, rows: Sequence[ScheduleException]) -> None:
    """Raises FormError for a time that the day doesn't have or has twice, and where two exceptions meet."""
    for row in rows:
        check_clock(row)
        row.created_at = act.now
    first, last = rows[0].on_date - 2 * _DAY, rows[-1].on_date + 2 * _DAY
    query = _mine(ScheduleException, act.clinic, rows[0].person_id)
    others = await session.scalars(query.where(ScheduleException.on_date.between(first, last)).with_for_update())
    taken = [_span(exception_of(other)) for other in others]
    for row in rows:
        start, end = _span(exception_of(row))
        if any(start < b and a < end for a, b in taken):
            raise FormError({"on_date": "There is an exception for this time already. Take that one away first"})
    session.add_all(rows)
    await _note(session, act, rows[0])


async def remove_exception(session: AsyncSession, act: Act, exception_id: str, person_id: str) -> None:
    row = await _get(session, ScheduleException, act.clinic, person_id, exception_id)
    await session.delete(row)
    await _note(session, act, row)


async def count_booked(
    session: AsyncSession, clinic: ClinicScope, person_id: str, exceptions: Iterable[ScheduleException], now: datetime
) -> dict[str, int]:
    """How many open visits lie in each closed exception: somebody must take them."""
    closed = [(row.id, *_span(exception_of(row))) for row in exceptions if row.kind == "closed"]
    if not closed:
        return {}
    mine = select(AppointmentPractitioner.appointment_id).where(
        AppointmentPractitioner.clinic_id == clinic.id, AppointmentPractitioner.person_id == person_id
    )
    query = select(Appointment.starts_at, Appointment.ends_at).where(
        Appointment.clinic_id == clinic.id,
        Appointment.id.in_(mine),
        Appointment.status.in_([status.value for status in rules.OPEN]),
        Appointment.starts_at >= max(now, min(start for _, start, _ in closed)),
    )
    spans = (await session.execute(query)).all()
    return {
        row_id: sum(1 for starts_at, ends_at in spans if starts_at < end and start < ends_at)
        for row_id, start, end in closed
    }


def meet(one: Hours, other: Hours) -> bool:
    """Whether two blocks are ever open at the same moment. Walks every combination of their weeks once."""
    first = max(one.valid_from, other.valid_from) - _DAY
    weeks = math.lcm(one.rule.interval, other.rule.interval) + 1
    if one.zone.key != other.zone.key:
        weeks = max(weeks, _A_YEAR)
    last = min([first + weeks * _WEEK, *(day for day in (one.valid_until, other.valid_until) if day)]) + _DAY
    spans = sorted((*_spans(one, first, last), *_spans(other, first, last)))
    return any(later < end for (_, end), (later, _) in pairwise(spans))


def check_clock(row: ScheduleException) -> None:
    """Raises FormError for a wall clock that this day skips or shows twice."""
    zone = ZoneInfo(row.zone)
    for name, minutes in (("opens", row.opens_min), ("closes", row.closes_min)):
        if minutes in (0, 1440):
            continue
        moment = local_instant(row.on_date, minutes, zone)
        local = moment.astimezone(zone)
        if (local.hour * 60 + local.minute) != minutes % 1440:
            raise FormError({name: "This time doesn’t exist on that day: the clocks go forward. Choose another"})
        if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
            raise FormError({name: "This time comes twice on that day: the clocks go back. Choose another"})


def hours_of(block: Schedule) -> Hours:
    return Hours(
        ZoneInfo(block.zone),
        parse_weekly(block.rule),
        block.opens_min,
        block.closes_min,
        block.valid_from,
        block.valid_until,
    )


def exception_of(row: ScheduleException) -> DayException:
    return DayException(ZoneInfo(row.zone), row.on_date, row.kind == "closed", row.opens_min, row.closes_min)


def _spans(hours: Hours, first: date, last: date) -> Iterator[tuple[datetime, datetime]]:
    day = first
    while day <= last:
        if hours.covers(day):
            yield local_instant(day, hours.opens_min, hours.zone), local_instant(day, hours.closes_min, hours.zone)
        day += _DAY


def _span(one: DayException) -> tuple[datetime, datetime]:
    return local_instant(one.on_date, one.opens_min, one.zone), local_instant(one.on_date, one.closes_min, one.zone)


def _mine(model: type[R], clinic: ClinicScope, person_id: str) -> Select[R]:
    return select(model).where(model.clinic_id == clinic.id, model.person_id == person_id)


async def _get(session: AsyncSession, model: type[R], clinic: ClinicScope, person_id: str, row_id: str) -> R:
    found = await session.get(model, (clinic.id, row_id))
    if found is None or found.person_id != person_id:
        raise not_found()
    return found


async def _note(session: AsyncSession, act: Act, row: Schedule | ScheduleException) -> None:
    row.id = row.id or new_id()
    await session.flush()
    await audit.enter(
        session,
        clinic_id=act.clinic.id,
        actor_person_id=act.by,
        action=AuditAction.SETTINGS_CHANGED,
        subject=("hours", row.id),
        detail={"doctor": row.person_id},
        now=act.now,
    )
