"""What nodes should be doing against what they do: each difference is a call, made again until it is gone.

`desired.py` says what should be; this compares on every effect, every 2 s and after any failure, and hands what
nodes report to the room. It never decides about consent: it grants what the room's state grants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from media.api import (
    NodeEvent,
    NodeEventKind,
    NodeState,
)
from media.api import RoomState as NodeRoom
from media.client import NodeRefused, NodeUnreachable
from signaling import changes as c
from signaling.captures import Captures, is_withdrawn
from signaling.conductor import Conductor
from signaling.desired import DesiredCapture, DesiredRoom, desired, is_different
from signaling.logs import Happening, log_error
from signaling.ports import MediaNode, Nodes
from signaling.recording import store_phase
from signaling.state import LIVE, Relay, RoomState
from signaling.tasks import TaskOwner
from signaling.words import ParticipantId, Refused, RoomId

HEAR_S = 0.02
HEAR_TRIES = 100

NodeError = (NodeRefused, NodeUnreachable)


class Reconciler:
    """`on_down_offer` hands a node's new offer to this server's own sockets."""

    def __init__(
        self,
        conductor: Conductor,
        nodes: Nodes,
        tasks: TaskOwner,
        on_down_offer: Callable[[NodeEvent], Awaitable[None]],
    ) -> None:
        self._conductor = conductor
        self._nodes = nodes
        self._tasks = tasks
        self._on_down_offer = on_down_offer
        self._captures = Captures(conductor)
        self._busy: set[RoomId] = set()
        self._again: set[RoomId] = set()

    def request(self, room_id: RoomId) -> None:
        """Look at this room soon; several requests become one."""
        if room_id in self._busy:
            self._again.add(room_id)
            return
        self._busy.add(room_id)
        self._tasks.spawn(self._work(room_id), f"reconcile {room_id}")

    async def sync(self, room_id: RoomId) -> None:
        """Brings the node to what the room wants. Raises nothing of the node's: what fails is tried again."""
        state = await self._conductor.get(room_id)
        try:
            await self._sync(state)
        except Refused as refused:
            log_error(Happening.RECONCILE_FAILED, room_id=room_id, code=refused.code.value)
        except NodeError as error:
            code = error.code.value if isinstance(error, NodeRefused) else "unreachable"
            log_error(Happening.NODE_CALL_FAILED, room_id=room_id, code=code)

    async def stop_capture(self, state: RoomState, reason: str) -> None:
        """At the node, before anything else is done or stored; an unreachable node is tried again by `sync`."""
        recording = state.recording
        if recording is None or state.relay is None or recording.phase not in LIVE:
            return
        try:
            await self._nodes.get(state.relay.node).stop_capture(state.room_id, recording.recording_id, reason)
        except (Refused, *NodeError) as error:
            log_error(Happening.NODE_CALL_FAILED, room_id=state.room_id, code=type(error).__name__)

    async def pause_capture(self, state: RoomState, why: str = "newcomer") -> None:
        """At the node, before a consent that stood is asked for again, or before everybody is shown a pause."""
        wanted, relay = desired(state), state.relay
        if wanted is None or relay is None or wanted.capture is None or not wanted.capture.running:
            return
        try:
            await self._captures.grant(self._nodes.get(relay.node), state, wanted.capture, running=False, reason=why)
        except (Refused, *NodeError):
            await self.stop_capture(state, "paused")

    # ── NodeListener ─────────────────────────────────────────────────────────────────────────────────────────

    async def handle_node_state(self, node: str, state: NodeState) -> None:
        """Only finds out which rooms differ; each of them is looked at afresh, since this answer may be old by now."""
        for room_id in await self._conductor.store.active():
            room = await self._conductor.store.load(room_id)
            if room is None or room.relay is None or room.relay.node != node:
                continue
            if room.relay.epoch != state.epoch or is_different(room, state.rooms.get(room_id)):
                self.request(room_id)
            there = state.rooms.get(room_id)
            for person in room.people.values() if there is not None else ():
                known = there.participants.get(person.participant_id) if there is not None else None
                if known is not None and tuple(known.held_back) != person.held_back:
                    await self._hold(room_id, person.participant_id, known.held_back)

    async def handle_node_lost(self, node: str) -> None:
        for room_id in await self._conductor.store.active():
            room = await self._conductor.store.load(room_id)
            if room is not None and room.relay is not None and room.relay.node == node:
                await self._conductor.apply(room_id, c.RelayLost(node, room.relay.epoch))
                self.request(room_id)

    async def handle_node_event(self, node: str, event: NodeEvent) -> None:
        if event.kind == NodeEventKind.LOG_STORED and event.log is not None:
            await self._conductor.clinic.log_stored(event.log)
            return
        if event.room_id is None:
            return
        room_id = RoomId(event.room_id)
        room = await self._conductor.store.load(room_id)
        if room is not None and room.relay is None and event.capture is not None and is_withdrawn(event.capture):
            await self._captures.report(room_id, event.capture)  # heard again by a server that lost the room's state
        if room is None or room.relay is None or (room.relay.node, room.relay.epoch) != (node, event.epoch):
            return
        if event.kind == NodeEventKind.DOWN_OFFER:
            await self._on_down_offer(event)
        elif event.kind == NodeEventKind.CAPTURE and event.capture is not None:
            await self._captures.report(room_id, event.capture)
        elif event.kind == NodeEventKind.ROOM_CLOSED:
            # Looked at, not believed: a server that starts hears of rooms closed long ago, and made anew there since.
            self.request(room_id)
        elif event.kind in (NodeEventKind.AWAY, NodeEventKind.BACK) and event.participant_id is not None:
            is_away = event.kind == NodeEventKind.AWAY
            await self._conductor.apply(room_id, c.MediaAway(ParticipantId(event.participant_id), is_away))
        elif event.kind == NodeEventKind.PICTURES and event.participant_id is not None:
            await self._hold(room_id, event.participant_id, event.held_back or [])

    async def _hold(self, room_id: RoomId, participant_id: str, of: list[str]) -> None:
        held = tuple(ParticipantId(one) for one in of)
        await self._conductor.apply(room_id, c.PicturesHeld(ParticipantId(participant_id), held))

    # ── One room ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _work(self, room_id: RoomId) -> None:
        try:
            while True:
                self._again.discard(room_id)
                await self.sync(room_id)
                if room_id not in self._again:
                    return
        finally:
            self._busy.discard(room_id)
            self._again.discard(room_id)

    async def _sync(self, state: RoomState) -> None:
        state = await self._tell_phase(state)
        wanted = desired(state)
        if wanted is None:
            if state.relay is not None:
                await self._close(state, state.relay)
            return
        if state.relay is None:
            await self._open(state.room_id)
            return
        node = self._nodes.get(state.relay.node)
        actual = await node.state()
        room = actual.rooms.get(state.room_id)
        if actual.epoch != state.relay.epoch or room is None:
            await self._conductor.apply(state.room_id, c.RelayLost(state.relay.node, state.relay.epoch))
            self.request(state.room_id)
            return
        if wanted.capture is None or not wanted.capture.running:  # before anybody new can be heard
            await self._captures.sync(node, state, wanted.capture, room.capture)
            await self._people(node, state, wanted, room)
        else:
            await self._people(node, state, wanted, room)
            if await self._is_still_wanted(state, wanted.capture, actual.last_event):
                await self._captures.sync(node, state, wanted.capture, room.capture)

    async def _is_still_wanted(self, state: RoomState, wanted: DesiredCapture, last_event: int) -> bool:
        """Looked at again once all is heard that the node said before its state, such as that somebody stopped it."""
        relay = state.relay
        for _ in range(HEAR_TRIES):
            if relay is None or self._nodes.heard(relay.node) >= last_event:
                now = desired(await self._conductor.get(state.room_id))
                return now is not None and now.capture == wanted
            await asyncio.sleep(HEAR_S)
        return False

    async def _tell_phase(self, state: RoomState) -> RoomState:
        recording = state.recording
        if recording is None or recording.is_told:
            return state
        await self._conductor.store_phase(state.room_id, store_phase(recording))
        return await self._conductor.get(state.room_id)

    async def _open(self, room_id: RoomId) -> None:
        url = self._nodes.least_loaded()
        if url is None:
            await self._conductor.apply(room_id, c.NoNode())
            return
        try:
            made = await self._nodes.get(url).create_room(room_id)
        except NodeError:
            await self._conductor.apply(room_id, c.NoNode())
            raise
        after = await self._conductor.apply(room_id, c.RelayMade(url, made.epoch, tuple(made.ice_servers)))
        if after.relay is None or after.relay.node != url:
            await self._nodes.get(url).close_room(room_id)

    async def _close(self, state: RoomState, relay: Relay) -> None:
        try:
            await self._nodes.get(relay.node).close_room(state.room_id)
        finally:
            await self._conductor.apply(state.room_id, c.RelayClosed())

    async def _people(self, node: MediaNode, state: RoomState, wanted: DesiredRoom, room: NodeRoom) -> None:
        for one, picture_first in wanted.admitted.items():
            there = room.participants.get(one)
            if there is None or not there.admitted or there.picture_first != picture_first:
                await node.admit(state.room_id, one, admitted=True, picture_first=picture_first)
        for known, there in room.participants.items():
            if known in wanted.admitted:
                continue
            person = state.people.get(ParticipantId(known))
            if person is None or person.standing == "left":
                reason = person.reason.value if person and person.reason else "left"
                await node.remove(state.room_id, known, reason)
            elif there.admitted:
                await node.admit(state.room_id, known, admitted=False)

    async def sync_waiting(self) -> None:
        """Rooms that no node has yet, and phases the database has not heard: tried again."""
        for room_id in await self._conductor.store.active():
            room = await self._conductor.store.load(room_id)
            if room is None:
                self.request(room_id)
                continue
            untold = room.recording is not None and not room.recording.is_told
            if untold or (room.relay is None and desired(room) is not None):
                self.request(room_id)
            await asyncio.sleep(0)
