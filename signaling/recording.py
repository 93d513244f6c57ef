"""Asking, consent, capture and its end, pure: nothing is wanted from the node unless everybody let in said yes.

Called by `rooms.step`. Consents are stored by the clinic before they come here; the node is called afterwards,
except that a withdrawal stops capture there first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from media.api import CapturePhase
from signaling import changes as c
from signaling.messages import MediaMode, Phase, RecordingAnswer, RecordingPhase
from signaling.ports import RecordingFacts
from signaling.state import LIVE, Answer, Recording, RoomState
from signaling.words import ParticipantId

CONSENT_S = 60.0
START_S = 5.0
ASKS_MAX = 2
PERSONS_PAUSES = frozenset({"examination"})
"""Codes of a pause that only a person ends."""

Outcome = tuple[RoomState, list[c.Effect]]


def recording_of(facts: RecordingFacts) -> Recording:
    """The recording as the database has it, when room state was lost."""
    phase = RecordingPhase(facts.phase)
    answers = {
        one: Answer(facts.question, RecordingAnswer.YES if yes else RecordingAnswer.NO)
        for one, yes in facts.consents.items()
    }
    paused_for = facts.code if phase == RecordingPhase.PAUSED and facts.code in PERSONS_PAUSES else None
    return Recording(
        recording_id=facts.recording_id,
        phase=phase,
        question=facts.question,
        asks=min(facts.question, ASKS_MAX),
        purpose=facts.purpose,
        who_may_watch=facts.who_may_watch,
        kept=facts.kept,
        consent_text=facts.consent_text,
        asked_by=facts.asked_by,
        answer_by=facts.answer_by if phase in (RecordingPhase.ASKING, RecordingPhase.PAUSED) else None,
        segment=facts.segment,
        answers=answers,
        opened=0 if phase in (RecordingPhase.ASKING, RecordingPhase.DECLINED) else facts.segment,
        stored=(phase, facts.segment),
        code=paused_for,
        paused_for=paused_for,
        stored_pause=paused_for,
        wordings=facts.wordings,
    )


def may_ask(state: RoomState) -> bool:
    """Whether a (new or second) question may be put now."""
    recording = state.recording
    if state.phase != Phase.OPEN or state.by_phone or len(state.admitted()) < 2:
        return False
    if recording is None or recording.phase in (RecordingPhase.STOPPED, RecordingPhase.FAILED):
        return True
    return recording.phase == RecordingPhase.DECLINED and recording.asks < ASKS_MAX


def store_phase(recording: Recording) -> c.StorePhase:
    """What the database is to hear; a person's pause before any other, so that a room rebuilt from it stays paused."""
    code = recording.paused_for or recording.code
    return c.StorePhase(recording.recording_id, recording.phase, recording.segment, code)


def is_active(recording: Recording | None) -> bool:
    return recording is not None and (recording.phase == RecordingPhase.ASKING or recording.phase in LIVE)


def unanswered(state: RoomState, now: datetime) -> list[ParticipantId]:
    """Who has let the time run out: their silence is to be stored as a No."""
    recording = state.recording
    if recording is None or not is_active(recording) or recording.answer_by is None or now < recording.answer_by:
        return []
    admitted = [person.participant_id for person in state.admitted()]
    return [one for one in admitted if recording.answer_of(one) in (None, RecordingAnswer.ASKED)]


def ask_person(state: RoomState, participant_id: ParticipantId, question: RecordingFacts | None) -> RoomState:
    """Somebody came in, or came in on another device, while it is asked for or made: they are asked, others stand."""
    recording = state.recording
    if recording is None or not is_active(recording):
        return state
    if question is not None and question.recording_id == recording.recording_id:
        wordings = {**question.wordings, **recording.wordings}
        if participant_id in question.wordings:
            wordings[participant_id] = question.wordings[participant_id]
        recording = replace(recording, question=question.question, answer_by=question.answer_by, wordings=wordings)
    asked = Answer(recording.question, RecordingAnswer.ASKED)
    return replace(state, recording=replace(recording, answers={**recording.answers, participant_id: asked}))


def stopped(state: RoomState, code: str) -> RoomState:
    """Off, for a reason; a question still open ends unanswered."""
    recording = state.recording
    if recording is None or not is_active(recording):
        return state
    phase = RecordingPhase.DECLINED if recording.phase == RecordingPhase.ASKING else RecordingPhase.STOPPED
    return replace(state, recording=_over(recording, phase, code))


