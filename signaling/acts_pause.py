"""Events about a recording that runs or ran: paused, resumed, and what becomes of it after somebody withdrew.

Asking, answering and stopping are in `acts_visit.py`; what deleting means is the clinic's.
"""

from __future__ import annotations

from signaling import changes as c
from signaling import messages as m
from signaling.recording import is_active
from signaling.scene import Scene
from signaling.state import LIVE, Recording
from signaling.view import may_resume
from signaling.words import Code, RecordingId, Refused


async def pause_recording(scene: Scene, event: m.PauseRecording) -> m.Ok:
    """Wanted by nobody from here on, then off at the node: nothing more is stored once this is acknowledged."""
    recording = _live(scene, event.recording_id)
    if event.why == m.PauseWhy.SOMEONE_CAME_IN:
        return await _ask_again(scene, recording)
    if not may_resume(scene.me):
        raise Refused(Code.NOT_ALLOWED)
    await scene.apply(c.RecordingPaused(recording.recording_id, event.why.value, scene.me.participant_id))
    await scene.tools.reconciler.pause_capture(scene.state, event.why.value)
    return m.Ok()


async def _ask_again(scene: Scene, recording: Recording) -> m.Ok:
    """Who isn't alone any more answers once more, for everybody in their room."""
    if recording.answer_of(scene.me.participant_id) == m.RecordingAnswer.ASKED:
        return m.Ok()
    await scene.pause_for(scene.me.participant_id)
    facts = await scene.clinic.ask_again(scene.room_id, recording.recording_id, scene.me.participant_id)
    await scene.apply(c.AskedAgain(scene.me.participant_id, facts))
    return m.Ok()


async def resume_recording(scene: Scene, event: m.ResumeRecording) -> m.Ok:
    recording = _live(scene, event.recording_id)
    if not may_resume(scene.me):
        raise Refused(Code.NOT_ALLOWED)
    await scene.apply(c.RecordingResumed(recording.recording_id))
    return m.Ok()


async def choose_withdrawn(scene: Scene, event: m.ChooseWithdrawn) -> m.Ok:
    """Only one's own word counts, and only after one's own consent was taken back."""
    recording = scene.state.recording
    if recording is not None and recording.recording_id == event.recording_id and is_active(recording):
        raise Refused(Code.WRONG_PHASE)
    result = await scene.clinic.choose_withdrawn(
        scene.room_id, RecordingId(event.recording_id), scene.me.participant_id, event.choice.value
    )
    return m.WithdrawnChosen(result=result)


def _live(scene: Scene, recording_id: str) -> Recording:
    """Raises not_found, wrong_phase."""
    recording = scene.state.recording
    if recording is None or recording.recording_id != recording_id:
        raise Refused(Code.NOT_FOUND)
    if recording.phase not in LIVE or scene.state.mode != m.MediaMode.RELAY:
        raise Refused(Code.WRONG_PHASE)
    return recording
