"""A media node without media: rooms, admissions and captures as node API v1 has them, for tests of the room."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

from media.api import (
    CaptureGrant,
    CapturePhase,
    CaptureState,
    DownAnswer,
    DownOffer,
    DownRequest,
    NodeEvent,
    NodeEventKind,
    NodeRefusal,
    NodeState,
    ParticipantState,
    RoomCreated,
    RoomState,
    RoomStats,
    StoredLog,
    UpAnswer,
    UpOffer,
)
from media.client import NodeRefused, NodeUnreachable


class FakeNode:
    """Every client of one address shares it. `die` and `restart` are what a process does."""

    def __init__(self, node_id: str = "node1") -> None:
        self.node_id = node_id
        self.calls: list[tuple[str, ...]] = []
        self.is_dead = False
        self.is_full = False
        self.closed: set[tuple[str | None, int | None]] = set()
        self.reopened: list[tuple[str | None, int | None]] = []
        """A segment opened twice: one key would seal two logs."""
        self.stopped: dict[str, CaptureState] = {}
        self.restart()

    def restart(self) -> None:
        self.is_dead = False
        for room in getattr(self, "rooms", {}).values():
            if room.capture.phase != CapturePhase.OFF:
                self.closed.add((room.capture.recording_id, room.capture.segment))
        self.epoch = secrets.token_hex(6)
        self.rooms: dict[str, RoomState] = {}
        self.grants: dict[str, CaptureGrant] = {}
        self._events: list[NodeEvent] = []
        self._news = asyncio.Event()

    def die(self) -> None:
        self.is_dead = True
        self._news.set()

    def emit(self, kind: NodeEventKind, **fields: object) -> None:
        event = NodeEvent(epoch=self.epoch, n=len(self._events) + 1, at=time.time(), kind=kind, **fields)  # type: ignore[arg-type]
        self._events.append(event)
        self._news.set()
        self._news = asyncio.Event()

    def admitted(self, room_id: str) -> set[str]:
        room = self.rooms.get(room_id)
        return {one for one, there in room.participants.items() if there.admitted} if room else set()

    def capture(self, room_id: str) -> CaptureState:
        """What runs, or else what was stopped last."""
        there = self.rooms[room_id].capture
        return self.stopped.get(room_id, there) if there.phase == CapturePhase.OFF else there

    # ── The port ─────────────────────────────────────────────────────────────────────────────────────────────

    async def create_room(self, room_id: str) -> RoomCreated:
        self._called("create_room", room_id)
        self.rooms.setdefault(room_id, RoomState(participants={}, capture=CaptureState()))
        return RoomCreated(room_id=room_id, epoch=self.epoch, ice_servers=["stun:192.0.2.1:3478"])

    async def close_room(self, room_id: str) -> None:
        self._called("close_room", room_id)
        self.rooms.pop(room_id, None)

    async def state(self) -> NodeState:
        if self.is_dead:
            raise NodeUnreachable("dead")
        return NodeState(
            node_id=self.node_id,
            epoch=self.epoch,
            draining=False,
            load=0.0,
            last_event=len(self._events),
            rooms={one: room.model_copy(deep=True) for one, room in self.rooms.items()},
        )

    async def stats(self, room_id: str) -> RoomStats:
        self._called("stats", room_id)
        return RoomStats()

    async def admit(self, room_id: str, participant_id: str, *, admitted: bool, picture_first: bool = False) -> None:
        self._called("admit", room_id, participant_id, str(admitted))
        room = self._room(room_id)
        room.participants[participant_id] = ParticipantState(admitted=admitted, picture_first=picture_first)
        grant = self.grants.get(room_id)
        if admitted and grant and participant_id not in grant.keys and room.capture.phase == CapturePhase.RUNNING:
            self._set_capture(room_id, room.capture.model_copy(update={"phase": CapturePhase.PAUSED}))

    async def remove(self, room_id: str, participant_id: str, reason: str) -> None:
        self._called("remove", room_id, participant_id, reason)
        self._room(room_id).participants.pop(participant_id, None)

    async def up(self, room_id: str, participant_id: str, offer: UpOffer) -> UpAnswer:
        self._called("up", room_id, participant_id, offer.connection_id)
        self._check_admitted(room_id, participant_id)
        if "audio" not in offer.sdp:
            raise NodeRefused(NodeRefusal.UNSUPPORTED_SDP, "no audio")
        return UpAnswer(connection_id=offer.connection_id, revision=offer.revision, sdp="answer", sections=[])

    async def down(self, room_id: str, participant_id: str, request: DownRequest) -> DownOffer:
        self._called("down", room_id, participant_id, request.connection_id)
        self._check_admitted(room_id, participant_id)
        return DownOffer(connection_id=request.connection_id, revision=1, sdp="offer", sections=[])

    async def down_answer(self, room_id: str, participant_id: str, answer: DownAnswer) -> None:
        self._called("down_answer", room_id, participant_id, answer.connection_id)
        self._check_admitted(room_id, participant_id)
        if answer.revision != 1:
            raise NodeRefused(NodeRefusal.STALE_REVISION, "stale")

    async def grant(self, room_id: str, grant: CaptureGrant) -> CaptureState:
        self._called("grant", room_id, grant.recording_id, str(grant.segment), str(grant.running))
        self._room(room_id)
        if self.is_full:
            raise NodeRefused(NodeRefusal.STORAGE_FULL, "full")
        if self.admitted(room_id) - grant.keys.keys():
            raise NodeRefused(NodeRefusal.GRANT_INCOMPLETE, "somebody admitted is not named")
        self.grants[room_id] = grant
        phase = CapturePhase.RUNNING if grant.running else CapturePhase.PAUSED
        segment = (grant.recording_id, grant.segment)
        if segment in self.closed:
            self.reopened.append(segment)
        self._set_capture(room_id, CaptureState(recording_id=grant.recording_id, segment=grant.segment, phase=phase))
        return self.capture(room_id)

    async def stop_capture(self, room_id: str, recording_id: str, reason: str) -> CaptureState:
        self._called("stop_capture", room_id, recording_id, reason)
        there = self._room(room_id).capture
        if there.recording_id == recording_id and there.phase in (CapturePhase.RUNNING, CapturePhase.PAUSED):
            self._close(room_id, there, reason)
            log = StoredLog(
                recording_id=recording_id,
                segment=there.segment or 1,
                path=f"{recording_id}/{there.segment}",
                bytes=1,
                packets=1,
                complete=True,
            )
            self.emit(NodeEventKind.LOG_STORED, room_id=room_id, log=log)
        return self.capture(room_id)

    async def events(self, after: int) -> AsyncIterator[NodeEvent]:
        if self.is_dead:
            raise NodeUnreachable("dead")
        epoch = self.epoch
        yield NodeEvent(epoch=epoch, n=len(self._events), at=time.time(), kind=NodeEventKind.HELLO)
        while True:
            news = self._news
            for event in self._events[after:]:
                after = event.n
                yield event
            await news.wait()
            if self.is_dead or self.epoch != epoch:
                raise NodeUnreachable("the stream ended")

    async def close(self) -> None: ...

    # ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────

    def _called(self, *call: str) -> None:
        if self.is_dead:
            raise NodeUnreachable("dead")
        self.calls.append(call)

    def _room(self, room_id: str) -> RoomState:
        if room_id not in self.rooms:
            raise NodeRefused(NodeRefusal.NOT_FOUND, "no such room")
        return self.rooms[room_id]

    def _check_admitted(self, room_id: str, participant_id: str) -> None:
        there = self._room(room_id).participants.get(participant_id)
        if there is None or not there.admitted:
            raise NodeRefused(NodeRefusal.NOT_ADMITTED, "not admitted")

    def _close(self, room_id: str, there: CaptureState, reason: str) -> None:
        """The event says why; afterwards the room's state knows nothing of it any more."""
        stopped = there.model_copy(update={"phase": CapturePhase.STOPPED, "reason": reason})
        self.stopped[room_id] = stopped
        self.closed.add((there.recording_id, there.segment))
        self._set_capture(room_id, stopped)
        self.rooms[room_id] = self.rooms[room_id].model_copy(update={"capture": CaptureState()})

    def _set_capture(self, room_id: str, capture: CaptureState) -> None:
        self.rooms[room_id] = self.rooms[room_id].model_copy(update={"capture": capture})
        self.emit(NodeEventKind.CAPTURE, room_id=room_id, capture=capture)
