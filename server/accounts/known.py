"""Browsers from which somebody has signed in before: strangers' tries at a name never keep its owner out of them.

The cookie is sealed, so it can't be made up; it opens nothing by itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import datetime, timedelta

from aiohttp import web

from server import context
from server.vault import ClinicVault, VaultError

COOKIE = "__Host-known"
LIVES = timedelta(days=180)
NAME = "known browser"


def remember(response: web.StreamResponse, vault: ClinicVault, email: str, now: datetime) -> None:
    """Lets this browser count as known for this name."""
    sealed = vault.seal(NAME, json.dumps({"name": _hashed(email), "at": now.timestamp()}).encode())
    value = base64.urlsafe_b64encode(sealed).decode().rstrip("=")
    response.set_cookie(
        COOKIE, value, max_age=int(LIVES.total_seconds()), path="/", secure=True, httponly=True, samesite="Lax"
    )


def knows(request: web.Request, email: str) -> str | None:
    """A name for this browser in limits when it is known for this e-mail address, else None."""
    value = request.cookies.get(COOKIE, "")
    if not value or len(value) > 1000:
        return None
    try:
        sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        content = json.loads(context.vault(request).installation().open(NAME, sealed))
    except (VaultError, binascii.Error, ValueError):
        return None
    is_fresh = context.now(request).timestamp() - content["at"] < LIVES.total_seconds()
    return hashlib.sha256(value.encode()).hexdigest() if is_fresh and content["name"] == _hashed(email) else None


def _hashed(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()
