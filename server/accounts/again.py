"""Signed off in the middle of something: the sign-in page in its place, and what was being sent kept until then.

Noticing that somebody was idle is `idle.py`; signing in itself is `signin.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from aiohttp import web
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts import sessions
from server.accounts.models import Session
from server.accounts.trust_models import ParkedForm
from server.error_pages import wants_json
from server.errors import DomainError
from server.forms import FORM_TYPES, read_fields
from server.pages import render
from server.vault import ClinicVault
from signaling.words import Code

SECRET_FIELDS = ("password", "code")


@dataclass(frozen=True, slots=True)
class Parked:
    """A form as it was sent: where to, and its fields in order."""

    path: str
    fields: tuple[tuple[str, str], ...]


async def ask_again(request: web.Request) -> web.Response:
    """For pages and forms of staff who were signed off; scripts hear not_signed_in and keep what they have."""
    if wants_json(request) or request.content_type == "application/json" or "HX-Request" in request.headers:
        raise DomainError(Code.NOT_SIGNED_IN)
    is_kept = False
    if request.method == "POST" and request.content_type in FORM_TYPES:
        is_kept = await _park(request)
    next_path = request.path_qs if request.method == "GET" else request.headers.get("Referer", "")
    values = {"email": "", "errors": {}, "signed_off": True, "is_kept": is_kept, "next_path": _local(next_path)}
    return render(request, "accounts/sign_in.html", values, status=401)


async def load_parked(session: AsyncSession, vault: ClinicVault, session_id: str | None) -> Parked | None:
    """What this session's browser was sending when it was signed off."""
    row = await session.get(ParkedForm, session_id) if session_id else None
    if row is None:
        return None
    content = json.loads(vault.open(_name(row.person_id), row.sealed))
    return Parked(content["path"], tuple((name, value) for name, value in content["fields"]))


async def take_over(session: AsyncSession, old: Session | None, session_id: str, person_id: str) -> bool:
    """Hands what was parked to the new session of the same person; anybody else's is thrown away."""
    row = await session.get(ParkedForm, old.id) if old else None
    if row is None:
        return False
    is_theirs = row.person_id == person_id
    if is_theirs:
        session.add(ParkedForm(session_id=session_id, person_id=person_id, sealed=row.sealed, at=row.at))
    await session.delete(row)
    await session.flush()
    return is_theirs


async def forget(session: AsyncSession, person_id: str) -> None:
    await session.execute(delete(ParkedForm).where(ParkedForm.person_id == person_id))


async def _park(request: web.Request) -> bool:
    posted = await read_fields(request)
    fields = [(name, value) for name, values in posted.items() if name not in SECRET_FIELDS for value in values]
    now, sealer = context.now(request), context.vault(request).installation()
    async with context.database(request).writing() as session:
        old = await sessions.load_signed_off(session, request.cookies, now)
        if old is None or old.person_id is None:
            return False
        sealed = sealer.seal(_name(old.person_id), json.dumps({"path": request.path_qs, "fields": fields}).encode())
        await session.execute(delete(ParkedForm).where(ParkedForm.session_id == old.id))
        session.add(ParkedForm(session_id=old.id, person_id=old.person_id, sealed=sealed, at=now))
    return True


def _name(person_id: str) -> str:
    return f"parked {person_id}"


def _local(address: str) -> str:
    """The path of an address of ours; where it is led to is judged again after signing in."""
    return "/" + address.split("/", 3)[3] if address.count("/") >= 3 and "://" in address else address
