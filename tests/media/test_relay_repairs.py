"""What is lost between foreign clients and a node is repaired, and no nonce is ever used twice for it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from media.api import NodeEventKind
from tests.media.peers import ColourTrack, Peer, RunningNode, tone
from tests.media.spy import Spy, spy_on, until


async def test_what_is_lost_downwards_is_repaired_and_no_nonce_is_ever_used_twice(
    running: RunningNode, peers: dict[str, Peer]
) -> None:
    a, b = peers["a"], peers["b"]
    await a.publish(ColourTrack(60, (640, 480)), tone())
    await b.subscribe()
    spy = await spy_on(b.down, loss=0.15)
    await until(running, lambda stats: stats.rtx_out >= 5 and stats.nack_in >= 5 and len(spy.rtp) > 200)
    found = spy.ciphertexts()
    assert max(len(ciphertexts) for ciphertexts in found.values()) == 1
    ssrcs = {ssrc for ssrc, _ in found}
    assert len(ssrcs) == 3
    numbers = [int.from_bytes(number, "big") for _, number in found]
    assert max(numbers) < 1 << 15
    async with asyncio.timeout(10):
        await b.picture()


async def test_a_receiver_without_repairs_gets_the_same_ciphertext_again(
    running: RunningNode, peers: dict[str, Peer]
) -> None:
    a, b = peers["a"], peers["b"]
    await a.publish(ColourTrack(60, (640, 480)))
    b.leave_out = ("rtx/90000", "apt=")
    await b.subscribe()
    spy = await spy_on(b.down, loss=0.15)
    await until(running, lambda stats: stats.rtx_out >= 5 and len(spy.rtp) > len(spy.ciphertexts()))
    assert max(len(ciphertexts) for ciphertexts in spy.ciphertexts().values()) == 1


async def test_what_is_lost_upwards_is_asked_for_again_before_anybody_notices(
    running: RunningNode, peers: dict[str, Peer]
) -> None:
    a, b = peers["a"], peers["b"]
    await a.publish(ColourTrack(60, (640, 480)))
    await b.subscribe()
    await running.event(lambda event: event.kind is NodeEventKind.CONNECTED and event.participant_id == "a")
    up = running.node.rooms["r"].participants["a"].up
    assert up is not None
    up.connection._inbound = cast(Any, Spy(up.connection._inbound, loss=0.1))
    stats = await until(running, lambda stats: stats.rtx_in >= 5)
    assert stats.nack_out >= 5
    async with asyncio.timeout(10):
        await b.picture()
