"""Asking, answering, capture and its end, without sockets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from media.api import CapturePhase
from signaling import changes as c
from signaling.desired import desired
from signaling.messages import LinkState, MediaMode, RecordingPhase
from signaling.recording import may_ask, recording_of, unanswered
from signaling.words import Departure, Outcome
from tests.signaling.play import DOCTOR, GUEST, PATIENT, RECORDING, Play, question


def phase(play: Play) -> RecordingPhase:
    assert play.state.recording is not None
    return play.state.recording.phase


def is_captured(play: Play) -> bool:
    wanted = desired(play.state)
    return wanted is not None and wanted.capture is not None and wanted.capture.running


def test_the_last_yes_starts_the_switch_and_all_ready_the_capture() -> None:
    play = Play()
    play.meet()
    play.ask()
    play.answer(DOCTOR)
    assert phase(play) == RecordingPhase.ASKING
    play.answer(PATIENT)
    assert (phase(play), play.state.mode) == (RecordingPhase.STARTING, MediaMode.SWITCHING)
    play.link(LinkState.RELAY_READY, DOCTOR)
    assert not is_captured(play)
    play.link(LinkState.RELAY_READY, PATIENT)
    assert play.state.mode == MediaMode.RELAY
    assert is_captured(play)
    play.report(CapturePhase.RUNNING)
    assert phase(play) == RecordingPhase.RUNNING


def test_already_in_relay_the_last_yes_starts_capture_at_once() -> None:
    play = Play(always_relay=True)
    play.meet()
    play.ask()
    play.answer(DOCTOR)
    play.answer(PATIENT)
    assert is_captured(play)


def test_a_switch_that_takes_too_long_stays_direct_and_the_doctor_is_told() -> None:
    play = Play()
    play.meet()
    play.ask()
    play.answer(DOCTOR)
    play.answer(PATIENT)
    play.link(LinkState.RELAY_READY, DOCTOR)
    attempt = play.state.attempt
    play.later(5.1)
    assert (play.state.mode, phase(play)) == (MediaMode.DIRECT, RecordingPhase.FAILED)
    assert play.sees(DOCTOR).recording.code == "relay_not_ready"
    assert play.state.attempt == attempt + 1
    assert play.sees(PATIENT).direct is not None
    play.later(3600)
    assert play.state.mode == MediaMode.DIRECT
    assert may_ask(play.state)


def test_readiness_said_for_an_earlier_switch_does_not_count() -> None:
    play = Play()
    play.meet()
    play.ask()
    play.answer(DOCTOR)
    play.answer(PATIENT)
    old = play.state.attempt
    play.later(5.1)
    play.do(c.Asked(question(1, play.now, recording_id="another")))
    for one in (DOCTOR, PATIENT):
        assert play.state.recording is not None
        play.do(c.Answered(one, play.state.recording.recording_id, 1, True))
    assert play.state.mode == MediaMode.SWITCHING
    for one in (DOCTOR, PATIENT):
        play.do(c.Linked(one, old, LinkState.RELAY_READY))
    assert play.state.mode == MediaMode.SWITCHING


@pytest.mark.parametrize("one", [DOCTOR, PATIENT])
def test_one_no_declines(one: str) -> None:
    play = Play()
    play.meet()
    play.ask()
    play.answer(one, yes=False)  # type: ignore[arg-type]
    assert phase(play) == RecordingPhase.DECLINED
    assert play.sees(DOCTOR).recording.may_ask_again
    play.ask(2)
    play.answer(PATIENT, yes=False)
    assert not may_ask(play.state)


def test_silence_is_a_no_after_a_minute() -> None:
    play = Play()
    play.meet()
    play.ask()
    play.answer(DOCTOR)
    play.later(59)
    assert phase(play) == RecordingPhase.ASKING
    play.now = play.state.recording.answer_by  # type: ignore[union-attr,assignment]
    assert unanswered(play.state, play.now) == [PATIENT]
    play.later(0)
    assert phase(play) == RecordingPhase.DECLINED
    assert play.sees(DOCTOR).recording.code == "no_answer"


def test_the_same_question_put_twice_is_one_question() -> None:
    play = Play()
    play.meet()
    play.ask()
    play.answer(DOCTOR)
    before = play.state
    assert play.ask() is before


def test_who_comes_in_while_it_is_asked_must_answer_too() -> None:
    play = Play()
    play.meet()
    play.ask()
    play.answer(DOCTOR)
    play.connect(GUEST)
    play.admit(GUEST, question(2, play.now))
    play.answer(PATIENT)
    assert phase(play) == RecordingPhase.ASKING
    play.answer(GUEST)
    assert phase(play) == RecordingPhase.STARTING


def test_a_newcomer_pauses_it_and_their_yes_resumes_it() -> None:
    play = Play()
    play.record()
    play.connect(GUEST)
    play.admit(GUEST, question(1, play.now))
    assert phase(play) == RecordingPhase.PAUSED
    assert not is_captured(play)
    assert play.sees(GUEST).recording.answers == {DOCTOR: "yes", PATIENT: "yes", GUEST: "asked"}
    play.answer(GUEST)
    assert is_captured(play)
    play.report(CapturePhase.RUNNING)
    assert phase(play) == RecordingPhase.RUNNING


def test_a_newcomer_whose_question_was_not_stored_is_asked_all_the_same() -> None:
    play = Play()
    play.record()
    play.connect(GUEST)
    play.admit(GUEST, None)
    assert not is_captured(play)
    assert play.state.recording is not None
    assert play.state.recording.answer_by is not None


def test_a_newcomers_no_or_silence_keeps_it_off() -> None:
    for is_silent in (False, True):
        play = Play()
        play.record()
        play.connect(GUEST)
        play.admit(GUEST, question(1, play.now))
        if is_silent:
            play.later(61)
        else:
            play.answer(GUEST, yes=False)
        assert phase(play) == RecordingPhase.STOPPED
        assert len(play.state.admitted()) == 3


def test_a_newcomer_who_leaves_without_an_answer_lets_it_go_on() -> None:
    play = Play()
    play.record()
    play.connect(GUEST)
    play.admit(GUEST, question(1, play.now))
    play.do(c.Departed(GUEST, Departure.LEFT))
    assert is_captured(play)


def test_another_device_is_asked_again() -> None:
    play = Play()
    play.record()
    play.connect(PATIENT, session="other", sid="sid2")
    assert is_captured(play)
    play.do(c.TookOver(PATIENT, "device-other", question(1, play.now)))
    assert not is_captured(play)
    play.answer(PATIENT)
    assert is_captured(play)


def test_a_reload_keeps_consent_and_capture() -> None:
    play = Play()
    play.record()
    play.connect(PATIENT, tab="t2", sid="reloaded")
    assert is_captured(play)
    assert phase(play) == RecordingPhase.RUNNING


def test_stopping_takes_the_pressers_consent_back() -> None:
    play = Play()
    play.record()
    play.do(c.RecordingStopped(RECORDING, "withdrawn", PATIENT))
    assert phase(play) == RecordingPhase.STOPPED
    assert not is_captured(play)
    assert play.sees(DOCTOR).recording.answers[PATIENT] == "no"
    play.report(CapturePhase.RUNNING)
    assert phase(play) == RecordingPhase.STOPPED


def test_only_a_person_ends_a_pause_for_an_examination() -> None:
    play = Play()
    play.record()
    play.do(c.RecordingPaused(RECORDING, "examination", PATIENT))
    assert (phase(play), is_captured(play)) == (RecordingPhase.PAUSED, False)
    seen = play.sees(DOCTOR).recording
    assert (seen.code, seen.paused_by, seen.may_resume) == ("examination", "Anna Marker", True)
    play.report(CapturePhase.RUNNING)
    play.later(3600)
    play.do(c.RelayLost("node-a", "epoch1"))
    play.do(c.RelayMade("node-b", "epoch2", ()))
    play.connect(GUEST)
    play.admit(GUEST, question(1, play.now))
    assert not is_captured(play)
    play.answer(GUEST)
    assert (phase(play), is_captured(play)) == (RecordingPhase.PAUSED, False)
    assert not play.sees(GUEST).recording.may_resume
    play.do(c.RecordingPaused(RECORDING, "examination", DOCTOR))
    assert play.sees(DOCTOR).recording.paused_by == "Anna Marker", "the first word stands"
    play.do(c.RecordingResumed(RECORDING))
    assert (phase(play), is_captured(play)) == (RecordingPhase.STARTING, True)
    play.report(CapturePhase.RUNNING, segment=2)
    assert (phase(play), play.sees(DOCTOR).recording.code) == (RecordingPhase.RUNNING, None)


def test_a_room_rebuilt_from_the_database_stays_paused() -> None:
    play = Play()
    play.record()
    play.do(c.RecordingPaused(RECORDING, "examination", DOCTOR))
    told = [one for one in play.effects if isinstance(one, c.StorePhase)][-1]
    assert (told.phase, told.code) == (RecordingPhase.PAUSED, "examination")
    facts = replace(question(1, play.now), phase="paused", code=told.code, consents={DOCTOR: True, PATIENT: True})
    built = recording_of(facts)
    assert (built.paused_for, built.code, built.is_told) == ("examination", "examination", True)
    assert recording_of(replace(facts, code="newcomer")).paused_for is None


def test_stopping_ends_a_pause_too() -> None:
    play = Play()
    play.record()
    play.do(c.RecordingPaused(RECORDING, "examination", PATIENT))
    play.do(c.RecordingStopped(RECORDING, "withdrawn", PATIENT))
    assert phase(play) == RecordingPhase.STOPPED
    play.do(c.RecordingResumed(RECORDING))
    assert not is_captured(play)


def test_who_is_not_alone_any_more_is_asked_again() -> None:
    play = Play()
    play.record()
    play.do(c.AskedAgain(PATIENT, question(2, play.now)))
    assert (phase(play), is_captured(play)) == (RecordingPhase.PAUSED, False)
    assert play.sees(PATIENT).recording.answers == {DOCTOR: "yes", PATIENT: "asked"}
    play.answer(PATIENT)
    assert is_captured(play)


def test_the_phone_and_the_end_stop_it() -> None:
    for change in (c.ByPhone(), c.Ended(Outcome.SEEN)):
        play = Play()
        play.record()
        play.do(change)
        assert phase(play) == RecordingPhase.STOPPED
        assert not is_captured(play)


def test_a_failing_capture_is_told() -> None:
    play = Play()
    play.record()
    play.report(CapturePhase.FAILED, reason="storage_full")
    assert (phase(play), play.sees(DOCTOR).recording.code) == (RecordingPhase.FAILED, "storage_full")


def test_a_capture_that_never_starts_fails_in_time() -> None:
    play = Play(always_relay=True)
    play.meet()
    play.ask()
    play.answer(DOCTOR)
    play.answer(PATIENT)
    play.later(5.1)
    assert play.sees(DOCTOR).recording.code == "capture_not_started"


def test_a_lost_node_means_another_segment_never_the_same_keys() -> None:
    play = Play()
    play.record()
    play.do(c.RelayLost("node-a", "epoch1"))
    assert phase(play) == RecordingPhase.PAUSED
    play.do(c.RelayMade("node-b", "epoch2", ()))
    wanted = desired(play.state)
    assert wanted is not None
    assert wanted.capture is not None
    assert (wanted.capture.segment, wanted.capture.running) == (2, True)
    before = play.state
    assert play.report(CapturePhase.RUNNING, segment=1) is before
    play.report(CapturePhase.RUNNING, segment=2)
    assert phase(play) == RecordingPhase.RUNNING


def test_a_grant_lost_with_its_node_before_it_was_reported_is_another_segment_too() -> None:
    play = Play(always_relay=True)
    play.meet()
    play.ask()
    play.answer(DOCTOR)
    play.answer(PATIENT)
    play.do(c.RelayLost("node-a", "epoch1"))
    assert play.state.recording is not None
    assert play.state.recording.segment == 2


def test_every_phase_is_told_to_the_database_until_it_was_heard() -> None:
    play = Play()
    play.record()
    told = [effect.phase for effect in play.effects if isinstance(effect, c.StorePhase)]
    assert told[0] == RecordingPhase.STARTING
    assert told[-1] == RecordingPhase.RUNNING
    play.do(c.PhaseStored(RECORDING, RecordingPhase.RUNNING, 1))
    play.effects.clear()
    play.do(c.ChatStored(1))
    assert not [effect for effect in play.effects if isinstance(effect, c.StorePhase)]
