"""The drill (`make drill`): backup, wipe, restore, chains verified; of each kind of deletion one stays gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, audit_chain, backup, restore, uploads
from server.accounts import links, sessions
from server.accounts.links import LinkKind
from server.accounts.models import Clinic, Link, Patient
from server.accounts.models import Session as BrowserSession
from server.accounts.sessions import SessionKind
from server.audit import AuditAction, AuditEntry, DeletionKind
from server.backup import CannotDo
from server.config import Settings
from server.db import Database, new_id
from server.encounters import keeping
from server.encounters.models import ClinicText
from server.encounters.recording_models import Recording, SegmentKey
from server.jobs.context import JobContext
from server.permissions import Actor, StaffRole
from server.records import erasing, reading, withdrawing
from server.records import service as records
from server.records.models import Note, NoteKey
from server.records.rules import Ground
from server.records.service import Writing
from server.uploads import Received, Upload
from server.vault import ClinicVault, Vault
from signaling.words import Role
from tests.server.visits import START, VisitCast, make_visit_cast


@pytest.fixture
def empty(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Iterator[Database]:
    """Another database on the same engine, migrated and empty."""
    if database.is_sqlite:
        path = tmp_path / "other.db"
        path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        yield Database(f"sqlite+aiosqlite:///{path}")
        return
    running = request.getfixturevalue("cluster")
    yield Database(running.create("drill_other", "bedside_template"))
    running.drop("drill_other")


@pytest.fixture
async def cast(database: Database, vault: Vault) -> VisitCast:
    return await make_visit_cast(database, vault)


@pytest.fixture
def vault(settings: Settings, keyset: str) -> Vault:
    """Where a real installation has its keysets, so that the backup finds them."""
    return Vault(settings.var / "keys" / "clinics", keyset)


@dataclass(frozen=True, slots=True)
class House:
    """What stands before the backup: of each kind of deletion one to go, beside something that stays."""

    link: str
    kept_link: str
    upload: str
    kept_upload: str
    running: str
    deleted: str
    thinned: str
    """A recording of which one person's part is deleted."""
    cookie: str
    erased: str
    withdrawn: str


async def test_the_drill(  # noqa: PLR0917 (fixtures)
    database: Database,
    empty: Database,
    cast: VisitCast,
    settings: Settings,
    vault: Vault,
    keyset: str,
    tmp_path: Path,
) -> None:
    house = await _furnish(database, cast, settings, vault)
    folder = tmp_path / "backup"
    counts = await backup.back_up(database, settings, folder, START)
    assert counts["patient"] == 2
    assert json.loads((folder / "manifest.json").read_text())["rows"] == counts
    assert (folder.stat().st_mode & 0o777) == 0o700

    await _delete_one_of_each(database, cast, house)
    await _link_and_list(database, settings, vault)
    kinds = {(one["kind"], one["subject_kind"]) for one in audit_chain.read_deletions(_list(settings))}
    assert kinds == set(restore.replays()), "the drill meets every kind"

    # The house burns down; only the backup and the list outside it are left.
    for name in ("keys", "uploads", "recordings"):
        shutil.rmtree(settings.var / name, ignore_errors=True)
    done = await restore.restore(empty, settings, folder, START)
    assert done.replayed == 7
    assert done.rows == sum(counts.values())
    assert all(verdict.holds and verdict.links for verdict in done.verdicts.values())

    sealer = Vault(settings.var / "keys" / "clinics", keyset).clinic(cast.clinic.id)
    async with empty.reading() as session:
        await _assert_links_and_sessions(session, cast, house)
        await _assert_notes(session, cast, house, sealer)
        await _assert_recordings(session, cast, house)
        gone = await session.get_one(Upload, (cast.clinic.id, house.upload))
        assert (gone.wrapped_key, gone.sealed_name) == (None, None)
        stays = await uploads.get(session, cast.clinic.id, house.kept_upload)
        patient = await session.get_one(Patient, (cast.clinic.id, cast.patient))
        assert patient.name == "Anna Müller"
        restored = (await session.scalars(select(AuditEntry).where(AuditEntry.action == AuditAction.RESTORED))).all()
        assert len(restored) == len(done.verdicts)
    assert await uploads.read(uploads.open_uploads(settings), sealer, stays) == b"%PDF-1 to be kept"
    await empty.close()


