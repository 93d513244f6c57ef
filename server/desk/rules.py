"""Where a patient stands before, in and after a visit, in one word for the board. Pure.

Gathering the facts is `day.py`; the words a person reads are `WORDS`, translated by the templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.encounters.rules import is_late
from signaling.words import N_


class Standing(StrEnum):
    NO_ADDRESS = "no_address"
    NOT_SENT = "not_sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    LINK_CLOSED = "link_closed"
    LATE = "late"
    AT_DOOR = "at_door"
    WAITING = "waiting"
    IN_VISIT = "in_visit"
    LEFT = "left"
    OVER = "over"
    NO_SHOW = "no_show"
    CANCELLED = "cancelled"


WORDS = {
    Standing.NO_ADDRESS: N_("No address"),
    Standing.NOT_SENT: N_("Not sent yet"),
    Standing.FAILED: N_("Message failed"),
    Standing.DELIVERED: N_("Link sent"),
    Standing.LINK_CLOSED: N_("Link closed: send again"),
    Standing.LATE: N_("Not here yet"),
    Standing.AT_DOOR: N_("At the door"),
    Standing.WAITING: N_("Waiting"),
    Standing.IN_VISIT: N_("In the visit"),
    Standing.LEFT: N_("Left"),
    Standing.OVER: N_("Over"),
    Standing.NO_SHOW: N_("Did not come"),
    Standing.CANCELLED: N_("Cancelled"),
}

TONES = {
    Standing.NO_ADDRESS: "red",
    Standing.NOT_SENT: "grey",
    Standing.FAILED: "red",
    Standing.DELIVERED: "white",
    Standing.LINK_CLOSED: "red",
    Standing.LATE: "yellow",
    Standing.AT_DOOR: "green",
    Standing.WAITING: "green",
    Standing.IN_VISIT: "blue",
    Standing.LEFT: "yellow",
    Standing.OVER: "grey",
    Standing.NO_SHOW: "grey",
    Standing.CANCELLED: "grey",
}


TROUBLES = {"dropped": N_("Connection lost"), "camera_refused": N_("No camera allowed")}
"""What the room says beside it of a patient who waits or is in the visit."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tables say: appointment, the patient's place, the newest message, whether a sent link still opens,
    and whether somebody has gone through its door (and checks camera and sound)."""

    appointment_status: str
    starts_at: datetime
    place_state: str | None = None
    message_state: str | None = None
    has_address: bool = True
    has_open_link: bool = True
    went_through_door: bool = False


def standing(facts: Facts, now: datetime) -> Standing:
    """The one word; what is later in a visit's life wins."""
    settled = _BY_APPOINTMENT.get(facts.appointment_status) or _BY_PLACE.get(facts.place_state or "")
    if settled is not None:
        return settled
    if facts.went_through_door:
        return Standing.AT_DOOR
    if facts.message_state == "sent" and not facts.has_open_link:
        return Standing.LINK_CLOSED
    return Standing.LATE if is_late(facts.starts_at, now) else _of_message(facts)


def _of_message(facts: Facts) -> Standing:
    if facts.message_state is None:
        return Standing.NOT_SENT if facts.has_address else Standing.NO_ADDRESS
    return {"sent": Standing.DELIVERED, "failed": Standing.FAILED}.get(facts.message_state, Standing.NOT_SENT)


_BY_APPOINTMENT = {
    "cancelled": Standing.CANCELLED,
    "entered-in-error": Standing.CANCELLED,
    "fulfilled": Standing.OVER,
    "noshow": Standing.NO_SHOW,
}
_BY_PLACE = {"waiting": Standing.WAITING, "admitted": Standing.IN_VISIT, "left": Standing.LEFT}
