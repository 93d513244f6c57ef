"""The part of RFC 5545's RRULE that weekly hours use, read strictly and evaluated on local dates.

Pure. Which minutes of such a date are open is for `slots.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from server.errors import DomainError
from signaling.words import Code

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LONGEST = 200
_MOST_WEEKS = 52


@dataclass(frozen=True, slots=True)
class Weekly:
    """FREQ=WEEKLY with BYDAY and INTERVAL; weeks begin on Monday and are counted from the week of the first date."""

    weekdays: frozenset[int]
    interval: int = 1

    def falls_on(self, day: date, first: date) -> bool:
        if day.weekday() not in self.weekdays:
            return False
        return self.interval == 1 or ((_monday(day) - _monday(first)).days // 7) % self.interval == 0


def parse_weekly(text: str) -> Weekly:
    """Reads `FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE`, or FREQ=DAILY (every day). Raises malformed for anything else."""
    if len(text) > _LONGEST:
        raise _malformed()
    parts: dict[str, str] = {}
    for item in text.split(";"):
        key, equals, value = item.partition("=")
        if not equals or key in parts:
            raise _malformed()
        parts[key] = value
    frequency, interval, by_day = parts.pop("FREQ", ""), parts.pop("INTERVAL", "1"), parts.pop("BYDAY", "")
    if parts or not interval.isascii() or not interval.isdecimal() or not 1 <= int(interval) <= _MOST_WEEKS:
        raise _malformed()
    if frequency == "DAILY" and interval == "1" and not by_day:
        return Weekly(frozenset(range(7)))
    days = by_day.split(",")
    if frequency != "WEEKLY" or not set(days) <= set(DAYS):
        raise _malformed()
    return Weekly(frozenset(DAYS.index(day) for day in days), int(interval))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _malformed() -> DomainError:
    return DomainError(Code.MALFORMED, "Weekly hours repeat on named weekdays, every week or every few weeks.")
