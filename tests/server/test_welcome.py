"""What `serve` prints on a later day: the demo still has a visit that starts now."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from server import keys
from server.accounts.models import Link
from server.config import Settings
from server.db import Database
from server.encounters.rules import OPENS_BEFORE
from server.scheduling.models import Appointment
from server.seed import seed_demo
from server.welcome import welcome_lines
from signaling.words import utc_now


async def test_a_demo_of_another_day_has_a_visit_now(sqlite_database: Database, tmp_path) -> None:  # type: ignore[no-untyped-def]
    settings = Settings(env="development", var=tmp_path)
    keys.prepare_var(tmp_path)
    seeded_at = utc_now()
    assert await seed_demo(sqlite_database, keys.open_vault(settings), lambda: seeded_at)
    shown: list[str] = []
    for days in (0, 3, 3, 400):
        now = seeded_at + timedelta(days=days, hours=2 if days else 0)
        lines = await welcome_lines(settings, sqlite_database, lambda now=now: now)  # type: ignore[misc]
        assert len([line for line in lines if f"{settings.origin}/v/" in line]) == 1, days
        shown.append(await _standing(sqlite_database, now))
    assert shown == ["open"] * 4


async def _standing(database: Database, now: datetime) -> str:
    """Whether the visit of the newest link lets somebody in now."""
    async with database.reading() as session:
        link = (await session.scalars(select(Link).order_by(Link.created_at.desc()).limit(1))).one()
        visit = await session.get_one(Appointment, (link.clinic_id, link.subject_id))
    return "open" if visit.starts_at <= now + OPENS_BEFORE and visit.ends_at > now else "shut"