async def _furnish(database: Database, cast: VisitCast, settings: Settings, vault: Vault) -> House:
    link, kept_link = await _link(database, cast), await _link(database, cast)
    upload = await _upload(database, cast, settings, vault, b"%PDF-1 to be erased")
    kept_upload = await _upload(database, cast, settings, vault, b"%PDF-1 to be kept")
    running, deleted = await _recording(database, cast, "running", 1), await _recording(database, cast, "stopped", 2)
    thinned = await _recording(database, cast, "stopped", 3)
    await _seal(database, cast, thinned)
    async with database.writing() as session:
        cookie = (await sessions.open_session(session, SessionKind.STAFF, START, person_id=cast.doctor)).token
    await _link_and_list(database, settings, vault)
    erased, withdrawn = await _note(cast, cast.encounter_id), await _note(cast, await cast.another_visit(cast.patient))
    await _link_and_list(database, settings, vault)
    return House(
        link=link,
        kept_link=kept_link,
        upload=upload,
        kept_upload=kept_upload,
        running=running,
        deleted=deleted,
        thinned=thinned,
        cookie=str(cookie),
        erased=erased,
        withdrawn=withdrawn,
    )


async def _delete_one_of_each(database: Database, cast: VisitCast, house: House) -> None:
    patient_place = await cast.place(Role.PATIENT)
    async with database.writing() as session:
        await links.close_links(session, house.link, "wrong_person", START, revoked=True)
        await uploads.forget(session, await uploads.get(session, cast.clinic.id, house.upload), START)
        await erasing.erase(session, _writing(cast), house.erased, Ground.ORDERED)
        wrong = await session.get_one(Note, (cast.clinic.id, house.withdrawn))
        await withdrawing.withdraw(session, _writing(cast), wrong.encounter_id)
        recording = await session.get_one(Recording, (cast.clinic.id, house.deleted))
        await keeping.order_deletion(session, recording, None, "withdrawn", START)
        part = await session.get_one(Recording, (cast.clinic.id, house.thinned))
        await keeping.order_deletion(session, part, patient_place, "withdrawn", START)
        await audit.record_deletion(
            session,
            clinic_id=cast.clinic.id,
            kind=DeletionKind.CONSENT_WITHDRAWN,
            subject=("recording", house.running),
            now=START,
        )


async def _assert_links_and_sessions(session: AsyncSession, cast: VisitCast, house: House) -> None:
    opened = (await session.scalars(select(Link.subject_id).where(Link.closed_at.is_(None)))).all()
    assert house.kept_link in opened
    assert house.link not in opened
    assert await sessions.load_session(session, {"__Host-staff": house.cookie}, SessionKind.STAFF, START) is None
    assert (await session.scalars(select(BrowserSession.id).where(BrowserSession.revoked_at.is_(None)))).all() == []


async def _assert_notes(session: AsyncSession, cast: VisitCast, house: House, sealer: ClinicVault) -> None:
    for note in [await session.get_one(Note, (cast.clinic.id, one)) for one in (house.erased, house.withdrawn)]:
        assert [one for one in await reading.load_readable(session, sealer, note) if one.text] == []
        assert await records.first_broken(session, sealer, note) is None
    assert [key.note_id for key in await session.scalars(select(NoteKey))] == [house.withdrawn], "one is gone for good"


async def _assert_recordings(session: AsyncSession, cast: VisitCast, house: House) -> None:
    recordings = {one.id: one for one in await session.scalars(select(Recording))}
    assert recordings[house.running].phase == "stopped"
    assert recordings[house.deleted].deleted_at is not None
    assert recordings[house.thinned].deleted_at is None, "one person's part is gone, the rest is there"
    kept = (await session.scalars(select(SegmentKey.participant_id))).all()
    assert list(kept) == [await cast.place(Role.DOCTOR)]


def _writing(cast: VisitCast) -> Writing:
    roles = frozenset({StaffRole.DOCTOR, StaffRole.PRIVACY_OFFICER})
    actor = Actor(person_id=cast.doctor, clinic_id=cast.clinic.id, roles=roles)
    return Writing(cast.clinic, actor, START, cast.events, cast.sealer)


async def _note(cast: VisitCast, visit: str) -> str:
    async with cast.database.writing() as session:
        await records.save_draft(session, _writing(cast), visit, "Cough.", 0)
        return (await records.sign(session, _writing(cast), visit, 1)).id


def _list(settings: Settings) -> Path:
    return audit_chain.deletions_folder(settings)


