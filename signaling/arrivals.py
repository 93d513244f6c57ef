"""The `/clinic` namespace: who waits for a doctor, on every open page of theirs, at once and after a reload.

Only looks at rooms and at what was seen; letting in is done in the visit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import socketio
from socketio.exceptions import ConnectionRefusedError as SocketRefused

from signaling.acks import parse, refusal
from signaling.conductor import Conductor
from signaling.logs import Happening, log_info
from signaling.messages import Arrivals, ArrivalsSeen, ArrivalView, ClinicAuth, Ok, Phase
from signaling.namespace import cookies_of, monotonic_s, read_auth, send_away
from signaling.ports import Clinic, StaffSeat
from signaling.sockets import ClinicSocket, RateLimit, Sockets
from signaling.state import Person, RoomState
from signaling.store import RoomStore, is_untaken
from signaling.tasks import TaskOwner
from signaling.view import rfc3339
from signaling.words import Code, ParticipantId, PersonId, Refused, RoomId

CLINIC = "/clinic"


def is_waiting_for(state: RoomState, person: Person) -> bool:
    return state.phase != Phase.ENDED and person.standing == "waiting" and not person.is_host


def is_for(state: RoomState, doctor: PersonId) -> bool:
    """`state` is of this doctor's clinic: theirs, or a walk-in that nobody has taken."""
    return doctor in state.doctor_ids or is_untaken(state)


def arrivals_view(
    rooms: Iterable[RoomState], doctor: PersonId, seen: frozenset[ParticipantId], revision: int
) -> Arrivals:
    """Everybody who waits for this doctor, or for any doctor of the clinic, longest first. Pure."""
    near = [state for state in rooms if is_for(state, doctor)]
    own = [state for state in near if doctor in state.doctor_ids]
    names_hidden = any(shares_screen(state) for state in own)
    waiting = [(state, person) for state in near for person in state.people.values() if is_waiting_for(state, person)]
    waiting.sort(key=lambda pair: (_since(*pair), pair[1].participant_id))
    return Arrivals(
        revision=revision,
        waiting=[_arrival(state, person, names_hidden, seen) for state, person in waiting],
        silent=any(state.phase == Phase.OPEN and _is_in(state, doctor) for state in own),
        names_hidden=names_hidden,
    )


def _arrival(state: RoomState, person: Person, names_hidden: bool, seen: frozenset[ParticipantId]) -> ArrivalView:
    since = _since(state, person)
    return ArrivalView(
        room_id=state.room_id,
        participant_id=person.participant_id,
        name=None if names_hidden else person.name,
        role=person.role,
        waiting_since=rfc3339(since),
        late=since > state.late_at,
        seen=person.participant_id in seen,
        untaken=is_untaken(state),
    )


def _since(state: RoomState, person: Person) -> datetime:
    return person.waiting_since or state.starts_at


def _is_in(state: RoomState, doctor: PersonId) -> bool:
    return any(one.person_id == doctor and one.is_admitted and one.place for one in state.people.values())


def shares_screen(state: RoomState) -> bool:
    return any(one.screen and one.is_admitted and one.place is not None for one in state.people.values())


