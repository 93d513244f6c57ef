"""Entries that nobody changes, a chain that tells, and a list of deletions outside the backup."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, audit_chain
from server.audit import AuditAction, AuditEntry, AuditLink, Deletion, DeletionKind
from server.config import Settings
from server.db import Database
from server.jobs.context import JobContext
from server.vault import Vault
from tests.server.cast import NOW, add_cast


@pytest.fixture
async def clinic_id(database: Database) -> str:
    async with database.writing() as session:
        return (await add_cast(session)).clinic.id


async def act(session: AsyncSession, clinic_id: str, n: int = 1) -> None:
    for number in range(n):
        await audit.enter(
            session,
            clinic_id=clinic_id,
            actor_person_id=None,
            action=AuditAction.PATIENT_SEEN,
            subject=("patient", f"p{number}"),
            now=NOW + timedelta(seconds=number),
            detail={"n": number},
        )


async def link_all(database: Database) -> None:
    async with database.writing() as session:
        await audit_chain.link_entries(session, NOW)


async def verdict(database: Database, clinic_id: str) -> audit_chain.Verdict:
    async with database.reading() as session:
        return await audit_chain.verify(session, clinic_id)


@pytest.mark.parametrize("table", ["audit_entry", "audit_link"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET clinic_id = 'x'"])
async def test_nobody_changes_what_was_entered(database: Database, clinic_id: str, table: str, statement: str) -> None:
    async with database.writing() as session:
        await act(session, clinic_id)
    await link_all(database)
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.writing() as session:
            await session.execute(text(statement.format(table)))


async def test_an_act_undone_leaves_no_entry(database: Database, clinic_id: str) -> None:
    async with database.reading() as session:
        before = await session.scalar(select(func.count()).select_from(AuditEntry))
    with pytest.raises(RuntimeError):
        await _act_and_fail(database, clinic_id)
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(AuditEntry)) == before


async def test_a_whole_chain_verifies_and_goes_on_where_it_ended(database: Database, clinic_id: str) -> None:
    for _ in range(2):
        async with database.writing() as session:
            await act(session, clinic_id, 3)
        await link_all(database)
    found = await verdict(database, clinic_id)
    async with database.reading() as session:
        entries = await session.scalar(select(func.count()).where(AuditEntry.clinic_id == clinic_id))
    assert found.holds
    assert found.links == entries
    assert found.oldest_unlinked_at is None


async def test_verification_tells_how_old_the_oldest_unlinked_entry_is(database: Database, clinic_id: str) -> None:
    await link_all(database)
    async with database.writing() as session:
        await act(session, clinic_id, 2)
    assert (await verdict(database, clinic_id)).oldest_unlinked_at == NOW


async def test_a_changed_entry_breaks_its_link(sqlite_database: Database) -> None:
    clinic_id, broken = await _tampered(sqlite_database, "UPDATE audit_entry SET detail = 'changed' WHERE id = :entry")
    assert (await verdict(sqlite_database, clinic_id)).first_broken == broken


async def test_a_link_taken_out_breaks_the_chain(sqlite_database: Database) -> None:
    clinic_id, broken = await _tampered(sqlite_database, "DELETE FROM audit_link WHERE entry_id = :entry")
    assert (await verdict(sqlite_database, clinic_id)).first_broken == broken


async def test_an_erased_entry_leaves_a_link_that_holds(sqlite_database: Database) -> None:
    clinic_id, _ = await _tampered(sqlite_database, "DELETE FROM audit_entry WHERE id = :entry")
    found = await verdict(sqlite_database, clinic_id)
    assert found.holds
    assert found.erased == 1


async def test_a_revoked_link_reaches_the_list_outside_the_database(
    database: Database, clinic_id: str, settings: Settings, vault: Vault
) -> None:
    async with database.writing() as session:
        await audit.record_deletion(
            session, clinic_id=clinic_id, kind=DeletionKind.LINK_REVOKED, subject=("link", "l1"), now=NOW
        )
    await audit_chain.keep_linking(_context(database, settings, vault, rounds=2))
    listed = audit_chain.read_deletions(audit_chain.deletions_folder(settings))
    assert [(line["kind"], line["subject_id"]) for line in listed] == [("link_revoked", "l1")]
    async with database.reading() as session:
        assert await session.scalar(select(Deletion.listed_at)) is not None


async def test_the_standing_job_links_what_was_entered(
    database: Database, clinic_id: str, settings: Settings, vault: Vault
) -> None:
    await audit_chain.keep_linking(_context(database, settings, vault, rounds=2))
    async with database.reading() as session:
        assert (await session.scalars(select(AuditLink))).all()
    assert (await verdict(database, clinic_id)).oldest_unlinked_at is None


def test_a_line_cut_short_by_a_crash_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / audit_chain.LIST_NAME
    audit_chain.append_lines(path, [json.dumps({"subject_id": "a"})])
    with path.open("a") as file:
        file.write('{"subject_id": "cut')
    audit_chain.append_lines(path, [json.dumps({"subject_id": "b"})])
    assert [line["subject_id"] for line in audit_chain.read_deletions(tmp_path)] == ["a", "b"]


async def test_an_incident_is_filed_once_closed_once(database: Database, clinic_id: str) -> None:
    async with database.writing() as session:
        incident_id = await audit.file_incident(
            session,
            clinic_id=clinic_id,
            kind="wrong_person",
            subject=("encounter", "e1"),
            filed_by_person_id=None,
            owner_person_id=None,
            now=NOW,
        )
    async with database.writing() as session:
        assert [found.id for found in await audit.open_incidents(session, clinic_id)] == [incident_id]
        for _ in range(2):
            await audit.close_incident(session, clinic_id, incident_id, by_person_id=None, now=NOW)
    async with database.reading() as session:
        assert await audit.open_incidents(session, clinic_id) == []
        closings = select(func.count()).where(AuditEntry.action == AuditAction.INCIDENT_CLOSED.value)
        assert await session.scalar(closings) == 1


async def _act_and_fail(database: Database, clinic_id: str) -> None:
    async with database.writing() as session:
        await act(session, clinic_id)
        raise RuntimeError


async def _tampered(database: Database, statement: str) -> tuple[str, int]:
    """A chain with its third link's entry tampered with, by somebody who took the triggers away."""
    async with database.writing() as session:
        clinic_id = (await add_cast(session)).clinic.id
        await act(session, clinic_id, 4)
    await link_all(database)
    async with database.writing() as session:
        for table in ("audit_entry", "audit_link"):
            for what in ("update", "delete"):
                await session.execute(text(f"DROP TRIGGER {table}_no_{what}"))
        link = (
            await session.scalars(select(AuditLink).where(AuditLink.clinic_id == clinic_id, AuditLink.n == 3))
        ).one()
        await session.execute(text(statement), {"entry": link.entry_id})
    return clinic_id, 3


def _context(database: Database, settings: Settings, vault: Vault, rounds: int) -> JobContext:
    """A run that is told to stop after so many looks."""
    looks = iter([False] * rounds)

    async def nothing(_: float) -> None:
        return

    return JobContext(
        id="j",
        kind="audit.link",
        subject="all",
        clinic_id=None,
        attempt=1,
        database=database,
        settings=settings,
        vault=vault,
        clock=lambda: NOW,
        _progress=nothing,
        _is_cancelled=lambda: next(looks, True),
        _pause=nothing,
    )
