"""What the server sends by itself: each person's snapshot of the room, signals, a doctor's arrivals.

Who sees what of the room is `view.py`'s to decide.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from media.api import OpaqueId
from signaling.wire import CameraState, MicrophoneState, Wire
from signaling.words import Departure, Outcome, Right, Role


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
    picture_held: bool = Field(default=False, description="you don't get their picture now: your connection is weak")
    hears_only: bool = Field(default=False, description="they get nobody's picture now: their connection is weak")


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


class CardView(Wire):
    """Only the doctor's snapshot has these: what the patient answered at the door. None is shown as "not given"."""

    participant_id: OpaqueId
    place: str | None
    phone: str | None = Field(description="as the patient wrote it: perhaps no number at all")
    others: str | None = Field(description="who is with them")
    agrees: bool = Field(description="to a video visit, by the clinic's text")


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
    paused_by: str | None = Field(default=None, description="who pressed Pause for examination")
    may_resume: bool = False
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
    may_speak_for_patient: bool = Field(
        default=False, description="somebody helping, or a guest: their yes to a recording says for whom it is given"
    )


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
    cards: list[CardView] = Field(default_factory=list)
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
    chat_from: int = Field(default=0, description="lines up to this number are shown no longer")
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
    """`name` is None while a screen is shared anywhere by this doctor; `untaken`: nobody holds the visit yet."""

    room_id: OpaqueId
    participant_id: OpaqueId
    name: str | None
    role: Role
    waiting_since: str
    late: bool
    seen: bool
    untaken: bool = False


class Arrivals(Wire):
    """Pushed in `/clinic` as `arrivals`: whole each time. `silent` while this doctor is in a visit: a count only."""

    revision: int
    waiting: list[ArrivalView]
    silent: bool
    names_hidden: bool
