"""The node's sockets: binding them, draining them, and giving each datagram to the connection it belongs to.

A check's USERNAME finds its connection, everything else goes by address; what a packet means is decided above.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING

from media import ice
from media.ice import Address
from media.loop import MediaLoop
from media.paths import Path, TcpPath, UdpPath
from media.rooms import ROOM_BYTES, single_room
from media.rtp import LONGEST_IN
from media.sdpwrite import candidates
from media.sockets import Hold, Key, Outbox, Reader, outbox_for, reader_for

if TYPE_CHECKING:
    from media.connection import Connection

# Of sixteen datagrams at most each: then others have their turn.
DRAINED_TIMES = 4
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
TCP_PER_HOST_MAX = 16
TCP_MAX = 512
PORT_TRIES = 20

logger = logging.getLogger(__name__)


class CannotListen(Exception):  # noqa: N818 — read by people starting the node
    """An address or a port of the settings cannot be bound; the text says which."""


@dataclass
class _Local:
    """One bound socket; `routes` goes by its reader's keys."""

    address: str
    socket: socket.socket
    reader: Reader
    outbox: Outbox
    routes: dict[Key, UdpPath] = field(default_factory=dict)

    def path_to(self, key: Key) -> UdpPath:
        return UdpPath(self.outbox, key, self.routes)


