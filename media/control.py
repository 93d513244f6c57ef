"""Node API v1 over HTTP: checks the secret, parses with `api`, calls the rooms, codes the refusals.

It decides nothing about media; the process around it (sockets, signals, metrics) is `node`'s.
"""

from __future__ import annotations

import hmac
from typing import Protocol, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, TypeAdapter, ValidationError

from media.api import (
    STATUS,
    Admit,
    CaptureGrant,
    CreateRoom,
    DownAnswer,
    DownRequest,
    NodeRefusal,
    NodeState,
    OpaqueId,
    RoomCreated,
    UpOffer,
)
from media.events import EventLog
from media.refused import Refused
from media.room import Room
from media.sdp import LONGEST_DESCRIPTION

BODY_MAX_BYTES = 256 * 1024
REASON_MAX = 64
_OPEN_PATHS = ("/livez", "/readyz", "/metrics")
_OPAQUE_ID: TypeAdapter[str] = TypeAdapter(OpaqueId)

Body = TypeVar("Body", bound=BaseModel)


class Rooms(Protocol):
    """What the control API asks of the node."""

    events: EventLog
    secret: str

    def create_room(self, room_id: str) -> RoomCreated: ...
    def close_room(self, room_id: str, reason: str) -> None: ...
    def room(self, room_id: str) -> Room: ...
    def find_room(self, room_id: str) -> Room | None: ...
    def state(self) -> NodeState: ...
    def metrics(self) -> bytes: ...
    def is_ready(self) -> bool: ...


def make_app(rooms: Rooms) -> web.Application:
    app = web.Application(client_max_size=BODY_MAX_BYTES, middlewares=[_guard(rooms)])
    control = _Control(rooms)
    app.add_routes(
        [
            web.put("/v1/rooms/{room_id}", control.create_room),
            web.delete("/v1/rooms/{room_id}", control.close_room),
            web.get("/v1/rooms", control.state),
            web.get("/v1/rooms/{room_id}/stats", control.stats),
            web.put("/v1/rooms/{room_id}/participants/{participant_id}", control.admit),
            web.delete("/v1/rooms/{room_id}/participants/{participant_id}", control.remove),
            web.post("/v1/rooms/{room_id}/participants/{participant_id}/up", control.up),
            web.post("/v1/rooms/{room_id}/participants/{participant_id}/down", control.down),
            web.post("/v1/rooms/{room_id}/participants/{participant_id}/down/answer", control.down_answer),
            web.put("/v1/rooms/{room_id}/capture", control.grant),
            web.delete("/v1/rooms/{room_id}/capture", control.stop_capture),
            web.get("/v1/events", control.follow),
            web.get("/livez", control.livez),
            web.get("/readyz", control.readyz),
            web.get("/metrics", control.metrics),
        ]
    )
    return app


def _guard(rooms: Rooms) -> Middleware:
    expected = f"Bearer {rooms.secret}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if request.path not in _OPEN_PATHS and not hmac.compare_digest(given, expected):
                raise Refused(NodeRefusal.NOT_AUTHORISED, "the node's secret is needed")
            return await handler(request)
        except Refused as refused:
            return _refusal(refused.code, refused.message)
        except web.HTTPRequestEntityTooLarge:
            return _refusal(NodeRefusal.TOO_LONG, "the body is too long")
        except web.HTTPNotFound:
            return _refusal(NodeRefusal.NOT_FOUND, "no such call")
        except web.HTTPMethodNotAllowed:
            return _refusal(NodeRefusal.NOT_FOUND, "no such call")

    return guard


