"""Real Chromium through a real node process on loopback: pictures decoded, prepared connections, restart."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from media.api import DownRequest, NodeEvent, NodeEventKind, Source
from media.client import NodeClient
from tests.media.browser_person import FLAGS, SCRIPT, Person, frames_rise, through
from tests.media.peers import running_node, settings_for
from tests.support.udplink import UdpLink, Weather

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SECRET = "a-secret-for-tests-only"


class NodeProcess:
    """`python -m media` on loopback."""

    def __init__(self, process: asyncio.subprocess.Process, listening: dict[str, Any]) -> None:
        self.process = process
        self.listening = listening
        self.client = NodeClient(listening["control"], SECRET)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeProcess]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BEDSIDE_")} | {
        "BEDSIDE_ENV": "development",
        "BEDSIDE_VAR": str(tmp_path_factory.mktemp("node")),
        "BEDSIDE_NODE_SECRET": SECRET,
        "BEDSIDE_MEDIA_PORT": "0",
        "BEDSIDE_MEDIA_CONTROL_PORT": "0",
        "BEDSIDE_MEDIA_ADDRESSES": "127.0.0.1",
        "BEDSIDE_MEDIA_MIN_FREE_BYTES": "0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media", env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 20)
    running = NodeProcess(process, json.loads(line))
    try:
        yield running
    finally:
        await running.client.close()
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), 12)
        assert process.returncode == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages(chromium: Browser) -> AsyncIterator[list[Page]]:
    """Three people's pages, kept for the module: a test loads them anew, which ends what the last one left."""
    found = []
    for _ in range(3):
        context = await chromium.new_context()
        await context.route("http://localhost/**", lambda route: route.fulfill(body="<body>", content_type="text/html"))
        found.append(await context.new_page())
    yield found
    for page in found:
        await page.context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def people(node: NodeProcess, pages: list[Page]) -> AsyncIterator[list[Person]]:
    room_id = secrets.token_hex(4)
    await node.client.create_room(room_id)
    found = []
    for name, page in zip(("anna", "doctor", "guest"), pages, strict=True):
        await page.goto("http://localhost/")
        await page.add_script_tag(path=SCRIPT)
        found.append(Person(node, page, name, room_id))
    yield found
    for person in found:
        await person.stop()
        await person.page.goto("about:blank")
    await node.client.close_room(room_id)


async def test_prepared_connections_carry_nothing_until_media_begins_without_another_offer(
    node: NodeProcess, people: list[Person]
) -> None:
    anna, doctor, _ = people
    for person in (anna, doctor):
        await person.prepare()
    async with asyncio.timeout(15):
        while sum(event.kind is NodeEventKind.CONNECTED for event in anna.events) < 4:
            await asyncio.sleep(0.05)
    checks = (await node.client.stats(anna.room_id)).stun_in
    async with asyncio.timeout(15):  # a while, by the browsers' own clocks
        while (stats := await node.client.stats(anna.room_id)).stun_in < checks + 4:
            await asyncio.sleep(0.05)
    assert (stats.rtp_in, stats.rtp_out) == (0, 0)
    assert stats.dtls_in > 0
    assert stats.stun_in > 0
    offers = [event for event in doctor.events if event.kind is NodeEventKind.DOWN_OFFER]
    for person in (anna, doctor):
        await person.call("begin")
    await doctor.sees(anna)
    await anna.sees(doctor)
    assert [event for event in doctor.events if event.kind is NodeEventKind.DOWN_OFFER] == offers
    figures = await anna.call("inbound", "down")
    assert figures["audio"]["packetsReceived"] > 10
    assert figures["pair"]["state"] == "succeeded"


async def connected_pair(people: list[Person], layers: int = 1) -> tuple[Person, Person]:
    anna, doctor = people[:2]
    for person in (anna, doctor):
        await person.prepare(layers)
    for person in (anna, doctor):
        await person.call("begin")
    await doctor.sees(anna)
    await anna.sees(doctor)
    return anna, doctor


async def test_a_receiver_goes_to_the_low_layer_and_back_as_the_sender_switches(people: list[Person]) -> None:
    anna, doctor = await connected_pair(people, layers=2)
    assert (await doctor.sees(anna, min_width=640))["width"] == 640
    await anna.call("setActive", [True, False])
    async with asyncio.timeout(10):
        while (await doctor.sees(anna))["width"] != 160:
            await asyncio.sleep(0.1)
    await frames_rise(doctor, anna)
    await anna.call("setActive", [True, True])
    await doctor.sees(anna, min_width=640)
    await frames_rise(doctor, anna)
    figures = (await doctor.call("inbound", "down"))["video"]
    # Had the numbers jumped at a switch, the receiver would count losses and beg for key frames.
    assert figures["packetsLost"] <= 2
    assert figures["pliCount"] <= 2


async def test_three_people_see_each_other_and_one_who_is_removed_is_gone(
    node: NodeProcess, people: list[Person]
) -> None:
    anna, doctor = await connected_pair(people)
    guest = people[2]
    await guest.prepare()
    await guest.call("begin")
    for watcher, other in ((anna, guest), (doctor, guest), (guest, anna), (guest, doctor), (anna, doctor)):
        await watcher.sees(other)
    await node.client.remove(guest.room_id, "guest", "left")
    async with asyncio.timeout(5):
        while ("guest", Source.CAMERA) in doctor.mids:
            await asyncio.sleep(0.1)
    await frames_rise(doctor, anna)
    assert len({*doctor.mids.values()}) == 2