class ClinicPages:
    """The open pages of this process's doctors. `register` puts its handlers on the server."""

    def __init__(
        self,
        *,
        sio: socketio.AsyncServer,
        sockets: Sockets,
        clinic: Clinic,
        store: RoomStore,
        conductor: Conductor,
        tasks: TaskOwner,
    ) -> None:
        self._sio, self._sockets, self._clinic, self._store = sio, sockets, clinic, store
        self._conductor, self._tasks = conductor, tasks

    def register(self) -> None:
        self._sio.on("connect", handler=self.handle_connect, namespace=CLINIC)
        self._sio.on("disconnect", handler=self.handle_disconnect, namespace=CLINIC)
        self._sio.on("*", handler=self.handle_event, namespace=CLINIC)

    async def handle_connect(self, sid: str, environ: dict[str, Any], auth: object) -> None:
        try:
            said = read_auth(ClinicAuth, auth)
            if said is None:
                self._tasks.spawn(send_away(self._sio, sid, CLINIC), "reload-needed")
                return
            seat = await self._clinic.staff_seat(cookies_of(environ), said.clinic)
            socket = ClinicSocket(sid, seat, RateLimit(monotonic_s()))
        except Exception as error:
            said_no = refusal(error)
            raise SocketRefused(said_no.error, said_no.model_dump()) from error
        self._sockets.clinic[sid] = socket
        self._tasks.spawn(self._greet(socket), f"greet {sid}")
        log_info(Happening.CLINIC_CONNECTED, person_id=seat.person_id, sid=sid)

    async def handle_disconnect(self, sid: str, reason: str) -> None:
        socket = self._sockets.clinic.pop(sid, None)
        if socket is not None:
            log_info(Happening.CLINIC_DISCONNECTED, person_id=socket.seat.person_id, sid=sid)

    async def handle_event(self, name: str, sid: str, *payload: object) -> dict[str, Any]:
        socket = self._sockets.clinic.get(sid)
        if socket is None:
            return refusal(Refused(Code.RELOAD_NEEDED)).model_dump()
        try:
            if not socket.limit.take(monotonic_s()):
                raise Refused(Code.TOO_MANY)
            if name != ArrivalsSeen.NAME:
                raise Refused(Code.MALFORMED)
            event = parse(ArrivalsSeen, payload)
            if ArrivalsSeen.RIGHT not in socket.seat.rights:
                raise Refused(Code.NOT_ALLOWED)
            await self._mark_seen(socket, event)
        except Exception as error:
            return refusal(error, person_id=socket.seat.person_id).model_dump(mode="json")
        return Ok().model_dump(mode="json")

    async def _mark_seen(self, socket: ClinicSocket, event: ArrivalsSeen) -> None:
        """Only people who wait for this doctor; others are passed over.

        Where nobody has taken them, what one doctor has seen silences their own pages alone, and not for ever.
        """
        wanted, doctor = set(event.participant_ids), socket.seat.person_id
        seen = []
        for state in await self._near(socket.seat):
            for one in wanted & set(state.people):
                if is_untaken(state):
                    await self._store.keep_answer(_glance(doctor, ParticipantId(one)), {"ok": True})
                else:
                    seen.append(ParticipantId(one))
        await self._clinic.arrivals_seen(socket.seat, seen)
        await self._conductor.publish({"topic": "arrivals", "doctors": [socket.seat.person_id]})

    async def tell(self, doctors: Iterable[PersonId], *, again: bool = False) -> None:
        """The whole list to every page of these doctors on this server, where it changed or `again`."""
        for doctor in doctors:
            for socket in self._sockets.of_doctor(doctor):
                if again:
                    socket.sent = None
                await self._show(socket)

    async def hides_names(self, doctor: PersonId) -> bool:
        """The same rule as for an open page, for one that is being made."""
        return any(shares_screen(state) for state in await self._rooms(doctor))

    async def _greet(self, socket: ClinicSocket) -> None:
        socket.is_greeted = True
        await self._show(socket)

    async def _show(self, socket: ClinicSocket) -> None:
        """One at a time for each page: a slower look at an older state must not come last."""
        async with socket.showing:
            if socket.is_greeted and socket.sid in self._sockets.clinic:
                await self._show_newest(socket)

    async def _show_newest(self, socket: ClinicSocket) -> None:
        doctor = socket.seat.person_id
        rooms = await self._near(socket.seat)
        waiting = [one.participant_id for state in rooms for one in state.people.values() if is_waiting_for(state, one)]
        seen = await self._clinic.seen_arrivals(waiting) | await self._glanced_at(rooms, doctor)
        sent = socket.sent
        unnumbered = arrivals_view(rooms, doctor, seen, sent.revision if sent else 0)
        if unnumbered == sent:
            return
        floor = int(self._conductor.clock().timestamp() * 1000)
        revision = await self._store.rise(f"arrivals:{doctor}", floor)
        socket.sent = unnumbered.model_copy(update={"revision": revision})
        await self._sio.emit("arrivals", socket.sent.model_dump(mode="json"), to=socket.sid, namespace=CLINIC)

    async def _glanced_at(self, rooms: Iterable[RoomState], doctor: PersonId) -> frozenset[ParticipantId]:
        untaken = [one for state in rooms if is_untaken(state) for one in state.people]
        return frozenset([one for one in untaken if await self._store.load_answer(_glance(doctor, one)) is not None])

    async def _near(self, seat: StaffSeat) -> list[RoomState]:
        """Of this clinic alone: the doctor's own rooms, and those that no doctor has yet."""
        found = await self._rooms(seat.person_id) + await self._load(await self._store.untaken(seat.clinic_id))
        near = {state.room_id: state for state in found if state.clinic_id == seat.clinic_id}
        return [state for state in near.values() if is_for(state, seat.person_id)]

    async def _rooms(self, doctor: PersonId) -> list[RoomState]:
        return await self._load(await self._store.rooms_of(doctor))

    async def _load(self, room_ids: Iterable[RoomId]) -> list[RoomState]:
        found = [await self._store.load(room_id) for room_id in room_ids]
        return [state for state in found if state is not None]


def _glance(doctor: PersonId, participant: ParticipantId) -> str:
    return f"glance:{doctor}:{participant}"
