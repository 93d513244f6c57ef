"""The wire protocol of the room: one type per event, strictly parsed; `signaling/README.md` tells its story.

Leaves the meaning of an event to `rooms.py` and the transport to `namespace.py`. `client/protocol.gen.ts` is made
from these types, so both ends read the same definition.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from media.api import DESCRIPTION_LIMIT_BYTES, AnsweredSection, OfferedSection, OpaqueId, Sdp, Source
from signaling.words import Departure, Outcome, Right, Role

EVENT_LIMIT_BYTES = 16 * 1024
"""Above it an event is refused as `too_long`; descriptions may have DESCRIPTION_LIMIT_BYTES."""
CHAT_LIMIT_CHARACTERS = 4000

EventIdText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")]


class Wire(BaseModel):
    """Closed and strict: an unknown, missing or mistyped field is `malformed`. Enums arrive as their words."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Auth(Wire):
    """What the socket says when it connects; who it is comes from its cookie, which must own `participation`."""

    v: int
    participation: OpaqueId
    tab: OpaqueId = Field(description="random for each loaded page; a newer tab of one browser takes the place over")


class ClinicAuth(Wire):
    """The `/clinic` namespace: a staff member's open page."""

    v: int
    clinic: OpaqueId


# ── Events from the browser ──────────────────────────────────────────────────────────────────────────────────────


class Event(Wire):
    """`id` is the browser's own and makes a repeated event harmless: the first answer is given again."""

    NAME: ClassVar[str]
    RIGHT: ClassVar[Right] = Right.TAKE_PART
    ADMITTED_ONLY: ClassVar[bool] = True
    LIMIT_BYTES: ClassVar[int] = EVENT_LIMIT_BYTES

    id: EventIdText


class Sync(Event):
    """Send me my snapshot again: the browser saw a gap, or woke up."""

    NAME = "sync"
    ADMITTED_ONLY = False


class MicrophoneState(StrEnum):
    ON = "on"
    MUTED = "muted"
    NONE = "none"
    DENIED = "denied"


class CameraState(StrEnum):
    ON = "on"
    OFF = "off"
    NONE = "none"
    DENIED = "denied"


class Devices(Event):
    """What this person sends now, as others should see it."""

    NAME = "devices"
    ADMITTED_ONLY = False
    microphone: MicrophoneState
    camera: CameraState
    screen: bool = False


class Leave(Event):
    """By the person's own button; keeps the link, so that they may come back to the waiting room."""

    NAME = "leave"
    ADMITTED_ONLY = False


class Describe(Event):
    """A description of the direct connection; crosses only between two admitted people in direct mode.

    Only `snapshot.direct.offerer` sends offers, so offers never cross; `attempt` must be the snapshot's.
    """

    NAME = "describe"
    LIMIT_BYTES = DESCRIPTION_LIMIT_BYTES + 4096
    to: OpaqueId
    attempt: int = Field(ge=0)
    type: Literal["offer", "answer", "restart_please"]
    sdp: Annotated[str, StringConstraints(max_length=DESCRIPTION_LIMIT_BYTES)] = ""


class Candidate(Event):
    """A trickled candidate of the direct connection; an empty `candidate` ends them (RFC 8838 §8.2)."""

    NAME = "candidate"
    to: OpaqueId
    attempt: int = Field(ge=0)
    candidate: Annotated[str, StringConstraints(max_length=2048)]
    mid: Annotated[str, StringConstraints(max_length=32)] | None = None
    line: int | None = Field(default=None, ge=0, le=64)


class UpOfferEvent(Event):
    """Offer of the connection that publishes to the relay; the acknowledgement holds `UpAccepted`."""

    NAME = "up_offer"
    LIMIT_BYTES = DESCRIPTION_LIMIT_BYTES + 4096
    connection_id: OpaqueId
    revision: int = Field(ge=0)
    sdp: Sdp
    sources: dict[Annotated[str, StringConstraints(min_length=1, max_length=32)], Source] = Field(max_length=32)


class DownRequestEvent(Event):
    """Begin, or restart, the connection that receives from the relay; the acknowledgement holds `DownOffered`."""

    NAME = "down_request"
    connection_id: OpaqueId
    restart: bool = False