def failed(state: RoomState, code: str) -> RoomState:
    """Capture could not be had; the visit goes on and the doctor is told."""
    recording = state.recording
    if recording is None or recording.phase not in LIVE:
        return state
    return replace(state, recording=_over(recording, RecordingPhase.FAILED, code))


def _over(recording: Recording, phase: RecordingPhase, code: str | None) -> Recording:
    return replace(recording, phase=phase, code=code, answer_by=None, start_by=None, paused_for=None, paused_by=None)


def handle_asked(state: RoomState, change: c.Asked, now: datetime) -> Outcome:
    facts = change.facts
    before = state.recording
    if before is not None and before.recording_id == facts.recording_id and before.question >= facts.question:
        return state, []
    again = before is not None and before.recording_id == facts.recording_id
    asked = Answer(facts.question, RecordingAnswer.ASKED)
    recording = replace(
        recording_of(facts),
        phase=RecordingPhase.ASKING,
        asks=before.asks + 1 if before is not None and again else 1,
        answer_by=facts.answer_by or now + timedelta(seconds=CONSENT_S),
        answers={person.participant_id: asked for person in state.admitted()},
        opened=before.opened if before is not None and again else 0,
        stored=None,
    )
    return replace(state, recording=recording), []


def handle_answered(state: RoomState, change: c.Answered, now: datetime) -> Outcome:
    recording = state.recording
    if recording is None or recording.recording_id != change.recording_id or not is_active(recording):
        return state, []
    given = recording.answers.get(change.participant_id)
    if given is None or given.question != change.question or given.answer != RecordingAnswer.ASKED:
        return state, []
    answer = Answer(change.question, RecordingAnswer.YES if change.yes else RecordingAnswer.NO)
    return replace(
        state, recording=replace(recording, answers={**recording.answers, change.participant_id: answer})
    ), []


def handle_stopped(state: RoomState, change: c.RecordingStopped, now: datetime) -> Outcome:
    recording = state.recording
    if recording is None or recording.recording_id != change.recording_id:
        return state, []
    if change.by is not None:
        answers = {**recording.answers, change.by: Answer(recording.question, RecordingAnswer.NO)}
        state = replace(state, recording=replace(recording, answers=answers))
    return stopped(state, change.code), []


def handle_paused(state: RoomState, change: c.RecordingPaused, now: datetime) -> Outcome:
    recording = state.recording
    if recording is None or recording.recording_id != change.recording_id:
        return state, []
    if recording.phase not in LIVE or state.mode != MediaMode.RELAY or recording.paused_for is not None:
        return state, []
    return replace(state, recording=replace(recording, paused_for=change.why, paused_by=change.by)), []


def handle_resumed(state: RoomState, change: c.RecordingResumed, now: datetime) -> Outcome:
    recording = state.recording
    if recording is None or recording.recording_id != change.recording_id or recording.paused_for is None:
        return state, []
    return replace(state, recording=replace(recording, paused_for=None, paused_by=None)), []


def handle_asked_again(state: RoomState, change: c.AskedAgain, now: datetime) -> Outcome:
    return ask_person(state, change.participant_id, change.question), []


def handle_capture_reported(state: RoomState, change: c.CaptureReported, now: datetime) -> Outcome:
    recording = state.recording
    if recording is None or (recording.recording_id, recording.segment) != (change.recording_id, change.segment):
        return state, []
    if recording.phase not in LIVE:
        return state, []
    if change.phase == CapturePhase.FAILED:
        return failed(state, change.reason or "capture_failed"), []
    if change.phase == CapturePhase.RUNNING and recording.paused_for is None and _everybody_agreed(state, recording):
        running = replace(recording, phase=RecordingPhase.RUNNING, code=None, start_by=None)
        return replace(state, recording=running), []
    return state, []


def handle_capture_refused(state: RoomState, change: c.CaptureRefused, now: datetime) -> Outcome:
    recording = state.recording
    if recording is None or recording.recording_id != change.recording_id:
        return state, []
    return failed(state, change.code), []


def handle_segment_opened(state: RoomState, change: c.SegmentOpened, now: datetime) -> Outcome:
    recording = state.recording
    if recording is None or recording.recording_id != change.recording_id:
        return state, []
    return replace(state, recording=replace(recording, opened=max(recording.opened, change.segment))), []


