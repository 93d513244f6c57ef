"""Which starts a doctor's hours offer, and whether one start may be booked: one walk over local wall-clock dates.

Pure: hours, busy ticks and `now` are arguments. Loading them and writing a booking is for `service.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import compress, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from server.scheduling.weekly import Weekly
from signaling.words import Code

TICK_S = 300
_DAY = timedelta(days=1)
_FARTHEST = 2 * _DAY
"""A block ends at most this long after the midnight it belongs to."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A block of weekly hours; minutes are wall-clock minutes from local midnight, above 1440 the next day."""

    zone: ZoneInfo
    rule: Weekly
    opens_min: int
    closes_min: int
    valid_from: date
    valid_until: date | None = None

    def covers(self, day: date) -> bool:
        if day < self.valid_from or (self.valid_until is not None and day > self.valid_until):
            return False
        return self.rule.falls_on(day, self.valid_from)


@dataclass(frozen=True, slots=True)
class DayException:
    """One local date with other hours: closed for these minutes, or open beside the weekly ones."""

    zone: ZoneInfo
    on_date: date
    is_closed: bool
    opens_min: int = 0
    closes_min: int = 1440


@dataclass(frozen=True, slots=True)
class Shape:
    """What a booking needs of a visit type."""

    length: timedelta
    grid: timedelta
    before: timedelta = timedelta(0)
    after: timedelta = timedelta(0)


class Slot(NamedTuple):
    """A start of the grid; a tuple, since a month of a large clinic has a hundred thousand of them."""

    starts_at: datetime
    ends_at: datetime
    is_free: bool = True


@dataclass(frozen=True, slots=True)
class Agenda:
    """One doctor's weekly hours, exceptions and taken ticks, and the ticks that the patient has elsewhere."""

    hours: Sequence[Hours] = ()
    exceptions: Sequence[DayException] = ()
    busy: Collection[int] = frozenset()
    patient_busy: frozenset[int] = frozenset()


def tick_of(moment: datetime) -> int:
    return int(moment.timestamp()) // TICK_S