async def test_both_legs_survive_an_ice_restart(node: NodeProcess, people: list[Person]) -> None:
    anna, doctor = await connected_pair(people)
    await anna.offer(restart=True)
    request = DownRequest(connection_id=doctor.down_id, restart=True)
    await doctor.take(await node.client.down(doctor.room_id, "doctor", request))
    await frames_rise(doctor, anna, by=60)
    state = await node.client.state()
    assert state.rooms[anna.room_id].participants["anna"].up == anna.up_id
    assert state.rooms[anna.room_id].participants["doctor"].down == doctor.down_id


async def test_a_page_that_closes_its_connections_is_away_at_once_and_back_with_new_ones(
    node: NodeProcess, people: list[Person]
) -> None:
    anna, doctor = await connected_pair(people)
    await anna.page.evaluate("() => { participant.up.close(); participant.down.close(); participant.down = null; }")

    async def heard(kind: NodeEventKind) -> NodeEvent:
        async with asyncio.timeout(6):
            while True:
                for event in doctor.events:
                    if event.kind is kind and event.participant_id == "anna":
                        return event
                await asyncio.sleep(0.05)

    assert (await heard(NodeEventKind.AWAY)).reason == "closed_by_peer"
    await anna.stop()
    anna.up_id, anna.down_id, anna.revision = "again-up", "again-down", 0
    await anna.prepare()
    await anna.call("begin")
    await heard(NodeEventKind.BACK)
    await doctor.sees(anna)
    await anna.sees(doctor)


async def test_chromium_estimates_its_bandwidth_from_our_arrival_reports(people: list[Person]) -> None:
    anna, _ = await connected_pair(people)
    async with asyncio.timeout(40):
        while (await anna.call("inbound", "up")).get("pair", {}).get("availableOutgoingBitrate", 0) < 900_000:
            await asyncio.sleep(0.5)
    async with asyncio.timeout(10):
        while "roundTripTime" not in (figures := (await anna.call("inbound", "up")).get("remote-video", {})):
            await asyncio.sleep(0.2)
    assert figures["packetsLost"] <= 5
    assert figures["roundTripTime"] < 0.5


async def test_a_receiver_whose_nat_gives_it_another_address_has_media_soon_after_its_next_check(
    node: NodeProcess, people: list[Person]
) -> None:
    since: dict[str, float] = {}

    def note(packet: bytes, is_check_way: bool) -> bool:
        if is_check_way and packet[0] == 0:
            since.setdefault("check", time.monotonic())
        elif "check" in since and not is_check_way and 127 < packet[0] < 192:
            since.setdefault("media", time.monotonic())
        return False

    weather = Weather()
    with UdpLink(("127.0.0.1", node.listening["port"]), weather) as link:
        people[1].changes["down"] = through(link)
        anna, doctor = await connected_pair(people)
        link.rebind()
        weather.drop = note
        async with asyncio.timeout(10):
            while "media" not in since:
                await asyncio.sleep(0.02)
        assert since["media"] - since["check"] <= 1
        await frames_rise(doctor, anna)
        await doctor.stop()
        await doctor.page.goto("about:blank")


async def test_a_network_that_lets_no_udp_through_carries_the_visit_over_tcp_by_itself(
    node: NodeProcess, people: list[Person]
) -> None:
    with UdpLink(("127.0.0.1", node.listening["port"]), Weather(loss=1)) as shut:
        people[0].changes = dict.fromkeys(("up", "down"), through(shut, with_tcp=True))
        anna, doctor = await connected_pair(people)
        await frames_rise(doctor, anna)
        await frames_rise(anna, doctor)
        for leg in ("up", "down"):
            assert (await anna.call("inbound", leg))["candidate"]["protocol"] == "tcp"
        assert shut.losses
        await anna.stop()
        await anna.page.goto("about:blank")


async def test_chromium_follows_a_cap_down_and_its_release_up_again(
    people: list[Person], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The cap is set by hand, as a receiver on a poor network would; the node runs in this process for that."""
    usable: list[int | None] = [None]
    monkeypatch.setattr("media.track.Track.usable_bps", lambda _: usable[0])
    async with running_node(settings_for(tmp_path)) as running:
        await running.client.create_room(people[0].room_id)
        for person in people[:2]:
            person.node = running
        anna, _ = await connected_pair(people)

        async def outgoing(test: Callable[[float], bool], within_s: float) -> None:
            async with asyncio.timeout(within_s):
                while not test((await anna.call("inbound", "up")).get("pair", {}).get("availableOutgoingBitrate", 0.0)):
                    await asyncio.sleep(0.2)

        await outgoing(lambda bps: bps > 500_000, 40)
        usable[0] = 200_000
        await outgoing(lambda bps: 0 < bps < 320_000, 20)
        usable[0] = None
        await outgoing(lambda bps: bps > 500_000, 40)
        for person in people[:2]:
            await person.stop()
