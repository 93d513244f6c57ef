"""The `/visit` namespace: who a socket is, whether it may, then the event's function; snapshots out to each.

Thin on purpose: what events do is in `acts_*.py`, what rooms become in `rooms.py`, what is shown in `view.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import socketio
from socketio.exceptions import ConnectionRefusedError as SocketRefused

from media.api import NodeEvent
from signaling import changes as c
from signaling.acks import SomeWire, parse, parse_strictly, refusal, to_json
from signaling.bus import Message
from signaling.logs import Happening, log_error, log_info
from signaling.messages import Auth, DownOffered, Phase, Snapshot
from signaling.people import placement
from signaling.ports import Clinic, Seat
from signaling.scene import Scene, Tools
from signaling.sockets import RateLimit, Sockets, VisitSocket, device_id
from signaling.state import Person, RoomState
from signaling.store import RoomStore
from signaling.table import TABLE, Row
from signaling.tasks import TaskOwner
from signaling.view import Viewer, view, viewer_of
from signaling.words import PROTOCOL_VERSION, Code, ParticipantId, Refused, RoomId

VISIT = "/visit"
IceServers = Callable[[ParticipantId], list[dict[str, str]]]

_TRY_AGAIN = frozenset({Code.INTERNAL, Code.UNAVAILABLE, Code.NODE_DOWN, Code.TOO_MANY})


def monotonic_s() -> float:
    return asyncio.get_running_loop().time()


async def send_away(sio: socketio.AsyncServer, sid: str, namespace: str) -> None:
    """A page of another protocol version hears that it is out of date, then is let go."""
    await sio.emit("reload_needed", to=sid, namespace=namespace)
    await sio.disconnect(sid, namespace=namespace)


class VisitNamespace:
    """The sockets of people in visits. `register` puts its handlers on the server."""

    def __init__(
        self,
        *,
        sio: socketio.AsyncServer,
        sockets: Sockets,
        clinic: Clinic,
        store: RoomStore,
        tools: Tools,
        tasks: TaskOwner,
        ice_servers: IceServers,
        server_id: str,
    ) -> None:
        self._sio, self._sockets, self._clinic, self._store = sio, sockets, clinic, store
        self._tools, self._tasks, self._ice_servers, self._server_id = tools, tasks, ice_servers, server_id

    def register(self) -> None:
        self._sio.on("connect", handler=self.handle_connect, namespace=VISIT)
        self._sio.on("disconnect", handler=self.handle_disconnect, namespace=VISIT)
        self._sio.on("*", handler=self.handle_event, namespace=VISIT)

    # ── Coming and going ─────────────────────────────────────────────────────────────────────────────────────

    async def handle_connect(self, sid: str, environ: dict[str, Any], auth: object) -> None:
        """Everything that can be refused is refused before anything is kept."""
        try:
            said = read_auth(Auth, auth)
            if said is None:
                self._tasks.spawn(send_away(self._sio, sid, VISIT), "reload-needed")
                return
            seat = await self._clinic.seat(cookies_of(environ), said.participation)
            await self._take_seat(sid, seat, said.tab)
        except Exception as error:
            await self.handle_disconnect(sid, "connect_failed")
            said_no = refusal(error)
            log_info(Happening.CONNECT_REFUSED, code=said_no.error)
            raise SocketRefused(said_no.error, said_no.model_dump()) from error

    async def _take_seat(self, sid: str, seat: Seat, tab: str) -> None:
        state = await self._tools.conductor.get(seat.room_id)
        if seat.participant_id not in state.people:
            state = await self._tools.conductor.refresh(seat.room_id)
        person = state.people.get(seat.participant_id)
        if person is None or person.link_closed or person.blocked:
            raise Refused(
                Code.NOT_FOUND if person is None else Code.LINK_CLOSED if person.link_closed else Code.REMOVED
            )
        if tab in person.old_tabs and person.standing != "left":
            raise Refused(Code.NOT_ALLOWED, "The visit goes on in another window. Reload this page to go on here.")
        socket = VisitSocket(sid, seat, tab, RateLimit(monotonic_s()))
        self._sockets.visit[sid] = socket
        await self._place(socket, state, person)
        self._tasks.spawn(self._greet(socket), f"greet {sid}")
        log_info(Happening.CONNECTED, room_id=seat.room_id, participant_id=seat.participant_id, sid=sid)

    async def _place(self, socket: VisitSocket, state: RoomState, person: Person) -> RoomState:
        seat = socket.seat
        since = person.waiting_since or self._tools.conductor.clock()
        is_new = person.session != seat.session_id or person.standing in ("invited", "left")
        takes_place = placement(person, seat.session_id) == "place" and state.phase != Phase.ENDED
        if takes_place and person.standing == "waiting" and person.session not in (None, seat.session_id):
            await self._clinic.took_over(seat.room_id, seat.participant_id, seat.session_id)
            await self._tools.conductor.refresh(seat.room_id)  # this browser's own card says who opened the link
        elif takes_place and is_new and (person.is_host or not person.is_admitted):
            since = await self._clinic.arrived(seat.room_id, seat.participant_id, seat.session_id)
        return await self._tools.conductor.apply(
            seat.room_id,
            c.Connected(
                participant_id=seat.participant_id,
                sid=socket.sid,
                server=self._server_id,
                session=seat.session_id,
                tab=socket.tab,
                device=device_id(seat.room_id, seat.session_id),
                waiting_since=since,
            ),
        )

    async def _greet(self, socket: VisitSocket) -> None:
        """After the acknowledgement of the connection, which must be the first thing a page hears."""
        socket.is_greeted = True
        await self._show(socket, await self._tools.conductor.get(socket.seat.room_id))

    async def handle_disconnect(self, sid: str, reason: str) -> None:
        """Keyed by the socket: a late end of an old one touches nobody who came back on another."""
        socket = self._sockets.visit.pop(sid, None)
        if socket is None:
            return
        ids = {"room_id": socket.seat.room_id, "participant_id": socket.seat.participant_id, "sid": sid}
        log_info(Happening.DISCONNECTED, reason=reason.replace(" ", "_"), **ids)
        change = c.Disconnected(socket.seat.participant_id, sid, reason.replace(" ", "_"))
        try:
            await self._tools.conductor.apply(socket.seat.room_id, change)
        except Exception as error:  # the look for dead servers and sockets finds it
            log_error(Happening.EVENT_FAILED, code=type(error).__name__, **ids)

    # ── Events ───────────────────────────────────────────────────────────────────────────────────────────────

    async def handle_event(self, name: str, sid: str, *payload: object) -> dict[str, Any]:
        socket = self._sockets.visit.get(sid)
        if socket is None:
            return refusal(Refused(Code.RELOAD_NEEDED)).model_dump()
        ids = {"room_id": socket.seat.room_id, "participant_id": socket.seat.participant_id}
        try:
            async with socket.handling:
                return await self._answer(socket, name, payload)
        except Exception as error:
            said_no = refusal(error, **ids)
            # The name is the table's own: what a stranger typed is not for the log.
            known = name if name in TABLE else "unknown"
            log_info(Happening.EVENT_REFUSED, code=said_no.error, visit_event=known, **ids)
            return said_no.model_dump(mode="json")

    async def _answer(self, socket: VisitSocket, name: str, payload: tuple[object, ...]) -> dict[str, Any]:
        if not socket.limit.take(monotonic_s()):
            raise Refused(Code.TOO_MANY)
        row = TABLE.get(name)
        if row is None:
            raise Refused(Code.MALFORMED)
        event = parse(row.event, payload)
        if row.again:
            return (await row.act(await self._scene(socket, row), event)).model_dump(mode="json")
        key = f"{socket.seat.participant_id}:{socket.device}:{name}:{event.id}"
        given = await self._store.load_answer(key)
        if given is not None:
            return given
        try:
            answer = (await row.act(await self._scene(socket, row), event)).model_dump(mode="json")
        except Refused as refused:
            if refused.code not in _TRY_AGAIN:
                await self._store.keep_answer(key, refusal(refused).model_dump(mode="json"))
            raise
        await self._store.keep_answer(key, answer)
        return answer

    async def _scene(self, socket: VisitSocket, row: Row) -> Scene:
        """Who speaks and whether they may: from the seat and the room's state alone."""
        state, person = await self._standing(socket)
        viewer = viewer_of(person, socket.sid, socket.device)
        if row.event.RIGHT not in person.rights & socket.seat.rights:
            raise Refused(Code.NOT_ALLOWED)
        if viewer.replaced is not None and row.event.NAME != "sync":
            raise Refused(Code.REMOVED if person.blocked else Code.NOT_ADMITTED)
        if viewer.second and not row.second:
            raise Refused(Code.NOT_ADMITTED)
        if state.phase == Phase.ENDED and not row.after_end:
            raise Refused(Code.VISIT_OVER)
        if row.event.ADMITTED_ONLY and not viewer.second and not _was_inside(state, person):
            raise Refused(Code.NOT_ADMITTED)
        return Scene(tools=self._tools, socket=socket, state=state, me=person, is_second=viewer.second)

    async def _standing(self, socket: VisitSocket) -> tuple[RoomState, Person]:
        state = await self._tools.conductor.get(socket.seat.room_id)
        person = state.people.get(socket.seat.participant_id)
        if person is not None and _is_forgotten(person, socket):
            state = await self._place(socket, state, person)
            person = state.people.get(socket.seat.participant_id)
        if person is None:
            raise Refused(Code.NOT_FOUND)
        return state, person

    # ── Telling ──────────────────────────────────────────────────────────────────────────────────────────────

    async def tell_room(self, room_id: RoomId) -> None:
        """Its own snapshot to each socket of this server for which something changed."""
        sockets = self._sockets.in_room(room_id)
        if not sockets:
            return
        state = await self._tools.conductor.get(room_id)
        for socket in sockets:
            await self._show(socket, state)

    async def tell_all(self, *, again: bool) -> None:
        """Every socket of this server; `again` also where nothing seems to have changed."""
        for room_id in self._sockets.rooms():
            for socket in self._sockets.in_room(room_id):
                await self._standing_or_none(socket)
                if again:
                    socket.sent = None
            await self.tell_room(room_id)

    async def _standing_or_none(self, socket: VisitSocket) -> None:
        try:
            await self._standing(socket)
        except Refused:
            await self._sio.disconnect(socket.sid, namespace=VISIT)

    async def _show(self, socket: VisitSocket, state: RoomState) -> None:
        person = state.people.get(socket.seat.participant_id)
        if person is None or not socket.is_greeted or socket.sid not in self._sockets.visit:
            return
        await self._send(socket, state, viewer_of(person, socket.sid, socket.device))

    async def _send(self, socket: VisitSocket, state: RoomState, viewer: Viewer) -> None:
        ice = self._ice_servers(socket.seat.participant_id)
        snapshot = view(state, viewer, self._tools.conductor.clock(), ice)
        sent = socket.sent
        if sent is not None and (snapshot.revision < sent.revision or _is_same(snapshot, sent)):
            return
        socket.sent = snapshot
        await self._sio.emit("snapshot", snapshot.model_dump(mode="json"), to=socket.sid, namespace=VISIT)

    async def evict(self, message: Message) -> None:
        """A last snapshot that says why, then the socket is closed."""
        socket = self._sockets.visit.get(message["sid"])
        if socket is None:
            return
        if not message["silent"]:
            await self._show(socket, await self._tools.conductor.get(socket.seat.room_id))
        self._tasks.spawn(self._close(socket), f"evict {socket.sid}")

    async def _close(self, socket: VisitSocket) -> None:
        async with socket.handling:
            await self._sio.disconnect(socket.sid, namespace=VISIT)

    async def deliver(self, message: Message) -> None:
        if message["sid"] in self._sockets.visit:
            await self._sio.emit(message["event"], message["data"], to=message["sid"], namespace=VISIT)

    async def deliver_down_offer(self, event: NodeEvent) -> None:
        """Every server hears every node: each hands an offer to its own sockets only."""
        if event.offer is None or event.room_id is None:
            return
        sockets = [
            one
            for one in self._sockets.in_room(RoomId(event.room_id))
            if one.seat.participant_id == event.participant_id
        ]
        if not sockets:
            return
        state = await self._tools.conductor.get(RoomId(event.room_id))
        offer = DownOffered(**event.offer.model_dump(exclude={"v"}))
        for socket in sockets:
            person = state.people.get(socket.seat.participant_id)
            if person and person.is_admitted and person.place and person.place.sid == socket.sid:
                await self._sio.emit("down_offer", offer.model_dump(mode="json"), to=socket.sid, namespace=VISIT)


