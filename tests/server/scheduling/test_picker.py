"""What a page sends back of the time that was picked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from server.errors import FormError
from server.scheduling.picker import Place, by_day, read_doctors
from server.scheduling.slots import Slot


def test_doctors_are_read_once_each_with_their_start() -> None:
    doctors, starts_at = read_doctors("a,b,a|2026-03-16T10:30:00+01:00")
    assert (doctors, starts_at.isoformat()) == (("a", "b"), "2026-03-16T10:30:00+01:00")


@pytest.mark.parametrize(
    "text",
    ["", "|", "a", "a|", "|2026-03-16T10:30:00+01:00", "a|2026-03-16T10:30:00", "a|tomorrow",
     "a|0001-01-01T00:00:00+14:00", "a|9999-12-31T23:55:00-12:00"],
)  # fmt: skip
def test_what_names_no_moment_that_every_clock_can_say_is_not_picked(text: str) -> None:
    with pytest.raises(FormError):
        read_doctors(text)


def place(start: str, doctor: str = "ida") -> Place:
    at = datetime.fromisoformat(start).replace(tzinfo=UTC)
    return Place((doctor,), doctor.title(), at, Slot(at, at + timedelta(minutes=30)))


def test_an_hour_that_comes_twice_says_which_one_it_is() -> None:
    night = [place("2026-10-25T00:30"), place("2026-10-25T01:30"), place("2026-10-26T00:30")]
    days = by_day(night, "Europe/Berlin", "en")
    assert [[clock for _, clock, _ in times] for _, times in days] == [["02:30 CEST", "02:30 CET"], ["01:30"]]
    assert [words for words, _ in days] == ["Sunday 25 October 2026", "Monday 26 October 2026"]


def test_times_stand_under_the_days_of_whoever_looks_and_two_doctors_at_once_are_no_doubt() -> None:
    late = [place("2026-03-16T22:30"), place("2026-03-16T22:30", "omar"), place("2026-03-16T23:30")]
    days = by_day(late, "Europe/Berlin", "en")
    assert [(words, [(clock, names) for _, clock, names in times]) for words, times in days] == [
        ("Monday 16 March 2026", [("23:30", "Ida"), ("23:30", "Omar")]),
        ("Tuesday 17 March 2026", [("00:30", "Ida")]),
    ]
