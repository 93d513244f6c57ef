"""From payload to event and from exception to acknowledgement: the one place for each.

What an event does is its function's; whether it may is `namespace.py`'s.
"""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import ValidationError

from signaling.logs import Happening, log_error
from signaling.messages import CHAT_LIMIT_CHARACTERS, Chat, Event, NotOk, Wire
from signaling.words import TEXT, Code, Refused

SomeEvent = TypeVar("SomeEvent", bound=Event)
SomeWire = TypeVar("SomeWire", bound=Wire)


def parse(kind: type[SomeEvent], payload: tuple[object, ...]) -> SomeEvent:
    """Exactly one object of exactly this shape. Raises malformed or too_long with the limit."""
    if len(payload) != 1 or not isinstance(payload[0], dict):
        raise Refused(Code.MALFORMED)
    raw = to_json(payload[0])
    if len(raw) > kind.LIMIT_BYTES:
        raise Refused(Code.TOO_LONG, limit=CHAT_LIMIT_CHARACTERS if issubclass(kind, Chat) else kind.LIMIT_BYTES)
    return parse_strictly(kind, raw)


def parse_strictly(kind: type[SomeWire], raw: bytes) -> SomeWire:
    """From JSON, where a number is a number and an enum its word. Raises malformed."""
    try:
        return kind.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise Refused(Code.MALFORMED) from error


def to_json(payload: object) -> bytes:
    """As it came over the wire. Raises malformed."""
    try:
        return json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(Code.MALFORMED) from error


def refusal(error: Exception, **ids: str | None) -> NotOk:
    """Every exception as what the browser is told; what was not foreseen is logged and says nothing of itself."""
    if isinstance(error, Refused):
        return NotOk(error=error.code.value, message=error.message or TEXT[error.code], limit=error.limit)
    log_error(Happening.EVENT_FAILED, code=type(error).__name__, **ids)
    return NotOk(error=Code.INTERNAL.value, message=TEXT[Code.INTERNAL])
