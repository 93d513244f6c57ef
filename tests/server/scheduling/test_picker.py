"""What a page sends back of the time that was picked."""

from __future__ import annotations

import pytest

from server.errors import FormError
from server.scheduling.picker import read_doctors


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
