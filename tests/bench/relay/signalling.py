"""How the load asks each kind of server for its two peer connections a person.

All three do the same: `up` takes an offer and gives the answer, `down` leaves the leg connected to a description.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import socket
from typing import Any, Protocol

import aiohttp

from media.api import CaptureGrant, DownAnswer, DownRequest, SealingKey, Source, UpOffer
from media.client import NodeClient
from tests.bench.relay import describe
from tests.bench.relay.leg import Leg

ANSWER_WITHIN_S = 10.0


class Signalling(Protocol):
    """Rooms and people are numbers."""

    async def open(self) -> None: ...
    async def room(self, room: int, people: int) -> None: ...
    async def up(self, room: int, person: int, leg: Leg, ssrcs: describe.Ssrcs) -> str: ...
    async def down(self, room: int, person: int, leg: Leg, publisher: int) -> str: ...
    async def record(self, room: int, people: int) -> None: ...
    async def end(self, room: int) -> None: ...
    async def close(self) -> None: ...


class Bedside:
    def __init__(self, control: str, secret: str) -> None:
        self.client = NodeClient(control, secret)

    async def open(self) -> None:
        await self.client.state()

    async def room(self, room: int, people: int) -> None:
        await self.client.create_room(f"r{room}")
        for person in range(people):
            await self.client.admit(f"r{room}", f"p{person}", admitted=True)

    async def up(self, room: int, person: int, leg: Leg, ssrcs: describe.Ssrcs) -> str:
        offer = UpOffer(
            connection_id=secrets.token_hex(6),
            revision=0,
            sdp=describe.offer(leg, "sendonly", ssrcs),
            sources={"0": Source.MICROPHONE, "1": Source.CAMERA},
        )
        return (await self.client.up(f"r{room}", f"p{person}", offer)).sdp

    async def down(self, room: int, person: int, leg: Leg, publisher: int) -> str:
        request = DownRequest(connection_id=secrets.token_hex(6))
        offer = await self.client.down(f"r{room}", f"p{person}", request)
        answer = describe.answer(leg, offer.sdp)
        given = DownAnswer(connection_id=offer.connection_id, revision=offer.revision, sdp=answer)
        await self.client.down_answer(f"r{room}", f"p{person}", given)
        return offer.sdp

    async def record(self, room: int, people: int) -> None:
        key = SealingKey(key=base64.b64encode(os.urandom(32)).decode(), wrapped="d3JhcHBlZA==")
        keys = {f"p{person}": key for person in range(people)}
        grant = CaptureGrant(recording_id=f"rec{room}", segment=1, running=True, keys=keys)
        await self.client.grant(f"r{room}", grant)

    async def end(self, room: int) -> None:
        await self.client.close_room(f"r{room}")

    async def close(self) -> None:
        await self.client.close()


class Stock:
    """The program of `stock`, over HTTP; it records from the start when told to."""

    def __init__(self, control: str) -> None:
        self._control = control
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(self._control)

    async def room(self, room: int, people: int) -> None:
        """Rooms come about by their first person."""

    async def up(self, room: int, person: int, leg: Leg, ssrcs: describe.Ssrcs) -> str:
        return await self._ask("/up", room, person, describe.offer(leg, "sendonly", ssrcs))

    async def down(self, room: int, person: int, leg: Leg, publisher: int) -> str:
        return await self._ask("/down", room, publisher, describe.offer(leg, "recvonly"))

    async def record(self, room: int, people: int) -> None:
        """Said when the server is started."""

    async def end(self, room: int) -> None:
        """It ends with its process."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, path: str, room: int, person: int, sdp: str) -> str:
        assert self._session is not None
        async with self._session.post(path, json={"room": room, "person": person, "sdp": sdp}) as answer:
            answer.raise_for_status()
            return str((await answer.json())["sdp"])


class Janus:
    """The VideoRoom plugin over Janus' own Unix socket."""

    def __init__(self, path: str, recordings: str | None) -> None:
        self._path, self._recordings = path, recordings
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._session = 0
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._feeds: dict[tuple[int, int], int] = {}
        self._alive: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._socket.connect(self._path)
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
        self._session = (await self._ask(janus="create"))["data"]["id"]
        self._alive = asyncio.get_running_loop().create_task(self._keep_alive())

    async def room(self, room: int, people: int) -> None:
        wanted: dict[str, Any] = {
            "request": "create",
            "room": room + 1,
            "publishers": people,
            "bitrate": 4_000_000,
            "videocodec": "vp8",
            "audiocodec": "opus",
            "opus_fec": True,
            "notify_joining": False,
        }
        if self._recordings is not None:
            wanted |= {"record": True, "rec_dir": self._recordings}
        await self._message(await self._attach(), wanted)

    async def up(self, room: int, person: int, leg: Leg, ssrcs: describe.Ssrcs) -> str:
        handle = await self._attach()
        joined = await self._message(handle, {"request": "join", "ptype": "publisher", "room": room + 1})
        self._feeds[room, person] = joined["plugindata"]["data"]["id"]
        sdp = describe.offer(leg, "sendonly", ssrcs)
        told = await self._message(handle, {"request": "publish"}, {"type": "offer", "sdp": sdp})
        return str(told["jsep"]["sdp"])

    async def down(self, room: int, person: int, leg: Leg, publisher: int) -> str:
        handle = await self._attach()
        feed = self._feeds[room, publisher]
        join = {"request": "join", "ptype": "subscriber", "room": room + 1, "streams": [{"feed": feed}]}
        offer = str((await self._message(handle, join))["jsep"]["sdp"])
        await self._message(handle, {"request": "start"}, {"type": "answer", "sdp": describe.answer(leg, offer)})
        return offer

    async def record(self, room: int, people: int) -> None:
        """Said when the room is made."""

    async def end(self, room: int) -> None:
        await self._message(await self._attach(), {"request": "destroy", "room": room + 1})

    async def close(self) -> None:
        if self._alive is not None:
            self._alive.cancel()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    async def _attach(self) -> int:
        told = await self._ask(janus="attach", plugin="janus.plugin.videoroom", session_id=self._session)
        return int(told["data"]["id"])

    async def _message(self, handle: int, body: dict[str, Any], jsep: dict[str, str] | None = None) -> dict[str, Any]:
        told = await self._ask(
            janus="message", session_id=self._session, handle_id=handle, body=body, **({"jsep": jsep} if jsep else {})
        )
        if "error" in told.get("plugindata", {}).get("data", {}):
            raise RuntimeError(str(told["plugindata"]["data"]))
        return told

    async def _ask(self, **request: Any) -> dict[str, Any]:
        transaction = secrets.token_hex(8)
        future = self._asked[transaction] = asyncio.get_running_loop().create_future()
        self._socket.send(json.dumps({**request, "transaction": transaction}).encode())
        async with asyncio.timeout(ANSWER_WITHIN_S):
            told: dict[str, Any] = await future
        if told["janus"] == "error":
            raise RuntimeError(str(told["error"]))
        return told

    def _read(self) -> None:
        while True:
            try:
                text = self._socket.recv(1 << 17)
            except BlockingIOError:
                return
            if not text:
                return
            told = json.loads(text)
            waiting = self._asked.get(told.get("transaction", ""))
            if waiting is not None and told["janus"] != "ack" and not waiting.done():
                waiting.set_result(told)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(20)
            await self._ask_alive()

    async def _ask_alive(self) -> None:
        request = {"janus": "keepalive", "session_id": self._session, "transaction": secrets.token_hex(8)}
        self._socket.send(json.dumps(request).encode())
