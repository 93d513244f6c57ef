"""What the node should be doing for a room, derived from its state alone.

`reconcile.py` compares this with what the node says and calls it; nothing else decides what a node does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media.api import CapturePhase, CaptureState
from media.api import RoomState as NodeRoom
from signaling.messages import MediaMode, Phase, RecordingAnswer, RecordingPhase
from signaling.state import LIVE, RoomState
from signaling.words import ParticipantId, RecordingId


@dataclass(frozen=True, slots=True)
class DesiredCapture:
    """`running` False is a pause: the log stays open, nothing is stored."""

    recording_id: RecordingId
    segment: int
    running: bool
    participants: tuple[ParticipantId, ...]


@dataclass(frozen=True, slots=True)
class DesiredRoom:
    """`admitted` maps to the picture-first mark; everybody else known to the node is kept out."""

    admitted: Mapping[ParticipantId, bool]
    capture: DesiredCapture | None


def desired(state: RoomState) -> DesiredRoom | None:
    """None: no node needs to know this room."""
    if state.phase == Phase.WAITING or (state.phase == Phase.ENDED and state.undo_until is None):
        return None
    if state.phase == Phase.ENDED:
        return DesiredRoom(admitted={}, capture=None)
    hosts = [person for person in state.people.values() if person.is_host and person.standing == "invited"]
    people = [*state.admitted(), *hosts]
    return DesiredRoom(
        admitted={person.participant_id: person.picture_first for person in people}, capture=_capture(state)
    )


def _capture(state: RoomState) -> DesiredCapture | None:
    recording = state.recording
    if recording is None or recording.phase not in LIVE or state.by_phone or state.mode != MediaMode.RELAY:
        return None
    everybody = tuple(sorted(person.participant_id for person in state.admitted()))
    running = recording.paused_for is None and bool(everybody)
    running = running and all(recording.answer_of(one) == RecordingAnswer.YES for one in everybody)
    return DesiredCapture(recording.recording_id, recording.segment, running, everybody)


def is_different(state: RoomState, there: NodeRoom | None) -> bool:
    """Whether the node does something else than it should for this room."""
    wanted = desired(state)
    if wanted is None or there is None:
        return wanted is not None or there is not None
    admitted = {one: person.picture_first for one, person in there.participants.items() if person.admitted}
    return admitted != dict(wanted.admitted) or _is_capture_different(state, wanted.capture, there.capture)


def _is_capture_different(state: RoomState, wanted: DesiredCapture | None, there: CaptureState) -> bool:
    if wanted is None:
        return there.phase in (CapturePhase.RUNNING, CapturePhase.PAUSED)
    if not wanted.running:
        return there.phase == CapturePhase.RUNNING
    is_same = (there.recording_id, there.segment) == (wanted.recording_id, wanted.segment)
    told = state.recording is not None and state.recording.phase == RecordingPhase.RUNNING
    return not (is_same and there.phase == CapturePhase.RUNNING and told)
