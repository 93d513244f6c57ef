"""The client against servers that misbehave: whatever is not node API v1 is NodeUnreachable, never a surprise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

from media.api import DownOffer, NodeEvent, NodeEventKind, NodeRefusal
from media.client import EVENT_LINE_LIMIT_BYTES, NodeClient, NodeRefused, NodeUnreachable

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Served:
    """A server that answers everything with the handler of the moment, and a client of it."""

    def __init__(self, client: NodeClient) -> None:
        self.client = client
        self.answer: Answer
        self.asked: list[web.Request] = []


@pytest.fixture
async def served(aiohttp_server: AiohttpServer) -> AsyncIterator[Served]:
    async def handle(request: web.Request) -> web.StreamResponse:
        made.asked.append(request)
        return await made.answer(request)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    server = await aiohttp_server(app, shutdown_timeout=0.1)
    async with NodeClient(str(server.make_url("/")), "secret") as client:
        made = Served(client)
        yield made


def says(text: str, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status)

    return answer


def streams(*chunks: bytes) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        return response

    return answer


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 200),
        ("{}", 200),
        ("<html>", 200),
        ('{"v": 2}', 200),
        ("<html>", 502),
        ('{"error": "teapot", "message": "?"}', 418),
        ("[]", 500),
    ],
)
async def test_anything_but_an_answer_is_unreachable(served: Served, text: str, status: int) -> None:
    served.answer = says(text, status)
    with pytest.raises(NodeUnreachable):
        await served.client.state()


async def test_a_coded_refusal_is_told_with_its_code(served: Served) -> None:
    served.answer = says('{"error": "draining", "message": "no new rooms"}', 503)
    with pytest.raises(NodeRefused) as caught:
        await served.client.create_room("r")
    assert (caught.value.code, caught.value.message) == (NodeRefusal.DRAINING, "no new rooms")


async def test_ids_and_reasons_cannot_leave_their_place_in_the_address(served: Served) -> None:
    served.answer = says("{}")
    await served.client.remove("r/../x", "p?a=b#c", "left&v=2")
    (request,) = served.asked
    assert request.raw_path == "/v1/rooms/r%2F..%2Fx/participants/p%3Fa=b%23c?reason=left%26v%3D2"
    assert request.headers["Authorization"] == "Bearer secret"


async def test_a_silent_node_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.client.SILENCE_TIMEOUT_S", 0.05)

    async def hang(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(0.01)
        return response

    served.answer = hang
    with pytest.raises(NodeUnreachable):
        async for _ in served.client.events(0):
            pass


async def test_events_come_whole_however_they_are_cut_and_however_long(served: Served) -> None:
    offer = DownOffer(connection_id="c", revision=1, sdp="v" * 60_000, sections=[])
    long = NodeEvent(epoch="e", n=2, at=1.0, kind=NodeEventKind.DOWN_OFFER, offer=offer)
    short = NodeEvent(epoch="e", n=1, at=1.0, kind=NodeEventKind.BACK)
    data = b"\n".join((short.model_dump_json().encode(), b"", long.model_dump_json().encode(), b"", b""))
    served.answer = streams(*(data[at : at + 7001] for at in range(0, len(data), 7001)))
    seen: list[NodeEvent] = []

    async def follow() -> None:
        async for event in served.client.events(0):
            seen.append(event)

    with pytest.raises(NodeUnreachable):
        await follow()
    assert seen == [short, long]


@pytest.mark.parametrize("chunks", [(b"nonsense\n",), (b'{"v":1}\n',), (b"x" * (EVENT_LINE_LIMIT_BYTES + 1),)])
async def test_a_stream_that_is_no_event_stream_is_unreachable(served: Served, chunks: tuple[bytes, ...]) -> None:
    served.answer = streams(*chunks)
    with pytest.raises(NodeUnreachable):
        async for _ in served.client.events(0):
            pass
