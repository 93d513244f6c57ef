"""The seeded demo clinic: its calendar at any hour, its messages in the outbox, each link opening its door."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from icalendar import Calendar
from sqlalchemy import select

from server.config import Settings
from server.db import Database
from server.scheduling import jobs
from server.scheduling.models import Appointment, Message
from server.seed import seed_demo
from server.vault import Vault
from tests.server.cast import Browser, Clock, OpenApp
from tests.server.scheduling.test_messages import job_context

HOURS = [
    "2026-11-25T09:00:12Z",
    "2026-11-22T22:58:59Z",
    "2026-03-29T00:57:00Z",
    "2026-10-25T00:31:00Z",
    "2026-10-25T01:31:00Z",
]
"""A working day, a Sunday night, and the hours in which clocks change."""


async def appointments(database: Database) -> Sequence[Appointment]:
    async with database.reading() as session:
        return (await session.scalars(select(Appointment).order_by(Appointment.starts_at))).all()


@pytest.mark.parametrize("hour", HOURS)
async def test_the_demo_has_a_visit_now_whenever_it_is_started(
    sqlite_database: Database, vault: Vault, hour: str
) -> None:
    now = datetime.fromisoformat(hour)
    assert await seed_demo(sqlite_database, vault, lambda: now)
    made = await appointments(sqlite_database)
    on_now = [each for each in made if each.starts_at <= now < each.ends_at and each.status == "booked"]
    assert len(on_now) == 1
    assert now - on_now[0].starts_at < timedelta(minutes=5)
    assert {each.status for each in made if each.ends_at < now - timedelta(hours=6)} == {
        "fulfilled",
        "noshow",
        "cancelled",
    }
    assert sum(each.starts_at > now + timedelta(days=5) for each in made) == 4
    assert not await seed_demo(sqlite_database, vault, lambda: now)


async def test_the_outbox_shows_every_message_with_its_link_and_calendar_file(
    sqlite_database: Database, settings: Settings, vault: Vault, open_app: OpenApp
) -> None:
    clock = Clock(datetime.fromisoformat(HOURS[0]))
    await seed_demo(sqlite_database, vault, clock)
    async with sqlite_database.reading() as session:
        waiting = list(await session.scalars(select(Message).where(Message.due_at <= clock.now)))
    for message in waiting:
        await jobs.send_message(job_context(sqlite_database, message.clinic_id, message.id, clock.now, settings))
    browser = Browser(await open_app(clock))
    text = await (await browser.get("/demo/outbox")).text()
    links = re.findall(r'href="[^"]*(/v/[^"]+)"', text)
    files = re.findall(r'href="(/demo/outbox/[^"]+\.ics)"', text)
    assert len(links) == len(files) >= 8
    for link in links:
        assert (await browser.get(link)).status == 200
    answer = await browser.get(files[0])
    assert answer.headers["Content-Type"].startswith("text/calendar")
    assert len(Calendar.from_ical(await answer.read()).walk("VEVENT")) == 1
    assert (await browser.get("/demo/outbox/nothing/appointment.ics")).status == 404


async def test_where_the_demo_may_not_run_there_is_no_outbox(
    sqlite_database: Database, vault: Vault, open_app: OpenApp
) -> None:
    clock = Clock(datetime.fromisoformat(HOURS[0]))
    await seed_demo(sqlite_database, vault, clock)
    assert (await Browser(await open_app(clock, demo=False)).get("/demo/outbox")).status == 404
