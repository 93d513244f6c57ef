"""Time-limited TURN credentials for one participant, made from the secret we share with the TURN servers.

When they are renewed is for the room's snapshots and the browser; coturn checks them (its `use-auth-secret`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta

from server.config import Settings
from signaling.words import Clock, ParticipantId

CREDENTIALS_LAST = timedelta(minutes=10)
"""Checked when a relay is allocated, not while it carries; snapshots bring new ones every ten seconds."""


class Turn:
    """The `ice_servers` of signaling: what a participant's browser may use, in the shape of RTCIceServer."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._urls = settings.turn_urls
        self._secret = settings.turn_secret
        self._clock = clock

    def ice_servers(self, participant_id: ParticipantId) -> list[dict[str, str]]:
        """Nothing where no TURN server is configured."""
        if self._secret is None:
            return []
        expires = int((self._clock() + CREDENTIALS_LAST).timestamp())
        username = f"{expires}:{participant_id}"
        password = credential(self._secret.get_secret_value(), username)
        return [{"urls": url, "username": username, "credential": password} for url in self._urls]


def credential(secret: str, username: str) -> str:
    """The password that goes with `expiry:participant` (draft-uberti-behave-turn-rest, section 2.2)."""
    return base64.b64encode(hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()).decode()
