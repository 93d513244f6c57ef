"""What an event is answered with: a yes and what it holds, or a no with its code.

Which event gets which stands in `messages.py`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from media.api import AnsweredSection, OfferedSection, OpaqueId
from signaling.wire import Wire
from signaling.words import Role


class Ok(Wire):
    ok: Literal[True] = True


class NotOk(Wire):
    """`error` is a `signaling.words.Code`; `message` may be shown to a person as it is."""

    ok: Literal[False] = False
    error: str
    message: str
    limit: int | None = None


class UpAccepted(Ok):
    connection_id: OpaqueId
    revision: int
    sdp: str
    sections: list[AnsweredSection]


class DownOffered(Ok):
    """Also pushed as the event `down_offer` when tracks come or go."""

    connection_id: OpaqueId
    revision: int
    sdp: str
    sections: list[OfferedSection]


class ChatLine(Wire):
    """Name and role are the sender's as they were then."""

    n: int
    at: str = Field(description="RFC 3339, UTC")
    participant_id: OpaqueId
    name: str
    role: Role
    text: str


class ChatLines(Ok):
    lines: list[ChatLine]


class ChatStored(Ok):
    """The line's number; the line itself comes back as the event `chat`, also to its sender."""

    n: int
    at: str


class AlsoNumber(Wire):
    """Of another country, told by something else."""

    number: str
    country: str
    country_from: Literal["place", "phone", "clinic"]


class EmergencyFacts(Ok):
    """None is shown as "not given"."""

    place: str | None
    phone: str | None = Field(description="as the patient wrote it at the door: perhaps no number at all")
    phone_on_file: str | None
    number: str = Field(description="the emergency number of that country")
    country: str
    country_from: Literal["place", "phone", "clinic"] = Field(description="what told it; 'clinic': nothing did")
    also: AlsoNumber | None = Field(default=None, description="when place and phone tell of two countries")
    pressed_at: str


class PhoneFacts(Ok):
    phone: str | None = Field(description="as the patient wrote it at the door: perhaps no number at all")
    phone_on_file: str | None


class WithdrawnChosen(Ok):
    """`asked`: the note is signed, or something keeps the recording, so that a named person answers the wish."""

    result: Literal["done", "asked"]
