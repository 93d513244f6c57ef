"""Reads a JSON body into a pydantic model: malformed, missing, extra and oversized are refused in one way."""

from __future__ import annotations

import json
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from server.errors import DomainError
from signaling.words import Code

M = TypeVar("M", bound=BaseModel)


async def parse_json(request: web.Request, model: type[M], *, limit_bytes: int = 16 * 1024) -> M:
    """Raises too_long, or malformed: with the rule's own sentence where a value breaks one."""
    if request.content_length is not None and request.content_length > limit_bytes:
        raise DomainError(Code.TOO_LONG, limit=limit_bytes)
    if request.content_type != "application/json":
        raise DomainError(Code.MALFORMED)
    data = await request.read()
    if len(data) > limit_bytes:
        raise DomainError(Code.TOO_LONG, limit=limit_bytes)
    try:
        value = json.loads(data.decode("utf-8"))
        # Half a surrogate pair is valid JSON and no text: neither database stores it.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
        return model.model_validate(value)
    except ValidationError as error:
        told = [str(item["ctx"]["error"]) for item in error.errors() if item["type"] == "value_error"]
        raise DomainError(Code.MALFORMED, ". ".join(told)) from None
    except (ValueError, RecursionError):
        raise DomainError(Code.MALFORMED) from None