def ticks_between(starts_at: datetime, ends_at: datetime) -> range:
    """The five-minute ticks that [starts_at, ends_at) touches."""
    return range(tick_of(starts_at), -(-int(ends_at.timestamp()) // TICK_S))


@lru_cache(maxsize=8192)
def local_instant(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The UTC instant of a wall-clock time. One that occurs twice is the first; one in a gap takes the offset from
    before the gap (both RFC 5545 §3.3.5)."""
    extra_days, minute = divmod(minutes, 1440)
    naive = datetime(day.year, day.month, day.day) + timedelta(days=extra_days, minutes=minute)  # noqa: DTZ001
    return naive.replace(tzinfo=zone).astimezone(UTC)


def starts(agenda: Agenda, shape: Shape, since: datetime, until: datetime) -> list[Slot]:
    """Every start of the grid in [since, until), in order, each marked free or not.

    The grid runs in elapsed time from the opening of its block; closing part of a day takes starts away and never
    shifts the others. Buffers keep doctors' visits apart and may reach outside the hours.
    """
    grid = _walk(agenda, shape, since, until)
    return [
        Slot(slot.starts_at, slot.ends_at, is_free and not is_elsewhere(agenda, slot.starts_at, slot.ends_at))
        for slot, is_free in zip(grid.slots, grid.free(agenda.busy), strict=True)
    ]


def list_slots(agenda: Agenda, shape: Shape, since: datetime, until: datetime) -> list[Slot]:
    """The free starts in [since, until); `since` already holds notice and now (a notice removes, it never shifts)."""
    grid = _for_patient(agenda, _walk(agenda, shape, since, until))
    return list(compress(grid.slots, grid.free(agenda.busy)))


def list_each(
    agendas: Mapping[str, Agenda], shape: Shape, since: datetime, until: datetime
) -> Iterator[tuple[str, Iterator[Slot]]]:
    """What `list_slots` lists, doctor by doctor in the order of their ids; who keeps the same hours shares one walk."""
    grids: dict[tuple[Hashable, ...], _Grid] = {}
    for person_id in sorted(agendas):
        agenda = agendas[person_id]
        kept = (*agenda.hours, *agenda.exceptions, agenda.patient_busy)
        if (grid := grids.get(kept)) is None:
            grid = grids[kept] = _for_patient(agenda, _walk(agenda, shape, since, until))
        yield person_id, compress(grid.slots, grid.free(agenda.busy))


def judge(agenda: Agenda, shape: Shape, starts_at: datetime, *, earliest: datetime, latest: datetime) -> Code | None:
    """Why this start can't be booked, or None: exactly the starts that `list_slots` lists can."""
    if starts_at < earliest:
        return Code.IN_THE_PAST
    if starts_at > latest:
        return Code.SLOT_NOT_OFFERED
    for slot in starts(agenda, shape, starts_at, starts_at + timedelta(seconds=1)):
        return None if slot.is_free else Code.SLOT_TAKEN
    return Code.SLOT_NOT_OFFERED


def is_elsewhere(agenda: Agenda, starts_at: datetime, ends_at: datetime) -> bool:
    """Whether the patient has something else then: the pauses around a visit are the doctor's alone."""
    return bool(agenda.patient_busy) and not agenda.patient_busy.isdisjoint(ticks_between(starts_at, ends_at))


def working_day(agenda: Agenda, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The day that a doctor works on at this moment: the local date, with a block that reaches past its midnight whole.

    Until last night's block closes, that is yesterday.
    """
    today = now.astimezone(zone).date()
    turn = _end_of_work(agenda, today - _DAY, zone)
    if now < turn:
        return _end_of_work(agenda, today - 2 * _DAY, zone), turn
    return turn, _end_of_work(agenda, today, zone)


def by_local_day(slots: Iterable[Slot], zone: ZoneInfo) -> dict[date, list[Slot]]:
    """Slots under the calendar days of whoever looks, which need not be the doctor's."""
    days: dict[date, list[Slot]] = {}
    for slot in slots:
        days.setdefault(slot.starts_at.astimezone(zone).date(), []).append(slot)
    return days


def clock_labels(slots: Sequence[Slot], zone: ZoneInfo) -> list[str]:
    """Wall-clock labels; where one face of the clock occurs twice, both get their offset's name."""
    local = [slot.starts_at.astimezone(zone) for slot in slots]
    faces = [moment.replace(tzinfo=None, fold=0) for moment in local]
    shifts = any(a.utcoffset() != b.utcoffset() for a, b in pairwise(local))
    return [
        f"{moment:%H:%M} {moment.tzname()}" if shifts or faces.count(face) > 1 else f"{moment:%H:%M}"
        for moment, face in zip(local, faces, strict=True)
    ]


def _end_of_work(agenda: Agenda, day: date, zone: ZoneInfo) -> datetime:
    """Midnight, or later when the last block that opens on this date closes."""
    since, until = local_instant(day, 0, zone), local_instant(day, 1440, zone)
    closing = (closes for opens, closes, _ in _blocks(agenda, since, until) if since <= opens < until)
    return max([until, *closing])


def _for_patient(agenda: Agenda, grid: _Grid) -> _Grid:
    """Without the starts at which the patient has something else."""
    if not agenda.patient_busy:
        return grid
    rows = zip(grid.slots, grid.needs, strict=True)
    left = [row for row in rows if not is_elsewhere(agenda, row[0].starts_at, row[0].ends_at)]
    return _Grid([slot for slot, _ in left], [needs for _, needs in left])


def _blocks(agenda: Agenda, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime, bool]]:
    """(opens, closes, may be closed by an exception) of every block that can hold a start in [since, until)."""
    for block in agenda.hours:
        day = since.astimezone(block.zone).date() - _FARTHEST
        last = until.astimezone(block.zone).date()
        while day <= last:
            if block.covers(day):
                yield (
                    local_instant(day, block.opens_min, block.zone),
                    local_instant(day, block.closes_min, block.zone),
                    True,
                )
            day += _DAY
    for extra in agenda.exceptions:
        if not extra.is_closed:
            yield (
                local_instant(extra.on_date, extra.opens_min, extra.zone),
                local_instant(extra.on_date, extra.closes_min, extra.zone),
                False,
            )


class _Grid(NamedTuple):
    """The starts that hours offer, in order, and the ticks that a visit at each of them needs of its doctor."""

    slots: Sequence[Slot]
    needs: Sequence[range]

    def free(self, busy: Collection[int]) -> Iterator[bool]:
        taken = busy if isinstance(busy, set | frozenset) else frozenset(busy)
        return map(taken.isdisjoint, self.needs)


def _walk(agenda: Agenda, shape: Shape, since: datetime, until: datetime) -> _Grid:
    """In epoch seconds: whole numbers are quick to step through and to compare."""
    closed = [
        (
            local_instant(e.on_date, e.opens_min, e.zone).timestamp(),
            local_instant(e.on_date, e.closes_min, e.zone).timestamp(),
        )
        for e in agenda.exceptions
        if e.is_closed
    ]
    length, grid = shape.length.total_seconds(), shape.grid.total_seconds()
    first, end = since.timestamp(), until.timestamp()
    found: set[float] = set()
    for opens_at, closes_at, may_close in _blocks(agenda, since, until):
        opens, closes = opens_at.timestamp(), closes_at.timestamp()
        shut = [span for span in closed if may_close and span[0] < closes and span[1] > opens]
        start = opens if first <= opens else opens - (opens - first) // grid * grid
        while start < end and start + length <= closes:
            if not (shut and any(start < b and a < start + length for a, b in shut)):
                found.add(start)
            start += grid
    before, after = shape.before.total_seconds(), length + shape.after.total_seconds()
    ordered = sorted(found)
    return _Grid(
        [_slot(start, shape.length) for start in ordered],
        [range(int((start - before) // TICK_S), int(-((start + after) // -TICK_S))) for start in ordered],
    )


@lru_cache(maxsize=16384)
def _slot(start: float, length: timedelta) -> Slot:
    """Shared: the doctors of a clinic mostly start at the same times."""
    starts_at = datetime.fromtimestamp(start, UTC)
    return Slot(starts_at, starts_at + length)