class DownAnswerEvent(Event):
    NAME = "down_answer"
    LIMIT_BYTES = DESCRIPTION_LIMIT_BYTES + 4096
    connection_id: OpaqueId
    revision: int = Field(ge=0)
    sdp: Sdp


class LinkState(StrEnum):
    DIRECT_CONNECTED = "direct_connected"
    DIRECT_FAILED = "direct_failed"
    RELAY_PREPARED = "relay_prepared"
    RELAY_READY = "relay_ready"
    """The relayed stream is on the screen: the switch of MEDIA §6 is done here."""
    RELAY_FAILED = "relay_failed"


class Link(Event):
    """How this browser's media stands; `attempt` is the snapshot's, an older one is ignored."""

    NAME = "link"
    attempt: int = Field(ge=0)
    state: LinkState


class Chat(Event):
    """Stored before it is acknowledged."""

    NAME = "chat"
    text: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class ChatHistory(Event):
    NAME = "chat_history"
    after: int = Field(default=0, ge=0, description="the highest number this page has")


class AdmitEvent(Event):
    NAME = "admit"
    RIGHT = Right.ADMIT
    participant_id: OpaqueId


class WrongPerson(Event):
    """Not the right person: cut off at once, link closed, appointment put back, incident filed."""

    NAME = "wrong_person"
    RIGHT = Right.ADMIT
    participant_id: OpaqueId


class BackToWaiting(Event):
    NAME = "back_to_waiting"
    RIGHT = Right.ADMIT
    participant_id: OpaqueId


class Remove(Event):
    """Puts somebody out; with `block` their link is refused for the rest of the visit until `unblock`."""

    NAME = "remove"
    RIGHT = Right.REMOVE
    participant_id: OpaqueId
    block: bool = True


class Unblock(Event):
    NAME = "unblock"
    RIGHT = Right.REMOVE
    participant_id: OpaqueId


class AgreeGuest(Event):
    """The patient's word on a guest in `snapshot.guests`: seen by name and role, let in only after a yes."""

    NAME = "agree_guest"
    participant_id: OpaqueId
    agree: bool


class AllowDevice(Event):
    """Lets a second device take its person's place over; by the doctor, or by that person's first device."""

    NAME = "allow_device"
    participant_id: OpaqueId
    device: OpaqueId


class AskRecording(Event):
    """Asks everybody; `purpose` is a code of the clinic's list."""

    NAME = "ask_recording"
    RIGHT = Right.ASK_RECORDING
    purpose: OpaqueId


class GivenFor(StrEnum):
    SELF = "self"
    PATIENT = "patient"


class AnswerRecording(Event):
    """A yes says who else is in the room and that they agree, and for whom it is given."""

    NAME = "answer_recording"
    recording_id: OpaqueId
    question: int = Field(ge=1)
    answer: Literal["yes", "no"]
    others_present: Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)] = ""
    others_agree: bool = False
    given_for: GivenFor = GivenFor.SELF


class StopRecording(Event):
    """By anybody, always; takes the presser's consent back."""

    NAME = "stop_recording"
    recording_id: OpaqueId


class Emergency(Event):
    """Writes the time into the visit; the acknowledgement holds `EmergencyFacts`."""

    NAME = "emergency"
    RIGHT = Right.EMERGENCY


class CarryOnByPhone(Event):
    """Keeps visit, note and clock open and stops capture; the acknowledgement holds `PhoneFacts`."""

    NAME = "carry_on_by_phone"
    RIGHT = Right.CARRY_ON_BY_PHONE


class EndVisit(Event):
    NAME = "end_visit"
    RIGHT = Right.END_VISIT
    outcome: Outcome


class UndoEnd(Event):
    """Within ten seconds of ending."""

    NAME = "undo_end"
    RIGHT = Right.END_VISIT


class ArrivalsSeen(Event):
    """In `/clinic`: the doctor has seen these arrivals; the repeating sound ends on every open page."""

    NAME = "arrivals_seen"
    RIGHT = Right.SEE_ARRIVALS
    ADMITTED_ONLY = False
    participant_ids: list[OpaqueId] = Field(max_length=64)


