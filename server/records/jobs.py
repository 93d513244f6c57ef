"""Makes the copies of records that were asked for, ends them after their week, and wraps keys that an upgrade made.

What goes into a copy is `export_facts.py`; who may fetch it is `rights_views.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import obstore
from sqlalchemy import func, select

from server import uploads
from server.audit import AuditAction
from server.encounters.filmstore import SealedFilm, open_recordings, put_film
from server.errors import DomainError
from server.jobs import JobContext, JobFailed
from server.languages import SOURCE, shipped
from server.records import chasing, export_facts, export_sheets, exports, fhir, printing, sealing
from server.records.attachments import Attached
from server.records.export_facts import Record
from server.records.models import NoteKey
from server.records.printing import PDF
from server.records.rights_models import RecordExport
from server.vault import KEY_BYTES

LOOK_EVERY_S = 60.0
CHASE_EVERY_LOOKS = 60
"""Once an hour: it reads every visit without a signed note."""
BATCH = 200
GATHERED, WITH_FILES, PRINTED, PACKED = 0.1, 0.5, 0.8, 0.9
"""How far it is, as the page shows it."""


async def make(job: JobContext) -> None:
    """The job `export`: its subject is the copy that was asked for."""
    row = await _load(job)
    if row is None or row.state != "asked":
        return
    vault = job.vault.clinic(row.clinic_id)
    async with job.database.reading() as session:
        try:
            record = await export_facts.load(session, vault, row, job.now())
        except DomainError:
            raise JobFailed("not_found", for_good=True) from None
    await job.progress(GATHERED)
    folder = job.settings.var / "run" / f"export-{row.id}"
    await asyncio.to_thread(_fresh_folder, folder)
    try:
        digests = await _fetch_files(job, record.files, folder)
        source = await _pack(job, row, record, digests, folder)
        film = SealedFilm(exports.path_of(row.id), source.stat().st_size, os.urandom(KEY_BYTES))
        await put_film(open_recordings(job.settings), film, source)
    except obstore.exceptions.BaseError:
        raise JobFailed("store_unreachable") from None
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)
    await _write_down(job, row, film)


async def keep(job: JobContext) -> None:
    """The standing job: copies past their week open no more, and their bytes go; notes left unsigned are chased."""
    looks = 0
    while not job.cancelled():
        await look(job)
        if looks % CHASE_EVERY_LOOKS == 0:
            async with job.database.writing() as session:
                await chasing.chase(session, job.now())
        looks += 1
        await job.pause(LOOK_EVERY_S)


async def look(job: JobContext) -> None:
    async with job.database.writing() as session:
        await exports.expire(session, job.now())
        gone = select(RecordExport).where(RecordExport.state == "gone", RecordExport.path.is_not(None)).limit(BATCH)
        paths = {(row.clinic_id, row.id): row.path or "" for row in await session.scalars(gone)}
    store = open_recordings(job.settings)
    for path in paths.values():
        try:
            await obstore.delete_async(store, path)
        except FileNotFoundError:
            continue
    async with job.database.writing() as session:
        for place in paths:
            row = await session.get(RecordExport, place)
            if row is not None:
                row.path = None
    await _wrap_bare(job)


HANDLERS = {exports.JOB: make}
STANDING = {"records.keep": keep}


async def _load(job: JobContext) -> RecordExport | None:
    async with job.database.reading() as session:
        return (await session.scalars(select(RecordExport).where(RecordExport.id == job.subject))).first()


async def _fetch_files(job: JobContext, files: Sequence[Attached], folder: Path) -> dict[str, bytes]:
    """Each attachment beside the rest; its SHA-1, which FHIR asks for (Attachment.hash), by upload."""
    place, digests = uploads.open_uploads(job.settings), {}
    for n, attached in enumerate(files, start=1):
        vault = job.vault.clinic(attached.upload.clinic_id)
        try:
            content = await uploads.read(place, vault, attached.upload)
        except DomainError:
            raise JobFailed("file_is_gone") from None
        await asyncio.to_thread((folder / attached.upload.id).write_bytes, content)
        digests[attached.upload.id] = hashlib.sha1(content, usedforsecurity=False).digest()
        await job.progress(GATHERED + (WITH_FILES - GATHERED) * n / len(files))
    return digests


async def _pack(job: JobContext, row: RecordExport, record: Record, digests: Mapping[str, bytes], folder: Path) -> Path:
    sentences = shipped().get(row.language, shipped()[SOURCE]).sentences
    printed = export_sheets.sheet(record, row.language, sentences.gettext)
    content, kind = await asyncio.to_thread(printing.print_sheet, printed, int(record.made_at.timestamp()))
    await job.progress(PRINTED)
    paths = {one.upload.id: f"attachments/{n}-{one.name}" for n, one in enumerate(record.files, start=1)}
    urls = {one: quote(path) for one, path in paths.items()}
    made = json.dumps(fhir.bundle(record, urls, digests), ensure_ascii=False, indent=1)
    target = folder / "record.zip"
    name = f"record.{'pdf' if kind == PDF else 'txt'}"
    await asyncio.to_thread(_zip, target, {name: content, "record.fhir.json": made.encode()}, paths)
    await job.progress(PACKED)
    return target


def _zip(target: Path, contents: Mapping[str, bytes], paths: Mapping[str, str]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        for upload_id, path in paths.items():
            archive.write(target.parent / upload_id, path)


def _fresh_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(0o700, parents=True)


async def _write_down(job: JobContext, row: RecordExport, film: SealedFilm) -> None:
    """Nothing is ready that was discarded while it was being made; its bytes go with the next look."""
    now = job.now()
    wrapped = job.vault.clinic(row.clinic_id).wrap_key(exports.key_name(row.id), film.key)
    async with job.database.writing() as session:
        found = await session.get(RecordExport, (row.clinic_id, row.id), with_for_update=True)
        if found is None:
            return
        found.path, found.size_bytes = film.path, film.size
        if found.state == "asked":
            found.state, found.wrapped_key = "ready", wrapped
            found.ready_at, found.expires_at = now, now + exports.KEPT
            await exports.enter(session, found, AuditAction.EXPORT_MADE, None, now)


async def _wrap_bare(job: JobContext) -> None:
    async with job.database.writing() as session:
        bare = select(NoteKey).where(func.length(NoteKey.wrapped) == KEY_BYTES).limit(BATCH)
        for key in await session.scalars(bare):
            sealing.wrap_bare(job.vault.clinic(key.clinic_id), key)
