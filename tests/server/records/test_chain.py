"""The note's chain, on both engines: what was signed can't change, and what is erased leaves a link that holds."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.service import get_clinic
from server.db import Database
from server.errors import DomainError
from server.migrations import migrate
from server.permissions import Actor, StaffRole
from server.records import reading, rules, sealing, service
from server.records.events import NoteReleased
from server.records.models import Note, NoteKey, NoteText, NoteVersion
from server.records.rules import Kind
from server.records.sealing import Content
from server.records.service import Writing
from server.vault import Vault
from tests.server.records.test_note import stored
from tests.server.visits import VisitCast


async def writing_of(cast: VisitCast) -> Writing:
    async with cast.database.reading() as session:
        clinic = await get_clinic(session, cast.clinic.id)
    actor = Actor(person_id=cast.doctor, clinic_id=clinic.id, roles=frozenset({StaffRole.DOCTOR}))
    return Writing(clinic, actor, cast.clock(), cast.events, cast.sealer)


async def sign_and_add(cast: VisitCast) -> Writing:
    writing = await writing_of(cast)
    async with cast.database.writing() as session:
        await service.save_draft(session, writing, cast.encounter_id, "Cough", 0)
        await service.sign(session, writing, cast.encounter_id, 1)
    async with cast.database.writing() as session:
        await service.add(session, writing, cast.encounter_id, Kind.ADDENDUM, text="Better", reason="Rang")
    return writing


async def _without(session: AsyncSession, cast: VisitCast, trigger: str) -> None:
    on = "" if cast.database.is_sqlite else f" ON {'_'.join(trigger.split('_')[:2])}"
    await (await session.connection()).exec_driver_sql(f"DROP TRIGGER {trigger}{on}")


async def first_broken(cast: VisitCast) -> int | None:
    async with cast.database.reading() as session:
        note = (await session.scalars(select(Note))).one()
        return await service.first_broken(session, cast.sealer, note)


@pytest.mark.parametrize("table", [NoteVersion, NoteText, NoteKey])
async def test_the_database_itself_refuses_to_change_what_was_signed(
    cast: VisitCast, table: type[NoteVersion | NoteText | NoteKey]
) -> None:
    await sign_and_add(cast)
    changes = [delete(table)] if table is NoteKey else [update(table).values(n=9), delete(table)]
    for change in changes:
        with pytest.raises(DBAPIError):
            async with cast.database.writing() as session:
                await session.execute(change)
    assert await first_broken(cast) is None


async def test_the_chain_names_the_first_version_that_was_tampered_with(cast: VisitCast) -> None:
    await sign_and_add(cast)
    assert await first_broken(cast) is None
    async with cast.database.writing() as session:
        await _without(session, cast, "note_text_no_update")
        version = (await session.scalars(select(NoteVersion).where(NoteVersion.n == 2))).one()
        text, key = sealing.seal(cast.sealer, version, Content("Worse", "Rang", None, bytes(32)))
        await session.execute(update(NoteText).where(NoteText.n == 2).values(sealed=text.sealed))
        await session.execute(update(NoteKey).where(NoteKey.n == 2).values(wrapped=key.wrapped))
    assert await first_broken(cast) == 2, "sealed anew with other words by somebody who has the keys"
    async with cast.database.writing() as session:
        await session.execute(update(NoteText).where(NoteText.n == 1).values(sealed=b"nonsense"))
    assert await first_broken(cast) == 1


async def test_erased_content_leaves_a_chain_that_holds(cast: VisitCast) -> None:
    await sign_and_add(cast)
    async with cast.database.writing() as session:
        await _without(session, cast, "note_key_no_delete")
        await session.execute(delete(NoteKey).where(NoteKey.n == 1))
    assert await first_broken(cast) is None
    async with cast.database.reading() as session:
        note = (await session.scalars(select(Note))).one()
        assert [one.text for one in await reading.load_versions(session, cast.sealer, note)] == [None, "Better"]


async def test_no_word_of_a_signed_note_lies_in_the_clear(cast: VisitCast) -> None:
    await sign_and_add(cast)
    async with cast.database.reading() as session:
        sealed = (await session.scalars(select(NoteText.sealed))).all()
    assert len(sealed) == 2
    assert not any(word in one for one in sealed for word in (b"Cough", b"Better", b"Rang"))


async def test_a_key_that_an_upgrade_made_opens_and_is_wrapped_later(cast: VisitCast) -> None:
    writing = await sign_and_add(cast)
    async with cast.database.writing() as session:
        note = (await session.scalars(select(Note))).one()
        for key in list(await session.scalars(select(NoteKey))):
            key.wrapped = cast.sealer.unwrap_key(f"note {note.id} {key.n}", key.wrapped)
    assert await first_broken(cast) is None
    async with cast.database.writing() as session:
        for key in list(await session.scalars(select(NoteKey))):
            assert sealing.is_bare(key)
            sealing.rewrap(writing.vault, key)
            assert not sealing.is_bare(key)
    assert await first_broken(cast) is None


async def test_only_signed_text_is_released_and_only_to_its_patient(cast: VisitCast) -> None:
    told: list[NoteReleased] = []

    async def listen(_session: object, event: NoteReleased) -> None:
        told.append(event)

    cast.events.on(NoteReleased, listen)
    writing = await writing_of(cast)
    async with cast.database.writing() as session:
        await service.save_draft(session, writing, cast.encounter_id, "Only mine", 0)
    async with cast.database.reading() as session:
        assert await reading.load_released_notes(session, cast.sealer, writing.clinic, cast.patient) == []
    async with cast.database.writing() as session:
        await service.sign(session, writing, cast.encounter_id, 1)
    async with cast.database.reading() as session:
        (note,) = await reading.load_released_notes(session, cast.sealer, writing.clinic, cast.patient)
        assert await reading.load_released_notes(session, cast.sealer, writing.clinic, cast.other_patient) == []
    assert [one.text for one in note.versions] == ["Only mine"]
    assert [(one.patient_id, one.n) for one in told] == [(cast.patient, 1)]


def test_a_hash_covers_every_part_of_a_version() -> None:
    key = bytes(32)
    assert rules.commitment(key, "a", None) != rules.commitment(key, "a", "")
    assert rules.commitment(key, "a", "b") != rules.commitment(key, "ab", None)
    assert rules.commitment(key, "a", None) != rules.commitment(bytes([1]) * 32, "a", None)


async def test_drafts_at_the_same_moment_keep_one_and_refuse_the_rest(cast: VisitCast) -> None:
    writing = await writing_of(cast)

    async def save_one(text: str) -> int | str:
        try:
            async with cast.database.writing() as session:
                return await service.save_draft(session, writing, cast.encounter_id, text, 0)
        except service.DraftConflictError as conflict:
            return conflict.held

    answers = await asyncio.gather(*(save_one(f"text {n}") for n in range(8)))
    note = await stored(cast.database)
    assert note is not None
    assert note.revision == 1
    assert sorted(map(str, answers)) == sorted(["1", *[note.draft] * 7])


async def test_two_signatures_at_the_same_moment_make_one_version(cast: VisitCast) -> None:
    writing = await writing_of(cast)
    async with cast.database.writing() as session:
        await service.save_draft(session, writing, cast.encounter_id, "Cough", 0)

    async def sign_one() -> str:
        try:
            async with cast.database.writing() as session:
                await service.sign(session, writing, cast.encounter_id, 1)
        except DomainError as refused:
            return refused.code.value
        return "signed"

    assert sorted(await asyncio.gather(*(sign_one() for _ in range(5)))) == ["note_signed"] * 4 + ["signed"]
    assert await first_broken(cast) is None


async def test_what_was_signed_before_notes_were_sealed_is_sealed_by_the_migration(
    tmp_path: Path, vault: Vault
) -> None:
    """From the schema in which it lay in the clear: it reads the same, its chain holds, no word is left."""
    path = tmp_path / "before.db"
    database = Database(f"sqlite+aiosqlite:///{path}")
    await migrate(database, "0010")
    key, at = bytes(range(32)), datetime(2031, 5, 27, 8, tzinfo=UTC)
    link = rules.Link("c", "n", 1, "signed", 1, "p", "Dr A", at, rules.commitment(key, "Cough", None), rules.FIRST)
    version = (*astuple(link)[:7], "2031-05-27 08:00:00.000000", link.commitment, link.previous, rules.link_hash(link))
    before = sqlite3.connect(path)
    before.execute(f"INSERT INTO note_version VALUES ({','.join('?' * len(version))})", version)
    before.execute(
        "INSERT INTO note_content (clinic_id, note_id, n, text, key) VALUES ('c', 'n', 1, 'Cough', ?)", (key,)
    )
    before.commit()
    before.close()
    await migrate(database)
    note, sealer = Note(clinic_id="c", id="n"), vault.clinic("c")
    async with database.writing() as session:
        assert [one.text for one in await reading.load_versions(session, sealer, note)] == ["Cough"]
        assert await service.first_broken(session, sealer, note) is None
    await database.close()
    assert b"Cough" not in path.read_bytes()
