"""Does again, after a restore, what the list of deletions says of recordings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit import DeletionKind
from server.encounters import keeping, rules
from server.encounters.recording_models import Recording


async def delete_recording(session: AsyncSession, entry: Mapping[str, str], now: datetime) -> bool:
    return await keeping.replay(session, entry["subject_kind"], entry["subject_id"], now)


async def stop_recording(session: AsyncSession, entry: Mapping[str, str], now: datetime) -> bool:
    """Somebody took their yes back: this recording never runs on, whatever the backup remembers."""
    running = update(Recording).where(
        Recording.id == entry["subject_id"], Recording.phase.not_in(sorted(rules.FINAL_PHASES))
    )
    done = await session.execute(running.values(phase="stopped", code="withdrawn").returning(Recording.id))
    return done.first() is not None


REPLAYS = {
    (DeletionKind.CONSENT_WITHDRAWN.value, "recording"): stop_recording,
    (DeletionKind.DELETED.value, "recording"): delete_recording,
    (DeletionKind.DELETED.value, "recording_part"): delete_recording,
}
