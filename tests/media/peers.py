"""Foreign clients for tests of the relay: aiortc peer connections, kept on loopback.

aiortc offers no loopback candidates by itself, so its address lookup is replaced for the time of a test.
"""

from __future__ import annotations

import asyncio
import fractions
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aioice.ice
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from av import AudioFrame, VideoFrame

from media.api import DownAnswer, DownOffer, DownRequest, NodeEvent, NodeEventKind, Source, UpOffer
from media.client import NodeClient
from media.config import NodeSettings
from media.node import Node

SECRET = "a-secret-for-tests-only"


def settings_for(var: Path, **changes: object) -> NodeSettings:
    given = {
        "env": "development",
        "var": var,
        "node_secret": SECRET,
        "control_port": 0,
        "port": 0,
        "addresses": ("127.0.0.1",),
        "min_free_bytes": 0,
    }
    return NodeSettings.model_validate({**given, **changes})


class RunningNode:
    """A node in this process, its client, and what its event stream said so far."""

    def __init__(self, node: Node, client: NodeClient) -> None:
        self.node = node
        self.client = client
        self.events: list[NodeEvent] = []
        self._news = asyncio.Event()

    async def follow(self) -> None:
        async for event in self.client.events(0):
            self.events.append(event)
            self._news.set()

    async def event(self, test: Callable[[NodeEvent], bool], timeout_s: float = 10) -> NodeEvent:
        """The first event that fits, waiting for it if need be."""
        async with asyncio.timeout(timeout_s):
            while True:
                found = next((event for event in self.events if test(event)), None)
                if found is not None:
                    return found
                self._news.clear()
                await self._news.wait()

    async def event_of(self, kind: NodeEventKind, participant_id: str | None = None) -> NodeEvent:
        return await self.event(
            lambda event: event.kind is kind and (participant_id is None or event.participant_id == participant_id)
        )


@asynccontextmanager
async def running_node(settings: NodeSettings) -> AsyncIterator[RunningNode]:
    node = Node(settings)
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(node.serve(on_listening=started.set_result))

    def failed(task: asyncio.Task[None]) -> None:
        if not started.done():
            started.set_exception(task.exception() or RuntimeError("ended before it listened"))

    serving.add_done_callback(failed)
    client = NodeClient(await started, SECRET)
    running = RunningNode(node, client)
    following = asyncio.create_task(running.follow())
    try:
        yield running
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await client.close()
        node.stop()
        await serving


class ColourTrack(VideoStreamTrack):
    """A plain colour, 30 frames a second."""

    def __init__(self, level: int, size: tuple[int, int] = (320, 240)) -> None:
        super().__init__()
        self._picture = np.full((size[1], size[0], 3), level, dtype=np.uint8)

    async def recv(self) -> VideoFrame:
        timestamp, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self._picture, format="rgb24")
        frame.pts, frame.time_base = timestamp, fractions.Fraction(time_base)
        return frame


class Peer:
    """One participant with an up and a down connection, as a browser would have them."""

    def __init__(self, running: RunningNode, room_id: str, participant_id: str) -> None:
        self.running = running
        self.room_id = room_id
        self.participant_id = participant_id
        self.up = self._connection()
        self.down = self._connection()
        self.up_id, self.down_id = secrets.token_hex(8), secrets.token_hex(8)
        self.up_revision = 0
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.sections: dict[str, tuple[str | None, Source | None]] = {}
        # What a test changes in the descriptions this peer sends.
        self.change_sdp: Callable[[str], str] = lambda sdp: sdp
        self.leave_out: tuple[str, ...] = ()
        self.down.on("track", self._got_track)

    async def publish(self, video: MediaStreamTrack | None = None, audio: MediaStreamTrack | None = None) -> None:
        """Offer microphone and camera; either may be missing."""
        if audio is not None:
            self.up.addTrack(audio)
        if video is not None:
            self.up.addTrack(video)
        await self.offer_up()

    async def offer_up(self) -> None:
        await self.up.setLocalDescription(await self.up.createOffer())
        sources = {
            transceiver.mid: Source.MICROPHONE if transceiver.kind == "audio" else Source.CAMERA
            for transceiver in self.up.getTransceivers()
        }
        offer = UpOffer(
            connection_id=self.up_id,
            revision=self.up_revision,
            sdp=self._changed(self.up.localDescription.sdp),
            sources=sources,
        )
        self.up_revision += 1
        answer = await self.running.client.up(self.room_id, self.participant_id, offer)
        await self.up.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))

    async def subscribe(self) -> DownOffer:
        offer = await self.running.client.down(
            self.room_id, self.participant_id, DownRequest(connection_id=self.down_id)
        )
        await self.answer_down(offer)
        return offer

    async def answer_down(self, offer: DownOffer) -> None:
        await self.down.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        self.sections = {one.mid: (one.participant_id, one.source) for one in offer.sections}
        await self.down.setLocalDescription(await self.down.createAnswer())
        answer = DownAnswer(
            connection_id=offer.connection_id,
            revision=offer.revision,
            sdp=self._changed(self.down.localDescription.sdp),
        )
        await self.running.client.down_answer(self.room_id, self.participant_id, answer)

    def received(self, kind: str) -> MediaStreamTrack:
        return next(track for track in self.tracks.values() if track.kind == kind)

    async def picture(self) -> VideoFrame:
        frame = await self.received("video").recv()
        assert isinstance(frame, VideoFrame)
        return frame

    async def sound(self) -> AudioFrame:
        frame = await self.received("audio").recv()
        assert isinstance(frame, AudioFrame)
        return frame

    async def close(self) -> None:
        await self.up.close()
        await self.down.close()

    def _changed(self, sdp: str) -> str:
        kept = [line for line in sdp.splitlines() if not any(part in line for part in self.leave_out)]
        return self.change_sdp("\r\n".join(kept) + "\r\n")

    def _connection(self) -> RTCPeerConnection:
        return RTCPeerConnection(RTCConfiguration(iceServers=[]))

    def _got_track(self, track: MediaStreamTrack) -> None:
        self.tracks[track.id] = track


def loopback_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return ["127.0.0.1"]


def keep_on_loopback(monkeypatch: object) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", loopback_addresses)  # type: ignore[attr-defined]


def tone() -> AudioStreamTrack:
    return AudioStreamTrack()
