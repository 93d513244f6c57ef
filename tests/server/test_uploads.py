"""The one door for uploads (C120): told by content, renamed, bounded, sealed, served so that nothing runs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import select

from server import uploads
from server.audit import Deletion
from server.config import Settings
from server.db import Database
from server.errors import DomainError
from server.filekinds import disposition, kind_of, shown_name
from server.uploads import Received, Upload
from server.vault import Vault, VaultError
from tests.server.cast import NOW, Cast, add_cast

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
HOSTILE_NAMES = (
    "../../etc/cron.d/x",
    "..\\..\\x",
    "/abs/x",
    "CON.txt",
    "a\x00.png",
    ".htaccess",
    'a"\r\nX: 1.png',
    "a" * 300 + ".png",
    "Röntgen 🦴.png",
    "\u202egnp.exe",
    "\u200b\u2060",
    "",
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_loses_what_could_harm(name: str) -> None:
    kind = kind_of(PNG)
    assert kind is not None
    shown = shown_name(name, kind)
    assert 5 <= len(shown) <= 100
    assert shown.endswith(".png")
    assert not re.search(r'[/\\\x00-\x1f"\u202a-\u202e\u2066-\u2069\u200b]', shown)
    assert not shown.startswith(".")
    header = disposition(shown)
    assert header.isascii()
    assert not set("\r\n") & set(header)


def test_a_good_name_stays() -> None:
    kind = kind_of(PNG)
    assert kind is not None
    assert shown_name("Röntgen 🦴.png", kind) == "Röntgen 🦴.png"
    assert "filename*=UTF-8''R%C3%B6ntgen%20%F0%9F%A6%B4.png" in disposition("Röntgen 🦴.png")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0JFIF", "image/jpeg"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        ("Größe: 1 m 80\n".encode(), "text/plain"),
        (b"<svg onload=alert(1)>", None),
        (b"\n <!DOCTYPE html><script>", None),
        (b"hello <script>alert(1)</script>", None),
        (b"MZ\x90\x00", None),
        (b"PK\x03\x04", None),
        (b"\xff\xfe\x00", None),
        (b"XXXX\x00\x00\x00\x00WEBP", None),
    ],
)
def test_what_it_is_comes_from_its_content(content: bytes, media_type: str | None) -> None:
    found = kind_of(content)
    assert (found.media_type if found else None) == media_type


@dataclass
class Door:
    """A server with nothing but the door, and the files it kept."""

    client: TestClient[web.Request, web.Application]

    async def send(self, body: bytes, boundary: str = "b") -> tuple[int, str]:
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Accept": "application/json"}
        async with self.client.post("/", data=body, headers=headers) as answer:
            return answer.status, await answer.text()


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    """One part as it goes over the wire, without a client's own escaping."""
    file = f'; filename="{filename}"' if filename is not None else ""
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\nContent-Type: text/html\r\n\r\n'
    return head.encode() + content + b"\r\n"


@pytest.fixture
async def door(pages: object) -> AsyncIterator[Door]:
    async def take(request: web.Request) -> web.Response:
        try:
            got = await uploads.receive(request, limit=1000)
        except DomainError as refused:
            return web.Response(status=422, text=refused.code.value)
        return web.json_response({"name": got.name, "kind": got.kind, "size": len(got.content), "fields": got.fields})

    app = web.Application()
    app.router.add_post("/", take)
    async with TestClient(TestServer(app)) as client:
        yield Door(client)


async def test_a_file_comes_in_with_the_forms_other_fields(door: Door) -> None:
    body = part("title", b"Knie") + part("file", PNG, "../x.html") + b"--b--\r\n"
    assert await door.send(body) == (
        200,
        '{"name": "x.png", "kind": "image/png", "size": 28, "fields": {"title": "Knie"}}',
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (part("file", b"<html><script>alert(1)</script>", "x.png") + b"--b--\r\n", "malformed"),
        (part("file", b"%PDF-" + bytes(2000), "x.pdf") + b"--b--\r\n", "too_long"),
        (part("file", b"", "x.pdf") + b"--b--\r\n", "malformed"),
        (part("other", PNG, "x.png") + b"--b--\r\n", "malformed"),
        (part("file", PNG, "x.png") + part("file", PNG, "y.png") + b"--b--\r\n", "malformed"),
        (part("title", b"\xff\xfe") + b"--b--\r\n", "malformed"),
        (b"--b--\r\n", "malformed"),
        (b"nothing of the kind", "malformed"),
        (b"--b\r\nX\r\n\r\n", "malformed"),
    ],
)
async def test_what_does_not_fit_is_refused_plainly(door: Door, body: bytes, code: str) -> None:
    assert await door.send(body) == (422, code)


@pytest.fixture
async def cast(sqlite_database: Database) -> Cast:
    async with sqlite_database.writing() as session:
        return await add_cast(session)


async def test_an_upload_is_sealed_at_rest_opens_and_is_erased(
    sqlite_database: Database, cast: Cast, settings: Settings, vault: Vault
) -> None:
    place, sealer = uploads.open_uploads(settings), vault.clinic(cast.clinic.id)
    came = Received("Brief Anna.pdf", "application/pdf", b"%PDF-1.7 very private", {})
    stored = await uploads.store(place, sealer, cast.clinic.id, came)
    async with sqlite_database.writing() as session:
        row = await uploads.add(session, cast.clinic.id, stored, subject=("patient", cast.patient), now=NOW)
    files = [path for path in Path(settings.var, "uploads").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [row.id]
    assert b"private" not in files[0].read_bytes()
    assert b"Anna" not in (row.sealed_name or b"")
    assert uploads.name_of(sealer, row) == "Brief Anna.pdf"
    assert await uploads.read(place, sealer, row) == came.content

    other = vault.clinic(cast.other_clinic.id)
    with pytest.raises(VaultError):
        await uploads.read(place, other, row)
    files[0].write_bytes(files[0].read_bytes()[:-1] + b"\x00")
    with pytest.raises(VaultError):
        await uploads.read(place, sealer, row)

    async with sqlite_database.writing() as session:
        await uploads.forget(session, await uploads.get(session, cast.clinic.id, row.id), NOW)
    await uploads.remove(place, cast.clinic.id, row.id)
    await uploads.remove(place, cast.clinic.id, row.id)
    assert not files[0].exists()
    async with sqlite_database.reading() as session:
        with pytest.raises(DomainError):
            await uploads.get(session, cast.clinic.id, row.id)
        with pytest.raises(DomainError):
            await uploads.get(session, cast.other_clinic.id, row.id)
        gone = (await session.scalars(select(Upload))).one()
        listed = (await session.scalars(select(Deletion))).one()
    assert (gone.sealed_name, gone.wrapped_key) == (None, None)
    assert (listed.subject_kind, listed.subject_id) == ("upload", row.id)


def test_a_download_can_run_nothing() -> None:
    answer = uploads.download("x.pdf", "application/pdf", b"%PDF-")
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Cache-Control"] == "private, no-store"
