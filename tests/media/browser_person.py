"""One participant of a relay test in a real browser's page (`browser_page.js`), signalled in place of a server."""

from __future__ import annotations

import asyncio
import random
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from media.api import DownAnswer, DownOffer, DownRequest, NodeEvent, NodeEventKind, Source, UpOffer
from media.client import NodeClient
from tests.support.udplink import UdpLink

FLAGS = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--no-sandbox",
    "--disable-background-networking",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
]
SCRIPT = Path(__file__).parent / "browser_page.js"


class HasClient(Protocol):
    @property
    def client(self) -> NodeClient: ...


class Person:
    """One context with one page, signalled by the test in place of a server."""

    def __init__(self, node: HasClient, page: Any, participant_id: str, room_id: str = "room") -> None:
        self.node = node
        self.page = page
        self.room_id = room_id
        self.participant_id = participant_id
        self.colour = [random.choice((40, 200)) for _ in range(3)]
        self.up_id, self.down_id = secrets.token_hex(6), secrets.token_hex(6)
        self.revision = 0
        # What a test changes in the node's descriptions, by the connection they are for.
        self.changes: dict[str, Callable[[str], str]] = {}
        self.size = [640, 360]
        self.picture_first = False
        self.mids: dict[tuple[str, Source], str] = {}
        self.following: asyncio.Task[None] | None = None
        self.events: list[NodeEvent] = []

    async def prepare(self, layers: int = 1) -> None:
        """Both connections, before any media flows."""
        await self.node.client.admit(self.room_id, self.participant_id, admitted=True, picture_first=self.picture_first)
        await self.call("source", self.colour, random.randint(300, 900), self.size)
        await self.call("prepare", layers)
        await self.offer()
        request = DownRequest(connection_id=self.down_id)
        await self.take(await self.node.client.down(self.room_id, self.participant_id, request))
        self.following = asyncio.create_task(self.follow())

    async def offer(self, restart: bool = False) -> None:
        offer = await self.call("offer", restart)
        answer = await self.node.client.up(
            self.room_id,
            self.participant_id,
            UpOffer(
                connection_id=self.up_id,
                revision=self.revision,
                sdp=offer["sdp"],
                sources={offer["audio"]: Source.MICROPHONE, offer["video"]: Source.CAMERA},
            ),
        )
        self.revision += 1
        assert all(section.accepted for section in answer.sections)
        await self.call("answered", self.changed("up", answer.sdp))

    async def take(self, offer: DownOffer) -> None:
        self.mids = {
            (section.participant_id, section.source): section.mid
            for section in offer.sections
            if section.participant_id and section.source
        }
        sdp = await self.call("answer", self.changed("down", offer.sdp))
        answer = DownAnswer(connection_id=offer.connection_id, revision=offer.revision, sdp=sdp)
        await self.node.client.down_answer(self.room_id, self.participant_id, answer)

    def changed(self, leg: str, sdp: str) -> str:
        change = self.changes.get(leg)
        return change(sdp) if change else sdp

    async def follow(self) -> None:
        async for event in self.node.client.events(0):
            if event.room_id != self.room_id:
                continue
            self.events.append(event)
            if event.kind is NodeEventKind.DOWN_OFFER and event.participant_id == self.participant_id:
                assert event.offer is not None
                if event.offer.connection_id == self.down_id:
                    await self.take(event.offer)

    async def sees(self, other: Person, min_width: int = 1) -> dict[str, Any]:
        """Waits until the other's colour is decoded here, and moving."""
        mid, seen = None, None
        for _ in range(400):
            mid = self.mids.get((other.participant_id, Source.CAMERA))
            seen = await self.call("seen", mid) if mid else None
            if seen and near(seen["colour"], other.colour) and seen["frames"] > 5 and seen["width"] >= min_width:
                return dict(seen)
            await asyncio.sleep(0.05)
        followed = self.following.exception() if self.following is not None and self.following.done() else None
        stats = await self.node.client.stats(self.room_id)
        received = await self.call("inbound", "down")
        raise AssertionError(f"{self.participant_id} sees {seen} at {mid}: {followed=} {stats=} {received=}")

    async def call(self, name: str, *arguments: Any) -> Any:
        return await self.page.evaluate(
            "([name, given]) => window.participant[name](...given)", [name, list(arguments)]
        )

    async def stop(self) -> None:
        if self.following is not None:
            self.following.cancel()
            await asyncio.gather(self.following, return_exceptions=True)


def through(link: UdpLink, *, with_tcp: bool = False) -> Callable[[str], str]:
    """Descriptions whose only UDP candidate is the link's front."""
    host, port = link.address

    def change(sdp: str) -> str:
        lines = [line for line in sdp.splitlines() if with_tcp or not ("a=candidate" in line and " tcp " in line)]
        return re.sub(r"( udp \d+) \S+ \d+ typ host", rf"\1 {host} {port} typ host", "\r\n".join(lines) + "\r\n")

    return change


def near(one: list[int], other: list[int]) -> bool:
    """Whether the channels are dark and bright alike: colour matrices differ by more than codecs do."""
    return all((a > 120) == (b > 120) for a, b in zip(one, other, strict=True))


async def frames_rise(watcher: Person, other: Person, by: int = 20, within_s: float = 20) -> None:
    before = (await watcher.sees(other))["frames"]
    async with asyncio.timeout(within_s):
        while (await watcher.sees(other))["frames"] < before + by:
            await asyncio.sleep(0.05)