async def _link(database: Database, cast: VisitCast) -> str:
    """A link whose subject stands for it: closing is by subject."""
    subject = cast.appointment_id if not await _has_links(database) else cast.patient
    async with database.writing() as session:
        await links.new_link(session, clinic_id=cast.clinic.id, kind=LinkKind.VISIT, subject_id=subject, now=START)
    return subject


async def _has_links(database: Database) -> bool:
    async with database.reading() as session:
        return await session.scalar(select(Link.id).limit(1)) is not None


async def _upload(database: Database, cast: VisitCast, settings: Settings, vault: Vault, content: bytes) -> str:
    came = Received("x.pdf", "application/pdf", content, {})
    sealer = vault.clinic(cast.clinic.id)
    stored = await uploads.store(uploads.open_uploads(settings), sealer, cast.clinic.id, came)
    async with database.writing() as session:
        return (await uploads.add(session, cast.clinic.id, stored, subject=("patient", cast.patient), now=START)).id


async def _seal(database: Database, cast: VisitCast, recording_id: str) -> None:
    """A key each for doctor and patient in the recording's first segment."""
    people = [await cast.place(role) for role in (Role.DOCTOR, Role.PATIENT)]
    async with database.writing() as session:
        session.add_all(
            SegmentKey(
                clinic_id=cast.clinic.id,
                recording_id=recording_id,
                segment=1,
                participant_id=one,
                wrapped=b"sealed",
                created_at=START,
            )
            for one in people
        )


async def _recording(database: Database, cast: VisitCast, phase: str, n: int) -> str:
    asked_by, recording_id = await cast.place(Role.DOCTOR), new_id()
    async with database.writing() as session:
        text = await session.scalar(select(ClinicText.id).where(ClinicText.kind == "recording_consent"))
        session.add(
            Recording(
                clinic_id=cast.clinic.id,
                id=recording_id,
                encounter_id=cast.encounter_id,
                n=n,
                phase=phase,
                purpose="teaching",
                text_id=text,
                asked_by=asked_by,
                asked_at=START,
                delete_at=START + timedelta(days=180),
                created_at=START,
            )
        )
    return recording_id


# ── What is refused ──


async def test_a_backup_that_is_not_whole_or_a_house_that_is_not_empty_is_refused(
    sqlite_database: Database, settings: Settings, keyset: str, sqlite_template: Path, tmp_path: Path
) -> None:
    await make_visit_cast(sqlite_database, Vault(settings.var / "keys" / "clinics", keyset))
    folder = tmp_path / "backup"
    await backup.back_up(sqlite_database, settings, folder, START)
    with pytest.raises(CannotDo, match="is not empty"):
        await backup.back_up(sqlite_database, settings, folder, START)
    with pytest.raises(CannotDo, match="database is not empty"):
        await restore.restore(sqlite_database, settings, folder, START)
    path = tmp_path / "other.db"
    path.write_bytes(sqlite_template.read_bytes())
    empty = Database(f"sqlite+aiosqlite:///{path}")
    with pytest.raises(CannotDo, match="no finished backup"):
        await restore.restore(empty, settings, tmp_path, START)
    line = json.dumps({"at": "x", "clinic_id": "c", "kind": "deleted", "subject_kind": "comet", "subject_id": "1"})
    audit_chain.append_lines(_list(settings) / audit_chain.LIST_NAME, [line])
    with pytest.raises(CannotDo, match="deleted of comet"):
        await restore.restore(empty, settings, folder, START)
    table = folder / "tables" / "patient.jsonl"
    table.write_text(table.read_text().replace("Anna", "Eve"))
    with pytest.raises(CannotDo, match=r"altered, the first is tables/patient\.jsonl"):
        await restore.restore(empty, settings, folder, START)
    async with empty.reading() as session:
        assert (await session.scalars(select(Clinic))).all() == []
    await empty.close()


async def _link_and_list(database: Database, settings: Settings, vault: Vault) -> None:
    looks = iter([False, False])

    async def nothing(_: float) -> None:
        return

    context = JobContext(
        id="j", kind="audit.link", subject="all", clinic_id=None, attempt=1, database=database, settings=settings,
        vault=vault, clock=lambda: START, _progress=nothing, _is_cancelled=lambda: next(looks, True), _pause=nothing,
    )  # fmt: skip
    await audit_chain.keep_linking(context)
