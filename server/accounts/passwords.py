"""Passwords by argon2, off the event loop; an unknown name costs the same as a known one."""

from __future__ import annotations

import asyncio

from aiohttp import web
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


class Passwords:
    """Hashes and checks at one set of costs. The decoy is made at the same costs, so nobody learns who exists."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._decoy = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        return await asyncio.to_thread(self._hasher.hash, password)

    async def is_right(self, password_hash: str | None, password: str) -> bool:
        """Whether it fits; without a hash the decoy is tried and the answer is no."""
        fits = await asyncio.to_thread(self._verify, password_hash or self._decoy, password)
        return fits and password_hash is not None

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


PASSWORDS = web.AppKey("passwords", Passwords)
