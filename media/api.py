"""Node API v1: what a media node is told over HTTP, and what it reports on its event stream.

Both sides of the wire parse with these types: `media/node.py` serves them, `media/client.py` sends them.
Every call carries `Authorization: Bearer <BEDSIDE_NODE_SECRET>` and `v: 1`, and is idempotent by the ids in it.

| call | body → answer |
| --- | --- |
| `PUT /v1/rooms/{room_id}` | `CreateRoom` → `RoomCreated` |
| `DELETE /v1/rooms/{room_id}` | → `{}` (closing a room that is not there is fine) |
| `GET /v1/rooms` | → `NodeState`: what the reconciler compares with what should be |
| `GET /v1/rooms/{room_id}/stats` | → `RoomStats` |
| `PUT /v1/rooms/{room_id}/participants/{participant_id}` | `Admit` → `{}` |
| `DELETE /v1/rooms/{room_id}/participants/{participant_id}?reason=` | cut off within one event → `{}` |
| `POST …/{participant_id}/up` | `UpOffer` (first, re-offer or ICE restart) → `UpAnswer` |
| `POST …/{participant_id}/down` | `DownRequest` (`restart` for new ICE credentials) → `DownOffer` |
| `POST …/{participant_id}/down/answer` | `DownAnswer` → `{}` |
| `PUT /v1/rooms/{room_id}/capture` | `CaptureGrant` → `CaptureState` |
| `DELETE /v1/rooms/{room_id}/capture?recording_id=&reason=` | stop and close the log → `CaptureState` |
| `GET /v1/events?after=N` | → `NodeEvent`, one JSON object a line, kept open; `hello` is the first line |
| `GET /livez` `/readyz` `/metrics` | no secret; readiness is false while draining |

A refusal is `{"error": code, "message": words}` with the HTTP status of `STATUS`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

DESCRIPTION_LIMIT_BYTES = 64 * 1024

OpaqueId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Mid = Annotated[str, StringConstraints(min_length=1, max_length=32)]
Sdp = Annotated[str, StringConstraints(min_length=1, max_length=DESCRIPTION_LIMIT_BYTES)]
Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{1,2048}={0,2}$")]


class Source(StrEnum):
    MICROPHONE = "microphone"
    CAMERA = "camera"
    SCREEN = "screen"
    SCREEN_AUDIO = "screen_audio"


class Leg(StrEnum):
    """The two peer connections of a participant, named from the browser's side."""

    UP = "up"
    DOWN = "down"


class NodeRefusal(StrEnum):
    NOT_AUTHORISED = "not_authorised"
    NOT_FOUND = "not_found"
    MALFORMED = "malformed"
    TOO_LONG = "too_long"
    UNSUPPORTED_SDP = "unsupported_sdp"
    STALE_REVISION = "stale_revision"
    NOT_ADMITTED = "not_admitted"
    GRANT_INCOMPLETE = "grant_incomplete"
    STORAGE_FULL = "storage_full"
    AT_CAPACITY = "at_capacity"
    DRAINING = "draining"
    RELOAD_NEEDED = "reload_needed"


STATUS: dict[NodeRefusal, int] = {
    NodeRefusal.NOT_AUTHORISED: 401,
    NodeRefusal.NOT_FOUND: 404,
    NodeRefusal.MALFORMED: 400,
    NodeRefusal.TOO_LONG: 413,
    NodeRefusal.UNSUPPORTED_SDP: 422,
    NodeRefusal.STALE_REVISION: 409,
    NodeRefusal.NOT_ADMITTED: 403,
    NodeRefusal.GRANT_INCOMPLETE: 409,
    NodeRefusal.STORAGE_FULL: 507,
    NodeRefusal.AT_CAPACITY: 503,
    NodeRefusal.DRAINING: 503,
    NodeRefusal.RELOAD_NEEDED: 426,
}


class Wire(BaseModel):
    """Strict and closed: an unknown field or a wrong type is `malformed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Call(Wire):
    v: Literal[1] = 1


class CreateRoom(Call):
    pass


class RoomCreated(Call):
    room_id: OpaqueId
    epoch: OpaqueId
    ice_servers: list[str] = Field(default_factory=list, description="stun: addresses at which this node answers")


class Admit(Call):
    """Forwarding to and from a participant needs `admitted`; `picture_first` keeps their picture on a poor link."""

    admitted: bool
    picture_first: bool = False


class UpOffer(Call):
    """`sources` names what each m-section (by mid) carries; a section that would send without one is rejected."""

    connection_id: OpaqueId
    revision: int = Field(ge=0)
    sdp: Sdp
    sources: dict[Mid, Source] = Field(default_factory=dict, max_length=32)


class AnsweredSection(Wire):
    mid: Mid
    kind: Literal["audio", "video", "application"]
    source: Source | None = None
    accepted: bool
    code: str | None = Field(
        default=None, description="why not: audio_codec_unsupported, video_codec_unsupported, no_source, …"
    )


class UpAnswer(Call):
    connection_id: OpaqueId
    revision: int
    sdp: Sdp
    sections: list[AnsweredSection]


class DownRequest(Call):
    """Begin the down connection `connection_id` (chosen by the browser), or restart its ICE."""

    connection_id: OpaqueId
    restart: bool = False


class OfferedSection(Wire):
    """`participant_id` and `source` are None while the section is kept for reuse and carries nothing."""

    mid: Mid
    kind: Literal["audio", "video"]
    participant_id: OpaqueId | None = None
    source: Source | None = None


class DownOffer(Call):
    connection_id: OpaqueId
    revision: int
    sdp: Sdp
    sections: list[OfferedSection]


class DownAnswer(Call):
    connection_id: OpaqueId
    revision: int
    sdp: Sdp


class SealingKey(Wire):
    """A random 256-bit data key for one participant in one segment, and the same key wrapped by the clinic's keyset."""

    key: Base64
    wrapped: Base64


