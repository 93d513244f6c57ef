"""Between the keys and the wire: sees every protected packet on its way into a session, and loses some on purpose."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pylibsrtp
from aiortc import RTCPeerConnection

from media.api import RoomStats
from media.rooms import Room
from tests.media.peers import RunningNode


class Spy:
    """In a client's place of its SRTP session, or in the node's."""

    def __init__(self, session: Any, loss: float = 0.0) -> None:
        self._session = session
        self._loss = loss
        self._dice = random.Random(7)
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []

    def unprotect(self, packet: bytes) -> bytes:
        self.rtp.append(packet)
        if self._dice.random() < self._loss:
            raise pylibsrtp.Error("lost on purpose")
        return bytes(self._session.unprotect(packet))

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        self.rtcp.append(packet)
        return bytes(self._session.unprotect_rtcp(packet))

    def remove_stream(self, ssrc: int) -> None:
        self._session.remove_stream(ssrc)

    # The node's own way in, where packets are worked on in place.

    def open(self, room: Room, size: int) -> bytes:
        if self._dice.random() < self._loss:
            raise pylibsrtp.Error("lost on purpose")
        return bytes(self._session.open(room, size))

    def open_rtcp(self, room: Room, size: int) -> bytes:
        return bytes(self._session.open_rtcp(room, size))

    def ciphertexts(self) -> dict[tuple[bytes, bytes], set[bytes]]:
        """(SSRC, number) → what came under it; no stream here is long enough to wrap."""
        found: dict[tuple[bytes, bytes], set[bytes]] = {}
        for packet in self.rtp:
            found.setdefault((packet[8:12], packet[2:4]), set()).add(packet)
        return found


async def spy_on(connection: RTCPeerConnection, loss: float = 0.0) -> Spy:
    transport = connection.getTransceivers()[0].receiver.transport
    async with asyncio.timeout(10):
        while transport.state != "connected":
            await asyncio.sleep(0.01)
    spy = Spy(transport._rx_srtp, loss)
    transport._rx_srtp = spy  # type: ignore[assignment]
    return spy


async def until(running: RunningNode, test: Callable[[RoomStats], bool], timeout_s: float = 20) -> RoomStats:
    async with asyncio.timeout(timeout_s):
        while True:
            stats = await running.client.stats("r")
            if test(stats):
                return stats
            await asyncio.sleep(0.05)
