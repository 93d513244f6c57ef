"""What the room needs of the clinic and of the media nodes; nobody behind these ports is imported here.

`Clinic` is implemented by `server/encounters/` (wired in `server/app.py`); its writes are committed when they return,
and each is idempotent: repeating one changes nothing and answers the same. It raises `words.Refused`.
`Nodes` is implemented by `reconcile.py` over `media.client`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from media.api import (
    CaptureGrant,
    CaptureState,
    DownAnswer,
    DownOffer,
    DownRequest,
    NodeEvent,
    NodeState,
    RoomCreated,
    RoomStats,
    SealingKey,
    StoredLog,
    UpAnswer,
    UpOffer,
)
from signaling.words import (
    ClinicId,
    Departure,
    Outcome,
    ParticipantId,
    PersonId,
    RecordingId,
    Redacted,
    Right,
    Role,
    RoomId,
    SessionId,
)


@dataclass(frozen=True, slots=True)
class Seat:
    """Whom a socket speaks for, decided from its own cookie and the participation it names."""

    room_id: RoomId
    participant_id: ParticipantId
    clinic_id: ClinicId
    session_id: SessionId
    role: Role
    name: Redacted[str]
    rights: frozenset[Right]
    person_id: PersonId | None = None


@dataclass(frozen=True, slots=True)
class StaffSeat:
    """A staff member's open page in the `/clinic` namespace."""

    clinic_id: ClinicId
    person_id: PersonId
    session_id: SessionId
    rights: frozenset[Right]


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the patient answered at the door; None where they left a part out."""

    place: Redacted[str] | None = None
    phone: Redacted[str] | None = None
    others: Redacted[str] | None = None
    agrees: bool = False


@dataclass(frozen=True, slots=True)
class ParticipantFacts:
    """What the database knows of one participation; the room is rebuilt from these."""

    participant_id: ParticipantId
    role: Role
    name: Redacted[str]
    rights: frozenset[Right]
    state: Literal["invited", "waiting", "admitted", "left"]
    reason: Departure | None = None
    person_id: PersonId | None = None
    birth_date: Redacted[str] | None = None
    opened_by: str | None = None
    identity: Literal["self", "helping", "denied", "not_given"] = "not_given"
    card: CardFacts | None = None
    waiting_since: datetime | None = None
    blocked: bool = False
    link_closed: bool = False
    picture_first: bool = False
    agreed: bool | None = None
    """Of a guest: whether the patient agreed to them; None while not answered."""
    may_consent_for_patient: bool = False
    """Of a proxy: whether they may agree to a recording for the patient."""
    session_id: SessionId | None = None
    """The browser that holds the place; another one is a second device."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A recording's question as one person reads it; `language` is that of the text they agree to."""

    purpose: str
    who_may_watch: str
    kept: str
    consent_text: str
    language: str


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """The recording of this room as the database has it; `consents` is the newest answer of each person."""

    recording_id: RecordingId
    phase: Literal["asking", "starting", "running", "paused", "stopped", "declined", "failed"]
    question: int
    purpose: str
    who_may_watch: str
    kept: str
    consent_text: str
    asked_by: ParticipantId
    answer_by: datetime | None
    segment: int
    consents: Mapping[ParticipantId, bool] = field(default_factory=dict)
    code: str | None = None
    """Why it is paused or ended: a pause that a person ordered outlives the room's state."""
    wordings: Mapping[ParticipantId, Wording] = field(default_factory=dict)
    """In each person's own language; whoever isn't in it reads the clinic's words above."""


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """Everything a room needs at birth or after its state was lost."""

    room_id: RoomId
    clinic_id: ClinicId
    phase: Literal["waiting", "open", "ended"]
    doctor_ids: frozenset[PersonId]
    """Whose clinic pages show who waits here."""
    doctor_name: Redacted[str]
    starts_at: datetime
    late_at: datetime
    """Whoever comes after this is late."""
    always_relay: bool
    participants: Sequence[ParticipantFacts]
    recording: RecordingFacts | None = None
    by_phone: bool = False
    chat_count: int = 0
    chat_from: int = 0
    """Lines up to this number were written while somebody who was not the patient was there."""
    started_at: datetime | None = None
    outcome: Outcome | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredChat:
    n: int
    at: datetime
    participant_id: ParticipantId
    name: Redacted[str]
    role: Role
    text: Redacted[str]


