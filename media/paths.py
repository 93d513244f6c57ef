"""Where a connection's datagrams go: a UDP address of one of our sockets, or an accepted TCP connection.

A path belongs to one connection at a time; the endpoint makes paths and hands them over after a valid check.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, Protocol

from media.ice import Address
from media.rooms import ROOM_BYTES, Room, single_room
from media.sockets import Key, Outbox
from media.waiting import Waiting, is_picture

if TYPE_CHECKING:
    from media.connection import Connection

FRAME_MAX_BYTES = 1500
CHECK_WITHIN_S = 5.0
BACKED_UP_AFTER_NS = 50_000_000
CONGESTED_AFTER_NS = 200_000_000
HOPELESS_AFTER_NS = 2_000_000_000
# What the kernel may hold beyond what is on its way: by itself it would hoard seconds of a slow connection, unseen.
KERNEL_HOARDS_BYTES = 8 * 1024
_LENGTH = struct.Struct("!H")


class UdpPath:
    """One remote address at one of our sockets."""

    __slots__ = ("_routes", "connection", "heard_ns", "key", "outbox")
    is_tcp = False
    is_congested = is_backed_up = False

    def __init__(self, outbox: Outbox, key: Key, routes: dict[Key, UdpPath]) -> None:
        self.outbox = outbox
        self.key = key
        self._routes = routes
        self.connection: Connection | None = None
        self.heard_ns = 0

    def send(self, datagram: bytes) -> None:
        """A full buffer or an unreachable network is a lost packet."""
        if len(datagram) <= ROOM_BYTES:
            self.outbox.commit(self.key, self.outbox.room.fill(datagram))

    def drop(self) -> None:
        """Stop receiving here."""
        self.connection = None
        if self._routes.get(self.key) is self:
            del self._routes[self.key]


class TcpListener(Protocol):
    """What an accepted TCP connection asks of the endpoint."""

    def handle_stun(self, data: bytes, address: Address, path: TcpPath) -> None: ...
    def accept(self, path: TcpPath) -> bool: ...
    def forget(self, path: TcpPath) -> None: ...
    def count_drop(self) -> None: ...


class TcpPath(asyncio.Protocol):
    """Frames of RFC 4571 on one accepted TCP connection (RFC 6544, passive); an outbox to itself.

    What the kernel does not take at once waits here, where sound overtakes pictures. `room` is where its datagrams are
    worked on, each for the length of one call, so all of a node's may share it.
    """

    is_tcp = True
    key = None

    def __init__(self, listener: TcpListener, room: Room | None = None) -> None:
        self._listener = listener
        self.room = room or single_room()
        self.failures = 0
        self._transport: asyncio.Transport | None = None
        self._pending = bytearray()
        self._is_dropped = False
        self._deadline: asyncio.TimerHandle | None = None
        self._blocked_ns: int | None = None
        self._waiting = Waiting()
        self.address: Address = ("", 0)
        self.connection: Connection | None = None
        self.heard_ns = 0

    @property
    def outbox(self) -> Outbox:
        return self

    @property
    def is_congested(self) -> bool:
        """Whether pictures had better wait for a key frame; a way on which nothing moves is closed here too."""
        waited = self._waited_ns()
        if waited > HOPELESS_AFTER_NS:
            self.drop()
        return waited > CONGESTED_AFTER_NS

    @property
    def is_backed_up(self) -> bool:
        """Whether more has been sent than goes through just now."""
        return self._waited_ns() > BACKED_UP_AFTER_NS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise for a stream server
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = (peer[0], peer[1]) if peer else ("", 0)
        if not self._listener.accept(self):
            transport.abort()
            return
        transport.set_write_buffer_limits(high=0)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError, AttributeError):  # where there is no such option, queues are longer
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_HOARDS_BYTES)
        self._deadline = asyncio.get_running_loop().call_later(CHECK_WITHIN_S, self._expire)

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop()
        self._listener.forget(self)

    def pause_writing(self) -> None:
        self._blocked_ns = time.monotonic_ns()

    def resume_writing(self) -> None:
        self._blocked_ns = None
        while self._blocked_ns is None and len(self._waiting) and self._transport is not None:
            self._transport.write(self._waiting.take())

    def data_received(self, data: bytes) -> None:
        if self._is_dropped:
            return
        pending = self._pending
        pending += data
        at = 0
        while len(pending) - at >= 2:
            length = pending[at] << 8 | pending[at + 1]
            if length > FRAME_MAX_BYTES:
                self.drop()
                return
            if len(pending) - at - 2 < length:
                break
            self._frame(bytes(pending[at + 2 : at + 2 + length]))
            if self._is_dropped:
                return
            at += 2 + length
        del pending[:at]

    def send(self, datagram: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        frame = _LENGTH.pack(len(datagram)) + datagram
        if self._blocked_ns is None:
            transport.write(frame)
            return
        now_ns = time.monotonic_ns()
        if now_ns - self._blocked_ns > HOPELESS_AFTER_NS:
            self.drop()
        elif not self._waiting.put(frame, now_ns, is_picture=is_picture(datagram)):
            self.failures += 1

    def commit(self, key: Key, size: int) -> None:
        self.send(self.room.buffer[0:size])

    def flush(self) -> None:
        """Nothing waits here; what the transport holds back it sends by itself."""

    def drop(self) -> None:
        self._is_dropped, self._pending = True, bytearray()
        self._waiting.clear()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self.connection is not None:
            connection, self.connection = self.connection, None
            connection.lose(self)
        if self._transport is not None:
            self._transport.close() if self._blocked_ns is None else self._transport.abort()

    def _waited_ns(self) -> int:
        blocked, picture = self._blocked_ns, self._waiting.picture_since_ns
        since = blocked if picture is None or (blocked is not None and blocked < picture) else picture
        return 0 if since is None else time.monotonic_ns() - since

    def _frame(self, frame: bytes) -> None:
        try:
            if frame and frame[0] < 4:
                self._listener.handle_stun(frame, self.address, self)
            elif frame and self.connection is not None:
                self.connection.receive(self.room, self.room.fill(frame), self, time.monotonic_ns())
        except Exception:  # one guard per frame, as for datagrams
            self._listener.count_drop()

    def _expire(self) -> None:
        if self.connection is None:
            self.drop()


Path = UdpPath | TcpPath
