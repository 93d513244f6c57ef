"""A room played without sockets: changes go in, the clock is moved by hand, every state is kept and checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from media.api import CapturePhase
from signaling import changes as c
from signaling.desired import desired
from signaling.messages import LinkState, MediaMode, RecordingAnswer, Snapshot
from signaling.ports import ParticipantFacts, RecordingFacts, RoomFacts
from signaling.rooms import born, step
from signaling.state import RoomState, from_json, to_json
from signaling.view import Viewer, view, viewer_of
from signaling.words import (
    ClinicId,
    ParticipantId,
    PersonId,
    RecordingId,
    Redacted,
    Right,
    Role,
    RoomId,
)

START = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
DOCTOR, PATIENT, GUEST = ParticipantId("doctor"), ParticipantId("patient"), ParticipantId("guest")
NAMES = {DOCTOR: "Dr Adeyemi", PATIENT: "Anna Marker", GUEST: "Gus Marker"}
ROLES = {DOCTOR: Role.DOCTOR, PATIENT: Role.PATIENT, GUEST: Role.GUEST}
RECORDING = RecordingId("recording1")


def participant(one: ParticipantId, **changes: Any) -> ParticipantFacts:
    is_doctor = one == DOCTOR
    values: dict[str, Any] = {
        "participant_id": one,
        "role": ROLES[one],
        "name": Redacted(NAMES[one]),
        "rights": frozenset(Right) if is_doctor else frozenset({Right.TAKE_PART}),
        "state": "invited",
        "person_id": PersonId("doctor1") if is_doctor else None,
        **changes,
    }
    return ParticipantFacts(**values)


def room_facts(**changes: Any) -> RoomFacts:
    values: dict[str, Any] = {
        "room_id": RoomId("room1"),
        "clinic_id": ClinicId("clinic1"),
        "phase": "waiting",
        "doctor_ids": frozenset({PersonId("doctor1")}),
        "doctor_name": Redacted(NAMES[DOCTOR]),
        "starts_at": START,
        "late_at": START + timedelta(minutes=15),
        "always_relay": False,
        "participants": [participant(one) for one in (DOCTOR, PATIENT, GUEST)],
        **changes,
    }
    return RoomFacts(**values)


def question(number: int, now: datetime, **changes: Any) -> RecordingFacts:
    values: dict[str, Any] = {
        "recording_id": RECORDING,
        "phase": "asking",
        "question": number,
        "purpose": "To ask a colleague",
        "who_may_watch": "You",
        "kept": "Eight years",
        "consent_text": "Nothing changes if you say no.",
        "asked_by": DOCTOR,
        "answer_by": now + timedelta(seconds=60),
        "segment": 1,
        **changes,
    }
    return RecordingFacts(**values)


class Play:
    """One room. `do` checks what must hold after every change."""

    def __init__(self, **facts: Any) -> None:
        self.now = START
        self.state: RoomState = born(room_facts(**facts), self.now)
        self.effects: list[c.Effect] = []

    def do(self, *changes: c.Change) -> RoomState:
        for change in changes:
            before = self.state
            self.state, effects = step(before, change, self.now)
            self.effects += effects
            self._check(before)
        return self.state

    def _check(self, before: RoomState) -> None:
        if self.state is not before:
            assert self.state.revision > before.revision
        assert from_json(to_json(self.state)) == self.state
        wanted = desired(self.state)
        if wanted is not None and wanted.capture is not None and wanted.capture.running:
            recording = self.state.recording
            assert recording is not None
            for person in self.state.admitted():
                assert recording.answer_of(person.participant_id) == RecordingAnswer.YES
            assert self.state.mode == MediaMode.RELAY
            assert not self.state.by_phone

    def later(self, seconds: float) -> RoomState:
        self.now += timedelta(seconds=seconds)
        return self.do(c.Tick())

    def connect(self, one: ParticipantId, *, session: str = "", tab: str = "t1", sid: str = "") -> RoomState:
        session = session or f"session-{one}"
        sid = sid or f"{one}-{session}-{tab}"
        return self.do(c.Connected(one, sid, "server1", session, tab, f"device-{session}", self.now))

    def admit(self, one: ParticipantId, asked: RecordingFacts | None = None) -> RoomState:
        return self.do(c.Admitted(one, self.now, asked))

    def meet(self) -> RoomState:
        """Doctor and patient, connected straight, a node at hand."""
        self.connect(DOCTOR)
        self.connect(PATIENT)
        self.admit(PATIENT)
        self.do(c.RelayMade("node-a", "epoch1", ("stun:192.0.2.1:3478",)))
        return self.link(LinkState.DIRECT_CONNECTED)

    def link(self, state: LinkState, *people: ParticipantId) -> RoomState:
        for one in people or [person.participant_id for person in self.state.admitted()]:
            self.do(c.Linked(one, self.state.attempt, state))
        return self.state

    def ask(self, number: int = 1) -> RoomState:
        return self.do(c.Asked(question(number, self.now)))

    def answer(self, one: ParticipantId, yes: bool = True) -> RoomState:
        assert self.state.recording is not None
        given = self.state.recording.answers[one]
        return self.do(c.Answered(one, RECORDING, given.question, yes))

    def report(self, phase: CapturePhase, segment: int = 1, reason: str | None = None) -> RoomState:
        return self.do(c.CaptureReported(RECORDING, segment, phase, reason))

    def record(self) -> RoomState:
        """From meeting to running."""
        self.meet()
        self.ask()
        self.answer(DOCTOR)
        self.answer(PATIENT)
        self.link(LinkState.RELAY_READY)
        return self.report(CapturePhase.RUNNING)

    def sees(self, one: ParticipantId, sid: str = "") -> Snapshot:
        person = self.state.people[one]
        viewer = viewer_of(person, sid, "device") if sid else Viewer(one, "device")
        return view(self.state, viewer, self.now)
