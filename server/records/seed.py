"""The demo's notes: every visit of yesterday but the last has a signed one; the last waits to be signed."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.seed import DemoPeople
from server.encounters import visits
from server.encounters.models import Encounter
from server.events import Events
from server.permissions import Actor, StaffRole
from server.records import service
from server.records.service import Writing
from server.vault import Vault

NOTE = """Dry cough for a week, no fever, sleeps well.

Looks well, speaks in whole sentences. Drinks enough.

Likely a cold. Rest and fluids; see us again if there is fever, shortness of breath, or no change in ten days."""


async def seed(session: AsyncSession, events: Events, vault: Vault, people: DemoPeople, now: datetime) -> None:
    query = select(Encounter).where(Encounter.clinic_id == people.clinic.id, Encounter.status == "finished")
    sealer = vault.clinic(people.clinic.id)
    finished = list(await session.scalars(query.order_by(Encounter.started_at)))
    for encounter in finished:
        visit = await visits.visit_of(session, encounter)
        doctor = visit.doctors[0].person_id if visit.doctors else None
        if doctor is None or encounter.ended_at is None or encounter.started_at is None:
            continue
        actor = Actor(person_id=doctor, clinic_id=people.clinic.id, roles=frozenset({StaffRole.DOCTOR}))
        writing = Writing(people.clinic, actor, encounter.ended_at + timedelta(minutes=4), Events(), sealer)
        await service.save_draft(session, writing, encounter.id, NOTE, 0)
        if encounter is not finished[-1]:
            await service.sign(session, writing, encounter.id, 1)
