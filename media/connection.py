"""One peer connection of a participant: its paths, its DTLS, its SRTP both ways.

What the packets mean is its owner's work (`publisher`, `subscriber`); sockets are the endpoint's.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from dataclasses import dataclass, field
from typing import Protocol

from media.api import Leg
from media.counts import Counts
from media.dtls import Certificate, DtlsSession
from media.ice import Credentials
from media.negotiate import Remote
from media.paths import Path
from media.rooms import Room
from media.rtp import HEADER_BYTES, LONGEST_TO_PROTECT
from media.sdpwrite import Local
from media.srtp import Scratch, Srtp, SrtpError
from media.tasks import Tasks

PATHS_MAX = 8
PATH_FORGOTTEN_AFTER_NS = 30_000_000_000
UDP_PREFERRED_FOR_NS = 2_000_000_000
# So long without a word on the way in use, while another one is heard: the other side has moved there.
LEFT_AFTER_NS = 1_000_000_000
CLOSED_AFTER_SILENCE_NS = 30_000_000_000
SSRCS_MAX = 16
REPORTERS_MAX = 32
# What is sent when nobody wants to see it.
SENT = b""
# First and second byte of RTP, and its SSRC.
_HEAD = struct.Struct("!BB6xI")
_REPORTER = struct.Struct("!I")


class Owner(Protocol):
    """Who a connection belongs to."""

    def handle_rtp(self, packet: bytes, now_ns: int) -> None: ...
    def handle_rtcp(self, packet: bytes, now_ns: int) -> None: ...
    def handle_connected(self, connection: Connection) -> None: ...
    def handle_closed(self, connection: Connection, reason: str) -> None: ...


class _Nobody:
    """The owner of a connection that has ended: it holds its former owner, and what that owns, no longer."""

    def handle_rtp(self, packet: bytes, now_ns: int) -> None: ...
    def handle_rtcp(self, packet: bytes, now_ns: int) -> None: ...
    def handle_connected(self, connection: Connection) -> None: ...
    def handle_closed(self, connection: Connection, reason: str) -> None: ...


class Registry(Protocol):
    """What a connection asks of the endpoint."""

    candidates: list[str]

    def register(self, ufrag: str, connection: Connection) -> None: ...
    def unregister(self, ufrag: str) -> None: ...


@dataclass(frozen=True)
class Ceilings:
    """The most that one participant may send and be sent, in bits a second; None sets no limit."""

    up_bps: int | None = None
    down_bps: int | None = None


@dataclass
class Shared:
    """What all connections of a node share."""

    registry: Registry
    certificate: Certificate
    tasks: Tasks
    handshakes: asyncio.Semaphore
    scratch: Scratch = field(default_factory=Scratch)
    ceilings: Ceilings = field(default_factory=Ceilings)


class Connection:
    """From the first description to the end; `close` may be called at any time, more than once."""

    def __init__(self, leg: Leg, connection_id: str, counts: Counts, shared: Shared, owner: Owner) -> None:
        self.leg = leg
        self.connection_id = connection_id
        self.counts = counts
        self.is_connected = False
        self.is_closed = False
        self.heard_ns = self.made_ns = time.monotonic_ns()
        self.rtp_heard_ns = 0
        self.path: Path | None = None
        self.remote: Remote | None = None
        self.ssrcs: set[int] = set()
        self._reporters: set[int] = set()
        self._shared = shared
        self._owner: Owner = owner
        self._certificate = shared.certificate
        self._credentials = [Credentials.new()]
        self._paths: list[Path] = []
        self._udp_heard_ns = 0
        self._dtls = DtlsSession(shared.certificate, self._send_dtls, self._handle_dtls_closed, shared.scratch)
        self._inbound: Srtp | None = None
        self._outbound: Srtp | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._greeted = False
        shared.registry.register(self._credentials[0].ufrag, self)

    # ---- descriptions

    def local(self) -> Local:
        credentials = self._credentials[-1]
        return Local(
            credentials.ufrag,
            credentials.password,
            self._certificate.fingerprint,
            self._shared.registry.candidates,
        )

    def restart(self) -> None:
        """New ICE credentials; those in use hold until the first nominated check on the new ones."""
        while len(self._credentials) > 1:
            self._drop_credentials(self._credentials.pop(1))
        self._credentials.append(Credentials.new())
        self._shared.registry.register(self._credentials[-1].ufrag, self)

    def set_remote(self, remote: Remote) -> None:
        """The other side's description is known; DTLS may begin."""
        self.remote = remote
        self._begin_dtls()

    def password(self, ufrag: str) -> str | None:
        return next((item.password for item in self._credentials if item.ufrag == ufrag), None)

    # ---- paths

    def handle_check(self, path: Path, ufrag: str, nominated: bool, now_ns: int) -> None:
        """A valid check arrived on `path`; a nomination makes it the way out."""
        self.heard_ns = path.heard_ns = now_ns
        self.counts.stun_in += 1
        if path.connection is not self:
            if path.connection is not None:
                path.connection.lose(path)
            path.connection = self
            self._gain(path)
        if nominated and ufrag == self._credentials[-1].ufrag:
            while len(self._credentials) > 1:
                self._drop_credentials(self._credentials.pop(0))
        if self.path is None or (nominated and self._may_move_to(path, now_ns)):
            self.path = path
        self._follow(now_ns)
        self._begin_dtls()

    def lose(self, path: Path) -> None:
        """The path went to another session, fell silent or was closed."""
        if path in self._paths:
            self._paths.remove(path)
        if self.path is path:
            self.path = max(self._paths, key=lambda other: other.heard_ns, default=None)

    def tend_paths(self, now_ns: int) -> None:
        """Called now and then: the other side is followed to where it is heard, and silent ways are forgotten."""
        self._follow(now_ns)
        for path in list(self._paths):
            if now_ns - path.heard_ns > PATH_FORGOTTEN_AFTER_NS and path is not self.path:
                self.lose(path)
                path.drop()

    # ---- packets

    def receive(self, room: Room, size: int, path: Path, now_ns: int) -> None:
        """Anything that is not STUN; raises on what doesn't authenticate, and the endpoint's guard counts it."""
        if size < HEADER_BYTES:
            return
        first, second, ssrc = _HEAD.unpack_from(room.buffer)
        if 127 < first < 192:
            inbound = self._inbound
            if inbound is None:
                return
            if 192 <= second <= 223:  # RFC 5761 §4
                self._receive_rtcp(inbound, room, size, path, now_ns)
                return
            ssrcs = self.ssrcs
            if ssrc not in ssrcs and len(ssrcs) >= SSRCS_MAX:
                return
            packet = inbound.open(room, size)
            self.heard_ns = path.heard_ns = self.rtp_heard_ns = now_ns
            if not path.is_tcp:
                self._udp_heard_ns = now_ns
            self.counts.rtp_in += 1
            self._owner.handle_rtp(packet, now_ns)
            if ssrc not in ssrcs:
                inbound.remove_stream(ssrc)
        elif 19 < first < 64:
            self.counts.dtls_in += 1
            self._greeted = True
            self._dtls.feed(room.buffer[0:size])
            self._begin_dtls()

    def send_rtp(self, packet: bytes, *, copied: bool = False) -> bytes | None:
        """Protect and send; None when there is no way out or the packet is too long, `copied` gives the ciphertext."""
        outbound, path, size = self._outbound, self.path, len(packet)
        if outbound is None or path is None or size > LONGEST_TO_PROTECT:
            return None
        outbox = path.outbox
        room = outbox.room
        room.buffer[0:size] = packet
        size = outbound.seal(room, size)
        datagram = room.buffer[0:size] if copied else SENT
        outbox.commit(path.key, size)
        self.counts.rtp_out += 1
        return datagram

    def send_again(self, datagram: bytes) -> None:
        """The same ciphertext once more, for receivers without RTX."""
        if self.path is not None:
            self.path.send(datagram)
            self.counts.rtp_out += 1

    def send_rtcp(self, packet: bytes) -> None:
        outbound, path = self._outbound, self.path
        if outbound is None or path is None or len(packet) > LONGEST_TO_PROTECT:
            return
        room = path.outbox.room
        path.outbox.commit(path.key, outbound.seal_rtcp(room, room.fill(packet)))
        self.counts.rtcp_out += 1

    def forget(self, ssrc: int) -> None:
        """This SSRC is no longer received."""
        self.ssrcs.discard(ssrc)
        if self._inbound is not None:
            with contextlib.suppress(SrtpError):
                self._inbound.remove_stream(ssrc)

    # ---- ending

    def end(self, reason: str) -> None:
        """Close and tell the owner why."""
        if not self.is_closed:
            owner = self._owner
            self.close()
            owner.handle_closed(self, reason)

    def close(self) -> None:
        """Out of every map at once, so that nothing more is received or sent; DTLS says goodbye in a task."""
        if self.is_closed:
            return
        self.is_closed, self.is_connected = True, False
        self._inbound = self._outbound = None
        self._owner = _Nobody()
        for credentials in self._credentials:
            self._drop_credentials(credentials)
        self._shared.tasks.start(self._say_goodbye(), "goodbye")

    # ---- inside

    async def _say_goodbye(self) -> None:
        if self._handshake is not None and not self._handshake.done():
            self._handshake.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._handshake
        await self._dtls.close()
        for path in list(self._paths):
            path.connection = None
            path.drop()
        self._paths.clear()
        self.path = None

    def _begin_dtls(self) -> None:
        """As server once the other side has greeted us, as client once there is a way out."""
        if self._handshake is not None or self.remote is None or self.is_closed:
            return
        is_client = self.remote.setup == "passive"
        if self.path is not None and (is_client or self._greeted):
            self._handshake = self._shared.tasks.start(self._shake_hands(self.remote, is_client), "handshake")

    async def _shake_hands(self, remote: Remote, is_client: bool) -> None:
        async with self._shared.handshakes:
            done = await self._dtls.handshake(remote.fingerprint, is_client=is_client)
        if self.is_closed:
            return
        if not done:
            # Not from within: closing waits for this very task.
            asyncio.get_running_loop().call_soon(self.end, "dtls_failed")
            return
        self._inbound, self._outbound = self._dtls.inbound, self._dtls.outbound
        self.is_connected = True
        self._owner.handle_connected(self)

    def _receive_rtcp(self, inbound: Srtp, room: Room, size: int, path: Path, now_ns: int) -> None:
        reporter = _REPORTER.unpack_from(room.buffer, 4)[0]
        if reporter not in self._reporters and len(self._reporters) >= REPORTERS_MAX:
            return
        packet = inbound.open_rtcp(room, size)
        self._reporters.add(reporter)
        self._heard(path, now_ns)
        self.counts.rtcp_in += 1
        self._owner.handle_rtcp(packet, now_ns)

    def _heard(self, path: Path, now_ns: int) -> None:
        self.heard_ns = path.heard_ns = now_ns
        if not path.is_tcp:
            self._udp_heard_ns = now_ns

    def _gain(self, path: Path) -> None:
        self._paths.append(path)
        if len(self._paths) > PATHS_MAX:
            idle = min((one for one in self._paths if one is not self.path), key=lambda one: one.heard_ns)
            self.lose(idle)
            idle.drop()

    def _follow(self, now_ns: int) -> None:
        """Go over to the way last heard once the one in use has fallen silent: not everybody nominates a new one
        (aiortc checks consent without), and a NAT may give somebody another address at any time."""
        path = self.path
        if path is None or now_ns - path.heard_ns <= LEFT_AFTER_NS:
            return
        latest = max(self._paths, key=lambda one: one.heard_ns, default=path)
        if latest.heard_ns - path.heard_ns > LEFT_AFTER_NS and self._may_move_to(latest, now_ns):
            self.path = latest

    def _may_move_to(self, path: Path, now_ns: int) -> bool:
        return not path.is_tcp or now_ns - self._udp_heard_ns > UDP_PREFERRED_FOR_NS

    def _drop_credentials(self, credentials: Credentials) -> None:
        self._shared.registry.unregister(credentials.ufrag)

    def _send_dtls(self, datagram: bytes) -> None:
        if self.path is not None:
            self.counts.dtls_out += 1
            self.path.send(datagram)

    def _handle_dtls_closed(self) -> None:
        self.end("closed_by_peer")
