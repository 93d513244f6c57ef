"""What a press at the desk really brought the patient, for the page that follows it. Pure.

Whether a message went is read from the outbox; the words that promise one are `acts.DONE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.scheduling.models import Message
from server.scheduling.reach import Reach
from signaling.words import N_

ABOUT = {
    "booked": ("confirmation",),
    "moved": ("change", "confirmation"),
    "cancelled": ("cancellation",),
    "sent": ("confirmation",),
}
"""The kinds of message that each of these presses is to bring."""
UNTOLD = {
    "booked": N_("Booked. No message goes out."),
    "moved": N_("Moved; the link stays the same. No message goes out."),
    "cancelled": N_("Cancelled. No message goes out."),
    "sent": N_("The link could not be sent."),
}
WHY = {
    Reach.NO_ADDRESS: N_("There is neither an e-mail address nor a phone number on file."),
    Reach.UNWANTED: N_("The patient wants no messages about appointments."),
}
IS_HERE = N_("The patient is here now: send the link, or read out a code for this visit.")
NOT_KNOWN = N_("Nothing about it had been sent to the patient before.")
FAILED = N_("The message could not be delivered.")
BY_PHONE = N_("Please tell the patient by phone.")
WITH_CODE = N_("Please tell the patient by phone, and read out a code for this visit.")


@dataclass(frozen=True, slots=True)
class Told:
    """Sentences for the top of the page; `is_untold`: somebody must still tell the patient."""

    sentences: Sequence[str]
    is_untold: bool = False


def after(done: str, said: str, messages: Sequence[Message], reach: Reach, *, is_walk_in: bool = False) -> Told:
    """After the press `done`, which promises `said`. `messages`: the appointment's, oldest first."""
    if done not in ABOUT:
        return Told([said])
    about = [one for one in messages if one.kind in ABOUT[done] and one.state != "dropped"]
    if about and about[-1].state != "failed":
        return Told([said])
    if about:
        return Told([UNTOLD[done], FAILED, _ask(done)], is_untold=True)
    if is_walk_in and done == "booked":
        return Told([UNTOLD[done], IS_HERE], is_untold=True)
    if reach is Reach.REACHED:
        return Told([UNTOLD[done], NOT_KNOWN])
    return Told([UNTOLD[done], WHY[reach], _ask(done)], is_untold=True)


def variant(words: Mapping[str, str], done: str, reach: Reach) -> str | None:
    """The words for `done`, or, for whom no message reaches, those that promise none."""
    untold = words.get(f"{done}_untold") if reach is not Reach.REACHED else None
    return untold or words.get(done)


def _ask(done: str) -> str:
    return BY_PHONE if done == "cancelled" else WITH_CODE