def handle_segment_closed(state: RoomState, change: c.SegmentClosed, now: datetime) -> Outcome:
    recording = state.recording
    if recording is None or (recording.recording_id, recording.segment) != (change.recording_id, change.segment):
        return state, []
    if recording.phase not in LIVE:
        return state, []
    return replace(state, recording=replace(recording, segment=recording.segment + 1)), [c.SyncNode()]


def handle_phase_stored(state: RoomState, change: c.PhaseStored, now: datetime) -> Outcome:
    recording = state.recording
    if recording is None or recording.recording_id != change.recording_id:
        return state, []
    if (recording.phase, recording.segment) != (change.phase, change.segment):
        return state, []
    pause = change.code if change.code in PERSONS_PAUSES else None
    return replace(state, recording=replace(recording, stored=(change.phase, change.segment), stored_pause=pause)), []


def settle_recording(state: RoomState, now: datetime) -> RoomState:
    """One step of what follows by itself; called until nothing changes."""
    recording = state.recording
    if recording is None or not is_active(recording):
        return state
    if state.phase == Phase.ENDED or state.by_phone:
        return stopped(state, "by_phone" if state.by_phone else "visit_ended")
    answers = _answers_of_everybody(state, recording, now)
    if answers != recording.answers:
        code = "no_answer" if unanswered(state, now) else recording.code
        return replace(state, recording=replace(recording, answers=answers, code=code))
    here = [answers[person.participant_id].answer for person in state.admitted()]
    if RecordingAnswer.NO in here:
        return stopped(state, recording.code if recording.code == "no_answer" else "declined")
    if recording.phase == RecordingPhase.ASKING:
        return _settle_asking(state, recording, here, now)
    return _settle_live(state, recording, here, now)


def _answers_of_everybody(state: RoomState, recording: Recording, now: datetime) -> Mapping[ParticipantId, Answer]:
    """Everybody let in is asked; once the time is up, silence is a No."""
    late = set(unanswered(state, now))
    answers = dict(recording.answers)
    for person in state.admitted():
        one = person.participant_id
        if one in late:
            answers[one] = Answer(recording.question, RecordingAnswer.NO)
        elif one not in answers:
            answers[one] = Answer(recording.question, RecordingAnswer.ASKED)
    return answers


def _settle_asking(state: RoomState, recording: Recording, here: list[RecordingAnswer], now: datetime) -> RoomState:
    if len(here) < 2 and recording.answer_by is not None and now >= recording.answer_by:
        return stopped(state, "no_answer")
    if len(here) < 2 or RecordingAnswer.ASKED in here:
        return state
    return replace(state, recording=_starting(recording, now))


def _settle_live(state: RoomState, recording: Recording, here: list[RecordingAnswer], now: datetime) -> RoomState:
    if RecordingAnswer.ASKED in here:
        answer_by = recording.answer_by or now + timedelta(seconds=CONSENT_S)
        paused = replace(recording, phase=RecordingPhase.PAUSED, code="newcomer", answer_by=answer_by, start_by=None)
        return replace(state, recording=paused)
    if recording.paused_for is not None:
        held = replace(recording, phase=RecordingPhase.PAUSED, code=recording.paused_for, answer_by=None, start_by=None)
        return replace(state, recording=held)
    if recording.phase == RecordingPhase.PAUSED and recording.code in ("newcomer", *PERSONS_PAUSES):
        return replace(state, recording=_starting(recording, now))
    recording = replace(recording, answer_by=None)
    if recording.phase != RecordingPhase.STARTING or state.mode == MediaMode.SWITCHING:
        return replace(state, recording=replace(recording, start_by=None))
    start_by = recording.start_by or now + timedelta(seconds=START_S)
    if now >= start_by:
        return failed(state, "node_down" if state.relay is None else "capture_not_started")
    return replace(state, recording=replace(recording, start_by=start_by))


def _starting(recording: Recording, now: datetime) -> Recording:
    return replace(recording, phase=RecordingPhase.STARTING, code=None, answer_by=None, start_by=None)


def _everybody_agreed(state: RoomState, recording: Recording) -> bool:
    return all(recording.answer_of(person.participant_id) == RecordingAnswer.YES for person in state.admitted())
