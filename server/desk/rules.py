"""Where a patient stands before, in and after a visit, in one word for the board. Pure.

Gathering the facts is `day.py`; the words a person reads are `WORDS`, translated by the templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LATE_AFTER = timedelta(minutes=15)


class Standing(StrEnum):
    NO_ADDRESS = "no_address"
    NOT_SENT = "not_sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    LATE = "late"
    WAITING = "waiting"
    IN_VISIT = "in_visit"
    LEFT = "left"
    OVER = "over"
    NO_SHOW = "no_show"
    CANCELLED = "cancelled"


WORDS = {
    Standing.NO_ADDRESS: "No address",
    Standing.NOT_SENT: "Not sent yet",
    Standing.FAILED: "Message failed",
    Standing.DELIVERED: "Link sent",
    Standing.LATE: "Not here yet",
    Standing.WAITING: "Waiting",
    Standing.IN_VISIT: "In the visit",
    Standing.LEFT: "Left",
    Standing.OVER: "Over",
    Standing.NO_SHOW: "Did not come",
    Standing.CANCELLED: "Cancelled",
}

TONES = {
    Standing.NO_ADDRESS: "red",
    Standing.NOT_SENT: "grey",
    Standing.FAILED: "red",
    Standing.DELIVERED: "white",
    Standing.LATE: "yellow",
    Standing.WAITING: "green",
    Standing.IN_VISIT: "blue",
    Standing.LEFT: "yellow",
    Standing.OVER: "grey",
    Standing.NO_SHOW: "grey",
    Standing.CANCELLED: "grey",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tables say: appointment, visit, the patient's place, the newest message."""

    appointment_status: str
    starts_at: datetime
    place_state: str | None = None
    message_state: str | None = None


def standing(facts: Facts, now: datetime) -> Standing:
    """The one word; what is later in a visit's life wins."""
    if facts.appointment_status in ("cancelled", "entered-in-error"):
        return Standing.CANCELLED
    if facts.appointment_status == "fulfilled":
        return Standing.OVER
    if facts.appointment_status == "noshow":
        return Standing.NO_SHOW
    by_place = {"waiting": Standing.WAITING, "admitted": Standing.IN_VISIT, "left": Standing.LEFT}
    if facts.place_state in by_place:
        return by_place[facts.place_state]
    if now > facts.starts_at + LATE_AFTER:
        return Standing.LATE
    return _of_message(facts.message_state)


def _of_message(state: str | None) -> Standing:
    if state is None:
        return Standing.NO_ADDRESS
    return {"sent": Standing.DELIVERED, "failed": Standing.FAILED}.get(state, Standing.NOT_SENT)
