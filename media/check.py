"""Proves a node's media port from a client's side: one plain STUN request over UDP and one over TCP.

It needs no secret and changes nothing; what a browser does beyond that is ICE's affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import dataclass

from aioice import stun

TRIES = 3
WAIT_S = 1.0


@dataclass(frozen=True)
class Found:
    """`seen_as` is this machine's address as the node saw it, None without an answer."""

    transport: str
    seen_as: str | None

    @property
    def words(self) -> str:
        return f"{self.transport}: {'no answer' if self.seen_as is None else f'answered, we are {self.seen_as}'}"


async def check(host: str, port: int, tcp_port: int) -> list[Found]:
    """What answers at an address, UDP first."""
    return [Found("UDP", await _over_udp(host, port)), Found("TCP", await _over_tcp(host, tcp_port))]


class _Asker(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.answer.done():
            self.answer.set_result(data)


async def _over_udp(host: str, port: int) -> str | None:
    request = bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST))
    try:
        transport, asker = await asyncio.get_running_loop().create_datagram_endpoint(_Asker, remote_addr=(host, port))
    except OSError:
        return None
    try:
        for _ in range(TRIES):
            transport.sendto(request)
            with contextlib.suppress(TimeoutError):
                return _seen_as(await asyncio.wait_for(asyncio.shield(asker.answer), WAIT_S), request)
        return None
    finally:
        transport.close()


async def _over_tcp(host: str, port: int) -> str | None:
    request = bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST))
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(TRIES * WAIT_S):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(struct.pack("!H", len(request)) + request)
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            return _seen_as(await reader.readexactly(length), request)
    except (OSError, EOFError, TimeoutError):
        return None
    finally:
        if writer is not None:
            writer.close()


def _seen_as(data: bytes, request: bytes) -> str | None:
    """From an answer to our own request; anything else is none."""
    try:
        message = stun.parse_message(data)
    except Exception:  # aioice's parser raises whatever its unpacking meets
        return None
    mapped = message.attributes.get("XOR-MAPPED-ADDRESS")
    if message.message_class is not stun.Class.RESPONSE or message.transaction_id != request[8:20] or mapped is None:
        return None
    return f"{mapped[0]}:{mapped[1]}"
