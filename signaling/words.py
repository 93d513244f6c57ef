"""Words shared by the room and the clinic: coded refusals, ids, rights, redacted values, the clock.

A leaf: it imports nothing of ours. What each code means to a page or a socket is decided where it is mapped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Generic, NewType, TypeVar

PROTOCOL_VERSION = 1

ClinicId = NewType("ClinicId", str)
RoomId = NewType("RoomId", str)
"""The encounter's id: one encounter owns at most one room."""
ParticipantId = NewType("ParticipantId", str)
"""A participation: one person's place in one room, on whatever device."""
PersonId = NewType("PersonId", str)
RecordingId = NewType("RecordingId", str)
SessionId = NewType("SessionId", str)
"""A browser's signed-in (or visiting) session; the same browser after a reload has the same one."""
SocketId = NewType("SocketId", str)
EventId = NewType("EventId", str)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


class Role(StrEnum):
    DOCTOR = "doctor"
    PATIENT = "patient"
    PROXY = "proxy"
    GUEST = "guest"
    INTERPRETER = "interpreter"


class Right(StrEnum):
    """What a seat may do in its room; given by the clinic's permissions, checked for every event."""

    TAKE_PART = "take_part"
    ADMIT = "admit"
    REMOVE = "remove"
    ASK_RECORDING = "ask_recording"
    EMERGENCY = "emergency"
    CARRY_ON_BY_PHONE = "carry_on_by_phone"
    END_VISIT = "end_visit"
    SEE_ARRIVALS = "see_arrivals"


class Departure(StrEnum):
    """Why somebody is no longer in the room."""

    LEFT = "left"
    REMOVED = "removed"
    WRONG_PERSON = "wrong_person"
    VISIT_ENDED = "visit_ended"
    LINK_CLOSED = "link_closed"
    REPLACED = "replaced"


class Outcome(StrEnum):
    """How a visit ended: the one tap of the doctor."""

    SEEN = "seen"
    FINISHED_BY_PHONE = "finished_by_phone"
    NOT_REACHED = "not_reached"
    LEFT = "left"
    SENT_ELSEWHERE = "sent_elsewhere"
    WRONG_PERSON = "wrong_person"


class Code(StrEnum):
    """Every coded refusal, never renamed; `STATUS` and `TEXT` below belong to it."""

    MALFORMED = "malformed"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    RELOAD_NEEDED = "reload_needed"
    NOT_SIGNED_IN = "not_signed_in"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    CROSS_SITE = "cross_site"
    LINK_CLOSED = "link_closed"
    VISIT_OVER = "visit_over"
    REMOVED = "removed"
    NOT_ADMITTED = "not_admitted"
    WRONG_PHASE = "wrong_phase"
    STALE_REVISION = "stale_revision"
    CONSENT_MISSING = "consent_missing"
    ALREADY_ANSWERED = "already_answered"
    NODE_DOWN = "node_down"
    UNSUPPORTED_SDP = "unsupported_sdp"
    STORAGE_FULL = "storage_full"
    SLOT_TAKEN = "slot_taken"
    SLOT_NOT_OFFERED = "slot_not_offered"
    IN_THE_PAST = "in_the_past"
    UNKNOWN_ZONE = "unknown_zone"
    CONFLICT = "conflict"
    PRECONDITION_MISSING = "precondition_missing"
    NOTE_SIGNED = "note_signed"
    NOTHING_RECORDED = "nothing_recorded"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


STATUS: dict[Code, int] = {
    Code.MALFORMED: 400,
    Code.TOO_LONG: 413,
    Code.TOO_MANY: 429,
    Code.RELOAD_NEEDED: 426,
    Code.NOT_SIGNED_IN: 401,
    Code.NOT_ALLOWED: 403,
    Code.NOT_FOUND: 404,
    Code.CROSS_SITE: 403,
    Code.LINK_CLOSED: 410,
    Code.VISIT_OVER: 410,
    Code.REMOVED: 403,
    Code.NOT_ADMITTED: 403,
    Code.WRONG_PHASE: 409,
    Code.STALE_REVISION: 409,
    Code.CONSENT_MISSING: 409,
    Code.ALREADY_ANSWERED: 409,
    Code.NODE_DOWN: 503,
    Code.UNSUPPORTED_SDP: 422,
    Code.STORAGE_FULL: 507,
    Code.SLOT_TAKEN: 409,
    Code.SLOT_NOT_OFFERED: 422,
    Code.IN_THE_PAST: 422,
    Code.UNKNOWN_ZONE: 422,
    Code.CONFLICT: 409,
    Code.PRECONDITION_MISSING: 428,
    Code.NOTE_SIGNED: 409,
    Code.NOTHING_RECORDED: 404,
    Code.UNAVAILABLE: 503,
    Code.INTERNAL: 500,
}