class Endpoint:
    """One UDP socket a local address, all on one port, and passive TCP beside it."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.candidates: list[str] = []
        self.ice_servers: list[str] = []
        self.port = 0
        self.tcp_port: int | None = None
        self.dropped = 0
        self.plain_bindings = 0
        # Called with the time when packets come at or after it: who has to do things often rides on their wake-ups.
        self.beat: Callable[[int], None] = _never
        self.beat_due_ns = 1 << 63
        self._locals: list[_Local] = []
        self._hold = Hold()
        self._tcp_room = single_room()
        self._servers: list[asyncio.Server] = []
        self._tcp: set[TcpPath] = set()
        self._tcp_hosts: Counter[str] = Counter()
        self._connections: dict[str, Connection] = {}
        self._plain_limit = ice.RateLimit()

    async def open(
        self,
        addresses: list[str],
        port: int,
        *,
        advertised: list[str] | None = None,
        with_tcp: bool = True,
        tcp_port: int | None = None,
    ) -> None:
        """Bind and begin reading; raises CannotListen, leaving nothing open."""
        try:
            await self._bind(addresses, port, with_tcp, tcp_port)
        except BaseException:
            await self.close()
            raise
        loop = asyncio.get_running_loop()
        for local in self._locals:
            if isinstance(loop, MediaLoop):
                loop.add_drain(local.socket.fileno(), partial(self._drain, local))
            else:
                loop.add_reader(local.socket.fileno(), self._drain, local)
        self.addresses = addresses
        told = advertised or addresses
        self.candidates = candidates(told, self.port, self.tcp_port)
        self.ice_servers = [f"stun:{bracketed(address)}:{self.port}" for address in told]

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        for local in self._locals:
            if isinstance(loop, MediaLoop):
                loop.remove_drain(local.socket.fileno())
            else:
                loop.remove_reader(local.socket.fileno())
            local.socket.close()
        self._locals.clear()
        for server in self._servers:
            server.close()
        for path in list(self._tcp):
            path.drop()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    # ---- what connections ask (Registry)

    def register(self, ufrag: str, connection: Connection) -> None:
        self._connections[ufrag] = connection

    def unregister(self, ufrag: str) -> None:
        self._connections.pop(ufrag, None)

    # ---- what accepted TCP connections ask (TcpListener)

    def accept(self, path: TcpPath) -> bool:
        """Whether this connection may stay; it is counted until `forget`."""
        host = path.address[0]
        if len(self._tcp) >= TCP_MAX or self._tcp_hosts[host] >= TCP_PER_HOST_MAX:
            return False
        self._tcp.add(path)
        self._tcp_hosts[host] += 1
        return True

    def forget(self, path: TcpPath) -> None:
        if path in self._tcp:
            self._tcp.discard(path)
            self._tcp_hosts[path.address[0]] -= 1
            if self._tcp_hosts[path.address[0]] <= 0:
                del self._tcp_hosts[path.address[0]]

    def count_drop(self) -> None:
        self.dropped += 1

    def handle_stun(self, data: bytes, address: Address, path: Path) -> None:
        """A STUN message on a TCP path."""
        result = ice.answer(data, address, self._password) if ice.is_binding_request(data) else None
        if isinstance(result, ice.Check):
            self._checked(result, path)
        elif result is not None:
            self._plain(result, address, path)
        else:
            self.dropped += 1

    # ---- inside

    def _drain(self, local: _Local) -> None:
        """What has come by now, and a while of what comes meanwhile; then the beat, if it is due."""
        now_ns = 0
        for _ in range(DRAINED_TIMES):
            sizes, keys = local.reader.take()
            if not sizes:
                break
            now_ns = monotonic_ns()
            self._take(local, sizes, keys, now_ns)
        if now_ns >= self.beat_due_ns:
            self.beat(now_ns)

    def _take(self, local: _Local, sizes: list[int], keys: list[Key], now_ns: int) -> None:
        """Datagrams read together; what goes out because of them goes together."""
        routes, view, at = local.routes, local.reader.view, 0
        self._hold.is_on = True
        for room, size, key in zip(local.reader.rooms, sizes, keys, strict=False):
            try:
                path = routes.get(key)
                if not 0 < size <= LONGEST_IN:
                    self.dropped += 1
                elif view[at] < 20:
                    self._take_stun(local, room.buffer[0:size], key, path)
                elif path is not None and path.connection is not None:
                    path.connection.receive(room, size, path, now_ns)
                else:
                    self.dropped += 1
            except Exception:  # one guard per datagram: whatever it is, the drain goes on
                self.dropped += 1
                logger.debug("datagram dropped", exc_info=True)
            at += ROOM_BYTES
        self.release()

    def hold(self) -> None:
        """Gather what goes out until `release`."""
        self._hold.is_on = True

    def release(self) -> None:
        self._hold.is_on = False
        for local in self._locals:
            local.outbox.flush()

    def _take_stun(self, local: _Local, data: bytes, key: Key, path: UdpPath | None) -> None:
        if not ice.is_binding_request(data):
            self.dropped += 1
            return
        address = local.reader.address(key)
        result = ice.answer(data, (address[0], address[1]), self._password)
        if result is None:
            self.dropped += 1
        elif isinstance(result, ice.Check):
            if path is None:
                path = local.routes[key] = local.path_to(key)
            self._checked(result, path)
        else:
            self._plain(result, (address[0], address[1]), local.path_to(key))

    def _checked(self, check: ice.Check, path: Path) -> None:
        connection = self._connections[check.ufrag]
        connection.handle_check(path, check.ufrag, check.nominated, monotonic_ns())
        connection.counts.stun_out += 1
        path.send(check.reply)

    def _plain(self, reply: ice.Reply, address: Address, path: Path) -> None:
        if self._plain_limit.may_answer(address[0], monotonic()):
            self.plain_bindings += 1
            path.send(reply.reply)
        else:
            self.dropped += 1

    def _password(self, ufrag: str) -> str | None:
        connection = self._connections.get(ufrag)
        return connection.password(ufrag) if connection is not None else None

    async def _bind(self, addresses: list[str], port: int, with_tcp: bool, tcp_port: int | None) -> None:
        for attempt in range(PORT_TRIES):
            try:
                self._bind_udp(addresses, port)
                if with_tcp:
                    await self._bind_tcp(addresses, self.port if tcp_port is None else tcp_port)
                return
            except CannotListen:
                if port != 0 or attempt == PORT_TRIES - 1:
                    raise
                await self.close()

    def _bind_udp(self, addresses: list[str], port: int) -> None:
        self.port = port
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setblocking(False)
            self._locals.append(_Local(address, sock, reader_for(sock), outbox_for(sock, self._hold)))
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            try:
                sock.bind((address, self.port))
            except OSError as error:
                raise CannotListen(f"UDP {bracketed(address)}:{self.port}: {error.strerror}") from None
            self.port = sock.getsockname()[1]

    async def _bind_tcp(self, addresses: list[str], port: int) -> None:
        loop = asyncio.get_running_loop()
        self.tcp_port = port
        for address in addresses:
            try:
                server = await loop.create_server(self._accept, address, self.tcp_port)
            except OSError as error:
                raise CannotListen(f"TCP {bracketed(address)}:{self.tcp_port}: {error.strerror}") from None
            self._servers.append(server)
            self.tcp_port = server.sockets[0].getsockname()[1]

    def _accept(self) -> TcpPath:
        return TcpPath(self, self._tcp_room)


def _never(_: int) -> None:
    """Nobody asked for a beat."""


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def local_addresses(with_loopback: bool) -> list[str]:
    """The addresses of the default routes, and loopback when asked for or when there is nothing else.

    Connecting a datagram socket sends nothing; it only asks the kernel which address it would use.
    """
    found = []
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((somewhere, 9))
            address = ipaddress.ip_address(probe.getsockname()[0])
            if not (address.is_loopback or address.is_link_local):
                found.append(str(address))
    if with_loopback or not found:
        found.append("127.0.0.1")
    return found
