"""The facade the server builds and calls: sockets attached to its application, started, stopped, told of changes.

Leaves rooms to the conductor, sockets to the namespaces and nodes to the reconciler; here they are put together.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Sequence

import socketio
from aiohttp import web

from media.api import NodeEvent
from signaling import changes as c
from signaling.arrivals import CLINIC, ClinicPages
from signaling.bus import Message
from signaling.closing import OpenWebSockets
from signaling.conductor import Conductor
from signaling.logs import Happening, log_error, log_info
from signaling.namespace import VISIT, IceServers, VisitNamespace
from signaling.nodes import NodeFleet
from signaling.people import Trouble, patients_trouble
from signaling.ports import Clinic, Nodes
from signaling.reconcile import Reconciler
from signaling.redis_store import RedisStore
from signaling.scene import Tools
from signaling.sockets import Sockets
from signaling.store import MemoryStore, RoomStore
from signaling.tasks import TaskOwner
from signaling.wire_server import WireServer
from signaling.words import ClinicId, Clock, ParticipantId, PersonId, RoomId, SessionId, utc_now

SOCKET_PATH = "/socket.io"
PING_INTERVAL_S = 8
PING_TIMEOUT_S = 8
"""A page that answers no more is away after at most the sum of both."""
TRANSPORT_LIMIT_BYTES = 2 * 1024 * 1024
TICK_S = 0.5
LOOK_S = 2.0
AGAIN_S = 10.0


def no_ice_servers(_: ParticipantId) -> list[dict[str, str]]:
    """No TURN configured; the nodes' own STUN addresses are added by themselves."""
    return []


