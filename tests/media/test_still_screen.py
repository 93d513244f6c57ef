"""A shared screen on which nothing moves, and somebody who comes late: the picture is asked for until it is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from media import rtcp
from media.api import Source
from tests.media.light import House, Light
from tests.media.peers import RunningNode


class Still(Light):
    """Sends a picture of the screen only when asked, and hears not each request: `deaf_to` the next few."""

    deaf_to = 0
    asked = 0

    def send(self) -> None:
        if self.up.is_up.is_set():
            self.send_one(Source.MICROPHONE)

    def _take_up(self, data: bytes, arrived_ns: int) -> None:
        super()._take_up(data, arrived_ns)
        if not rtcp.is_rtcp(data) or self.up.inbound is None:
            return
        plain = self.up.inbound.unprotect_rtcp(data)
        for kind, count, from_, to in rtcp.parts(plain):
            is_request = kind == rtcp.PSFB and count == rtcp.PLI
            if is_request and rtcp.media_ssrc(plain, from_, to) == self.ssrcs[Source.SCREEN]:
                self.asked += 1
                if self.asked > self.deaf_to:
                    self.send_one(Source.SCREEN)


@pytest.fixture
async def house(running: RunningNode) -> AsyncIterator[House]:
    await running.client.create_room("r")
    made = House(running, "r")
    yield made
    await made.close()


async def test_c36_who_comes_late_sees_a_still_screen_within_two_seconds_although_a_request_is_lost(
    running: RunningNode, house: House
) -> None:
    for name in ("shares", "late"):
        await running.client.admit("r", name, admitted=True)
    shares = house.people["shares"] = Still(running, "r", "shares", house.certificate)
    shares.shares = True
    await shares.come()
    shares.send_one(Source.SCREEN)  # the picture at the beginning, which nobody was there to see
    up = running.node.rooms["r"].participants["shares"].up
    assert up is not None
    async with asyncio.timeout(10):
        while not up.tracks[Source.SCREEN].layers[""].last_ns:
            await asyncio.sleep(0.01)
    shares.asked, shares.deaf_to = 0, 1
    late = house.person("late")
    await late.come()
    began = time.monotonic()
    async with asyncio.timeout(10):
        while not late.heard[("shares", Source.SCREEN)]:
            await asyncio.sleep(0.01)
    assert time.monotonic() - began <= 2
    assert shares.asked == 2
    seen = late.heard[("shares", Source.SCREEN)]
    async with asyncio.timeout(10):  # more than a request's time
        while late.heard[("shares", Source.MICROPHONE)] < 75:
            await asyncio.sleep(0.05)
    assert (shares.asked, late.heard[("shares", Source.SCREEN)]) == (2, seen)
