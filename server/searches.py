"""What somebody looks for by name or birth date, sealed for them alone: no name ever stands in an address or its log.

A search is posted and answered with an address that survives a reload and Back. Finding anybody is the areas' business.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import timedelta

from aiohttp import web

from server import context
from server.vault import VaultError

QUERY = "q"
TEXT_MAX = 200
LIVES = timedelta(hours=12)
"""As long as the session that searched may last."""
PADDED_TO = 1024
"""Every address is as long as every other: not even the length of a name is told."""


def seal(request: web.Request, text: str) -> str:
    """The search as a part of an address of our own; only whoever asks now can open it."""
    content = json.dumps({"text": text[:TEXT_MAX].strip(), "at": context.now(request).timestamp()}, ensure_ascii=False)
    sealed = context.vault(request).installation().seal(_name(request), content.encode().ljust(PADDED_TO))
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def asked(request: web.Request) -> str:
    """What this page's address asks for; nothing when it is too old, somebody else's, or was never ours."""
    value = request.query.get(QUERY, "")
    if not value or len(value) > 4 * PADDED_TO:
        return ""
    try:
        sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        content = json.loads(context.vault(request).installation().open(_name(request), sealed))
    except (VaultError, binascii.Error, ValueError):
        return ""
    is_fresh = context.now(request).timestamp() - content["at"] < LIVES.total_seconds()
    return str(content["text"]) if is_fresh else ""


def _name(request: web.Request) -> str:
    return f"search {context.actor(request).person_id}"
