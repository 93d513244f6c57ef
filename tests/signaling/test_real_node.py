"""The room against the real media node over HTTP: rooms, admission, capture and its log, without media."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media.api import CapturePhase
from signaling.nodes import NodeFleet
from tests.media.peers import RunningNode, keep_on_loopback, running_node, settings_for
from tests.signaling.conftest import cast
from tests.signaling.house import House, Server
from tests.signaling.test_record import agree, asked, connected, switched
from tests.signaling.test_visit import met
from tests.signaling.until import until
from tests.support.certificates import Certificate


@pytest.fixture
async def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningNode]:
    keep_on_loopback(monkeypatch)
    async with running_node(settings_for(tmp_path)) as running:
        yield running


@pytest.fixture
async def real_house(certificate: Certificate, node: RunningNode) -> AsyncIterator[House]:
    house = House(certificate)
    cast(house)
    fleet = NodeFleet.over_http([node.client.base_url], node.node.secret)
    house.servers.append(await Server(house.clinic, {}, certificate, fleet=fleet).start())
    yield house
    await house.close()


async def test_a_recorded_visit_is_granted_paused_and_stopped_at_the_real_node(
    real_house: House, node: RunningNode
) -> None:
    doctor, patient = await met(real_house)
    snapshot = await patient.sees(lambda s: s["relay_up"])
    assert snapshot["relay_room"] == node.node.events.epoch
    assert snapshot["ice_servers"]
    await connected(doctor, patient)
    await asked(doctor, patient)
    await agree(doctor, patient)
    await switched(doctor, patient)
    await patient.sees(lambda s: s["recording"]["phase"] == "running")
    room = node.node.rooms["room1"]
    assert {one for one, there in room.state().participants.items() if there.admitted} == {"doctor", "patient"}
    assert room.state().capture.phase == CapturePhase.RUNNING
    guest = await real_house.page("guest")
    await patient.sees(lambda s: s["guests"])
    await patient.ok("agree_guest", participant_id="guest", agree=True)
    await doctor.ok("admit", participant_id="guest")
    await guest.sees(lambda s: s["recording"]["phase"] == "paused")
    assert room.state().capture.phase == CapturePhase.PAUSED
    await agree(guest)
    await doctor.sees(lambda s: s["recording"]["phase"] == "running")
    assert room.state().capture.segment == 1
    await patient.ok("stop_recording", recording_id=patient.snapshot["recording"]["recording_id"])
    assert room.state().capture.phase not in (CapturePhase.RUNNING, CapturePhase.PAUSED)
    await doctor.ok("end_visit", outcome="seen")
    await doctor.sees(lambda s: s["phase"] == "ended")


async def test_a_removed_person_is_gone_from_the_real_node(real_house: House, node: RunningNode) -> None:
    doctor, patient = await met(real_house)
    await patient.sees(lambda s: s["relay_up"])
    await doctor.ok("wrong_person", participant_id="patient")
    await patient.is_over.wait()
    rooms = node.node.rooms
    await until(lambda: "room1" not in rooms or "patient" not in rooms["room1"].state().participants)
