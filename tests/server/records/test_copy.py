"""A copy of the record: what it holds and what never, who fetches it, and until when."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from urllib.parse import unquote

import obstore
import pikepdf
import pytest
from aiohttp import FormData
from sqlalchemy import select

from server.accounts import pagecodes, proxies, sessions
from server.accounts.proxies import NewProxy
from server.accounts.service import get_patient
from server.accounts.sessions import COOKIES, SessionKind
from server.accounts.trust_models import Proxy
from server.audit import AuditAction, AuditEntry
from server.encounters.filmstore import open_recordings
from server.jobs import JobContext
from server.permissions import ProxyScope
from server.records import fhir, jobs
from server.records.rights_models import RecordExport
from tests.server.cast import Browser
from tests.server.records.rights import copy_url, judged, make_copy, run_jobs, sign, unpacked
from tests.server.visits import House

TEXT = "Rash on the left arm <b>& itching</b>.\n\nשלום, 咳嗽."
DRAFT = "Perhaps something worse, not sure yet."
LETTER = b"%PDF-1.7\nletter\n%%EOF"


async def attach(house: House, browser: Browser, content: bytes = LETTER) -> None:
    form = FormData(quote_fields=False)
    form.add_field("file", content, filename="Größe (1).pdf")
    assert (await browser.request("POST", house.visit_url("/note/attachments"), data=form)).status == 303


async def fetched(house: House, browser: Browser, export: str, side: str = "home", **form: str) -> tuple[int, bytes]:
    answer = await browser.post(f"{copy_url(house, side)}/{export}/file", form)
    return answer.status, await answer.read()


async def entries(house: House, action: AuditAction) -> list[AuditEntry]:
    async with house.cast.database.reading() as session:
        return list(await session.scalars(select(AuditEntry).where(AuditEntry.action == action)))


async def test_a_copy_holds_what_the_patient_sees_for_people_and_for_machines(house: House) -> None:
    cast = house.cast
    token = await cast.link()
    await house.browser().post(f"/v/{token}", {"identity": "self", "agrees": "yes", "place": "12 Mill Lane"})
    doctor = await house.browser_of("doctor")
    await attach(house, doctor)
    await sign(house, TEXT, summary="It is harmless.")
    form = {"kind": "addendum", "text": "Better now.", "reason": "Rang the day after"}
    assert (await doctor.post(house.visit_url("/note/addenda"), form)).status == 303
    unsigned = await cast.another_visit(cast.patient)
    url = house.visit_url("/note/draft").replace(cast.encounter_id, unsigned)
    await doctor.request("PUT", url, json={"text": DRAFT}, headers={"Accept": "application/json", "If-Match": "0"})
    held = await cast.another_visit(cast.patient)
    await sign(house, "Kept back.", held, readers="nobody", reason="harm", review_on="2031-07-01")

    patient = await house.browser_of("patient")
    status, content = await fetched(house, patient, await make_copy(house, patient))
    assert status == 200
    found = unpacked(content)
    assert set(found) == {"record.pdf", "record.fhir.json", "attachments/1-Größe (1).pdf"}
    assert found["attachments/1-Größe (1).pdf"] == LETTER
    assert judged(found["record.fhir.json"]) == []
    made = json.loads(found["record.fhir.json"])
    (document,) = (one["resource"] for one in made["entry"] if one["resource"]["resourceType"] == "DocumentReference")
    url = document["content"][0]["attachment"]["url"]
    assert (url.isascii(), " " in url, unquote(url)) == (True, False, "attachments/1-Größe (1).pdf")
    assert set(fhir.kinds(made)) == {
        "Patient", "Practitioner", "Appointment", "Encounter", "Composition", "DocumentReference", "Consent",
        "Provenance",
    }  # fmt: skip
    assert fhir.kinds(made).count("Composition") == 2
    words = json.dumps(made, ensure_ascii=False)
    for expected in ("itching&lt;/b&gt;", "שלום, 咳嗽", "It is harmless.", "Better now.", "Rang the day after"):
        assert expected in words
    for kept in (DRAFT, "Kept back."):
        assert kept not in words
    urns = {entry["fullUrl"] for entry in made["entry"]}
    assert len(urns) == len(made["entry"])
    assert all(reference in urns for reference in _references(made)), "every reference leads to something in the bundle"
    with pikepdf.open(io.BytesIO(found["record.pdf"])) as document:
        assert document.open_metadata()["pdfuaid:part"] == "1"
    assert len(await entries(house, AuditAction.EXPORT_FETCHED)) == 1


async def test_it_is_fetched_by_its_own_patient_after_a_fresh_sign_in_alone(house: House) -> None:
    await sign(house, TEXT)
    cast, patient = house.cast, await house.browser_of("patient")
    export = await make_copy(house, patient)
    assert (await fetched(house, await house.browser_of("other patient"), export))[0] == 404
    assert (await house.browser().post(f"{copy_url(house)}/{export}/file")).status in (401, 403, 404)
    house.clock.forward(minutes=11)
    status, page = await fetched(house, patient, export)
    assert b"Is it you?" in page
    assert await entries(house, AuditAction.EXPORT_FETCHED) == []
    answer = await patient.post(f"{copy_url(house)}/{export}/code")
    token = (await answer.text()).split('name="token" value="')[1].split('"')[0]
    async with cast.database.writing() as session:
        code = await pagecodes.code_to_read_out(
            session, cast.clinic.id, cast.patient, by_person_id=cast.scheduler, now=house.clock()
        )
    right = {"token": token, "birth_date": "1980-05-01", "code": str(code)}
    for wrong in ({"code": "000000"}, {"birth_date": "1980-05-02"}, {"birth_date": "30.2.1980"}, {"token": "x" * 32}):
        status, page = await fetched(house, patient, export, **{**right, **wrong})
        assert (status, page[:2]) != (200, b"PK"), wrong
    status, content = await fetched(house, patient, export, **right)
    assert (status, content[:2]) == (200, b"PK")
    assert (await fetched(house, patient, export))[1][:2] == b"PK", "asked once, it is fresh for a while"
    assert len(await entries(house, AuditAction.EXPORT_FETCHED)) == 2


async def test_after_a_week_nothing_opens_it_and_its_bytes_go(house: House) -> None:
    await sign(house, TEXT)
    patient = await house.browser_of("patient")
    export = await make_copy(house, patient)
    store = open_recordings(house.settings)
    sealed = bytes(await (await obstore.get_async(store, f"exports/{export}.zip")).bytes_async())
    assert b"record.fhir.json" not in sealed, "sealed at rest"
    house.clock.forward(days=7)
    patient = await house.browser_of("patient")
    assert (await fetched(house, patient, export))[0] == 404
    await jobs.look(_context(house))
    with pytest.raises(FileNotFoundError):
        await obstore.get_async(store, f"exports/{export}.zip")
    async with house.cast.database.reading() as session:
        row = (await session.scalars(select(RecordExport))).one()
    assert (row.state, row.wrapped_key, row.path) == ("gone", None, None)


async def test_what_is_withdrawn_takes_the_copies_that_held_it_along(house: House) -> None:
    doctor = await sign(house, TEXT)
    patient = await house.browser_of("patient")
    export = await make_copy(house, patient)
    assert (await patient.post(copy_url(house))).status == 303, "another is being made"
    assert (await doctor.post(house.visit_url("/note/withdrawal"))).status == 303
    assert (await fetched(house, patient, export))[0] == 404
    await run_jobs(house)
    house.clock.forward(minutes=1)
    again = await make_copy(house, patient)
    words = unpacked((await fetched(house, patient, again))[1])["record.fhir.json"].decode()
    assert "Rash" not in words


@pytest.mark.parametrize(
    ("scopes", "reads"),
    [
        (frozenset(ProxyScope), True),
        (frozenset({ProxyScope.READ_NOTES}), True),
        (frozenset({ProxyScope.BOOK, ProxyScope.ATTEND, ProxyScope.WATCH_FILMS, ProxyScope.CONSENT}), False),
    ],
    ids=["everything", "notes", "all but notes"],
)
async def test_a_proxys_copy_never_goes_beyond_their_scope(
    house: House, scopes: frozenset[ProxyScope], reads: bool
) -> None:
    await attach(house, await house.browser_of("doctor"))
    await sign(house, TEXT)
    alone = await house.cast.another_visit(house.cast.patient)
    await sign(house, "For the patient's eyes.", alone, readers="patient_only", reason="wish", review_on="2031-07-01")
    browser, proxy_id = await _proxy(house, scopes)
    export = await make_copy(house, browser, "proxy")
    assert (await fetched(house, await house.browser_of("patient"), export))[0] == 404, "each has their own"
    found = unpacked((await fetched(house, browser, export, "proxy"))[1])
    words = found["record.fhir.json"].decode()
    assert ("Rash" in words, "attachments/1-Größe (1).pdf" in found) == (reads, reads)
    assert "patient's eyes" not in words
    assert "anna@mail.example" not in words
    assert judged(found["record.fhir.json"]) == []
    async with house.cast.database.writing() as session:
        row = await session.get_one(Proxy, (house.cast.clinic.id, proxy_id))
        row.may_read_notes = row.may_watch_films = False
    narrower = scopes <= {ProxyScope.BOOK, ProxyScope.ATTEND, ProxyScope.CONSENT}
    assert ((await fetched(house, browser, export, "proxy"))[0] == 200) == narrower


async def test_what_the_patient_keeps_for_herself_leaves_a_proxys_finished_copy_too(house: House) -> None:
    cast = house.cast
    await sign(house, TEXT)
    browser, _ = await _proxy(house, frozenset({ProxyScope.READ_NOTES}))
    export = await make_copy(house, browser, "proxy")
    patient = await house.browser_of("patient")
    own = await make_copy(house, patient)
    home = copy_url(house).removesuffix("/copy")
    assert (await patient.post(f"{home}/alone/{cast.appointment_id}")).status == 303
    assert (await fetched(house, browser, export, "proxy"))[0] == 404
    assert (await fetched(house, patient, own))[0] == 200


async def test_a_proxy_reads_notes_with_all_that_was_added_only_within_their_scope(house: House) -> None:
    cast, doctor = house.cast, await sign(house, TEXT, summary="It is harmless.")
    form = {"kind": "correction", "text": "It was the right arm.", "reason": "Misheard"}
    assert (await doctor.post(house.visit_url("/note/addenda"), form)).status == 303
    alone = await cast.another_visit(cast.patient)
    await sign(house, "For the patient's eyes.", alone, readers="patient_only", reason="wish", review_on="2031-07-01")
    home = copy_url(house, "proxy").removesuffix("/copy")
    page = await (await (await _proxy(house, frozenset({ProxyScope.READ_NOTES})))[0].get(home)).text()
    for words in ("Rash on the left arm", "It is harmless.", "Corrected", "It was the right arm.", "Dr Ida Weiss"):
        assert words in page
    assert ("Misheard" in page, page.count("27 May 2031")) == (True, 3), "why, and when each was signed"
    assert "patient's eyes" not in page
    assert "&lt;b&gt;&amp; itching" in page, "text stays text"
    other = await (await (await _proxy(house, frozenset({ProxyScope.ATTEND})))[0].get(home)).text()
    assert "Rash" not in other
    assert (await doctor.post(house.visit_url("/note/withdrawal"))).status == 303
    page = await (await (await _proxy(house, frozenset({ProxyScope.READ_NOTES})))[0].get(home)).text()
    assert ("Rash" in page, "An entry was withdrawn" in page) == (False, True)


async def test_two_copies_are_not_made_at_once_and_a_failed_one_can_be_asked_anew(house: House) -> None:
    patient = await house.browser_of("patient")
    for _ in range(3):
        assert (await patient.post(copy_url(house))).status == 303
    page = await (await patient.get(copy_url(house))).text()
    assert page.count("<progress") == 1
    export = page.split('id="copy-')[1].split('"')[0]
    assert "hx-get" in await (await patient.get(f"{copy_url(house)}/{export}")).text()
    assert (await (await house.browser_of("other patient")).get(f"{copy_url(house)}/{export}")).status == 404


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["reference"]] if isinstance(node.get("reference"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    return [found for value in node for found in _references(value)] if isinstance(node, list) else []


async def _proxy(house: House, scopes: frozenset[ProxyScope]) -> tuple[Browser, str]:
    cast, now = house.cast, house.clock()
    async with cast.database.writing() as session:
        patient = await get_patient(session, cast.clinic.id, cast.patient)
        new = NewProxy("Maria", "mother", "power_of_attorney", scopes, None, (now + timedelta(days=90)).date())
        row = await proxies.add(session, cast.clinic, patient, new, by=cast.scheduler, now=now)
        opened = await sessions.open_proxy_page(session, {}, clinic_id=cast.clinic.id, proxy_id=row.id, now=now)
    return Browser(house.client, {COOKIES[SessionKind.PAGE]: str(opened.token)}), row.id


def _context(house: House) -> JobContext:
    async def nothing(_: float) -> None:
        return

    cast = house.cast
    return JobContext(
        id="j", kind="records.keep", subject="all", clinic_id=None, attempt=1, database=cast.database,
        settings=house.settings, vault=cast.vault, clock=house.clock, _progress=nothing, _is_cancelled=lambda: False,
        _pause=nothing,
    )  # fmt: skip
