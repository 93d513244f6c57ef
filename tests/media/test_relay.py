"""Two foreign clients and a node: what one publishes the other decodes, and only once both are admitted."""

from __future__ import annotations

import asyncio

from media.api import Source
from tests.media.peers import ColourTrack, Peer, RunningNode, tone


async def admitted_pair(running: RunningNode) -> tuple[Peer, Peer]:
    await running.client.create_room("r")
    for one in ("a", "b"):
        await running.client.admit("r", one, admitted=True)
    return Peer(running, "r", "a"), Peer(running, "r", "b")


async def test_what_one_publishes_the_other_decodes(running: RunningNode) -> None:
    a, b = await admitted_pair(running)
    await a.publish(ColourTrack(200), tone())
    await b.subscribe()
    async with asyncio.timeout(15):
        frame = await b.picture()
        sound = await b.sound()
    assert frame.width == 320
    assert abs(int(frame.to_ndarray(format="rgb24").mean()) - 200) < 12
    assert sound.sample_rate == 48000
    assert set(b.sections.values()) == {("a", Source.MICROPHONE), ("a", Source.CAMERA)}
    stats = await running.client.stats("r")
    assert stats.rtp_in > 0
    assert stats.rtp_out > 0
    await a.close()
    await b.close()
