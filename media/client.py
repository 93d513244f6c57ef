"""What signaling uses to talk to a media node: one method per call of node API v1.

It neither retries nor chooses nodes; the reconciler calls again, since every call is idempotent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ValidationError

from media.api import (
    Admit,
    CaptureGrant,
    CaptureState,
    CreateRoom,
    DownAnswer,
    DownOffer,
    DownRequest,
    NodeEvent,
    NodeRefusal,
    NodeState,
    RoomCreated,
    RoomStats,
    UpAnswer,
    UpOffer,
)

CALL_TIMEOUT_S = 5.0
# The node writes an empty line every two seconds when it has nothing to report.
SILENCE_TIMEOUT_S = 6.0
EVENT_LINE_LIMIT_BYTES = 256 * 1024

Answer = TypeVar("Answer", bound=BaseModel)


class NodeRefused(Exception):  # noqa: N818 — named with the API's word
    """The node understood the call and said no."""

    def __init__(self, code: NodeRefusal, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class NodeUnreachable(Exception):  # noqa: N818 — named with the API's word
    """The node could not be reached, fell silent, or did not speak node API v1."""


class NodeClient:
    """Calls one node. Make it inside a running loop; `close` it when done."""

    def __init__(self, base_url: str, secret: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> NodeClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def create_room(self, room_id: str) -> RoomCreated:
        return await self._ask("PUT", _room(room_id), RoomCreated, CreateRoom())

    async def close_room(self, room_id: str) -> None:
        await self._tell("DELETE", _room(room_id))

    async def state(self) -> NodeState:
        return await self._ask("GET", "/v1/rooms", NodeState)

    async def stats(self, room_id: str) -> RoomStats:
        return await self._ask("GET", f"{_room(room_id)}/stats", RoomStats)

    async def admit(self, room_id: str, participant_id: str, *, admitted: bool, picture_first: bool = False) -> None:
        """Let media flow to and from this participant, or (`admitted=False`) keep them waiting."""
        body = Admit(admitted=admitted, picture_first=picture_first)
        await self._tell("PUT", _participant(room_id, participant_id), body)

    async def remove(self, room_id: str, participant_id: str, reason: str) -> None:
        await self._tell("DELETE", _participant(room_id, participant_id), params={"reason": reason})

    async def up(self, room_id: str, participant_id: str, offer: UpOffer) -> UpAnswer:
        return await self._ask("POST", f"{_participant(room_id, participant_id)}/up", UpAnswer, offer)

    async def down(self, room_id: str, participant_id: str, request: DownRequest) -> DownOffer:
        return await self._ask("POST", f"{_participant(room_id, participant_id)}/down", DownOffer, request)

    async def down_answer(self, room_id: str, participant_id: str, answer: DownAnswer) -> None:
        await self._tell("POST", f"{_participant(room_id, participant_id)}/down/answer", answer)

    async def grant(self, room_id: str, grant: CaptureGrant) -> CaptureState:
        return await self._ask("PUT", f"{_room(room_id)}/capture", CaptureState, grant)

    async def stop_capture(self, room_id: str, recording_id: str, reason: str) -> CaptureState:
        params = {"recording_id": recording_id, "reason": reason}
        return await self._ask("DELETE", f"{_room(room_id)}/capture", CaptureState, params=params)

    async def events(self, after: int) -> AsyncIterator[NodeEvent]:
        """Events numbered above `after`, `hello` first, until the node ends or falls silent (NodeUnreachable)."""
        timeout = aiohttp.ClientTimeout(sock_connect=CALL_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S)
        try:
            async with self._opened().get(
                f"{self.base_url}/v1/events", params={"after": after}, headers=self._headers, timeout=timeout
            ) as response:
                await _raise_for_refusal(response)
                async for line in _lines(response.content):
                    yield NodeEvent.model_validate_json(line)
        except (aiohttp.ClientError, TimeoutError, OSError, ValidationError) as error:
            raise NodeUnreachable(_describe(error)) from error
        raise NodeUnreachable("the event stream ended")

    async def _ask(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        body: BaseModel | None = None,
        params: dict[str, str] | None = None,
    ) -> Answer:
        raw = await self._call(method, path, body, params)
        try:
            return answer.model_validate_json(raw)
        except ValidationError as error:
            raise NodeUnreachable(f"{method} {path}: not node API v1") from error

    async def _tell(
        self, method: str, path: str, body: BaseModel | None = None, params: dict[str, str] | None = None
    ) -> None:
        await self._call(method, path, body, params)

    async def _call(self, method: str, path: str, body: BaseModel | None, params: dict[str, str] | None) -> bytes:
        data = body.model_dump_json().encode() if body is not None else None
        headers = {**self._headers, "Content-Type": "application/json"} if data is not None else self._headers
        try:
            async with self._opened().request(
                method,
                self.base_url + path,
                params=params,
                data=data,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S),
            ) as response:
                await _raise_for_refusal(response)
                return await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NodeUnreachable(_describe(error)) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session


class _Refusal(BaseModel):
    error: NodeRefusal
    message: str


async def _raise_for_refusal(response: aiohttp.ClientResponse) -> None:
    if response.status < 400:
        return
    try:
        refusal = _Refusal.model_validate_json(await response.read())
    except ValidationError as error:
        raise NodeUnreachable(f"status {response.status} without a coded refusal") from error
    raise NodeRefused(refusal.error, refusal.message)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Non-empty lines of any length up to EVENT_LINE_LIMIT_BYTES (StreamReader.readline stops at 64 KB)."""
    pending = bytearray()
    async for chunk in stream.iter_any():
        pending += chunk
        if len(pending) > EVENT_LINE_LIMIT_BYTES and b"\n" not in pending:
            raise NodeUnreachable("an event line is too long")
        *whole, rest = pending.split(b"\n")
        pending = bytearray(rest)
        for line in whole:
            if line.strip():
                yield bytes(line)
        await asyncio.sleep(0)


def _room(room_id: str) -> str:
    return f"/v1/rooms/{quote(room_id, safe='')}"


def _participant(room_id: str, participant_id: str) -> str:
    return f"{_room(room_id)}/participants/{quote(participant_id, safe='')}"


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}"
