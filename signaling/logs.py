"""What this package writes to the log: an event's name from one enum, and ids; never a name, a text or a token.

Where lines go and how they are framed (one JSON object each) is configured by the process.
"""

from __future__ import annotations

from enum import StrEnum

import structlog


class Happening(StrEnum):
    CONNECTED = "visit_connected"
    CONNECT_REFUSED = "visit_connect_refused"
    DISCONNECTED = "visit_disconnected"
    EVENT_REFUSED = "visit_event_refused"
    EVENT_FAILED = "visit_event_failed"
    CLINIC_CONNECTED = "clinic_connected"
    CLINIC_DISCONNECTED = "clinic_disconnected"
    ROOM_REBUILT = "room_rebuilt"
    ROOM_CONTENDED = "room_contended"
    ROOM_UNREADABLE = "room_unreadable"
    MEDIA_MODE = "media_mode"
    RECORDING = "recording_phase"
    NODE_UP = "node_up"
    NODE_LOST = "node_lost"
    NODE_CALL_FAILED = "node_call_failed"
    RECONCILE_FAILED = "reconcile_failed"
    BUS_LOST = "bus_lost"
    BUS_RETURNED = "bus_returned"
    BUS_MALFORMED = "bus_malformed"
    BUS_PUBLISH_FAILED = "bus_publish_failed"
    STORE_FAILED = "store_failed"
    TASK_FAILED = "signaling_task_failed"
    STOPPING = "signaling_stopping"


def log_info(event: Happening, **ids: str | int | None) -> None:
    structlog.get_logger("signaling").info(event.value, **ids)


def log_error(event: Happening, **ids: str | int | None) -> None:
    structlog.get_logger("signaling").error(event.value, **ids)
