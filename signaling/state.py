"""The state of a room: frozen data that one compare-and-set replaces, written as JSON for the store.

It decides nothing: `rooms.py` changes it, `view.py` shows it, `desired.py` says what the node should do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from pydantic import TypeAdapter

from signaling.messages import CameraState, MediaMode, MicrophoneState, Phase, RecordingAnswer, RecordingPhase
from signaling.ports import Wording
from signaling.words import ClinicId, Departure, Outcome, ParticipantId, PersonId, RecordingId, Right, Role, RoomId

Standing = Literal["invited", "waiting", "admitted", "left"]
LIVE = (RecordingPhase.STARTING, RecordingPhase.RUNNING, RecordingPhase.PAUSED)
"""A recording in one of these is wanted by everybody who has answered so far."""


@dataclass(frozen=True, slots=True)
class Place:
    """The socket that speaks for a person just now, and the server that holds it."""

    sid: str
    server: str
    session: str = field(repr=False)
    tab: str


@dataclass(frozen=True, slots=True)
class Device:
    """A second device: another browser with the same link, kept outside."""

    device: str
    sid: str
    server: str
    session: str = field(repr=False)
    tab: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Card:
    """What the patient answered at the door, for the doctor."""

    place: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    others: str | None = field(default=None, repr=False)
    agrees: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    participant_id: ParticipantId
    role: Role
    name: str = field(repr=False)
    rights: frozenset[Right]
    standing: Standing = "invited"
    reason: Departure | None = None
    person_id: PersonId | None = None
    birth_date: str | None = field(default=None, repr=False)
    opened_by: str | None = field(default=None, repr=False)
    identity: Literal["self", "helping", "denied", "not_given"] = "not_given"
    card: Card | None = None
    waiting_since: datetime | None = None
    was_admitted: bool = False
    blocked: bool = False
    link_closed: bool = False
    picture_first: bool = False
    agreed: bool | None = None
    """A guest's: whether the patient agreed to them."""
    may_consent_for_patient: bool = False
    session: str | None = field(default=None, repr=False)
    """The browser that holds the place; another one is a second device."""
    tab: str | None = None
    """The page that was last in the place: another one has to connect its media anew."""
    old_tabs: tuple[str, ...] = ()
    """Pages that a newer one replaced: they come back by a reload, or two would oust each other for ever."""
    place: Place | None = None
    devices: tuple[Device, ...] = ()
    away_reason: str | None = None
    media_away: bool = False
    held_back: tuple[ParticipantId, ...] = ()
    """Whose pictures the node holds back from them, since their link does not take more than sound."""
    microphone: MicrophoneState = MicrophoneState.NONE
    camera: CameraState = CameraState.NONE
    screen: bool = False
    direct: Literal["none", "connected", "failed"] = "none"
    relay_prepared: bool = False
    relay_ready: bool = False

    @property
    def is_admitted(self) -> bool:
        return self.standing == "admitted"

    @property
    def is_host(self) -> bool:
        """Who lets others in never waits themselves."""
        return Right.ADMIT in self.rights


@dataclass(frozen=True, slots=True)
class Relay:
    """The node that has this room; another epoch of the same node has forgotten it."""

    node: str
    epoch: str
    ice_urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    question: int
    answer: RecordingAnswer


@dataclass(frozen=True, slots=True)
class Recording:
    recording_id: RecordingId
    phase: RecordingPhase
    question: int
    asks: int
    purpose: str
    who_may_watch: str
    kept: str
    consent_text: str
    asked_by: ParticipantId
    answer_by: datetime | None
    segment: int
    answers: Mapping[ParticipantId, Answer] = field(default_factory=dict)
    start_by: datetime | None = None
    code: str | None = None
    opened: int = 0
    """The newest segment a grant may have been given for: its keys are never used for another log."""
    stored: tuple[RecordingPhase, int] | None = None
    """Phase and segment the database was last told; no grant is given for a segment it has not heard of."""
    paused_for: str | None = None
    """Set by a person, and taken away by a person alone: nothing is captured meanwhile."""
    paused_by: ParticipantId | None = None
    stored_pause: str | None = None
    """What the database was last told of that: a room that is rebuilt stays paused."""
    wordings: Mapping[ParticipantId, Wording] = field(default_factory=dict)
    """The question as each reads it."""

    def language_for(self, participant_id: ParticipantId) -> str:
        """Of the wording that this person was shown."""
        wording = self.wordings.get(participant_id)
        return wording.language if wording else ""

    @property
    def is_told(self) -> bool:
        if self.phase == RecordingPhase.ASKING:
            return True
        is_pause_told = self.phase != RecordingPhase.PAUSED or self.stored_pause == self.paused_for
        return self.stored == (self.phase, self.segment) and is_pause_told

    def answer_of(self, participant_id: ParticipantId) -> RecordingAnswer | None:
        given = self.answers.get(participant_id)
        return given.answer if given else None


@dataclass(frozen=True, slots=True)
class RoomState:
    room_id: RoomId
    clinic_id: ClinicId
    revision: int
    phase: Phase
    doctor_ids: frozenset[PersonId]
    doctor_name: str = field(repr=False)
    starts_at: datetime
    late_at: datetime
    always_relay: bool
    people: Mapping[ParticipantId, Person]
    mode: MediaMode = MediaMode.DIRECT
    attempt: int = 0
    pair: tuple[ParticipantId, ...] = ()
    """The two people of the direct connection `attempt` stands for, sorted."""
    direct_by: datetime | None = None
    switch_by: datetime | None = None
    relay: Relay | None = None
    node_down: bool = False
    recording: Recording | None = None
    by_phone: bool = False
    chat_count: int = 0
    chat_from: int = 0
    started_at: datetime | None = None
    outcome: Outcome | None = None
    ended_at: datetime | None = None
    undo_until: datetime | None = None

    def admitted(self) -> list[Person]:
        return [person for person in self.people.values() if person.is_admitted]

    def with_person(self, person: Person) -> RoomState:
        return replace(self, people={**self.people, person.participant_id: person})


_ADAPTER: TypeAdapter[RoomState] = TypeAdapter(RoomState)


def to_json(state: RoomState) -> bytes:
    return _ADAPTER.dump_json(state)


def from_json(data: bytes | str) -> RoomState:
    """Raises pydantic's ValidationError on anything that is not a room of this version."""
    return _ADAPTER.validate_json(data)


def next_deadline(state: RoomState) -> datetime | None:
    """When somebody has to look at this room again."""
    recording = state.recording
    candidates = [state.direct_by, state.switch_by, state.undo_until]
    if recording is not None:
        candidates += [recording.answer_by, recording.start_by]
    return min((at for at in candidates if at is not None), default=None)
