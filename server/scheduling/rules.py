"""What an appointment may be: its zone, its changes of status, its five-minute starts. Pure.

Which starts are offered is decided in `slots.py`; permissions of the actor in `server/permissions.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.errors import DomainError
from signaling.words import Code


class Status(StrEnum):
    """FHIR R4 AppointmentStatus, the codes that we use."""

    BOOKED = "booked"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NOSHOW = "noshow"
    ENTERED_IN_ERROR = "entered-in-error"


class Kind(StrEnum):
    NORMAL = "normal"
    SQUEEZED_IN = "squeezed_in"
    WALK_IN = "walk_in"


MAY_BECOME: dict[Status, frozenset[Status]] = {
    Status.BOOKED: frozenset({Status.ARRIVED, Status.FULFILLED, Status.CANCELLED, Status.NOSHOW}),
    Status.ARRIVED: frozenset({Status.BOOKED, Status.FULFILLED, Status.CANCELLED, Status.NOSHOW}),
    Status.FULFILLED: frozenset({Status.ARRIVED, Status.BOOKED}),
    Status.NOSHOW: frozenset({Status.BOOKED, Status.ARRIVED, Status.CANCELLED}),
    Status.CANCELLED: frozenset(),
    Status.ENTERED_IN_ERROR: frozenset(),
}
"""A fulfilled one goes back when the end of a visit is undone; a no-show when the patient comes after all."""

MOVABLE = frozenset({Status.BOOKED, Status.ARRIVED, Status.NOSHOW})
OPEN = frozenset({Status.BOOKED, Status.ARRIVED})

_NOT_PLACES = frozenset({"Factory", "localtime", "posixrules"})


def zone_of(name: str | None) -> ZoneInfo:
    """The zone of an IANA name, old aliases included. Raises unknown_zone; nothing falls back to UTC."""
    if not name or name not in known_zones():
        raise DomainError(Code.UNKNOWN_ZONE, "This is no time zone we know. Choose one such as Europe/Berlin.")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DomainError(Code.UNKNOWN_ZONE) from error


@cache
def known_zones() -> frozenset[str]:
    """The names of the tzdata package, so that every machine accepts the same ones, in their exact case."""
    listed = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(listed) - _NOT_PLACES


def check_change(old: Status, new: Status) -> None:
    """Raises wrong_phase unless an appointment may go from `old` to `new`."""
    if new not in MAY_BECOME[old]:
        raise DomainError(Code.WRONG_PHASE, "The appointment has changed meanwhile. Nothing was done; look again.")


def check_five_minutes(starts_at: datetime, length: timedelta) -> None:
    """Starts and lengths are multiples of five minutes. Raises malformed."""
    if starts_at.tzinfo is None or starts_at.timestamp() % 300 or length.total_seconds() % 300:
        raise DomainError(Code.MALFORMED, "Visits start on a multiple of five minutes.")