class _Control:
    """One method a call."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def create_room(self, request: web.Request) -> web.Response:
        await _parse(request, CreateRoom)
        return _json(self._rooms.create_room(_id(request, "room_id")))

    async def close_room(self, request: web.Request) -> web.Response:
        self._rooms.close_room(_id(request, "room_id"), _reason(request))
        return _done()

    async def state(self, _: web.Request) -> web.Response:
        return _json(self._rooms.state())

    async def stats(self, request: web.Request) -> web.Response:
        return _json(self._room(request).stats())

    async def admit(self, request: web.Request) -> web.Response:
        body = await _parse(request, Admit)
        self._room(request).admit(
            _id(request, "participant_id"), admitted=body.admitted, picture_first=body.picture_first
        )
        return _done()

    async def remove(self, request: web.Request) -> web.Response:
        participant_id, reason = _id(request, "participant_id"), _reason(request)
        room = self._rooms.find_room(_id(request, "room_id"))
        if room is not None:
            room.remove(participant_id, reason)
        return _done()

    async def up(self, request: web.Request) -> web.Response:
        body = await _parse(request, UpOffer)
        return _json(self._room(request).up(_id(request, "participant_id"), body))

    async def down(self, request: web.Request) -> web.Response:
        body = await _parse(request, DownRequest)
        return _json(self._room(request).down(_id(request, "participant_id"), body))

    async def down_answer(self, request: web.Request) -> web.Response:
        body = await _parse(request, DownAnswer)
        self._room(request).down_answer(_id(request, "participant_id"), body)
        return _done()

    async def grant(self, request: web.Request) -> web.Response:
        body = await _parse(request, CaptureGrant)
        return _json(self._room(request).grant(body))

    async def stop_capture(self, request: web.Request) -> web.Response:
        recording_id = _checked(request.query.get("recording_id", ""))
        return _json(self._room(request).capture.stop(recording_id, _reason(request)))

    async def follow(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("after", "0")
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise Refused(NodeRefusal.MALFORMED, "after is a number")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        try:
            await response.prepare(request)
            async for event in self._rooms.events.follow(int(text)):
                line = event.model_dump_json(exclude_none=True) if event is not None else ""
                await response.write(line.encode() + b"\n")
            await response.write_eof()
        except ConnectionResetError:
            return response
        return response

    async def livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        ready = self._rooms.is_ready()
        return web.Response(text="ready\n" if ready else "draining\n", status=200 if ready else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._rooms.metrics(), headers={"Content-Type": "text/plain; version=0.0.4"})

    def _room(self, request: web.Request) -> Room:
        return self._rooms.room(_id(request, "room_id"))


async def _parse(request: web.Request, kind: type[Body]) -> Body:
    """The body as its type; a newer or older version is told apart from nonsense, and a long description from both."""
    raw = await request.read()
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
    if any(item["loc"] == ("v",) for item in problems) and _has_version(raw):
        raise Refused(NodeRefusal.RELOAD_NEEDED, "this node speaks version 1")
    if any(item["loc"] == ("sdp",) and item["type"] == "string_too_long" for item in problems):
        raise Refused(NodeRefusal.TOO_LONG, f"a description has at most {LONGEST_DESCRIPTION} characters")
    where = ".".join(str(part) for part in problems[0]["loc"]) if problems[0]["type"] != "json_invalid" else "JSON"
    raise Refused(NodeRefusal.MALFORMED, f"{where or 'body'} is malformed")


class _Versioned(BaseModel):
    """Any body whose version is an integer."""

    v: int


def _has_version(raw: bytes) -> bool:
    try:
        _Versioned.model_validate_json(raw)
    except ValidationError:
        return False
    return True


def _id(request: web.Request, name: str) -> str:
    return _checked(request.match_info[name])


def _checked(text: str) -> str:
    try:
        return _OPAQUE_ID.validate_python(text)
    except ValidationError:
        raise Refused(NodeRefusal.MALFORMED, "an id is malformed") from None


def _reason(request: web.Request) -> str:
    """A code; anything else is not repeated."""
    text = request.query.get("reason", "")
    return (
        text if 0 < len(text) <= REASON_MAX and text.replace("_", "a").isalnum() and text.isascii() else "unspecified"
    )


def _json(answer: BaseModel) -> web.Response:
    return web.Response(text=answer.model_dump_json(), content_type="application/json")


def _done() -> web.Response:
    return web.json_response({})


def _refusal(code: NodeRefusal, message: str) -> web.Response:
    return web.json_response({"error": code.value, "message": message}, status=STATUS[code])
