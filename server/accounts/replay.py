"""Does again, after a restore, what the list of deletions says of links and uploads; recordings are for encounters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Link
from server.audit import DeletionKind
from server.uploads import Upload


async def close_link(session: AsyncSession, entry: Mapping[str, str], now: datetime) -> bool:
    """A revoked link stays revoked."""
    closed = update(Link).where(Link.id == entry["subject_id"], Link.closed_at.is_(None))
    done = await session.execute(closed.values(closed_at=now, closed_reason="restored").returning(Link.id))
    return done.first() is not None


async def erase_upload(session: AsyncSession, entry: Mapping[str, str], now: datetime) -> bool:
    """Key and name are gone again; the sealed bytes that came back with the files open no more."""
    erased = update(Upload).where(Upload.id == entry["subject_id"], Upload.erased_at.is_(None))
    done = await session.execute(erased.values(erased_at=now, sealed_name=None, wrapped_key=None).returning(Upload.id))
    return done.first() is not None


REPLAYS = {
    (DeletionKind.LINK_REVOKED.value, "link"): close_link,
    (DeletionKind.DELETED.value, "upload"): erase_upload,
}