@dataclass(frozen=True, slots=True)
class PatientPhones:
    """What the patient wrote at the door, as they wrote it, and the number on file; None when there is none."""

    given: str | None
    on_file: str | None


@dataclass(frozen=True, slots=True)
class EmergencyNumber:
    number: str
    country: str
    country_from: Literal["place", "phone", "clinic"]


@dataclass(frozen=True, slots=True)
class EmergencyContact:
    place: str | None
    phones: PatientPhones
    number: str
    country: str
    country_from: Literal["place", "phone", "clinic"]
    pressed_at: datetime
    also: EmergencyNumber | None = None
    """Another country's, when place and phone disagree."""


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """One answer to one question, as it is stored: append-only."""

    recording_id: RecordingId
    participant_id: ParticipantId
    question: int
    yes: bool
    others_present: str = ""
    others_agree: bool = False
    given_for: Literal["self", "patient"] = "self"
    unanswered: bool = False
    """True when it is a No because the time ran out."""
    language: str = ""
    """Of the wording that they were shown; empty for the clinic's own."""


class Clinic(Protocol):
    """The clinic's side of the room."""

    async def seat(self, cookies: Mapping[str, str], participation: str) -> Seat:
        """Who this is. Raises not_signed_in, not_found, link_closed, visit_over, removed."""
        ...

    async def staff_seat(self, cookies: Mapping[str, str], clinic: str) -> StaffSeat:
        """Which staff member this page belongs to. Raises not_signed_in, not_allowed, not_found."""
        ...

    async def load_room(self, room_id: RoomId) -> RoomFacts:
        """The room from the database. Raises not_found."""
        ...

    async def load_open_rooms(self) -> Sequence[RoomId]:
        """Rooms that are waiting or open, for the start of a server whose store is empty."""
        ...

    async def arrived(self, room_id: RoomId, participant_id: ParticipantId, session_id: SessionId) -> datetime:
        """They are in the waiting room; answers since when (the first time, kept over reloads and restarts).

        Also called for somebody who may admit, when they come in: then only the session is kept and no status moves.
        """
        ...

    async def admitted(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId) -> datetime:
        """Admission; the first one opens the visit (encounter in-progress). Raises not_found, link_closed, removed."""
        ...

    async def took_over(self, room_id: RoomId, participant_id: ParticipantId, session_id: SessionId) -> None:
        """A second device now holds the place; recording consent is asked again."""
        ...

    async def departed(self, room_id: RoomId, participant_id: ParticipantId, reason: Departure) -> None: ...

    async def back_to_waiting(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId) -> None: ...

    async def wrong_person(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId) -> None:
        """Closes their link, puts the appointment back, files an incident, lists the revoked link."""
        ...

    async def block(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId, blocked: bool) -> None: ...

    async def guest_agreed(
        self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId, agreed: bool
    ) -> None:
        """What the patient said about this guest; the newest word counts."""
        ...

    async def store_chat(self, room_id: RoomId, participant_id: ParticipantId, event_id: str, text: str) -> StoredChat:
        """Stores once per event_id, sealed. Raises too_long."""
        ...

    async def load_chat(self, room_id: RoomId, participant_id: ParticipantId, after: int) -> Sequence[StoredChat]:
        """What this participant may read: a guest only lines written after they were admitted."""
        ...

    async def ask_recording(self, room_id: RoomId, by: ParticipantId, purpose: str) -> RecordingFacts:
        """A new recording, or the same one asked once more. Raises not_found (purpose), wrong_phase (asked twice)."""
        ...

    async def ask_newcomer(self, room_id: RoomId, recording_id: RecordingId) -> RecordingFacts:
        """Somebody came in while it runs: the same question with a new answer_by."""
        ...

    async def ask_again(
        self, room_id: RoomId, recording_id: RecordingId, participant_id: ParticipantId
    ) -> RecordingFacts:
        """Somebody came in beside this person: their answer counts no longer, and they are asked anew."""
        ...

    async def choose_withdrawn(
        self, room_id: RoomId, recording_id: RecordingId, participant_id: ParticipantId, choice: str
    ) -> Literal["done", "asked"]:
        """What somebody who withdrew wants done: `keep`, `delete_mine` or `delete_all`.

        `asked` when a named person has to answer it. Raises not_found, wrong_phase (no withdrawal, or chosen already).
        """
        ...

    async def record_consent(self, room_id: RoomId, given: ConsentGiven) -> None:
        """Appends the answer with wording, version, language and time."""
        ...

    async def sealing_keys(
        self, room_id: RoomId, recording_id: RecordingId, segment: int, participants: Sequence[ParticipantId]
    ) -> Mapping[ParticipantId, SealingKey]:
        """A data key for each, wrapped form stored before this returns; the same keys when asked again.

        Raises consent_missing unless the newest stored answer of everybody named is a yes.
        """
        ...

    async def recording_phase(
        self,
        room_id: RoomId,
        recording_id: RecordingId,
        phase: Literal["starting", "running", "paused", "stopped", "declined", "failed"],
        segment: int,
        code: str | None = None,
    ) -> None: ...

    async def log_stored(self, log: StoredLog) -> None:
        """A closed packet log lies in the recordings store: the film's job is inserted, once."""
        ...

    async def emergency(self, room_id: RoomId, by: ParticipantId) -> EmergencyContact: ...

    async def by_phone(self, room_id: RoomId, by: ParticipantId) -> PatientPhones:
        """The visit goes on by phone; answers the numbers to ring."""
        ...

    async def ended(self, room_id: RoomId, by: ParticipantId, outcome: Outcome) -> None: ...

    async def reopened(self, room_id: RoomId, by: ParticipantId) -> None:
        """Undo of `ended` within its ten seconds. Raises wrong_phase."""
        ...

    async def arrivals_seen(self, seat: StaffSeat, participants: Sequence[ParticipantId]) -> None: ...

    async def seen_arrivals(self, participants: Sequence[ParticipantId]) -> frozenset[ParticipantId]:
        """Which of these waiting people were already marked as seen."""
        ...


