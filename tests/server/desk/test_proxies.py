"""Proxies: the authority seen, scopes, end dates, stopped without a word, and what is the patient's alone."""

from __future__ import annotations

import re
from datetime import date

import pytest
from sqlalchemy import select, update

from server.accounts import proxies
from server.accounts.models import Patient
from server.accounts.trust_models import Proxy
from server.audit import AuditAction, AuditEntry
from server.scheduling.models import Message
from tests.server.cast import Browser
from tests.server.desk.conftest import Desk

FORM = {
    "name": "Pia <b>Proxy</b>", "relation": "her sister", "phone": "+49 30 23125 177", "authority": "power_of_attorney",
    "scopes": ["attend", "read_notes"],
}  # fmt: skip


async def add(desk: Desk, **change: object) -> tuple[int, str]:
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    answer = await browser.post(f"/c/north/patients/{desk.site.cast.patient}/proxies", {**FORM, **change})
    return answer.status, await answer.text()


async def opened(desk: Desk, **change: object) -> tuple[Browser, str, str]:
    """A proxy's browser at their page, its address, and the proxy's id."""
    status, text = await add(desk, **change)
    assert status == 201
    token = re.findall(r"/p/([A-Za-z0-9_-]{32})", text)[0]
    async with desk.site.database.reading() as session:
        row = (await session.scalars(select(Proxy).order_by(Proxy.created_at.desc()))).first()
    assert row is not None
    scheduler = await desk.site.signed_in(desk.site.cast.scheduler)
    shown = await (await scheduler.post(f"/c/north/patients/{row.patient_id}/proxies/{row.id}/code")).text()
    code = "".join(re.findall(r"<strong[^>]*>(\d{3}) (\d{3})</strong>", shown)[0])
    browser = desk.site.browser()
    answer = await browser.post(f"/p/{token}", {"birth_date": "1980-05-01", "code": code})
    assert answer.status == 303
    return browser, answer.headers["Location"], row.id


async def test_a_proxy_comes_in_by_their_own_link_and_sees_their_part_alone(desk: Desk) -> None:
    browser, home, _ = await opened(desk)
    assert home == f"/c/north/patients/{desk.site.cast.patient}/proxy"
    text = await (await browser.get(home)).text()
    assert ("You act for" in text, "Go to the visit" in text) == (True, True)
    assert (await browser.get(home.replace("/proxy", "/home"))).status == 403
    assert (await browser.get(home.replace(desk.site.cast.patient, desk.site.cast.other_patient))).status == 404
    answer = await browser.post(f"{home}/visits/{desk.appointment}")
    assert (answer.status, answer.headers["Location"][:3]) == (303, "/v/")


async def test_out_of_scope_is_not_there(desk: Desk) -> None:
    browser, home, _ = await opened(desk, scopes=["read_notes"])
    assert "Go to the visit" not in await (await browser.get(home)).text()
    assert (await browser.post(f"{home}/visits/{desk.appointment}")).status == 404


@pytest.mark.parametrize("by", ["patient", "scheduler"])
async def test_a_stopped_proxy_is_gone_at_once_and_told_nothing(desk: Desk, by: str) -> None:
    browser, home, proxy_id = await opened(desk)
    who = await desk.site.browser_of(by)
    root = home.replace("/proxy", "/home/proxies" if by == "patient" else "/proxies")
    assert "Pia &lt;b&gt;Proxy" in await (await who.get(root)).text()
    assert (await who.post(f"{root}/{proxy_id}/stop")).status == 303
    answer = await browser.get(home)
    assert (answer.status, "stopped" in await answer.text()) == (401, False)
    async with desk.site.database.reading() as session:
        entries = (await session.scalars(select(AuditEntry.action))).all()
    assert {AuditAction.PROXY_ADDED, AuditAction.PROXY_STOPPED} <= set(entries)


async def test_an_end_date_ends_it_on_the_clinics_clocks(desk: Desk) -> None:
    browser, home, _ = await opened(desk, ends_on="2026-03-17")
    desk.site.clock.forward(minutes=50)
    assert (await browser.get(home)).status == 200
    async with desk.site.database.writing() as session:
        await session.execute(update(Proxy).values(ends_on=date(2026, 3, 16)))
    assert (await browser.get(home)).status == 401


async def test_a_childs_parents_end_at_the_clinics_age(desk: Desk) -> None:
    async with desk.site.database.writing() as session:
        await session.execute(update(Patient).values(birth_date=date(2012, 2, 29)))
    await add(desk, authority="parent", ends_on="2099-01-01")
    async with desk.site.database.reading() as session:
        assert (await session.scalars(select(Proxy.ends_on))).one() == date(2030, 3, 1)
    assert proxies.birthday(date(2012, 2, 29), 4) == date(2016, 2, 29)


async def test_what_is_the_patients_alone_does_not_exist_for_proxies(desk: Desk) -> None:
    browser, home, _ = await opened(desk)
    patient = await desk.site.at_page(desk.site.cast.patient)
    assert (await patient.post(home.replace("/proxy", f"/home/alone/{desk.appointment}"))).status == 303
    assert "None that you can see" in await (await browser.get(home)).text()
    assert (await browser.post(f"{home}/visits/{desk.appointment}")).status == 404
    other = await desk.site.at_page(desk.site.cast.other_patient)
    theirs = home.replace(desk.site.cast.patient, desk.site.cast.other_patient)
    assert (await other.post(theirs.replace("/proxy", f"/home/alone/{desk.appointment}"))).status == 404


async def test_a_code_goes_to_the_proxys_own_phone(desk: Desk) -> None:
    _, text = await add(desk)
    token = re.findall(r"/p/([A-Za-z0-9_-]{32})", text)[0]
    await desk.site.browser().post(f"/p/{token}/code")
    async with desk.site.database.reading() as session:
        sent = (await session.scalars(select(Message).where(Message.kind == "code"))).one()
    assert sent.recipient == "+493023125177"


@pytest.mark.parametrize(
    "change",
    [
        {"authority": "said so"},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"phone": "x"},
        {"name": "\u202e"},
        {"ends_on": "soon"},
        {"relation": "x" * 200},
    ],
)
async def test_what_is_missing_or_wrong_notes_nobody(desk: Desk, change: dict[str, object]) -> None:
    status, _ = await add(desk, **change)
    assert status == 422
    async with desk.site.database.reading() as session:
        assert (await session.scalars(select(Proxy))).all() == []
