"""One room: who is admitted, who gets whose tracks, who has gone silent.

Admission is enforced here, within the event that changes it; packets pass through `publisher` and `subscriber`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from media.api import (
    CaptureGrant,
    CaptureState,
    DownAnswer,
    DownOffer,
    DownRequest,
    Leg,
    NodeEventKind,
    NodeRefusal,
    RoomState,
    RoomStats,
    UpAnswer,
    UpOffer,
)
from media.capture import CaptureStore
from media.connection import Shared
from media.counts import Counts
from media.events import EventLog
from media.feedback import MS
from media.negotiate import plan_down
from media.participant import Participant
from media.publisher import Publisher, read_up
from media.refused import Refused
from media.roomcapture import RoomCapture
from media.sdp import SdpError, read
from media.subscriber import Key, Subscriber
from media.track import Layer, Track

PARTICIPANTS_MAX = 16  # unless the node's settings say otherwise
WATCH_EVERY_NS = 500 * MS
QUALITY_EVERY_NS = 5_000 * MS


class Room:
    """All calls are made on the loop and take effect before they return."""

    def __init__(
        self,
        room_id: str,
        shared: Shared,
        events: EventLog,
        store: CaptureStore,
        participants_max: int = PARTICIPANTS_MAX,
    ) -> None:
        self.room_id = room_id
        self._participants_max = participants_max
        self.counts = Counts()
        self.participants: dict[str, Participant] = {}
        self.capture = RoomCapture(room_id, store, events, shared.tasks, self._layers)
        self._shared = shared
        self._events = events
        self._watched_ns = self._quality_ns = 0

    # ---- admission

    def admit(self, participant_id: str, *, admitted: bool, picture_first: bool) -> None:
        person = self.participants.get(participant_id)
        if person is None:
            if len(self.participants) >= self._participants_max:
                raise Refused(NodeRefusal.AT_CAPACITY, "the room is full")
            person = self.participants[participant_id] = Participant(participant_id)
        changed = person.admitted != admitted
        person.admitted, person.picture_first = admitted, picture_first
        if person.up is not None:
            person.up.is_admitted = admitted
        if changed:
            self.capture.admission_changed(self._admitted())
            self.capture.mark("joined" if admitted else "left", participant_id)
            self._sync()

    def remove(self, participant_id: str, reason: str) -> None:
        """Cut off within this event; removing somebody who isn't there is fine."""
        person = self.participants.pop(participant_id, None)
        if person is None:
            return
        person.close()
        self.capture.mark("left", participant_id, reason)
        self._sync()

    # ---- connections

    def up(self, participant_id: str, offer: UpOffer) -> UpAnswer:
        person = self._known(participant_id)
        publisher = person.up
        if publisher is not None and publisher.connection.connection_id == offer.connection_id:
            repeated = publisher.repeated(offer)
            if repeated is not None:
                return repeated
            if offer.revision <= publisher.revision:
                raise Refused(NodeRefusal.STALE_REVISION, "a newer offer was answered already")
        elif offer.connection_id in person.ended:
            raise Refused(NodeRefusal.NOT_FOUND, "this connection has ended")
        else:
            publisher = None
        try:
            plan = read_up(offer)
        except SdpError as error:
            raise Refused(NodeRefusal.UNSUPPORTED_SDP, str(error)) from None
        if publisher is None or publisher.differs_from(plan):
            self._drop_up(person)
            publisher = person.up = self._new_publisher(person, offer.connection_id)
        return publisher.offer(offer, plan)

    def down(self, participant_id: str, request: DownRequest) -> DownOffer:
        person = self._known(participant_id)
        subscriber = person.down
        is_same = subscriber is not None and subscriber.connection.connection_id == request.connection_id
        if not is_same and (request.restart or request.connection_id in person.ended):
            raise Refused(NodeRefusal.NOT_FOUND, "this connection has ended")
        if subscriber is None or not is_same:
            self._drop_down(person)
            subscriber = person.down = Subscriber(
                request.connection_id,
                self.counts,
                self._shared,
                on_connected=lambda leg: self._connected(person, leg),
                on_closed=lambda leg, reason: self._closed(person, leg, reason),
            )
            self._sync()
            return subscriber.offer()
        if request.restart:
            subscriber.connection.restart()
            return subscriber.offer()
        return subscriber.outstanding or subscriber.offer()

    def down_answer(self, participant_id: str, answer: DownAnswer) -> None:
        subscriber = self._known(participant_id).down
        if subscriber is None or subscriber.connection.connection_id != answer.connection_id:
            raise Refused(NodeRefusal.NOT_FOUND, "this connection has ended")
        outstanding = subscriber.outstanding
        if outstanding is None or outstanding.revision != answer.revision:
            if answer.revision == subscriber.last_answered:
                return
            raise Refused(NodeRefusal.STALE_REVISION, "not the answer to the offer last made")
        try:
            subscriber.answer(plan_down(read(answer.sdp)))
        except SdpError as error:
            raise Refused(NodeRefusal.UNSUPPORTED_SDP, str(error)) from None
        self._offer_changes()

    # ---- capture

    def grant(self, grant: CaptureGrant) -> CaptureState:
        return self.capture.grant(grant, self._admitted())

    # ---- looking and ending

    def state(self) -> RoomState:
        return RoomState(
            participants={one: person.state() for one, person in self.participants.items()},
            capture=self.capture.state(),
        )

    def stats(self) -> RoomStats:
        self.counts.lost_in = sum(layer.reception.lost for layer, _ in self._layers())
        return self.counts.as_stats()

    def close(self, reason: str) -> None:
        self.capture.close(reason)
        for person in self.participants.values():
            person.close()
        self.participants.clear()
        self._emit(NodeEventKind.ROOM_CLOSED, reason=reason)

    def tick(self, now_ns: int) -> None:
        """Every 20 ms."""
        first = frozenset(person.participant_id for person in self.participants.values() if person.picture_first)
        for person in self.participants.values():
            if person.up is not None:
                person.up.tick(now_ns, person.down.rtt_ns if person.down is not None else 0)
            if person.down is not None:
                person.down.tick(now_ns, first, never_pause=person.picture_first)
                if person.down.downlink.paused != person.held_back:
                    self._tell_held_back(person, person.down.downlink.paused)
        if now_ns - self._watched_ns >= WATCH_EVERY_NS:
            self._watched_ns = now_ns
            for person in list(self.participants.values()):
                self._watch(person, now_ns)
        if now_ns - self._quality_ns >= QUALITY_EVERY_NS:
            self._quality_ns = now_ns
            for person in self.participants.values():
                self._report_quality(person)

    # ---- inside

    def _known(self, participant_id: str) -> Participant:
        person = self.participants.get(participant_id)
        if person is None:
            raise Refused(NodeRefusal.NOT_ADMITTED, "this participant was not announced")
        return person

    def _admitted(self) -> set[str]:
        return {one for one, person in self.participants.items() if person.admitted}

    def _layers(self) -> Iterator[tuple[Layer, str]]:
        for person in self.participants.values():
            if person.admitted and person.up is not None:
                for track in person.up.tracks.values():
                    for layer in track.layers.values():
                        yield layer, person.up.source_cname

    def _new_publisher(self, person: Participant, connection_id: str) -> Publisher:
        publisher = Publisher(
            person.participant_id,
            connection_id,
            self.counts,
            self._shared,
            on_tracks=self._sync,
            on_layer=lambda layer: self._layer_found(person, layer),
            on_begun=self._layer_begun,
            on_connected=lambda leg: self._connected(person, leg),
            on_closed=lambda leg, reason: self._closed(person, leg, reason),
        )
        publisher.is_admitted = person.admitted
        return publisher

    def _layer_found(self, person: Participant, layer: Layer) -> None:
        if person.admitted and person.up is not None:
            self.capture.add(layer, person.up.source_cname)

    def _layer_begun(self, layer: Layer) -> None:
        if layer.track.is_video:
            self._emit(NodeEventKind.KEY_FRAME, participant_id=layer.track.participant_id, source=layer.track.source)

    def _sync(self) -> None:
        """Give everybody admitted the tracks of everybody else admitted, and nobody else anything."""
        tracks: dict[Key, Track] = {}
        cnames: dict[str, str] = {}
        for person in self.participants.values():
            if person.admitted and person.up is not None:
                cnames[person.participant_id] = person.up.cname
                for track in person.up.tracks.values():
                    tracks[track.key] = track
                    for layer in track.layers.values():
                        self.capture.add(layer, person.up.source_cname)
        for person in self.participants.values():
            if person.down is not None:
                own = person.participant_id
                wanted = {key: track for key, track in tracks.items() if key[0] != own} if person.admitted else {}
                person.down.want(wanted, cnames)
        self._offer_changes()

    def _offer_changes(self) -> None:
        for person in self.participants.values():
            if person.down is not None and person.down.is_stale and person.down.last_answered:
                offer = person.down.offer()
                self._emit(
                    NodeEventKind.DOWN_OFFER,
                    participant_id=person.participant_id,
                    leg=Leg.DOWN,
                    connection_id=offer.connection_id,
                    offer=offer,
                )

    def _drop_up(self, person: Participant) -> None:
        if person.up is not None:
            person.remember(person.up.connection)
            person.last_reason = "replaced"
            person.up.close()
            person.up = None

    def _drop_down(self, person: Participant) -> None:
        if person.down is not None:
            person.remember(person.down.connection)
            person.last_reason = "replaced"
            person.down.close()
            person.down = None

    def _connected(self, person: Participant, leg: Leg) -> None:
        held = person.up if leg is Leg.UP else person.down
        person.has_connected = True
        if held is not None:
            self._emit(
                NodeEventKind.CONNECTED,
                participant_id=person.participant_id,
                leg=leg,
                connection_id=held.connection.connection_id,
            )
        self._watch(person, time.monotonic_ns())

    def _closed(self, person: Participant, leg: Leg, reason: str) -> None:
        """A connection has ended by itself."""
        held = person.up if leg is Leg.UP else person.down
        if held is None or not held.connection.is_closed:
            return
        connection_id = held.connection.connection_id
        if leg is Leg.UP:
            self._drop_up(person)
        else:
            self._drop_down(person)
        person.last_reason = reason
        self._emit(
            NodeEventKind.CONNECTION_CLOSED,
            participant_id=person.participant_id,
            leg=leg,
            connection_id=connection_id,
            reason=reason,
        )
        self._sync()
        self._watch(person, time.monotonic_ns())

    def _watch(self, person: Participant, now_ns: int) -> None:
        """Connections that are beyond hope end; then, is the person away or back?"""
        person.end_hopeless(now_ns)
        change = person.look(now_ns)
        if change is not None:
            kind, reason = change
            self._emit(kind, participant_id=person.participant_id, reason=reason)

    def _tell_held_back(self, person: Participant, paused: frozenset[str]) -> None:
        person.held_back = paused
        self._emit(NodeEventKind.PICTURES, participant_id=person.participant_id, held_back=sorted(paused))

    def _report_quality(self, person: Participant) -> None:
        figures = person.quality() if self.counts.rtp_out else None
        if figures is not None:
            self._emit(NodeEventKind.QUALITY, participant_id=person.participant_id, figures=figures)

    def _emit(self, kind: NodeEventKind, **fields: Any) -> None:
        self._events.emit(kind, room_id=self.room_id, **fields)
