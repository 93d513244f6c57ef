"""Capture of one room: who has agreed against who is admitted, which layers are stored, when it stops.

What is stored and how is `capture`'s; nothing of a participant whom the grant doesn't name is ever handed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from media.api import CaptureGrant, CapturePhase, CaptureState, NodeEventKind, NodeRefusal
from media.capture import CaptureSession, CaptureStore, StorageFullError
from media.events import EventLog
from media.refused import Refused
from media.tasks import Tasks
from media.track import Layer

PAUSED_FOR_NEWCOMER = "not_everybody_granted"
ENDED = (CapturePhase.STOPPED, CapturePhase.FAILED)


class RoomCapture:
    """At most one segment at a time."""

    def __init__(
        self,
        room_id: str,
        store: CaptureStore,
        events: EventLog,
        tasks: Tasks,
        layers: Callable[[], Iterable[tuple[Layer, str]]],
    ) -> None:
        self._room_id = room_id
        self._store = store
        self._events = events
        self._tasks = tasks
        # The layers of everybody admitted, each with its participant's CNAME.
        self._layers: Callable[[], Iterable[tuple[Layer, str]]] = layers
        self._session: CaptureSession | None = None
        self._grant: CaptureGrant | None = None
        self._paused_for_newcomer = False
        self._last = CaptureState()
        self._closed: set[tuple[str, int]] = set()

    def state(self) -> CaptureState:
        """Of the segment that is open, else of the one that was last: why it stopped is still to be heard."""
        if self._session is None:
            return self._last
        state = self._session.state()
        if self._paused_for_newcomer and state.phase is CapturePhase.PAUSED:
            return state.model_copy(update={"reason": PAUSED_FOR_NEWCOMER})
        return state

    def grant(self, grant: CaptureGrant, admitted: set[str]) -> CaptureState:
        """Everybody admitted must be named; the segment opens with its first grant, and once. Raises Refused."""
        if (grant.recording_id, grant.segment) in self._closed:
            raise Refused(NodeRefusal.STALE_REVISION, "the log of this segment is closed")
        if admitted - grant.keys.keys():
            raise Refused(NodeRefusal.GRANT_INCOMPLETE, "somebody admitted has not agreed")
        session = self._session
        if session is not None and not self._is_of(session, grant.recording_id, grant.segment):
            self._close("superseded")
            session = None
        opened = session is None
        if session is None:
            session = self._open(grant)
        try:
            self._paused_for_newcomer = False
            session.set_grant(grant.running, grant.keys, grant.reason)
        except ValueError:
            if opened:  # nothing was written: a grant that can be read may still open this segment
                before = self._last
                self._close("malformed_grant")
                self._closed.discard((grant.recording_id, grant.segment))
                self._last = before
            raise Refused(NodeRefusal.MALFORMED, "a key is not 256 bits of base64") from None
        self._grant = grant
        for layer, cname in self._layers():
            self.add(layer, cname)
        return self.state()

    def admission_changed(self, admitted: set[str]) -> None:
        """Somebody not named was admitted: pause within this very event."""
        if self._session is None or self._grant is None or not admitted - self._grant.keys.keys():
            return
        if self._session.state().phase is CapturePhase.RUNNING:
            self._paused_for_newcomer = True
            self._session.set_grant(False, self._grant.keys, "newcomer")

    def add(self, layer: Layer, cname: str) -> None:
        """A layer of somebody admitted."""
        session = self._session
        if session is None or layer.capture is session:
            return
        track = layer.track
        layer.capture_track = session.open_track(
            participant_id=track.participant_id,
            source=track.source.value,
            kind="video" if track.is_video else "audio",
            codec=track.codec.name,
            payload_type=track.codec.payload_type,
            clock_rate=track.codec.clock_rate,
            fmtp=";".join(f"{key}={value}" for key, value in track.codec.fmtp.items()),
            cname=cname,
            rid=layer.rid,
        )
        layer.capture = session

    def mark(self, kind: str, participant_id: str, detail: str | None = None) -> None:
        if self._session is not None:
            self._session.mark(kind, participant_id, detail)

    def stop(self, recording_id: str, reason: str) -> CaptureState:
        """Nothing that arrives after this call is stored; the log goes to the store in a task."""
        session = self._session
        if session is None or session.header.recording_id != recording_id:
            return CaptureState(recording_id=recording_id, phase=CapturePhase.STOPPED, reason=reason)
        self._close(reason)
        return session.state()

    def close(self, reason: str) -> None:
        if self._session is not None:
            self._close(reason)
        self._layers = tuple  # the room's own, which refers to this

    # ---- inside

    def _open(self, grant: CaptureGrant) -> CaptureSession:
        try:
            self._session = self._store.open_session(self._room_id, grant.recording_id, grant.segment)
        except StorageFullError:
            raise Refused(NodeRefusal.STORAGE_FULL, "the disk is nearly full") from None
        return self._session

    def _is_of(self, session: CaptureSession, recording_id: str, segment: int) -> bool:
        return session.header.recording_id == recording_id and session.header.segment == segment

    def _close(self, reason: str) -> None:
        session, self._session, self._grant = self._session, None, None
        if session is None:
            return
        session.stop(reason)
        self._last = session.state()
        self._closed.add((session.header.recording_id, session.header.segment))
        for layer, _ in self._layers():
            if layer.capture is session:
                layer.capture = None
        self._tasks.start(self._put_away(session, reason), "capture-close")

    async def _put_away(self, session: CaptureSession, reason: str) -> None:
        log = await session.close(reason)
        if log is not None:
            self._events.emit(NodeEventKind.LOG_STORED, room_id=self._room_id, log=log)