class MediaNode(Protocol):
    """One node, as `media.client.NodeClient` offers it. Raises `NodeRefused` or `NodeUnreachable`."""

    async def create_room(self, room_id: str) -> RoomCreated: ...
    async def close_room(self, room_id: str) -> None: ...
    async def state(self) -> NodeState: ...
    async def stats(self, room_id: str) -> RoomStats: ...
    async def admit(
        self, room_id: str, participant_id: str, *, admitted: bool, picture_first: bool = False
    ) -> None: ...
    async def remove(self, room_id: str, participant_id: str, reason: str) -> None: ...
    async def up(self, room_id: str, participant_id: str, offer: UpOffer) -> UpAnswer: ...
    async def down(self, room_id: str, participant_id: str, request: DownRequest) -> DownOffer: ...
    async def down_answer(self, room_id: str, participant_id: str, answer: DownAnswer) -> None: ...
    async def grant(self, room_id: str, grant: CaptureGrant) -> CaptureState: ...
    async def stop_capture(self, room_id: str, recording_id: str, reason: str) -> CaptureState: ...
    def events(self, after: int) -> AsyncIterator[NodeEvent]: ...
    async def close(self) -> None: ...


class NodeListener(Protocol):
    """Who hears from the nodes; every server hears everything, so each of these may be told twice."""

    async def handle_node_event(self, node: str, event: NodeEvent) -> None: ...

    async def handle_node_state(self, node: str, state: NodeState) -> None:
        """What the node does now: every 2 s, and after every break of its event stream."""
        ...

    async def handle_node_lost(self, node: str) -> None:
        """It has not answered for a few seconds; its rooms must open elsewhere."""
        ...


class Nodes(Protocol):
    """The nodes this server knows, named by their control address."""

    def get(self, node: str) -> MediaNode:
        """The node's client. Raises node_down for one that is not known or not up."""
        ...

    def least_loaded(self) -> str | None:
        """Where a new room goes; None when no node takes rooms."""
        ...

    def heard(self, node: str) -> int:
        """The number of the newest event of this node that the listener has dealt with."""
        ...

    async def start(self, listener: NodeListener) -> None: ...
    async def stop(self) -> None: ...