VISIT_EVENTS: tuple[type[Event], ...] = (
    Sync,
    Devices,
    Leave,
    Describe,
    Candidate,
    UpOfferEvent,
    DownRequestEvent,
    DownAnswerEvent,
    Link,
    Chat,
    ChatHistory,
    AdmitEvent,
    WrongPerson,
    BackToWaiting,
    Remove,
    Unblock,
    AgreeGuest,
    AllowDevice,
    AskRecording,
    AnswerRecording,
    StopRecording,
    Emergency,
    CarryOnByPhone,
    EndVisit,
    UndoEnd,
)
CLINIC_EVENTS: tuple[type[Event], ...] = (ArrivalsSeen,)


# ── Acknowledgements ─────────────────────────────────────────────────────────────────────────────────────────────


class Ok(Wire):
    ok: Literal[True] = True


class NotOk(Wire):
    """`error` is a `signaling.words.Code`; `message` may be shown to a person as it is."""

    ok: Literal[False] = False
    error: str
    message: str
    limit: int | None = None


class UpAccepted(Ok):
    connection_id: OpaqueId
    revision: int
    sdp: str
    sections: list[AnsweredSection]


class DownOffered(Ok):
    """Also pushed as the event `down_offer` when tracks come or go."""

    connection_id: OpaqueId
    revision: int
    sdp: str
    sections: list[OfferedSection]


class ChatLine(Wire):
    """Name and role are the sender's as they were then."""

    n: int
    at: str = Field(description="RFC 3339, UTC")
    participant_id: OpaqueId
    name: str
    role: Role
    text: str


class ChatLines(Ok):
    lines: list[ChatLine]


class ChatStored(Ok):
    """The line's number; the line itself comes back as the event `chat`, also to its sender."""

    n: int
    at: str


class EmergencyFacts(Ok):
    """None is shown as "not given"."""

    place: str | None
    phone: str | None
    number: str = Field(description="the emergency number of that country")
    country: str | None
    pressed_at: str


class PhoneFacts(Ok):
    phone: str | None


ACKNOWLEDGEMENTS: dict[type[Event], type[Ok]] = {
    UpOfferEvent: UpAccepted,
    DownRequestEvent: DownOffered,
    Chat: ChatStored,
    ChatHistory: ChatLines,
    Emergency: EmergencyFacts,
    CarryOnByPhone: PhoneFacts,
}
"""What a yes holds, where it holds more than `Ok`."""


# ── What the server sends ────────────────────────────────────────────────────────────────────────────────────────


class PersonState(StrEnum):
    WAITING = "waiting"
    ADMITTED = "admitted"
    LEFT = "left"


class Phase(StrEnum):
    WAITING = "waiting"
    OPEN = "open"
    ENDED = "ended"


class MediaMode(StrEnum):
    DIRECT = "direct"
    SWITCHING = "switching"
    """Going over to the relay: publish there, show it once it plays, then say `relay_ready`."""
    RELAY = "relay"


class PersonView(Wire):
    participant_id: OpaqueId
    name: str
    role: Role
    state: PersonState
    away: bool = False
    reason: Departure | None = None
    microphone: MicrophoneState
    camera: CameraState
    screen: bool
    waiting_since: str | None = None


class WaitingView(Wire):
    """Only the doctor's snapshot has these. Birth date and opener are for the check at Admit."""

    participant_id: OpaqueId
    name: str
    role: Role
    birth_date: str | None
    opened_by: str | None = Field(description="'the patient', 'somebody helping', or a guest's relation, in words")
    waiting_since: str
    late: bool
    away: bool
    identity: Literal["self", "helping", "denied", "not_given"] = "not_given"
    agreement: Literal["not_needed", "asked", "yes", "no"] = Field(
        default="not_needed", description="a guest's: what the patient said; Admit is refused until yes"
    )


class GuestView(Wire):
    """Only the patient's snapshot has these: a guest who asks to come in; answered with `agree_guest`."""

    participant_id: OpaqueId
    name: str
    role: Role


