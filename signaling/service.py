"""The facade the server builds and calls: sockets attached to its application, started, stopped, told of changes.

Leaves rooms to the conductor, sockets to the namespaces and nodes to the reconciler.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import socketio
from aiohttp import web

from signaling.ports import Clinic, Nodes
from signaling.store import RoomStore
from signaling.words import Clock, Departure, ParticipantId, RoomId, SessionId, utc_now

SOCKET_PATH = "/socket.io"
PING_INTERVAL_S = 10
PING_TIMEOUT_S = 10
TRANSPORT_LIMIT_BYTES = 2 * 1024 * 1024

IceServers = Callable[[ParticipantId], list[dict[str, str]]]


def no_ice_servers(_: ParticipantId) -> list[dict[str, str]]:
    """No TURN configured; the nodes' own STUN addresses are added by themselves."""
    return []


class Signaling:
    """Everything of the room in this process."""

    def __init__(
        self,
        clinic: Clinic,
        nodes: Nodes,
        store: RoomStore,
        sio: socketio.AsyncServer,
        *,
        clock: Clock = utc_now,
        ice_servers: IceServers = no_ice_servers,
        server_id: str | None = None,
    ) -> None:
        self._clinic, self._nodes, self._store, self._sio = clinic, nodes, store, sio
        self._clock, self._ice_servers = clock, ice_servers
        self._server_id = server_id or secrets.token_hex(8)
        self._stopping = False

    def attach(self, app: web.Application) -> None:
        """Adds `/socket.io` to the application; call before it starts."""
        self._sio.attach(app, socketio_path=SOCKET_PATH.lstrip("/"))

    async def start(self) -> None:
        """Connects to the store and the nodes and rebuilds open rooms when the store is empty."""
        await self._store.start()

    async def stop(self) -> None:
        """Tells every page `server_restart`, closes its socket with 1001, ends every task."""
        self._stopping = True
        await self._store.stop()

    def ready(self) -> bool:
        """False while stopping, and while this server would not hear the others."""
        return not self._stopping and self._store.bus.is_subscribed()

    async def revoke_session(self, session_id: SessionId) -> None:
        """Disconnects this browser's sockets on every server."""
        await self._store.bus.publish({"topic": "revoke", "session": session_id})

    async def refresh_room(self, room_id: RoomId) -> None:
        """The clinic's facts changed: a guest link made, a link closed, the visit cancelled, a name corrected."""

    async def disconnect_participation(
        self, room_id: RoomId, participant_id: ParticipantId, reason: Departure = Departure.LINK_CLOSED
    ) -> None:
        """Puts this participation out of its room at once, on every server; the clinic has stored why."""


def build_signaling(
    *,
    clinic: Clinic,
    node_urls: Sequence[str],
    node_secret: str,
    redis_url: str | None,
    allowed_origins: Sequence[str],
    ice_servers: IceServers = no_ice_servers,
    clock: Clock = utc_now,
) -> Signaling:
    """Signaling as a server process runs it. An empty `allowed_origins` means the page's own origin only."""
    raise NotImplementedError
