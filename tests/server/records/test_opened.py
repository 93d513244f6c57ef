"""Who opened a record: what the patient reads of it, and what the privacy officer does once a note was withdrawn."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import FormData
from sqlalchemy import select

from server.accounts import proxies, sessions
from server.accounts.proxies import NewProxy
from server.accounts.service import get_patient
from server.accounts.sessions import COOKIES, SessionKind
from server.permissions import ProxyScope, StaffRole
from server.records import withdrawing
from server.records.models import Note
from server.uploads import Upload
from tests.server.cast import Browser, add_staff
from tests.server.records.rights import copy_url, make_copy, sign, writing_of
from tests.server.visits import House


async def proxy_of(house: House, name: str) -> Browser:
    """A proxy who reads the patient's notes, at their page."""
    cast, now = house.cast, house.clock()
    async with cast.database.writing() as session:
        patient = await get_patient(session, cast.clinic.id, cast.patient)
        ends_on = (now + timedelta(days=90)).date()
        scopes = frozenset({ProxyScope.READ_NOTES})
        new = NewProxy(name, "mother", "power_of_attorney", scopes, None, ends_on)
        row = await proxies.add(session, cast.clinic, patient, new, by=cast.scheduler, now=now)
        opened = await sessions.open_proxy_page(session, {}, clinic_id=cast.clinic.id, proxy_id=row.id, now=now)
    return Browser(house.client, {COOKIES[SessionKind.PAGE]: str(opened.token)})


async def opened_by_everybody(house: House) -> Browser:
    """A note with a file, read and copied by a proxy, opened and printed by its doctor; who is asked is the doctor."""
    doctor, form = await house.browser_of("doctor"), FormData()
    form.add_field("file", b"%PDF-1.7\nletter\n%%EOF", filename="letter.pdf")
    assert (await doctor.request("POST", house.visit_url("/note/attachments"), data=form)).status == 303
    await sign(house, "Cough.", summary="A cold.")
    proxy = await proxy_of(house, "Maria Adler")
    home = copy_url(house, "proxy").removesuffix("/copy")
    assert (await proxy.get(home)).status == 200
    made = await make_copy(house, proxy, "proxy")
    assert (await proxy.post(f"{copy_url(house, 'proxy')}/{made}/file")).status == 200
    async with house.database.reading() as session:
        upload = (await session.scalars(select(Upload))).one()
    assert (await doctor.get(house.visit_url(f"/note/attachments/{upload.id}"))).status == 200
    assert (await doctor.get(house.visit_url("/note/versions/1/file"))).status == 200
    return doctor


async def test_the_patient_reads_of_everybody_who_opened_something_of_theirs(house: House) -> None:
    await opened_by_everybody(house)
    patient = await house.browser_of("patient")
    page = await (await patient.get(copy_url(house).removesuffix("/copy") + "/access")).text()
    said = ("Maria Adler", "acts for you", "read your note", "fetched a copy of your record", "opened a document")
    assert [words for words in (*said, "printed or kept your note") if words not in page] == []


async def test_the_privacy_officer_sees_the_whole_of_what_was_withdrawn_and_everybody_who_had_it(house: House) -> None:
    cast, doctor = house.cast, await opened_by_everybody(house)
    assert (await doctor.post(house.visit_url("/note/withdrawal"))).status == 303
    async with house.database.writing() as session:
        note = (await session.scalars(select(Note))).one()
        officer = writing_of(cast, StaffRole.PRIVACY_OFFICER, cast.administrator)
        found = await withdrawing.get_original(session, officer, note.id)
    who = {(entry.action, name) for entry, name in found.opened}
    assert {("note_read", "Maria Adler"), ("export_fetched", "Maria Adler"), ("document_read", "Dr Ida Weiss")} <= who
    assert "" not in {name for _, name in found.opened}
    assert [name for _, name in found.files] == ["letter.pdf"]
    async with cast.database.writing() as session:
        person = await add_staff(session, cast.clinic, "Lea Privacy", StaffRole.PRIVACY_OFFICER, house.clock())
    browser, url = await house.signed_in(person), f"/c/{cast.clinic.slug}/withdrawn/{note.id}"
    page = await (await browser.get(url)).text()
    assert [words for words in ("A cold.", "letter.pdf", "Maria Adler") if words not in page] == []
    file = f"{url}/files/{found.files[0][0].id}"
    assert (await (await browser.get(file)).read()).endswith(b"letter\n%%EOF")
    assert (await doctor.get(file)).status in (403, 404)
