"""Whether a signature needs the second factor once more: the session, or its last showing of it, is too long ago.

What a code is and when it is right is `accounts.secondfactor`; people without a second factor are never asked.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import secondfactor
from server.accounts.models import Session
from server.accounts.trust_models import SecondFactor
from server.records.models import FactorShown
from server.records.service import Writing
from server.vault import ClinicVault

SHOWN_LASTS = timedelta(hours=4)
"""Half a clinic's day: a doctor signs a morning's notes without it, and not the next morning's on a left-open tab."""


async def needs_code(session: AsyncSession, writing: Writing) -> bool:
    session_id = writing.actor.session_id
    if session_id is None or await session.get(SecondFactor, writing.person_id) is None:
        return False
    opened = await session.get(Session, session_id)
    shown = await session.get(FactorShown, session_id)
    last = shown.at if shown else opened.created_at if opened else None
    return last is None or writing.now - last > SHOWN_LASTS


async def show_code(session: AsyncSession, vault: ClinicVault, writing: Writing, code: str) -> bool:
    """Whether this code opens; it is used up, and the next signatures of this session need none for a while."""
    if not await secondfactor.is_right(session, vault, writing.person_id, code, writing.now):
        return False
    session_id = writing.actor.session_id or ""
    shown = await session.get(FactorShown, session_id)
    if shown is None:
        session.add(FactorShown(session_id=session_id, at=writing.now))
    else:
        shown.at = writing.now
    await session.flush()
    return True
