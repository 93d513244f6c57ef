"""One room's capture at its node: what is wanted against what runs, each segment opened at most once.

`reconcile.py` says when to look; consent is the room's state alone, and keys come from the clinic.
"""

from __future__ import annotations

from media.api import CaptureGrant, CapturePhase, CaptureState, NodeRefusal
from media.client import NodeRefused
from signaling import changes as c
from signaling.conductor import Conductor
from signaling.desired import DesiredCapture
from signaling.messages import RecordingAnswer
from signaling.ports import MediaNode
from signaling.state import RoomState
from signaling.words import Code, RecordingId, Refused, RoomId

WITHDRAWN = "withdrawn"
STOP_REASONS = frozenset({WITHDRAWN, "by_phone", "visit_ended", "wrong_person"})
"""Stopped on somebody's word, as against paused, superseded or lost."""


class Captures:
    """Calls of a node about capture. Raises what the node or the clinic raises; the reconciler tries again."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    async def sync(self, node: MediaNode, state: RoomState, wanted: DesiredCapture | None, there: CaptureState) -> None:
        """One step towards what is wanted; what comes of it is told to the room."""
        is_on = there.phase in (CapturePhase.RUNNING, CapturePhase.PAUSED)
        if is_on and there.recording_id and (wanted is None or there.recording_id != wanted.recording_id):
            await node.stop_capture(state.room_id, there.recording_id, "not_wanted")
            is_on = False
        if wanted is None:
            return
        if not wanted.running:
            if there.phase == CapturePhase.RUNNING and is_on:
                await self._pause(node, state, wanted)
            return
        is_same = (there.recording_id, there.segment) == (wanted.recording_id, wanted.segment)
        if is_same and there.phase in (CapturePhase.STOPPED, CapturePhase.FAILED, CapturePhase.RUNNING):
            await self.report(state.room_id, there)
        elif not is_same and state.recording is not None and state.recording.opened >= wanted.segment:
            await self._conductor.apply(state.room_id, c.SegmentClosed(wanted.recording_id, wanted.segment))
        else:
            await self._start(node, state, wanted)

    async def _start(self, node: MediaNode, state: RoomState, wanted: DesiredCapture) -> None:
        if state.recording is None or not state.recording.is_told:
            return  # a segment whose number is not stored could be opened twice under the same keys
        await self._conductor.apply(state.room_id, c.SegmentOpened(wanted.recording_id, wanted.segment))
        try:
            taken = await self.grant(node, state, wanted, running=True)
        except Refused as refused:
            await self._conductor.apply(state.room_id, c.CaptureRefused(wanted.recording_id, refused.code.value))
            return
        except NodeRefused as error:
            if error.code == NodeRefusal.STORAGE_FULL:
                await self._conductor.apply(
                    state.room_id, c.CaptureRefused(wanted.recording_id, Code.STORAGE_FULL.value)
                )
                return
            raise
        await self.report(state.room_id, taken)

    async def _pause(self, node: MediaNode, state: RoomState, wanted: DesiredCapture) -> None:
        """It runs though not everybody said yes: paused with the keys of those who did, or else stopped."""
        recording = state.recording
        agreed = tuple(
            one for one in wanted.participants if recording and recording.answer_of(one) == RecordingAnswer.YES
        )
        try:
            paused = DesiredCapture(wanted.recording_id, wanted.segment, False, agreed)
            why = recording.paused_for if recording and recording.paused_for else "newcomer"
            await self.grant(node, state, paused, running=False, reason=why)
        except (Refused, NodeRefused):
            there = (await node.state()).rooms.get(state.room_id)
            if there is None or there.capture.phase != CapturePhase.RUNNING:
                return
            await node.stop_capture(state.room_id, wanted.recording_id, "paused")
            await self._conductor.apply(state.room_id, c.SegmentClosed(wanted.recording_id, wanted.segment))

    async def grant(
        self, node: MediaNode, state: RoomState, wanted: DesiredCapture, *, running: bool, reason: str | None = None
    ) -> CaptureState:
        if not wanted.participants:
            raise Refused(Code.CONSENT_MISSING)
        keys = await self._conductor.clinic.sealing_keys(
            state.room_id, wanted.recording_id, wanted.segment, wanted.participants
        )
        grant = CaptureGrant(
            recording_id=wanted.recording_id,
            segment=wanted.segment,
            running=running,
            reason=reason,
            keys={str(one): key for one, key in keys.items()},
        )
        return await node.grant(state.room_id, grant)

    async def report(self, room_id: RoomId, capture: CaptureState) -> None:
        """What the node says of a capture. One that we stopped on somebody's word never starts again by itself,
        even if the server died before that word was stored."""
        if capture.recording_id is None or capture.segment is None:
            return
        recording_id = RecordingId(capture.recording_id)
        change: c.Change = c.CaptureReported(recording_id, capture.segment, capture.phase, capture.reason)
        if is_withdrawn(capture):
            change = c.RecordingStopped(recording_id, capture.reason or WITHDRAWN)
        elif capture.phase == CapturePhase.STOPPED:
            change = c.SegmentClosed(recording_id, capture.segment)
        await self._conductor.apply(room_id, change)


def is_withdrawn(capture: CaptureState) -> bool:
    return capture.phase == CapturePhase.STOPPED and capture.reason in STOP_REASONS
