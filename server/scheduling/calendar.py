"""The calendar part of a message: one event, the same UID for the appointment's whole life (RFC 5545, RFC 5546).

Knows only what a calendar may show; which message carries it is for `wording.py`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from icalendar import Calendar, Event, vCalAddress, vText, vUri

Method = Literal["REQUEST", "CANCEL", "PUBLISH"]


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """Everything a calendar file may hold: nothing about health, no full name, no doctor."""

    uid: str
    sequence: int
    method: Method
    written_at: datetime
    starts_at: datetime
    ends_at: datetime
    summary: str
    description: str
    link: str | None
    organizer_name: str
    organizer_email: str
    attendee_name: str
    attendee_email: str | None


def calendar_file(entry: Entry) -> bytes:
    """The file, folded and escaped by the library; UTC, private, no alarm. Raises ValueError for a bad link."""
    event = Event()
    event.add("uid", entry.uid)
    event.add("sequence", entry.sequence)
    event.add("dtstamp", entry.written_at.astimezone(UTC))
    event.add("dtstart", entry.starts_at.astimezone(UTC))
    event.add("dtend", entry.ends_at.astimezone(UTC))
    event.add("summary", one_line(entry.summary))
    event.add("description", _plain(entry.description))
    event.add("class", "PRIVATE")
    event.add("transp", "OPAQUE")
    event.add("status", "CANCELLED" if entry.method == "CANCEL" else "CONFIRMED")
    if entry.link is not None:
        event.add("url", vUri(_checked(entry.link)))
    event.add("organizer", _address(entry.organizer_email, entry.organizer_name), encode=False)
    if entry.attendee_email is not None:
        event.add("attendee", _attendee(entry), encode=False)
    calendar = Calendar()
    calendar.add("prodid", "-//Bedside//Video appointments//EN")
    calendar.add("version", "2.0")
    calendar.add("method", entry.method)
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def one_line(text: str) -> str:
    """Text without line breaks and control characters: for headers, names and titles."""
    return " ".join(
        "".join(c if unicodedata.category(c)[0] != "C" or c in "\u200d\u200c" else " " for c in text).split()
    )


def _plain(text: str) -> str:
    """Line breaks as one kind, other control characters out."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(one_line(line) for line in lines)


def _attendee(entry: Entry) -> vCalAddress:
    address = _address(entry.attendee_email or "", entry.attendee_name)
    address.params["ROLE"] = vText("REQ-PARTICIPANT")
    address.params["PARTSTAT"] = vText("NEEDS-ACTION")
    address.params["RSVP"] = vText("FALSE")
    return address


def _address(email: str, name: str) -> vCalAddress:
    """A quotation mark can't stand in a parameter; an apostrophe reads the same."""
    address = vCalAddress(f"mailto:{one_line(email)}")
    address.params["CN"] = vText(one_line(name).replace('"', "'"))
    return address


def _checked(link: str) -> str:
    if any(unicodedata.category(c)[0] == "C" or c.isspace() for c in link):
        raise ValueError("a link with control characters or spaces")
    return link
