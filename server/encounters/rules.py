"""What may happen to a visit, its door, its people and its recording: pure decisions over facts and `now`.

Nothing is read or written here; texts for people are in the templates and in `signaling.words`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from signaling.words import Outcome

OPENS_BEFORE = timedelta(minutes=30)
AWAITED_AFTER = timedelta(hours=1)
"""So long after its time a visit may still be begun by a patient who is late."""
CLOSING_PAGE_LASTS = timedelta(hours=2)
UNDO_LASTS = timedelta(seconds=10)
UNDO_GRACE = timedelta(seconds=5)
"""For the way between the doctor's press and the database."""
ANSWER_WITHIN = timedelta(seconds=60)
SAME_PRESS = timedelta(seconds=30)
"""Emergency pressed twice within it is one press."""
QUESTIONS_MAX = 2
"""Asked once, and once more."""

FINAL_PHASES = frozenset({"stopped", "declined", "failed"})
CAPTURED_PHASES = frozenset({"running", "paused"})

RoomPhase = Literal["waiting", "open", "ended"]
RecordingPhase = Literal["asking", "starting", "running", "paused", "stopped", "declined", "failed"]


class Door(StrEnum):
    """What the door of a visit shows."""

    EARLY = "early"
    OPEN = "open"
    LATE = "late"
    CLOSING = "closing"
    OVER = "over"
    CANCELLED = "cancelled"


def door(*, starts_at: datetime, status: str, ended_at: datetime | None, now: datetime) -> Door:
    """The clock never shuts a patient out: only staff end or cancel a visit."""
    if status in ("cancelled", "entered-in-error"):
        return Door.CANCELLED
    if status == "finished":
        recent = ended_at is not None and now < ended_at + CLOSING_PAGE_LASTS
        return Door.CLOSING if recent else Door.OVER
    if status == "planned" and now < opens_at(starts_at):
        return Door.EARLY
    return Door.LATE if is_late(starts_at, now) else Door.OPEN


def opens_at(starts_at: datetime) -> datetime:
    return starts_at - OPENS_BEFORE


def late_at(starts_at: datetime) -> datetime:
    """Whoever comes after this is late: the one rule, for door, board, waiting room and arrivals."""
    return starts_at + timedelta(minutes=15)


def is_late(starts_at: datetime, now: datetime) -> bool:
    return now > late_at(starts_at)


def room_phase(status: str) -> RoomPhase:
    if status == "in-progress":
        return "open"
    return "waiting" if status in ("planned", "arrived") else "ended"


def appointment_status_after(outcome: Outcome) -> str:
    """FHIR status of the appointment once its visit ended; a wrong person puts it back instead."""
    return "noshow" if outcome is Outcome.NOT_REACHED else "fulfilled"


STRANGER = "wrong_person"
"""The reason of a hold on what was recorded of somebody who turned out not to be the patient. Lifting it lets the
recording be deleted; it makes it nobody's record."""


@dataclass(frozen=True, slots=True)
class Card:
    """What was said at the door; a part that was left out is None."""

    identity: str
    place: str | None = None
    phone: str | None = None
    others: str | None = None
    agreed_text_id: str | None = None


def card_that_counts(said: Sequence[Card]) -> Card | None:
    """Who they are and what they agreed to as the first says; where they are, and how to reach them, as last given.

    `said`: the newest first, and before all others those of the browser that holds the place. A second device whose
    card was left empty forgets nothing that an ambulance would need.
    """
    if not said:
        return None

    def given(part: str) -> str | None:
        return next((found for one in said if (found := getattr(one, part))), None)

    return replace(said[0], place=given("place"), phone=given("phone"), others=given("others"))


def may_reopen(*, outcome: str | None, ended_at: datetime | None, now: datetime) -> bool:
    """Whatever the doctor's tap said. A visit that was cancelled has no outcome and stays over."""
    return outcome is not None and ended_at is not None and now <= undo_until(ended_at)


def is_over_for_good(status: str, outcome: str | None, ended_at: datetime | None, now: datetime) -> bool:
    """Ended, and nothing is left to undo in the room: until then whoever reloads their page stays where they were."""
    return room_phase(status) == "ended" and not may_reopen(outcome=outcome, ended_at=ended_at, now=now)


def undo_until(ended_at: datetime) -> datetime:
    return ended_at + UNDO_LASTS + UNDO_GRACE


# ── Recording ────────────────────────────────────────────────────────────────────────────────────────────────────


class Ask(StrEnum):
    """What a wish to record leads to."""

    NEW = "new"
    ONCE_MORE = "once_more"
    SAME = "same"
    REFUSE = "refuse"


def ask(phase: str | None, question: int, answer_by: datetime | None, now: datetime) -> Ask:
    """`phase` of the visit's newest recording, None when there was none."""
    if phase is None or phase in ("stopped", "failed"):
        return Ask.NEW
    if phase == "asking" and answer_by is not None and now < answer_by:
        return Ask.SAME
    if phase in ("asking", "declined") and question < QUESTIONS_MAX:
        return Ask.ONCE_MORE
    return Ask.REFUSE


