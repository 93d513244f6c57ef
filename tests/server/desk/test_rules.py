"""One word for where a patient stands; what is later in a visit's life wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from server.desk.rules import TONES, TROUBLES, WORDS, Facts, Standing, standing
from signaling.people import Trouble

START = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "minutes", "expected"),
    [
        ({"has_address": False}, -60, Standing.NO_ADDRESS),
        ({}, -60, Standing.NOT_SENT),
        ({"place_state": "invited", "message_state": "waiting"}, -60, Standing.NOT_SENT),
        ({"place_state": "invited", "message_state": "sending"}, -60, Standing.NOT_SENT),
        ({"place_state": "invited", "message_state": "failed"}, -60, Standing.FAILED),
        ({"place_state": "invited", "message_state": "sent"}, 15, Standing.DELIVERED),
        ({"place_state": "invited", "message_state": "sent"}, 16, Standing.LATE),
        ({"message_state": "sent", "has_open_link": False}, 16, Standing.LINK_CLOSED),
        ({"place_state": "invited", "message_state": "sent", "went_through_door": True}, 16, Standing.AT_DOOR),
        ({"place_state": "waiting", "message_state": "sent", "went_through_door": True}, 16, Standing.WAITING),
        ({"place_state": "waiting", "message_state": "sent", "has_open_link": False}, 16, Standing.WAITING),
        ({"place_state": "waiting", "message_state": "failed"}, -5, Standing.WAITING),
        ({"appointment_status": "arrived", "place_state": "admitted"}, 20, Standing.IN_VISIT),
        ({"appointment_status": "arrived", "place_state": "left"}, 20, Standing.LEFT),
        ({"appointment_status": "fulfilled", "place_state": "left"}, 60, Standing.OVER),
        ({"appointment_status": "noshow", "place_state": "invited"}, 60, Standing.NO_SHOW),
        ({"appointment_status": "cancelled", "place_state": "waiting"}, 0, Standing.CANCELLED),
        ({"appointment_status": "entered-in-error", "place_state": "admitted"}, 0, Standing.CANCELLED),
    ],
)
def test_the_word_for_where_they_stand(facts: dict[str, object], minutes: int, expected: Standing) -> None:
    told = Facts(**{"appointment_status": "booked", "starts_at": START, **facts})  # type: ignore[arg-type]
    assert standing(told, START + timedelta(minutes=minutes)) is expected


def test_every_word_has_its_text_and_tone() -> None:
    assert set(WORDS) == set(TONES) == set(Standing)
    assert set(TROUBLES) == set(get_args(Trouble))
