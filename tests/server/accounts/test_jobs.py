"""Every night each clinic's chain is checked; what is broken becomes an incident, once."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from server import audit, audit_chain
from server.accounts import jobs
from server.audit import AuditAction, AuditEntry, AuditLink, Incident
from server.config import Settings
from server.db import Database
from server.jobs.context import JobContext
from server.vault import Vault
from tests.server.cast import Cast, Clock, add_cast


@pytest.fixture
async def cast(sqlite_database: Database) -> Cast:
    async with sqlite_database.writing() as session:
        return await add_cast(session)


def night(database: Database, settings: Settings, vault: Vault, clock: Clock) -> JobContext:
    """One look of the standing job."""
    looks = iter([False])

    async def nothing(_: float) -> None:
        return

    return JobContext(
        id="j", kind="audit.verify", subject="all", clinic_id=None, attempt=1, database=database, settings=settings,
        vault=vault, clock=clock, _progress=nothing, _is_cancelled=lambda: next(looks, True), _pause=nothing,
    )  # fmt: skip


async def test_a_chain_is_checked_once_a_night_and_its_head_kept(
    sqlite_database: Database, cast: Cast, settings: Settings, vault: Vault
) -> None:
    clock = Clock()
    for hours in (0, 1, 23):
        clock.forward(hours=hours)
        await jobs.keep_verifying(night(sqlite_database, settings, vault, clock))
    async with sqlite_database.reading() as session:
        query = select(AuditEntry).where(
            AuditEntry.action == AuditAction.AUDIT_VERIFIED.value, AuditEntry.clinic_id == cast.clinic.id
        )
        found = (await session.scalars(query)).all()
    assert len(found) == 2
    assert '"first_broken":null' in found[0].detail


async def test_tampering_underneath_becomes_one_incident_that_names_the_link(
    sqlite_database: Database, cast: Cast, settings: Settings, vault: Vault
) -> None:
    clock = Clock()
    async with sqlite_database.writing() as session:
        for n in range(3):
            await audit.enter(
                session, clinic_id=cast.clinic.id, actor_person_id=None, action=AuditAction.NOTE_READ,
                subject=("note", str(n)), now=clock(),
            )  # fmt: skip
        while await audit_chain.link_entries(session, clock()):
            pass
        third = await session.scalar(
            select(AuditLink.n)
            .join(AuditEntry, AuditEntry.id == AuditLink.entry_id)
            .where(AuditEntry.subject_id == "1")
        )
        await session.execute(text("DROP TRIGGER audit_entry_no_update"))
        await session.execute(text("UPDATE audit_entry SET actor_person_id = 'somebody' WHERE subject_id = '1'"))
    for _ in range(2):
        await jobs.keep_verifying(night(sqlite_database, settings, vault, clock))
        clock.forward(hours=23)
    async with sqlite_database.reading() as session:
        incident = (await session.scalars(select(Incident))).one()
    assert (incident.kind, incident.subject_id) == ("audit_broken", str(third))
