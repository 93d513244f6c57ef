"""Fills an empty database with the demo clinic, each area its own part, all in one transaction.

What an area seeds is in its `seed.py`; the rest of the demo is `accounts/demo.py`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import seed as accounts_seed
from server.accounts.models import Clinic, Person
from server.app import area_modules, load_models, register_handlers
from server.db import Database
from server.events import Events
from server.scheduling import seed as scheduling_seed
from server.scheduling.models import Appointment
from server.vault import Vault
from signaling.words import Clock, utc_now


async def add_visit_now(session: AsyncSession, now: datetime) -> Appointment | None:
    """A visit of the demo that starts now, once those it was seeded with are over."""
    return await scheduling_seed.add_visit_now(session, _events(), now)


def _events() -> Events:
    load_models()
    events = Events()
    register_handlers(events)
    return events


async def seed_demo(database: Database, vault: Vault, clock: Clock = utc_now) -> bool:
    """Seeds when there is neither clinic nor person; answers whether it did."""
    events = _events()
    async with database.writing() as session:
        if await session.scalar(select(exists().where(Clinic.id.is_not(None)))):
            return False
        if await session.scalar(select(exists().where(Person.id.is_not(None)))):
            return False
        people = await accounts_seed.seed(session, clock())
        for module in area_modules("seed")[1:]:
            await module.seed(session, events, vault, people, clock())
    return True
