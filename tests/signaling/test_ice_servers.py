"""STUN and TURN for the browsers: whoever is inside gets them, fresh with each repeat, and no log ever does."""

from __future__ import annotations

from itertools import count

import pytest
import structlog

from signaling.words import ParticipantId
from tests.signaling.conftest import cast
from tests.signaling.house import House
from tests.signaling.test_visit import met
from tests.support.certificates import Certificate

STUN = {"urls": "stun:192.0.2.1:3478"}
MADE = count(1)


def turn(participant_id: ParticipantId) -> list[dict[str, str]]:
    return [{"urls": "turn:192.0.2.9:3478", "username": participant_id, "credential": f"credential-{next(MADE)}"}]


async def test_credentials_are_the_persons_own_and_fresh_with_every_repeat(
    certificate: Certificate, capfd: pytest.CaptureFixture[str]
) -> None:
    house = House(certificate)
    cast(house)
    with structlog.testing.capture_logs() as lines:
        await house.serve(ice_servers=turn)
        try:
            doctor, patient = await met(house)
            first = (await patient.sees(lambda s: s["relay_up"]))["ice_servers"]
            assert first[0] == STUN
            assert first[1]["username"] == "patient"
            assert doctor.snapshot["ice_servers"][1]["username"] == "doctor"
            await patient.ok("sync")
            await patient.until(lambda: patient.snapshot["ice_servers"][1]["credential"] != first[1]["credential"])
            guest = await house.page("guest")
            assert (await guest.sees(lambda s: s["you"]["state"] == "waiting"))["ice_servers"] == []
        finally:
            await house.close()
    written = capfd.readouterr()
    assert "credential" not in str(lines) + written.out + written.err