def follows(current: str, new: str) -> bool:
    """Whether a recording in phase `current` goes on to `new`; an ended one never moves again."""
    return current != new and current not in FINAL_PHASES


@dataclass(frozen=True, slots=True)
class Answered:
    question: int
    answer: str


def answer_word(*, yes: bool, unanswered: bool, before: Answered | None) -> str:
    """How an answer is written down: a No after a Yes takes it back."""
    if yes:
        return "yes"
    if before is not None and before.answer == "yes":
        return "withdrawn"
    return "unanswered" if unanswered else "no"


def is_repeated(before: Answered | None, *, question: int, yes: bool) -> bool:
    """The same answer to the same question again: nothing to write."""
    if before is None or before.question != question or before.answer == "lapsed":
        return False
    return (before.answer == "yes") == yes


def may_answer(before: Answered | None, *, question: int, asked: int, yes: bool) -> bool:
    """A No always counts. A Yes counts once a question, and only for the question that stands."""
    if not yes:
        return True
    if question != asked:
        return False
    return before is None or before.question != question or before.answer == "lapsed"


def standing(newest: Mapping[str, Answered], question: int) -> dict[str, bool]:
    """Everybody's answer as it counts now: a lapsed one, or one to an earlier question, is none."""
    return {
        person: answered.answer == "yes"
        for person, answered in newest.items()
        if answered.answer != "lapsed" and answered.question == question
    }


def all_said_yes(newest: Mapping[str, Answered], question: int, people: Sequence[str]) -> bool:
    answers = standing(newest, question)
    return bool(people) and all(answers.get(person, False) for person in people)


KEPT_FOR_THE_CHECK = timedelta(days=30)
"""How long the log of a film that failed its own check stays, for somebody to look at."""


def why_wish_is_asked(*, is_signed: bool, is_held: bool, is_record: bool) -> str | None:
    """What stands against deleting at a person's word alone: then a named person answers."""
    if is_held:
        return "held"
    if is_signed:
        return "note_signed"
    return "record" if is_record else None


def is_log_done(
    *, passed: bool, is_whole: bool, is_newest: bool, made_at: datetime | None, is_signed: bool, now: datetime
) -> bool:
    """Whether the packet log is no longer needed beside its film.

    `is_whole`: every segment's log has come; one that hasn't is waited for as long as somebody may look at a film that
    did not pass. `is_newest`: the film is made of all that came; before that nothing goes.
    """
    if made_at is None or not is_newest:
        return False
    return is_signed if passed and is_whole else now >= made_at + KEPT_FOR_THE_CHECK


def seconds_left(since: datetime | None, progress: float, now: datetime) -> int | None:
    """How long work goes on that began `since` and is so far; None while that can't be told."""
    if since is None or not 0.02 <= progress <= 1:
        return None
    return max(0, round((now - since).total_seconds() * (1 - progress) / progress))


DAYS_OF_A_YEAR = 365
TEACHING_DAYS_MAX = 184
"""Six months, the longest there are. What is part of the record is kept as the record is."""


def days_in_words(days: int) -> tuple[int, Literal["days", "months", "years"]]:
    """A number and its unit, for the sentence that says how long a recording is kept."""
    if days % DAYS_OF_A_YEAR == 0:
        return days // DAYS_OF_A_YEAR, "years"
    if days >= 60 and days % 30 == 0:
        return days // 30, "months"
    return days, "days"


def time_left(opens: datetime, now: datetime) -> dict[str, int]:
    """Days, hours and minutes until `opens`, minutes rounded up: what a countdown says."""
    minutes = max(0, -int((now - opens).total_seconds() // 60))
    return {"days": minutes // 1440, "hours": minutes // 60 % 24, "minutes": minutes % 60}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a film, in seconds from its beginning."""

    start_s: float
    end_s: float


STRETCHES_MAX = 50
_CLOCK = r"(\d{1,3}(?::[0-5]?\d){1,2})"
_STRETCH = re.compile(rf"\s*{_CLOCK}\s*[-\u2013\u2014]\s*{_CLOCK}\s*")


def parse_stretches(text: str, length_s: float) -> tuple[Stretch, ...]:
    """Those that somebody wrote, such as `2:10-5:00, 1:07:30-1:08:00`. Raises ValueError for anything else.

    Each begins within the film; one that ends behind it ends with it.
    """
    parts = [one for one in re.split(r"[,;\n]", text) if one.strip()]
    if not 1 <= len(parts) <= STRETCHES_MAX:
        raise ValueError("stretches")
    found = []
    for part in parts:
        matched = _STRETCH.fullmatch(part)
        if matched is None:
            raise ValueError("stretches")
        start_s, end_s = (_seconds(clock) for clock in matched.groups())
        if not start_s < min(end_s, length_s):
            raise ValueError("stretches")
        found.append(Stretch(float(start_s), float(min(end_s, length_s))))
    return tuple(sorted(found, key=lambda one: one.start_s))


def _seconds(clock: str) -> int:
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return total
