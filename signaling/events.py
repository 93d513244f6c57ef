"""What a browser sends: its auth when it connects, then one type per event.

Leaves what an event is answered with to `answers.py`, and which exist at all to the tables of `messages.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from media.api import DESCRIPTION_LIMIT_BYTES, OpaqueId, Sdp, Source
from signaling.wire import CameraState, MicrophoneState, Wire
from signaling.words import Outcome, Right

EVENT_LIMIT_BYTES = 16 * 1024
"""Above it an event is refused as `too_long`; descriptions may have DESCRIPTION_LIMIT_BYTES."""
CHAT_LIMIT_CHARACTERS = 4000

EventIdText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")]


class Auth(Wire):
    """What the socket says when it connects; who it is comes from its cookie, which must own `participation`."""

    v: int
    participation: OpaqueId
    tab: OpaqueId = Field(description="random for each loaded page; a newer tab of one browser takes the place over")


class ClinicAuth(Wire):
    """The `/clinic` namespace: a staff member's open page."""

    v: int
    clinic: OpaqueId


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
    """The relayed stream is on the screen: the switch from direct to relay is done here."""
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


class PauseWhy(StrEnum):
    EXAMINATION = "examination"
    SOMEONE_CAME_IN = "someone_came_in"


class PauseRecording(Event):
    """Capture stops at once. After an examination a person resumes it; who isn't alone any more is asked again."""

    NAME = "pause_recording"
    recording_id: OpaqueId
    why: PauseWhy


class ResumeRecording(Event):
    """After a pause for an examination, by the doctor or on the patient's side."""

    NAME = "resume_recording"
    recording_id: OpaqueId


class KeepWhat(StrEnum):
    KEEP = "keep"
    DELETE_MINE = "delete_mine"
    DELETE_ALL = "delete_all"


class ChooseWithdrawn(Event):
    """What becomes of what was recorded, by somebody who has withdrawn; answered with `WithdrawnChosen`."""

    NAME = "choose_withdrawn"
    recording_id: OpaqueId
    choice: KeepWhat


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