def read_auth(kind: type[SomeWire], auth: object) -> SomeWire | None:
    """None for a page of another protocol version. Raises malformed."""
    if not isinstance(auth, dict):
        raise Refused(Code.MALFORMED)
    version = auth.get("v")
    if isinstance(version, int) and version != PROTOCOL_VERSION:
        return None
    return parse_strictly(kind, to_json(auth))


def cookies_of(environ: dict[str, Any]) -> dict[str, str]:
    return dict(environ["aiohttp.request"].cookies)


def _was_inside(state: RoomState, person: Person) -> bool:
    if person.is_admitted:
        return True
    return state.phase == Phase.ENDED and person.was_admitted


def _is_forgotten(person: Person, socket: VisitSocket) -> bool:
    """The room's state was lost and rebuilt: it does not know this socket, and nobody else speaks for them."""
    known = [person.place, *person.devices]
    if any(one is not None and one.sid == socket.sid for one in known):
        return False
    if person.standing == "left" or person.blocked or person.link_closed:
        return False
    return person.place is None or person.session != socket.seat.session_id


def _is_same(snapshot: Snapshot, sent: Snapshot) -> bool:
    """Apart from its number and time; fresh TURN credentials alone are no news."""
    aside = {"revision": sent.revision, "sent_at": sent.sent_at, "ice_servers": sent.ice_servers}
    return snapshot.model_copy(update=aside) == sent