class CaptureGrant(Call):
    """Everybody whose consent stands. The node refuses a grant that leaves an admitted participant out.

    `running` false is a pause: the log stays open and nothing is stored. An `Admit` of somebody whom the
    grant does not name pauses by itself until a fuller grant arrives. `reason` is the code of a pause: the log keeps
    it, so that the film can say why.
    """

    recording_id: OpaqueId
    segment: int = Field(ge=1)
    running: bool
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")] | None = None
    keys: dict[OpaqueId, SealingKey] = Field(min_length=1, max_length=16)


class CapturePhase(StrEnum):
    OFF = "off"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAILED = "failed"


class CaptureState(Call):
    recording_id: OpaqueId | None = None
    segment: int | None = None
    phase: CapturePhase = CapturePhase.OFF
    reason: str | None = None
    packets: int = 0
    bytes: int = 0


class ParticipantState(Wire):
    admitted: bool
    picture_first: bool = False
    away: bool = False
    held_back: list[OpaqueId] = Field(default_factory=list, description="whose pictures their link does not take")
    up: OpaqueId | None = Field(default=None, description="connection id, while its DTLS is up")
    down: OpaqueId | None = None
    sources: list[Source] = Field(default_factory=list)


class RoomState(Wire):
    participants: dict[OpaqueId, ParticipantState]
    capture: CaptureState


class NodeState(Call):
    node_id: OpaqueId
    epoch: OpaqueId
    draining: bool
    load: float = Field(ge=0, description="forwarded packets a second, for choosing the least loaded node")
    last_event: int
    rooms: dict[OpaqueId, RoomState]


class RoomStats(Call):
    """Packet counts of one room since it was made, by what the datagram was."""

    rtp_in: int = 0
    rtp_out: int = 0
    rtcp_in: int = 0
    rtcp_out: int = 0
    dtls_in: int = 0
    dtls_out: int = 0
    stun_in: int = 0
    stun_out: int = 0
    captured: int = 0
    lost_in: int = 0
    nack_in: int = 0
    nack_out: int = 0
    rtx_in: int = 0
    rtx_out: int = 0
    pli_in: int = 0
    pli_out: int = 0


class NodeEventKind(StrEnum):
    HELLO = "hello"
    GAP = "gap"
    CONNECTED = "connected"
    AWAY = "away"
    BACK = "back"
    CONNECTION_CLOSED = "connection_closed"
    DOWN_OFFER = "down_offer"
    KEY_FRAME = "key_frame"
    CAPTURE = "capture"
    LOG_STORED = "log_stored"
    DISK = "disk"
    QUALITY = "quality"
    PICTURES = "pictures"
    ROOM_CLOSED = "room_closed"
    DRAINING = "draining"


class StoredLog(Wire):
    """A closed packet log, now in the recordings store at `path`."""

    recording_id: OpaqueId
    segment: int
    path: str
    bytes: int
    packets: int
    complete: bool = Field(description="false when it was found after a crash and closed then")


class NodeEvent(Wire):
    """`(epoch, n)` names the event; `n` rises by one. After `gap` (asked from too far back) the reader reconciles.

    Filled by kind: `connected`/`connection_closed`: leg, connection_id, reason; `away`/`back`: reason;
    `down_offer`: offer; `key_frame`: source; `capture`: capture; `log_stored`: log; `disk`/`quality`: figures;
    `pictures`: held_back, everybody whose pictures this participant's link does not take now.
    """

    v: Literal[1] = 1
    epoch: OpaqueId
    n: int
    at: float = Field(description="UTC epoch seconds")
    kind: NodeEventKind
    room_id: OpaqueId | None = None
    participant_id: OpaqueId | None = None
    leg: Leg | None = None
    connection_id: OpaqueId | None = None
    reason: str | None = None
    source: Source | None = None
    offer: DownOffer | None = None
    capture: CaptureState | None = None
    log: StoredLog | None = None
    figures: dict[str, float] | None = None
    held_back: list[OpaqueId] | None = None
