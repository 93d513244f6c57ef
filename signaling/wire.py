"""What every message of the room's wire is made of, whichever way it goes.

The messages themselves stand in `events.py`, `answers.py` and `snapshot.py`.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """Closed and strict: an unknown, missing or mistyped field is `malformed`. Enums arrive as their words."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
