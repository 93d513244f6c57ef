"""ICE-lite (RFC 8445 §2.5): who a Binding request belongs to, and what to answer.

Pure over bytes: it opens no socket and moves no session; `endpoint` does both with what it says.
"""

from __future__ import annotations

import secrets
import string
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from aioice import stun

HEADER_BYTES = 20
LONGEST_REQUEST = 1280
_COOKIE = b"\x21\x12\xa4\x42"
_BINDING_REQUEST = b"\x00\x01"
_ALPHABET = string.ascii_letters + string.digits
ROLE_CONFLICT = (487, "Role Conflict")

Address = tuple[str, int]


@dataclass(frozen=True)
class Credentials:
    ufrag: str
    password: str

    @classmethod
    def new(cls) -> Credentials:
        return cls(_random(8), _random(24))


@dataclass(frozen=True)
class Check:
    """A valid check: `reply` goes back; the address it came from belongs to the session named by `ufrag`."""

    ufrag: str
    reply: bytes
    nominated: bool


@dataclass(frozen=True)
class Reply:
    """An answer that changes nothing: a plain Binding's, or an error."""

    reply: bytes


def is_binding_request(data: bytes) -> bool:
    """A cheap look before the parser: type, cookie and length."""
    size = len(data)
    return (
        HEADER_BYTES <= size <= LONGEST_REQUEST
        and data[:2] == _BINDING_REQUEST
        and data[4:8] == _COOKIE
        and (data[2] << 8 | data[3]) == size - HEADER_BYTES
    )


def answer(data: bytes, source: Address, find: Callable[[str], str | None]) -> Check | Reply | None:
    """What to do with a datagram that passed `is_binding_request`; None drops it.

    `find` gives the password of a local ufrag, or None. Requests without FINGERPRINT are answered too.
    """
    try:
        request = stun.parse_message(data)
    except Exception:  # aioice's parser raises whatever its unpacking meets
        return None
    username = request.attributes.get("USERNAME")
    if username is None:
        return Reply(_respond(request, source, None))
    ufrag = username.partition(":")[0]
    password = find(ufrag)
    if password is None:
        return None
    key = password.encode()
    if not request.check_message_integrity(key):
        return None
    if "ICE-CONTROLLED" in request.attributes:
        return Reply(_refuse(request, ROLE_CONFLICT, key))
    return Check(ufrag, _respond(request, source, key), "USE-CANDIDATE" in request.attributes)


class RateLimit:
    """At most `per_second` plain answers to one address, remembering a bounded number of addresses."""

    def __init__(self, per_second: int = 10, remembered: int = 4096) -> None:
        self._per_second = per_second
        self._remembered = remembered
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def may_answer(self, host: str, now_s: float) -> bool:
        second = int(now_s)
        since, count = self._seen.pop(host, (second, 0))
        if since != second:
            since, count = second, 0
        self._seen[host] = (since, count + 1)
        if len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
        return count < self._per_second


def _respond(request: stun.Message, source: Address, key: bytes | None) -> bytes:
    response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = source
    return _sign(response, key)


def _refuse(request: stun.Message, error: tuple[int, str], key: bytes) -> bytes:
    response = stun.Message(stun.Method.BINDING, stun.Class.ERROR, transaction_id=request.transaction_id)
    response.attributes["ERROR-CODE"] = error
    return _sign(response, key)


def _sign(response: stun.Message, key: bytes | None) -> bytes:
    if key is not None:
        response.add_message_integrity(key)
    else:
        response.add_fingerprint()
    return bytes(response)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
