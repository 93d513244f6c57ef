"""Nothing that names or quotes a person comes out: every log line of a whole story, with marked values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from socketio.exceptions import SocketIOError

from signaling.logs import Happening
from signaling.words import Redacted
from tests.signaling.house import House
from tests.signaling.play import Play
from tests.signaling.test_record import admit_guest, agree, recorded

MARKS = ("Marker", "Adeyemi", "1970-01-02", "Hill Road", "7946", "my sister", "secret-text", "session-", "staff-")


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


async def test_a_whole_story_logs_ids_and_codes_only(
    house: House, lines: list[dict[str, Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    doctor, patient = await recorded(house)
    await patient.ok("chat", text="secret-text")
    guest = await admit_guest(house, doctor, patient)
    await guest.sees(lambda s: s["recording"]["phase"] == "paused")
    await agree(guest)
    await doctor.send("secret-text", text="secret-text")
    await doctor.send("chat", text={"secret-text": 1})
    await doctor.send("admit", participant_id="secret-text")
    house.clinic.store_chat = _failing  # type: ignore[method-assign,assignment]
    assert await patient.no("chat", text="secret-text") == "internal"
    await doctor.ok("emergency")
    await doctor.ok("carry_on_by_phone")
    await doctor.ok("remove", participant_id="guest")
    stranger = house.new_page("session-secret")
    with contextlib.suppress(SocketIOError):
        await stranger.open("/visit", {"v": 1, "participation": "secret-text", "tab": "tab-0001"})
    await doctor.ok("end_visit", outcome="seen")
    written = capfd.readouterr()
    everything = str(lines) + written.out + written.err
    assert not [mark for mark in MARKS if mark in everything]
    assert {line["event"] for line in lines} <= set(Happening)
    assert {"visit_connected", "visit_event_refused", "visit_event_failed"} <= {line["event"] for line in lines}


async def _failing(*_: object) -> None:
    raise RuntimeError("secret-text of Anna Marker")


def test_a_rooms_state_prints_without_names() -> None:
    play = Play()
    play.meet()
    printed = repr(play.state)
    assert "Marker" not in printed
    assert "Adeyemi" not in printed
    assert f"{Redacted('Anna Marker')} {Redacted('Anna'):>5}" == "[redacted] [redacted]"