def N_(sentence: str) -> str:  # noqa: N802 — gettext's own name for it
    """Marks a sentence that is translated where it is shown, so that `make messages` finds it in its table."""
    return sentence


TEXT: dict[Code, str] = {
    Code.MALFORMED: N_("That could not be read. Nothing was changed. Please try again."),
    Code.TOO_LONG: N_("That is too long. Nothing was sent. Please shorten it and send it again."),
    Code.TOO_MANY: N_("That was too much at once. Nothing is lost. Please wait a moment and try again."),
    Code.RELOAD_NEEDED: N_("This page is out of date. What you typed is kept. Please reload the page."),
    Code.NOT_SIGNED_IN: N_("You are not signed in here. Please open your link again, or sign in."),
    Code.NOT_ALLOWED: N_("You may not do that here. Nothing was changed."),
    Code.NOT_FOUND: N_("That could not be found. Please check the link, or ring the clinic."),
    Code.CROSS_SITE: N_("That came from another site and was not accepted. Please use this clinic's own page."),
    Code.LINK_CLOSED: N_("This link is closed. Please ring the clinic."),
    Code.VISIT_OVER: N_("This visit is over. If you still need help, please ring the clinic."),
    Code.REMOVED: N_("You were taken out of this visit. If that was a mistake, please ring the clinic."),
    Code.NOT_ADMITTED: N_("You are still in the waiting room. The doctor lets you in."),
    Code.WRONG_PHASE: N_("That can't be done at this point of the visit. Nothing was changed."),
    Code.STALE_REVISION: N_("Something changed in the meantime. Please look again and repeat it."),
    Code.CONSENT_MISSING: N_("Not everybody has agreed, so nothing is recorded."),
    Code.ALREADY_ANSWERED: N_("You have already answered that question. Your answer stands."),
    Code.NODE_DOWN: N_(
        "The clinic's media server can't be reached just now. A direct visit goes on; it is tried again."
    ),
    Code.UNSUPPORTED_SDP: N_("This browser's camera or sound can't be used with the clinic's server."),
    Code.STORAGE_FULL: N_("There is no room left to record. The visit goes on without recording."),
    Code.SLOT_TAKEN: N_("That time was taken in the meantime. Please choose another."),
    Code.SLOT_NOT_OFFERED: N_("That time is not offered. Please choose another."),
    Code.IN_THE_PAST: N_("That time has passed. Please choose another."),
    Code.UNKNOWN_ZONE: N_("That time zone is not known. Please choose one from the list."),
    Code.CONFLICT: N_("Somebody else changed this at the same time. Nothing is lost. Please look at both."),
    Code.PRECONDITION_MISSING: N_("This page must be reloaded before it can be saved. What you typed is kept."),
    Code.NOTE_SIGNED: N_("This note is signed and can't change any more. Please add an addendum."),
    Code.NOTHING_RECORDED: N_("Nothing was recorded in this visit."),
    Code.UNAVAILABLE: N_("That can't be done just now. Nothing is lost. Please try again in a moment."),
    Code.INTERNAL: N_("Something went wrong on our side. Nothing you sent is lost. Please try again."),
}
"""What a person reads when a refusal brings no words of its own."""


class Refused(Exception):  # noqa: N818 — a refusal, not a fault
    """A refusal with a code that both sides know, and words for a person.

    The message says what happened, what is safe and what to do now; it never holds a name or a contact.
    """

    def __init__(self, code: Code, message: str = "", *, limit: int | None = None) -> None:
        super().__init__(code.value)
        self.code = code
        self.message = message
        self.limit = limit


T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Redacted(Generic[T]):
    """Holds personal data; prints, formats and logs as `[redacted]`. `reveal()` is the one way to it."""

    _value: T

    def reveal(self) -> T:
        return self._value

    def __repr__(self) -> str:
        return "[redacted]"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "[redacted]"
