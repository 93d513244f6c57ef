"""A visit's decisions, taken apart: the door by the clock, the undo, the questions about recording."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from server.encounters import rules
from server.encounters.rules import Answered, Ask, Card, Door

START = datetime(2022, 7, 14, 14, 0, tzinfo=UTC)
"""09:00 in Chicago; nothing here asks for any zone, so no device's zone or clock can change an answer."""


@pytest.mark.parametrize(
    ("clock", "shown"),
    [
        ("13:29:59", Door.EARLY),
        ("13:30:00", Door.OPEN),
        ("14:10:00", Door.OPEN),
        ("14:15:00", Door.OPEN),
        ("14:15:01", Door.LATE),
        ("23:59:59", Door.LATE),
    ],
)
def test_the_door_opens_half_an_hour_before_and_late_is_no_refusal(clock: str, shown: Door) -> None:
    now = datetime.fromisoformat(f"2022-07-14T{clock}+00:00")
    assert rules.door(starts_at=START, status="planned", ended_at=None, now=now) is shown


@pytest.mark.parametrize("status", ["arrived", "in-progress"])
def test_a_visit_that_has_begun_is_never_early(status: str) -> None:
    early = START - timedelta(hours=1)
    assert rules.door(starts_at=START, status=status, ended_at=None, now=early) is Door.OPEN


@pytest.mark.parametrize(
    ("status", "after", "shown"),
    [
        ("finished", timedelta(minutes=1), Door.CLOSING),
        ("finished", timedelta(hours=2), Door.OVER),
        ("cancelled", timedelta(minutes=1), Door.CANCELLED),
        ("entered-in-error", timedelta(minutes=1), Door.CANCELLED),
    ],
)
def test_staff_close_the_door(status: str, after: timedelta, shown: Door) -> None:
    assert rules.door(starts_at=START, status=status, ended_at=START, now=START + after) is shown


def test_a_visit_ended_without_a_time_is_over() -> None:
    assert rules.door(starts_at=START, status="finished", ended_at=None, now=START) is Door.OVER


@pytest.mark.parametrize(
    ("phase", "question", "is_answerable", "step"),
    [
        (None, 0, False, Ask.NEW),
        ("asking", 1, True, Ask.SAME),
        ("asking", 1, False, Ask.ONCE_MORE),
        ("declined", 1, False, Ask.ONCE_MORE),
        ("declined", 2, False, Ask.REFUSE),
        ("asking", 2, False, Ask.REFUSE),
        ("starting", 1, False, Ask.REFUSE),
        ("running", 1, False, Ask.REFUSE),
        ("paused", 1, False, Ask.REFUSE),
        ("stopped", 1, False, Ask.NEW),
        ("failed", 2, False, Ask.NEW),
    ],
)
def test_everybody_is_asked_once_and_once_more(
    phase: str | None, question: int, is_answerable: bool, step: Ask
) -> None:
    answer_by = START + timedelta(seconds=1 if is_answerable else -1)
    assert rules.ask(phase, question, answer_by, START) is step


@pytest.mark.parametrize("end", sorted(rules.FINAL_PHASES))
@pytest.mark.parametrize("new", ["asking", "starting", "running", "paused", "stopped", "declined", "failed"])
def test_nothing_follows_an_end(end: str, new: str) -> None:
    assert not rules.follows(end, new)


def test_a_no_after_a_yes_takes_it_back() -> None:
    yes = Answered(1, "yes")
    assert rules.answer_word(yes=False, unanswered=False, before=yes) == "withdrawn"
    assert rules.answer_word(yes=False, unanswered=True, before=None) == "unanswered"
    assert rules.answer_word(yes=False, unanswered=False, before=None) == "no"


@pytest.mark.parametrize("word", ["no", "unanswered", "withdrawn"])
def test_a_yes_never_follows_a_no_to_the_same_question(word: str) -> None:
    assert not rules.may_answer(Answered(1, word), question=1, asked=1, yes=True)
    assert rules.may_answer(Answered(1, word), question=2, asked=2, yes=True)
    assert not rules.may_answer(None, question=1, asked=2, yes=True)
    assert rules.may_answer(Answered(1, "lapsed"), question=1, asked=1, yes=True)


def test_nobody_asked_is_nobody_who_agreed() -> None:
    assert not rules.all_said_yes({}, 1, [])
    assert not rules.all_said_yes({"a": Answered(1, "yes")}, 1, ["a", "b"])
    assert not rules.all_said_yes({"a": Answered(1, "lapsed")}, 1, ["a"])
    assert rules.all_said_yes({"a": Answered(2, "yes")}, 2, ["a"])


@pytest.mark.parametrize(
    ("days", "words"), [(1, (1, "days")), (45, (45, "days")), (180, (6, "months")), (3650, (10, "years"))]
)
def test_how_long_it_is_kept_in_words(days: int, words: tuple[int, str]) -> None:
    assert rules.days_in_words(days) == words


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=1, hours=2, minutes=5), {"days": 1, "hours": 2, "minutes": 5}),
        (timedelta(seconds=61), {"days": 0, "hours": 0, "minutes": 2}),
        (timedelta(seconds=1), {"days": 0, "hours": 0, "minutes": 1}),
        (timedelta(seconds=-9), {"days": 0, "hours": 0, "minutes": 0}),
    ],
)
def test_the_countdown_rounds_up(left: timedelta, said: dict[str, int]) -> None:
    assert rules.time_left(START + left, START) == said


LEEDS = Card("self", "12 Mill Lane, Leeds", "+44 113 496 0000", "my daughter", "text-1")


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ([], None),
        ([LEEDS], LEEDS),
        ([Card("not_given"), LEEDS], Card("not_given", LEEDS.place, LEEDS.phone, LEEDS.others, None)),
        (
            [Card("helping", None, "+44 1", None, "text-2"), LEEDS],
            Card("helping", LEEDS.place, "+44 1", LEEDS.others, "text-2"),
        ),
        ([Card("self", "York"), LEEDS], Card("self", "York", LEEDS.phone, LEEDS.others, None)),
    ],
)
def test_an_emptier_card_forgets_no_place_and_no_phone_but_agrees_to_nothing(
    said: list[Card], counts: Card | None
) -> None:
    assert rules.card_that_counts(said) == counts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2:10-5:00", [(130, 300)]),
        (" 7:30 – 8:00,\n0:00-0:05 ", [(0, 5), (450, 480)]),
        ("9:00-1:00:00", [(540, 600)]),
        ("0:01:00-0:02:00;", [(60, 120)]),
    ],
)
def test_stretches_are_read_as_somebody_writes_them(text: str, found: list[tuple[float, float]]) -> None:
    assert [(one.start_s, one.end_s) for one in rules.parse_stretches(text, 600.0)] == found


@pytest.mark.parametrize(
    "text",
    ["", " ,;", "2:10", "5:00-2:10", "2:10-2:10", "10:00-11:00", "2:70-3:00", "-1:00-2:00", "a-b", "2:10-5:00 x",
     "0:01-0:02," * 51, "9999:00-9999:01", "٢:١٠-٥:٠٠x", "\x00", "1:2:3:4-2:00"],
)  # fmt: skip
def test_stretches_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="stretches"):
        rules.parse_stretches(text, 600.0)
