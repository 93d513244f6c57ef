"""An independent, slow judge of slots: expands rules with dateutil and looks at every minute of real time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

MINUTE = timedelta(minutes=1)


def instant(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """By walking UTC: the first instant whose wall clock shows this time, or, in a gap, what the old offset says."""
    wanted = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 (wall clock)
    guess = wanted.replace(tzinfo=UTC) - timedelta(hours=15)
    for _ in range(31 * 60):
        if guess.astimezone(zone).replace(tzinfo=None) == wanted:
            return guess
        if guess.astimezone(zone).replace(tzinfo=None) > wanted:
            before = (guess - MINUTE).astimezone(zone).utcoffset()
            assert before is not None
            return (wanted - before).replace(tzinfo=UTC)
        guess += MINUTE
    raise AssertionError("no such time")


def free_starts(  # noqa: PLR0917 (one row of plain numbers an argument)
    blocks: Collection[tuple[str, str, int, int, date]],
    closed: Collection[tuple[str, date, int, int]],
    length_min: int,
    grid_min: int,
    buffers_min: tuple[int, int],
    busy: Collection[tuple[datetime, datetime]],
    since: datetime,
    until: datetime,
) -> set[datetime]:
    found = set()
    shut = [(instant(day, a, ZoneInfo(zone)), instant(day, b, ZoneInfo(zone))) for zone, day, a, b in closed]
    for rule, zone_name, opens_min, closes_min, valid_from in blocks:
        zone = ZoneInfo(zone_name)
        first = datetime(valid_from.year, valid_from.month, valid_from.day)  # noqa: DTZ001 (wall clock)
        expanded = rrulestr(rule, dtstart=first)
        for moment in expanded.between(first, (until + timedelta(days=3)).replace(tzinfo=None), inc=True):
            opens, closes = instant(moment.date(), opens_min, zone), instant(moment.date(), closes_min, zone)
            start = opens
            while start + timedelta(minutes=length_min) <= closes:
                if since <= start < until and _is_free(start, length_min, buffers_min, shut, busy):
                    found.add(start)
                start += timedelta(minutes=grid_min)
    return found


def _is_free(
    start: datetime,
    length_min: int,
    buffers_min: tuple[int, int],
    shut: Collection[tuple[datetime, datetime]],
    busy: Collection[tuple[datetime, datetime]],
) -> bool:
    minutes = [start + n * MINUTE for n in range(length_min)]
    if any(a <= minute < b for minute in minutes for a, b in shut):
        return False
    around = [start + n * MINUTE for n in range(-buffers_min[0], length_min + buffers_min[1])]
    return not any(a <= minute < b for minute in around for a, b in busy)
