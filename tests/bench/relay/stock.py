"""The comparison: aiortc's own peer connections with its MediaRelay, behind two HTTP calls.

`python -m tests.bench.relay.stock ADDRESS [FOLDER]` prints its own address; with FOLDER each call is recorded, as
aiortc's examples do it.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRecorder, MediaRelay


class Stock:
    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._relay = MediaRelay()
        self._up: dict[tuple[int, int], RTCPeerConnection] = {}
        self._down: list[RTCPeerConnection] = []
        self._recorders: list[MediaRecorder] = []

    async def up(self, request: web.Request) -> web.Response:
        asked = await request.json()
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._up[asked["room"], asked["person"]] = connection
        answer = await self._answered(connection, asked["sdp"])
        if self._folder is not None:
            recorder = MediaRecorder(f"{self._folder}/{asked['room']}-{asked['person']}.mp4")
            for receiver in connection.getReceivers():
                recorder.addTrack(self._relay.subscribe(receiver.track))
            await recorder.start()
            self._recorders.append(recorder)
        return answer

    async def down(self, request: web.Request) -> web.Response:
        asked = await request.json()
        publisher = self._up[asked["room"], asked["person"]]
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._down.append(connection)
        for receiver in publisher.getReceivers():
            connection.addTrack(self._relay.subscribe(receiver.track))
        return await self._answered(connection, asked["sdp"])

    async def _answered(self, connection: RTCPeerConnection, sdp: str) -> web.Response:
        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return web.json_response({"sdp": connection.localDescription.sdp})


async def main(address: str, folder: str | None) -> None:
    stock = Stock(folder)
    app = web.Application()
    app.add_routes([web.post("/up", stock.up), web.post("/down", stock.down)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, address, 0).start()
    sys.stdout.write(f"http://{address}:{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
