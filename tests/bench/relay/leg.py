"""One peer connection of the load: a UDP socket, a controlling ICE agent, DTLS and SRTP.

It behaves as a browser does on the wire; which packets it sends and what it makes of those that come is `streams`'.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
import struct
from collections.abc import Callable

from aioice import stun

from media.dtls import Certificate, DtlsSession
from media.srtp import Srtp

SOCKET_BUFFER_BYTES = 4 << 20
CHECK_FAST_S = 0.05
CHECK_SLOW_S = 2.5
DRAIN_MAX = 64
SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("qq")
_STAMP_ROOM = socket.CMSG_SPACE(16)


class Leg:
    """`handle`, once set, gets each SRTP or SRTCP datagram with its arrival by the kernel's clock (ns since 1970)."""

    def __init__(self, address: str, certificate: Certificate) -> None:
        self.handle: Callable[[bytes, int], None] = _drop
        self.ufrag, self.password = secrets.token_hex(4), secrets.token_hex(16)
        self.certificate = certificate
        self.is_up = asyncio.Event()
        self.inbound: Srtp | None = None
        self.outbound: Srtp | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        with contextlib.suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, 33, SOCKET_BUFFER_BYTES)  # SO_RCVBUFFORCE
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind((address, 0))
        self.host, self.port = self._socket.getsockname()
        self._dtls = DtlsSession(certificate, self._send_plain, lambda: None)
        self._remote: tuple[str, int] | None = None
        self._remote_ufrag = self._remote_password = ""
        self._answered = False
        self._work: list[asyncio.Task[None]] = []
        self._sendto = self._socket.sendto
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._drain)

    def connect(self, sdp: str) -> None:
        """Go by the other side's description."""
        self._remote_ufrag = _first(sdp, r"a=ice-ufrag:(\S+)")
        self._remote_password = _first(sdp, r"a=ice-pwd:(\S+)")
        host, port = re.findall(r"a=candidate:\S+ 1 (?:udp|UDP) \d+ ([\d.]+) (\d+) typ host", sdp)[0]
        self._remote = (host, int(port))
        fingerprint = ("sha-256", _first(sdp, r"a=fingerprint:sha-256 (\S+)"))
        is_client = _first(sdp, r"a=setup:(\S+)") != "active"
        loop = asyncio.get_running_loop()
        self._work = [loop.create_task(self._check()), loop.create_task(self._shake_hands(fingerprint, is_client))]

    def send(self, packet: bytes) -> None:
        assert self.outbound is not None
        assert self._remote is not None
        with contextlib.suppress(BlockingIOError):
            self._sendto(self.outbound.protect(packet), self._remote)

    def send_rtcp(self, packet: bytes) -> None:
        if self.outbound is not None:
            self._send_plain(self.outbound.protect_rtcp(packet))

    async def close(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self._dtls.close()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    async def _check(self) -> None:
        while True:
            request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
            request.attributes["USERNAME"] = f"{self._remote_ufrag}:{self.ufrag}"
            request.attributes["PRIORITY"] = 1853817087
            request.attributes["ICE-CONTROLLING"] = 1
            request.attributes["USE-CANDIDATE"] = None
            request.add_message_integrity(self._remote_password.encode())
            self._send_plain(bytes(request))
            await asyncio.sleep(CHECK_SLOW_S if self._answered else CHECK_FAST_S)

    async def _shake_hands(self, fingerprint: tuple[str, str], is_client: bool) -> None:
        while not self._answered:
            await asyncio.sleep(0.005)
        if not await self._dtls.handshake(fingerprint, is_client=is_client):
            raise ConnectionError("no DTLS")
        self.inbound, self.outbound = self._dtls.inbound, self._dtls.outbound
        self.is_up.set()

    def _send_plain(self, datagram: bytes) -> None:
        if self._remote is not None:
            with contextlib.suppress(OSError):
                self._sendto(datagram, self._remote)

    def _drain(self) -> None:
        receive = self._socket.recvmsg
        for _ in range(DRAIN_MAX):
            try:
                data, notes, _, source = receive(2048, _STAMP_ROOM)
            except (BlockingIOError, ConnectionError):
                return
            first = data[0]
            if 127 < first < 192:
                seconds, rest = _STAMP.unpack_from(notes[0][2])
                self.handle(data, seconds * 1_000_000_000 + rest)
            elif first < 4:
                self._take_stun(data, source)
            else:
                self._dtls.feed(data)

    def _take_stun(self, data: bytes, source: tuple[str, int]) -> None:
        with contextlib.suppress(ValueError):
            message = stun.parse_message(data)
            if message.message_class is stun.Class.RESPONSE:
                self._answered = True
            elif message.message_class is stun.Class.REQUEST:
                reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=message.transaction_id)
                reply.attributes["XOR-MAPPED-ADDRESS"] = source
                reply.add_message_integrity(self.password.encode())
                self._sendto(bytes(reply), source)


def _drop(_: bytes, __: int) -> None:
    """Nobody listens yet."""


def _first(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"no {pattern}")
    return found.group(1)
