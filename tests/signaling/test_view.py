"""What a page is told about its own person: pure."""

from __future__ import annotations

import pytest

from signaling.rooms import born
from signaling.words import Role
from tests.signaling.play import DOCTOR, GUEST, PATIENT, START, Play, participant, room_facts


@pytest.mark.parametrize(
    ("facts", "may"),
    [
        ({"role": Role.PROXY}, False),
        ({"role": Role.PROXY, "identity": "helping"}, False),
        ({"role": Role.PROXY, "may_consent_for_patient": True}, True),
        ({"role": Role.PATIENT}, False),
        ({"role": Role.PATIENT, "identity": "helping"}, True),
        ({"role": Role.INTERPRETER}, False),
    ],
)
def test_only_who_may_agree_for_the_patient_is_asked_for_whom(facts: dict[str, object], *, may: bool) -> None:
    play = Play()
    people = [participant(DOCTOR), participant(PATIENT), participant(GUEST, **facts)]
    play.state = born(room_facts(participants=people), START)
    play.connect(GUEST)
    assert play.sees(GUEST).you.may_speak_for_patient is may