def make_sio(allowed_origins: Sequence[str]) -> socketio.AsyncServer:
    """The Socket.IO server as rooms need it. No origins given means the page's own only."""
    return WireServer(
        async_mode="aiohttp",
        async_handlers=False,
        cors_allowed_origins=list(allowed_origins) or None,
        max_http_buffer_size=TRANSPORT_LIMIT_BYTES,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        namespaces=[VISIT, CLINIC],
    )


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
        self._server_id = server_id or secrets.token_hex(8)
        self._stopping = False
        self._sockets = Sockets()
        self._tasks = TaskOwner()
        self._open = OpenWebSockets(sio)
        self._conductor = Conductor(clinic, store, clock)
        self._reconciler = Reconciler(self._conductor, nodes, self._tasks, self._hand_down_offer)
        self._visits = VisitNamespace(
            sio=sio,
            sockets=self._sockets,
            clinic=clinic,
            store=store,
            tools=Tools(clinic, self._conductor, nodes, self._reconciler),
            tasks=self._tasks,
            ice_servers=ice_servers,
            server_id=self._server_id,
        )
        self._pages = ClinicPages(
            sio=sio, sockets=self._sockets, clinic=clinic, store=store, conductor=self._conductor, tasks=self._tasks
        )
        self._conductor.on_sync = self._reconciler.request
        self._conductor.on_message = self._handle_message

    def attach(self, app: web.Application) -> None:
        """Adds `/socket.io` to the application; call before it starts."""
        self._visits.register()
        self._pages.register()
        self._sio.attach(app, socketio_path=SOCKET_PATH.lstrip("/"))

    async def start(self) -> None:
        """Connects to the store and the nodes and rebuilds open rooms when the store is empty."""
        await self._store.start()
        await self._store.beat(self._server_id)
        await self._store.bus.start(self._handle_message, self._tell_again)
        await self._rebuild()
        await self._nodes.start(self._reconciler)
        self._tasks.repeat(self._tick, TICK_S, "deadlines")
        self._tasks.repeat(self._look, LOOK_S, "look")
        self._tasks.repeat(self._tell_again, AGAIN_S, "snapshots")

    async def stop(self) -> None:
        """Tells every page `server_restart`, closes its socket with 1001, ends every task."""
        if self._stopping:
            return
        self._stopping = True
        log_info(Happening.STOPPING, sockets=len(self._sockets.visit) + len(self._sockets.clinic))
        for namespace in (VISIT, CLINIC):
            await self._sio.emit("server_restart", namespace=namespace)
        await asyncio.sleep(0.05)  # lets the writers send it before the close
        await self._open.close_all()
        await self._let_go()
        await self._sio.shutdown()
        await self._nodes.stop()
        await self._tasks.close()
        await self._store.leave(self._server_id)
        await self._store.bus.stop()
        await self._store.stop()

    async def _let_go(self) -> None:
        """Until the sockets' own tasks have marked everybody away, at most a second: others would find out anyway."""
        for _ in range(100):
            if not self._sockets.visit:
                return
            await asyncio.sleep(0.01)

    def ready(self) -> bool:
        """False while stopping, and while this server would not hear the others."""
        return not self._stopping and self._store.bus.is_subscribed()

    async def revoke_session(self, session_id: SessionId) -> None:
        """Disconnects this browser's sockets on every server."""
        await self._conductor.publish({"topic": "revoke", "session": session_id})

    async def refresh_room(self, room_id: RoomId) -> None:
        """The clinic's facts changed: a guest link made, a link closed, a visit cancelled or put back, a new name."""
        await self._conductor.refresh(room_id)

    async def hides_names(self, doctor: PersonId) -> bool:
        """Whether a screen is shared in a visit of this doctor: no page of theirs shows a patient's name meanwhile."""
        return await self._pages.hides_names(doctor)

    async def load_troubles(self, room_ids: Collection[RoomId]) -> dict[RoomId, Trouble]:
        """Of rooms whose patient waits or is in the visit: what the desk should know of them just now.

        Without the store the desk's pages go on without it.
        """
        found = {}
        for room_id in room_ids:
            try:
                state = await self._store.load(room_id)
            except Exception as error:
                log_error(Happening.STORE_FAILED, room_id=room_id, code=type(error).__name__)
                break
            trouble = patients_trouble(state) if state is not None else None
            if trouble is not None:
                found[room_id] = trouble
        return found

    # ── What repeats ─────────────────────────────────────────────────────────────────────────────────────────

    async def _rebuild(self) -> None:
        if not await self._store.active():
            for room_id in await self._clinic.load_open_rooms():
                await self._conductor.get(room_id)

    async def _tick(self) -> None:
        for room_id in await self._store.due(self._conductor.clock()):
            try:
                await self._conductor.tick(room_id)
            except Exception as error:  # one room's trouble must not hold up the others
                log_error(Happening.RECONCILE_FAILED, room_id=room_id, code=type(error).__name__)

    async def _look(self) -> None:
        """Beats, marks people of dead servers away, puts forgotten sockets back, tries again what failed."""
        await self._store.beat(self._server_id)
        alive = await self._store.live_servers() | {self._server_id}
        for room_id in await self._store.active():
            state = await self._store.load(room_id)
            if state is None:
                continue
            held = [one.server for person in state.people.values() for one in (person.place, *person.devices) if one]
            if any(server not in alive for server in held):
                await self._conductor.apply(room_id, c.ServersAlive(alive))
        await self._visits.tell_all(again=False)
        await self._reconciler.sync_waiting()

    async def _tell_again(self) -> None:
        """Snapshots again, for whoever missed one: every 10 s and when the subscription returns."""
        await self._visits.tell_all(again=True)
        await self._pages.tell(self._sockets.doctors(), again=True)

    async def _hand_down_offer(self, event: NodeEvent) -> None:
        await self._visits.deliver_down_offer(event)

    async def _handle_message(self, message: Message) -> None:
        """What a server said on the bus. A message's failure ends neither the bus nor whoever published it."""
        try:
            await self._act_on(message)
        except Exception as error:
            log_error(Happening.TASK_FAILED, task=str(message.get("topic")), code=type(error).__name__)

    async def _act_on(self, message: Message) -> None:
        topic = message.get("topic")
        if topic == "room":
            await self._visits.tell_room(RoomId(message["room"]))
            await self._pages.tell(self._concerned(message))
        elif topic == "arrivals":
            await self._pages.tell(PersonId(one) for one in message["doctors"])
        elif topic == "revoke":
            for namespace, sid in list(self._sockets.of_session(SessionId(message["session"]))):
                await self._sio.disconnect(sid, namespace=namespace)
        elif message.get("server") == self._server_id:
            await (self._visits.evict(message) if topic == "evict" else self._visits.deliver(message))

    def _concerned(self, message: Message) -> set[PersonId]:
        """The doctors whose pages a change of this room may change; `clinic` is named where nobody holds it."""
        concerned = {PersonId(one) for one in message["doctors"]}
        clinic = message.get("clinic")
        return concerned | self._sockets.doctors_at(ClinicId(clinic)) if clinic else concerned


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
    server_id = secrets.token_hex(8)
    store: RoomStore = RedisStore.from_url(redis_url, server_id) if redis_url else MemoryStore()
    nodes = NodeFleet.over_http(node_urls, node_secret)
    sio = make_sio(allowed_origins)
    return Signaling(clinic, nodes, store, sio, clock=clock, ice_servers=ice_servers, server_id=server_id)
