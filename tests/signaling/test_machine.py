"""Any order of anything: what must never be, whatever people, nodes and clocks do (Hypothesis)."""

from __future__ import annotations

from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import HealthCheck, event, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from media.api import CapturePhase
from signaling import changes as c
from signaling.desired import desired
from signaling.messages import (
    CameraState,
    LinkState,
    MediaMode,
    MicrophoneState,
    Phase,
    RecordingAnswer,
    RecordingPhase,
)
from signaling.recording import may_ask
from signaling.state import LIVE, next_deadline
from signaling.view import Viewer, view
from signaling.words import Departure, Outcome
from tests.signaling.play import DOCTOR, GUEST, NAMES, PATIENT, RECORDING, Play, question

PEOPLE = st.sampled_from([DOCTOR, PATIENT, GUEST])
OTHERS = st.sampled_from([PATIENT, GUEST])
SESSIONS = st.sampled_from(["a", "b"])
TABS = st.sampled_from(["t1", "t2"])


class Rooms(RuleBasedStateMachine):
    """Plain model beside it: the newest answer each admitted person gave since they came in."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play()
        self.agreed: dict[str, bool] = {}
        self.has_been_relay = False
        self.questions = 0
        self.is_examined = False

    def do(self, change: c.Change) -> None:
        before = self.play.state
        self.play.do(change)
        for one in self.play.state.people:
            was, now = before.people[one], self.play.state.people[one]
            if not now.is_admitted or not was.is_admitted or was.session != now.session:
                self.agreed[one] = self.agreed.get(one, False) and was.is_admitted and was.session == now.session
        if self.play.state.mode == MediaMode.RELAY:
            self.has_been_relay = True

    @initialize(begin=st.sampled_from(["empty", "met", "recorded", "recorded by three"]))
    def begin(self, begin: str) -> None:
        """Chance alone seldom gets as far as a recording."""
        if begin == "empty":
            return
        for one in (DOCTOR, PATIENT):
            self.connect(one, "a", "t1")
        self.admit(PATIENT, False)
        self.node(True)
        if begin == "recorded by three":
            self.connect(GUEST, "a", "t1")
            self.admit(GUEST, False)
        if begin == "met":
            return
        self.ask()
        for person in self.play.state.admitted():
            self.answer(person.participant_id, True)
        for person in self.play.state.admitted():
            self.link(person.participant_id, 0, LinkState.RELAY_READY)
        self.report(CapturePhase.RUNNING, 1)
        assert self.play.state.recording is not None
        assert self.play.state.recording.phase == RecordingPhase.RUNNING

    @rule(one=PEOPLE, session=SESSIONS, tab=TABS)
    def connect(self, one: str, session: str, tab: str) -> None:
        sid = f"{one}-{session}-{tab}"
        self.do(c.Connected(one, sid, "server1", f"{session}-{one}", tab, f"device-{session}", self.play.now))  # type: ignore[arg-type]

    @rule(one=PEOPLE, session=SESSIONS, tab=TABS)
    def disconnect(self, one: str, session: str, tab: str) -> None:
        self.do(c.Disconnected(one, f"{one}-{session}-{tab}", "closed"))  # type: ignore[arg-type]

    @rule(one=OTHERS, is_told=st.booleans())
    def admit(self, one: str, is_told: bool) -> None:
        asked = question(max(self.questions, 1), self.play.now) if is_told and self.play.state.recording else None
        self.do(c.Admitted(one, self.play.now, asked))  # type: ignore[arg-type]

    @rule(one=OTHERS)
    def send_back(self, one: str) -> None:
        self.do(c.SentBack(one))  # type: ignore[arg-type]

    @rule(one=PEOPLE, reason=st.sampled_from([Departure.LEFT, Departure.REMOVED, Departure.REPLACED]))
    def depart(self, one: str, reason: Departure) -> None:
        self.do(c.Departed(one, reason))  # type: ignore[arg-type]

    @rule(one=PEOPLE, session=SESSIONS)
    def take_over(self, one: str, session: str) -> None:
        self.do(c.TookOver(one, f"device-{session}"))  # type: ignore[arg-type]

    @rule(one=PEOPLE, old=st.integers(0, 1), state=st.sampled_from(LinkState))
    def link(self, one: str, old: int, state: LinkState) -> None:
        self.do(c.Linked(one, self.play.state.attempt - old, state))  # type: ignore[arg-type]

    @rule(one=PEOPLE, screen=st.booleans())
    def devices(self, one: str, screen: bool) -> None:
        self.do(c.DevicesChanged(one, MicrophoneState.ON, CameraState.ON, screen))  # type: ignore[arg-type]

    @precondition(lambda self: may_ask(self.play.state))
    @rule()
    def ask(self) -> None:
        self.questions += 1
        self.is_examined = False
        self.agreed = {}
        self.do(c.Asked(question(self.questions, self.play.now)))

    @rule(one=PEOPLE, yes=st.booleans())
    def answer(self, one: str, yes: bool) -> None:
        recording = self.play.state.recording
        given = recording.answers.get(one) if recording else None  # type: ignore[call-overload]
        if given is None:
            return
        if given.answer == RecordingAnswer.ASKED:
            self.agreed[one] = yes and self.play.state.people[one].is_admitted  # type: ignore[index]
        self.do(c.Answered(one, RECORDING, given.question, yes))  # type: ignore[arg-type]

    @rule(one=PEOPLE)
    def stop(self, one: str) -> None:
        self.agreed[one] = False
        self.do(c.RecordingStopped(RECORDING, "withdrawn", one))  # type: ignore[arg-type]

    @rule(one=PEOPLE, is_pause=st.booleans())
    def examine(self, one: str, is_pause: bool) -> None:
        was = self.play.state.recording
        if is_pause:
            self.do(c.RecordingPaused(RECORDING, "examination", one))  # type: ignore[arg-type]
            is_running = was is not None and was.phase in LIVE and self.play.state.mode == MediaMode.RELAY
            self.is_examined = self.is_examined or is_running
        else:
            self.is_examined = False
            self.do(c.RecordingResumed(RECORDING))

    @rule(phase=st.sampled_from(CapturePhase), segment=st.integers(1, 3))
    def report(self, phase: CapturePhase, segment: int) -> None:
        self.do(c.CaptureReported(RECORDING, segment, phase, None))

    @rule(made=st.booleans())
    def node(self, made: bool) -> None:
        self.do(c.RelayMade("node", "epoch", ()) if made else c.RelayLost("node", "epoch"))

    @rule(seconds=st.sampled_from([0.5, 2.6, 5.1, 11, 61]))
    def time(self, seconds: float) -> None:
        self.play.now += timedelta(seconds=seconds)
        recording = self.play.state.recording
        if recording is not None and recording.answer_by is not None and recording.answer_by <= self.play.now:
            for one, given in recording.answers.items():
                if given.answer == RecordingAnswer.ASKED:
                    self.agreed[one] = False
        self.do(c.Tick())
        due = next_deadline(self.play.state)
        assert due is None or due > self.play.now, "a deadline that stays behind keeps every server busy"

    @rule()
    def by_phone(self) -> None:
        self.do(c.ByPhone())

    @rule()
    def end(self) -> None:
        self.do(c.Ended(Outcome.SEEN))

    @rule()
    def reopen(self) -> None:
        self.do(c.Reopened())

    @invariant()
    def nobody_outside_sees_anybody(self) -> None:
        state = self.play.state
        for person in state.people.values():
            viewers = [Viewer(person.participant_id, "d", second=True)]
            if not person.is_admitted:
                viewers.append(Viewer(person.participant_id, "d"))
            for viewer in viewers:
                told = view(state, viewer, self.play.now).model_dump_json()
                others = [name for one, name in NAMES.items() if one not in (person.participant_id, DOCTOR)]
                assert not any(name in told for name in others)
                assert '"ice_servers":[]' in told
                assert '"direct":null' in told

    @invariant()
    def nothing_is_captured_without_everybodys_newest_yes(self) -> None:
        wanted = desired(self.play.state)
        if wanted is None or wanted.capture is None or not wanted.capture.running:
            return
        event("capture runs")
        assert not self.is_examined, "only a person resumes it"
        for person in self.play.state.admitted():
            assert self.agreed.get(person.participant_id), person.participant_id
        assert self.play.state.phase == Phase.OPEN

    @invariant()
    def never_back_from_relay(self) -> None:
        if self.has_been_relay:
            assert self.play.state.mode == MediaMode.RELAY

    @invariant()
    def the_direct_way_is_for_two_who_are_in(self) -> None:
        state = self.play.state
        if state.mode == MediaMode.DIRECT and state.pair:
            assert len(state.pair) == 2
            assert all(state.people[one].is_admitted for one in state.pair)


TestRooms = Rooms.TestCase
TestRooms.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
