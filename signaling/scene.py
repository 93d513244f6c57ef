"""What an event's function is given: who speaks, the room as it was, and the means to do something about it.

Sending to a socket goes through the bus, since it may be on another server.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from signaling import changes as c
from signaling.conductor import Conductor
from signaling.messages import Wire
from signaling.ports import Clinic, MediaNode, Nodes
from signaling.reconcile import Reconciler
from signaling.recording import is_active
from signaling.sockets import VisitSocket
from signaling.state import Person, RoomState
from signaling.words import Code, ParticipantId, Refused, RoomId


@dataclass(frozen=True, slots=True)
class Tools:
    clinic: Clinic
    conductor: Conductor
    nodes: Nodes
    reconciler: Reconciler

    async def send(self, person: Person, event: str, body: Wire) -> None:
        """To this person's place, on whichever server it is; nobody there is no error."""
        if person.place is not None:
            await self.conductor.publish(
                {
                    "topic": "to",
                    "server": person.place.server,
                    "sid": person.place.sid,
                    "event": event,
                    "data": body.model_dump(mode="json"),
                }
            )


@dataclass(frozen=True, slots=True)
class Scene:
    tools: Tools
    socket: VisitSocket
    state: RoomState
    me: Person
    is_second: bool

    @property
    def room_id(self) -> RoomId:
        return self.state.room_id

    @property
    def clinic(self) -> Clinic:
        return self.tools.clinic

    async def apply(self, change: c.Change) -> RoomState:
        return await self.tools.conductor.apply(self.room_id, change)

    def person(self, participant_id: str) -> Person:
        """Somebody of this room. Raises not_found."""
        person = self.state.people.get(ParticipantId(participant_id))
        if person is None:
            raise Refused(Code.NOT_FOUND)
        return person

    def node(self) -> MediaNode:
        """The node that has this room. Raises node_down."""
        if self.state.relay is None:
            raise Refused(Code.NODE_DOWN)
        return self.tools.nodes.get(self.state.relay.node)

    async def send_to(self, people: Iterable[Person], event: str, body: Wire) -> None:
        for person in people:
            await self.tools.send(person, event, body)

    async def pause_for(self, participant_id: ParticipantId) -> None:
        """This person is to be asked again. The room wants no capture before the node pauses it: whoever compares the
        two meanwhile would take the pause for a fault and start again, under a consent that counts no longer."""
        if is_active(self.state.recording):
            await self.apply(c.AskedAgain(participant_id, None))
            await self.tools.reconciler.pause_capture(self.state)

    async def stop_capture(self, reason: str) -> None:
        """At the node first, before the reason is stored."""
        if is_active(self.state.recording):
            await self.tools.reconciler.stop_capture(self.state, reason)
