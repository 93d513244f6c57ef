"""Personal links: random, stored hashed, opening one door each. Sending again makes another and leaves earlier ones.

Which door a link opens, and when staff close it, is for the areas that ask for it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts.models import Link
from server.audit import AuditAction, DeletionKind
from server.db import new_id
from server.errors import DomainError
from signaling.words import Code

TOKEN_BYTES = 24
TOKEN_SHAPE = re.compile(r"[A-Za-z0-9_-]{32}")
TRIES_MAX = 5
LOCKED = "locked"


class LinkKind(StrEnum):
    VISIT = "visit"
    """Subject: the appointment."""
    GUEST = "guest"
    """Subject: the participation."""
    PROXY = "proxy"
    """Subject: the proxy, whose page asks for the patient's birth date and a code besides."""
    OFFER = "offer"
    """Subject: the offer of a freed time; its page takes a yes or a no, and nothing else."""
    PAGE = "page"
    """Subject: the patient, whose page asks for birth date and code besides."""


def token_hash(token: str) -> bytes:
    """What is stored of a token: it has 192 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()


async def new_link(session: AsyncSession, *, clinic_id: str, kind: LinkKind, subject_id: str, now: datetime) -> str:
    """A new link's token, shown this once; earlier links to the same door go on working."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link = Link(
        id=new_id(),
        clinic_id=clinic_id,
        kind=LinkKind(kind).value,
        subject_id=subject_id,
        token_hash=token_hash(token),
        created_at=now,
    )
    session.add(link)
    await session.flush()
    return token


async def load_link(session: AsyncSession, token: str) -> Link | None:
    """The link of a token, closed ones too; None for anything we never made."""
    if not TOKEN_SHAPE.fullmatch(token):
        return None
    return (await session.scalars(select(Link).where(Link.token_hash == token_hash(token)))).first()


async def resolve(session: AsyncSession, token: str, kind: LinkKind) -> Link:
    """An open link of this kind. Raises not_found (never made) or link_closed."""
    link = await load_link(session, token)
    if link is None or link.kind != kind:
        raise DomainError(Code.NOT_FOUND)
    if link.closed_at is not None:
        raise DomainError(Code.LINK_CLOSED)
    return link


async def close_links(
    session: AsyncSession,
    subject_id: str,
    reason: str,
    now: datetime,
    *,
    revoked: bool = False,
    undo_until: datetime | None = None,
) -> list[str]:
    """Closes every open link of a subject; answers their ids.

    `revoked`: also on the list that a restore replays, once it can't be undone any more.
    """
    query = select(Link).where(Link.subject_id == subject_id, Link.closed_at.is_(None))
    links = list((await session.scalars(query.order_by(Link.id))).all())
    for link in links:
        await _close(session, link, reason, now, revoked=revoked, listed_from=undo_until)
    return [link.id for link in links]


async def reopen_links(session: AsyncSession, subject_id: str, closed_at: datetime) -> None:
    """Undoes what `close_links` did at that moment. Raises wrong_phase once a restore would replay it."""
    query = select(Link).where(Link.subject_id == subject_id, Link.closed_at == closed_at)
    for link in await session.scalars(query.order_by(Link.id)):
        if not await audit.withdraw_deletion(session, ("link", link.id)):
            raise DomainError(Code.WRONG_PHASE)
        link.closed_at = link.closed_reason = None
    await session.flush()


async def touch(session: AsyncSession, link: Link, *, right: bool, now: datetime) -> None:
    """Counts a try at a page link: a right one clears the count, the fifth wrong one in a row locks this link."""
    if right:
        await session.execute(update(Link).where(Link.id == link.id).values(tries=0))
        return
    tries = await session.scalar(
        update(Link).where(Link.id == link.id).values(tries=Link.tries + 1).returning(Link.tries)
    )
    if tries is not None and tries >= TRIES_MAX:
        await _close(session, link, LOCKED, now, revoked=True)
        await audit.enter(
            session,
            clinic_id=link.clinic_id,
            actor_person_id=None,
            action=AuditAction.LINK_LOCKED,
            subject=("link", link.id),
            now=now,
        )


async def load_locked(session: AsyncSession, clinic_id: str, subject_ids: Collection[str]) -> Sequence[Link]:
    """Links of these subjects that wrong tries have locked."""
    query = select(Link).where(
        Link.clinic_id == clinic_id, Link.subject_id.in_(sorted(subject_ids)), Link.closed_reason == LOCKED
    )
    return (await session.scalars(query.order_by(Link.id))).all()


async def unlock(
    session: AsyncSession, clinic_id: str, subject_ids: Collection[str], *, by_person_id: str | None, now: datetime
) -> int:
    """Opens them again with all their tries; answers how many. After a restore such a link is closed: send another."""
    locked = await load_locked(session, clinic_id, subject_ids)
    for link in locked:
        link.closed_at = link.closed_reason = None
        link.tries = 0
        await audit.withdraw_deletion(session, ("link", link.id))
        await audit.enter(
            session,
            clinic_id=clinic_id,
            actor_person_id=by_person_id,
            action=AuditAction.LINK_UNLOCKED,
            subject=("link", link.id),
            now=now,
        )
    return len(locked)


async def _close(
    session: AsyncSession,
    link: Link,
    reason: str,
    now: datetime,
    *,
    revoked: bool,
    listed_from: datetime | None = None,
) -> None:
    link.closed_at, link.closed_reason = now, reason
    await session.flush()
    if revoked:
        await audit.record_deletion(
            session,
            clinic_id=link.clinic_id,
            kind=DeletionKind.LINK_REVOKED,
            subject=("link", link.id),
            now=listed_from or now,
        )
