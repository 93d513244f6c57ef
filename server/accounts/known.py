"""Browsers from which somebody has signed in before: strangers' tries at a name never keep its owner out of them.

The cookie is sealed, so it can't be made up; it opens nothing by itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime, timedelta

from aiohttp import web

from server import context
from server.vault import ClinicVault, VaultError

COOKIE = "__Host-known"
PATIENTS_COOKIE = "__Host-known-page"
"""The same for patients' accounts: staff may be patients, too."""
LIVES = timedelta(days=180)
HALF_LIVES = timedelta(minutes=30)
"""So long after the password the code may follow."""
NAME = "known browser"


def remember(
    response: web.StreamResponse,
    vault: ClinicVault,
    email: str,
    now: datetime,
    *,
    cookie: str = COOKIE,
    is_half: bool = False,
) -> None:
    """Lets this browser count as known for this name; `is_half`: only the password was right so far."""
    content = {"name": _hashed(email), "at": now.timestamp(), "half": is_half}
    sealed = vault.seal(f"{NAME} {cookie}", json.dumps(content).encode())
    value = base64.urlsafe_b64encode(sealed).decode().rstrip("=")
    lives = HALF_LIVES if is_half else LIVES
    response.set_cookie(
        cookie, value, max_age=int(lives.total_seconds()), path="/", secure=True, httponly=True, samesite="Lax"
    )


def knows(request: web.Request, email: str, *, cookie: str = COOKIE) -> str | None:
    """A name for this browser in limits when it is known for this e-mail address, else None."""
    if known_since(request, email, cookie=cookie) is None:
        return None
    return hashlib.sha256(request.cookies[cookie].encode()).hexdigest()


def known_since(request: web.Request, email: str, *, cookie: str = COOKIE, is_half: bool = False) -> datetime | None:
    """Since when this browser counts as known for this address; None when it doesn't (any more)."""
    value = request.cookies.get(cookie, "")
    if not value or len(value) > 1000:
        return None
    try:
        sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        content = json.loads(context.vault(request).installation().open(f"{NAME} {cookie}", sealed))
    except (VaultError, binascii.Error, ValueError):
        return None
    since = datetime.fromtimestamp(content["at"], UTC)
    is_fresh = context.now(request) - since < (HALF_LIVES if is_half else LIVES)
    is_theirs = content["name"] == _hashed(email) and content["half"] == is_half
    return since if is_fresh and is_theirs else None


def _hashed(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()
