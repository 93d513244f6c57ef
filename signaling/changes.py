"""What can happen to a room, as data: the inputs of `rooms.step`, and the effects that come out of it.

These are facts that were already checked and, where they must survive, already stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from media.api import CapturePhase
from signaling.messages import CameraState, LinkState, MicrophoneState, RecordingPhase
from signaling.ports import RecordingFacts, RoomFacts
from signaling.words import Departure, Outcome, ParticipantId, RecordingId


@dataclass(frozen=True, slots=True)
class Connected:
    """A page of this participation came: its place, a new place, or a second device, as the room decides."""

    participant_id: ParticipantId
    sid: str
    server: str
    session: str = field(repr=False)
    tab: str
    device: str
    waiting_since: datetime


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A socket ended; nothing happens unless it still is the one that speaks for them."""

    participant_id: ParticipantId
    sid: str
    reason: str


@dataclass(frozen=True, slots=True)
class ServersAlive:
    """The servers that still beat: whoever sits on another one is away."""

    servers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Admitted:
    """`question` when a recording was being asked for or made: the newcomer is asked too."""

    participant_id: ParticipantId
    at: datetime
    question: RecordingFacts | None = None


@dataclass(frozen=True, slots=True)
class Departed:
    participant_id: ParticipantId
    reason: Departure


@dataclass(frozen=True, slots=True)
class SentBack:
    """To the waiting room."""

    participant_id: ParticipantId


@dataclass(frozen=True, slots=True)
class Blocked:
    participant_id: ParticipantId
    blocked: bool


@dataclass(frozen=True, slots=True)
class GuestAgreed:
    participant_id: ParticipantId
    agreed: bool


@dataclass(frozen=True, slots=True)
class TookOver:
    """A second device now holds the place; `question` as with Admitted."""

    participant_id: ParticipantId
    device: str
    question: RecordingFacts | None = None


@dataclass(frozen=True, slots=True)
class DevicesChanged:
    participant_id: ParticipantId
    microphone: MicrophoneState
    camera: CameraState
    screen: bool


@dataclass(frozen=True, slots=True)
class Linked:
    participant_id: ParticipantId
    attempt: int
    state: LinkState


@dataclass(frozen=True, slots=True)
class Described:
    """The answer of this attempt went across: 2.5 s from here."""

    attempt: int


@dataclass(frozen=True, slots=True)
class MediaAway:
    """The node's word on whether anything comes from them."""

    participant_id: ParticipantId
    away: bool


@dataclass(frozen=True, slots=True)
class PicturesHeld:
    """The node's word on whose pictures this participant's link does not take."""

    participant_id: ParticipantId
    of: tuple[ParticipantId, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    facts: RecordingFacts


@dataclass(frozen=True, slots=True)
class Answered:
    participant_id: ParticipantId
    recording_id: RecordingId
    question: int
    yes: bool


@dataclass(frozen=True, slots=True)
class RecordingStopped:
    """By whoever pressed the button (their consent is taken back), or for a reason of the visit."""

    recording_id: RecordingId
    code: str
    by: ParticipantId | None = None


@dataclass(frozen=True, slots=True)
class RecordingPaused:
    """A person's word: nothing but a person's word takes it up again."""

    recording_id: RecordingId
    why: str
    by: ParticipantId


@dataclass(frozen=True, slots=True)
class RecordingResumed:
    recording_id: RecordingId


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """Somebody who had answered is not alone any more, or came back on another device: their answer counts no longer.

    `question` is None until the clinic has put it anew.
    """

    participant_id: ParticipantId
    question: RecordingFacts | None


@dataclass(frozen=True, slots=True)
class CaptureReported:
    """What a node says it does for this recording."""

    recording_id: RecordingId
    segment: int
    phase: CapturePhase
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CaptureRefused:
    """The grant can't be given or was not taken."""

    recording_id: RecordingId
    code: str


@dataclass(frozen=True, slots=True)
class SegmentOpened:
    """A grant for this segment is about to be given."""

    recording_id: RecordingId
    segment: int


@dataclass(frozen=True, slots=True)
class SegmentClosed:
    """The log of this segment is closed for good; what follows is another."""

    recording_id: RecordingId
    segment: int


@dataclass(frozen=True, slots=True)
class PhaseStored:
    recording_id: RecordingId
    phase: RecordingPhase
    segment: int
    code: str | None = None


@dataclass(frozen=True, slots=True)
class RelayMade:
    node: str
    epoch: str
    ice_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RelayLost:
    """The node died, restarted or forgot this room."""

    node: str
    epoch: str


@dataclass(frozen=True, slots=True)
class NoNode:
    """No node takes rooms just now."""


@dataclass(frozen=True, slots=True)
class RelayClosed:
    """The room was closed at its node because it is over."""


@dataclass(frozen=True, slots=True)
class ByPhone: ...


@dataclass(frozen=True, slots=True)
class Ended:
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Reopened: ...


@dataclass(frozen=True, slots=True)
class ChatStored:
    n: int


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The clinic's facts anew. `was_ended`: the room had ended before they were read, so that they know of that end."""

    facts: RoomFacts
    was_ended: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; unanswered questions were stored as No before."""


Change = (
    Connected
    | Disconnected
    | ServersAlive
    | Admitted
    | Departed
    | SentBack
    | Blocked
    | GuestAgreed
    | TookOver
    | DevicesChanged
    | Linked
    | Described
    | MediaAway
    | PicturesHeld
    | Asked
    | Answered
    | RecordingStopped
    | RecordingPaused
    | RecordingResumed
    | AskedAgain
    | CaptureReported
    | CaptureRefused
    | SegmentOpened
    | SegmentClosed
    | PhaseStored
    | RelayMade
    | RelayLost
    | NoNode
    | RelayClosed
    | ByPhone
    | Ended
    | Reopened
    | ChatStored
    | Refreshed
    | Tick
)


@dataclass(frozen=True, slots=True)
class Evict:
    """This socket no longer speaks for anybody: a last snapshot, then it is closed."""

    sid: str
    server: str
    reason: Departure
    silent: bool = False
    """The same page on a newer socket: nothing to tell."""


@dataclass(frozen=True, slots=True)
class StorePhase:
    """The database must learn this phase of the recording."""

    recording_id: RecordingId
    phase: RecordingPhase
    segment: int
    code: str | None


@dataclass(frozen=True, slots=True)
class SyncNode:
    """What the node should be doing changed."""


Effect = Evict | StorePhase | SyncNode