class DeviceView(Wire):
    """A second device of a person, waiting without media, roster or chat."""

    participant_id: OpaqueId
    device: OpaqueId
    name: str
    since: str


class BlockedView(Wire):
    participant_id: OpaqueId
    name: str


class DirectView(Wire):
    peer: OpaqueId
    offerer: OpaqueId


class RecordingPhase(StrEnum):
    OFF = "off"
    ASKING = "asking"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DECLINED = "declined"
    FAILED = "failed"


class RecordingAnswer(StrEnum):
    ASKED = "asked"
    YES = "yes"
    NO = "no"


class RecordingView(Wire):
    """`answers` is by participant, for everybody admitted; `code` says why it stopped, failed or paused."""

    recording_id: OpaqueId | None = None
    phase: RecordingPhase = RecordingPhase.OFF
    question: int = 0
    purpose: str | None = Field(default=None, description="in words")
    who_may_watch: str | None = None
    kept: str | None = Field(default=None, description="how long, in words")
    consent_text: str | None = None
    asked_by: str | None = None
    answer_by: str | None = Field(default=None, description="RFC 3339; no answer by then is No")
    answers: dict[OpaqueId, RecordingAnswer] = Field(default_factory=dict)
    code: str | None = None
    may_ask_again: bool = False


class YouView(Wire):
    participant_id: OpaqueId
    name: str
    role: Role
    state: PersonState
    reason: Departure | None = None
    rights: list[Right]
    second_device: bool = False
    device: OpaqueId
    waiting_since: str | None = None


class Snapshot(Wire):
    """One person's own view of the room; `revision` rises, a browser drops one that is not above its own.

    Somebody waiting gets `you`, `doctor_name` and `phase` only: everything else is empty for them.
    """

    v: Literal[1] = 1
    revision: int
    sent_at: str
    phase: Phase
    you: YouView
    doctor_name: str
    people: list[PersonView] = Field(default_factory=list)
    waiting: list[WaitingView] = Field(default_factory=list)
    guests: list[GuestView] = Field(default_factory=list)
    devices: list[DeviceView] = Field(default_factory=list)
    blocked: list[BlockedView] = Field(default_factory=list)
    mode: MediaMode = MediaMode.DIRECT
    attempt: int = Field(
        default=0, description="rises whenever the media way changes; signals of an older one are dropped"
    )
    relay_only: bool = Field(default=False, description="always relay: no direct connection is ever tried")
    direct: DirectView | None = None
    relay_up: bool = Field(default=False, description="a node has this room: prepare both relay connections")
    relay_room: str | None = Field(default=None, description="changes when the room moved to a node: connect anew")
    node_down: bool = False
    simulcast: bool = False
    ice_servers: list[dict[str, str]] = Field(default_factory=list, description="as RTCIceServer")
    recording: RecordingView = Field(default_factory=RecordingView)
    by_phone: bool = False
    chat_count: int = 0
    started_at: str | None = None
    outcome: Outcome | None = None
    undo_until: str | None = None


class Signal(Wire):
    """A direct description or candidate from the other person, as `Describe` or `Candidate` sent it."""

    sender: OpaqueId
    attempt: int
    type: Literal["offer", "answer", "restart_please", "candidate"]
    sdp: str = ""
    candidate: str = ""
    mid: str | None = None
    line: int | None = None


class ArrivalView(Wire):
    """`name` is None while a screen is shared anywhere by this doctor."""

    room_id: OpaqueId
    participant_id: OpaqueId
    name: str | None
    role: Role
    waiting_since: str
    late: bool
    seen: bool


class Arrivals(Wire):
    """Pushed in `/clinic` as `arrivals`: whole each time. `silent` while this doctor is in a visit: a count only."""

    revision: int
    waiting: list[ArrivalView]
    silent: bool
    names_hidden: bool


SERVER_EVENTS: dict[str, type[Wire]] = {
    "snapshot": Snapshot,
    "signal": Signal,
    "down_offer": DownOffered,
    "chat": ChatLine,
    "arrivals": Arrivals,
}
BARE_SERVER_EVENTS = ("reload_needed", "server_restart")
"""Without a body: an old page must reload (its drafts kept); the server ends and the browser reconnects by itself."""
