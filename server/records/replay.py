"""Does again, after a restore, what the list of deletions says of notes: erased ones, and those entered in error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from server.audit import DeletionKind
from server.records import erasing, withdrawing


async def erase_note(session: AsyncSession, entry: Mapping[str, str], now: datetime) -> bool:
    note_id, _, upto = entry["subject_id"].partition(":")
    return await erasing.erase_again(session, note_id, int(upto), now)


async def withdraw_note(session: AsyncSession, entry: Mapping[str, str], now: datetime) -> bool:
    note_id, _, upto = entry["subject_id"].partition(":")
    return await withdrawing.withdraw_again(session, note_id, int(upto), now)


REPLAYS = {
    (DeletionKind.DELETED.value, "note"): erase_note,
    (DeletionKind.DELETED.value, "note_withdrawn"): withdraw_note,
}
