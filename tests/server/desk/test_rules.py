"""One word for where a patient stands; what is later in a visit's life wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from server.desk.rules import TONES, WORDS, Facts, Standing, standing

START = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "place", "message", "minutes", "expected"),
    [
        ("booked", None, None, -60, Standing.NO_ADDRESS),
        ("booked", "invited", "waiting", -60, Standing.NOT_SENT),
        ("booked", "invited", "sending", -60, Standing.NOT_SENT),
        ("booked", "invited", "failed", -60, Standing.FAILED),
        ("booked", "invited", "sent", 15, Standing.DELIVERED),
        ("booked", "invited", "sent", 16, Standing.LATE),
        ("arrived", "waiting", "sent", 20, Standing.WAITING),
        ("booked", "waiting", "failed", -5, Standing.WAITING),
        ("arrived", "admitted", "sent", 20, Standing.IN_VISIT),
        ("arrived", "left", "sent", 20, Standing.LEFT),
        ("fulfilled", "left", "sent", 60, Standing.OVER),
        ("noshow", "invited", "sent", 60, Standing.NO_SHOW),
        ("cancelled", "waiting", "sent", 0, Standing.CANCELLED),
        ("entered-in-error", "admitted", "sent", 0, Standing.CANCELLED),
    ],
)
def test_the_word_for_where_they_stand(
    status: str, place: str | None, message: str | None, minutes: int, expected: Standing
) -> None:
    assert standing(Facts(status, START, place, message), START + timedelta(minutes=minutes)) is expected


def test_every_word_has_its_text_and_tone() -> None:
    assert set(WORDS) == set(TONES) == set(Standing)
