"""A patient's account: made on their page, a code on new devices, nobody learns who has one, ended everywhere."""

from __future__ import annotations

import re

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from server.accounts import links, pagecodes
from server.accounts.models import Patient
from server.accounts.passwords import PASSWORDS, Passwords
from server.accounts.throttle import THROTTLE, Throttle
from server.accounts.trust_models import PatientAccount
from server.audit import AuditAction, AuditEntry
from server.scheduling.models import Message
from tests.server.cast import PATIENTS, Browser, Site

PASSWORD = "correct horse battery staple"
MAIL = str(PATIENTS[0].email)
SIGN_IN = "/c/north/my/sign-in"


@pytest.fixture
def house(site: Site) -> Site:
    site.app._state[PASSWORDS] = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return site


def account(site: Site, rest: str = "") -> str:
    return f"/c/north/patients/{site.cast.patient}/home/account{rest}"


async def make(site: Site, password: str = PASSWORD) -> Browser:
    browser = await site.browser_of("patient")
    answer = await browser.post(account(site), {"new_password": password, "password_again": password})
    assert answer.status == 303, await answer.text()
    return browser


async def sign_in(browser: Browser, password: str = PASSWORD, email: str = MAIL) -> tuple[int, str]:
    answer = await browser.post(SIGN_IN, {"email": email, "password": password})
    return answer.status, answer.headers.get("Location", "")


async def show_code(site: Site, browser: Browser, where: str) -> int:
    """Birth date and the code that went to the phone on file."""
    token = re.findall(r"/p/([^?]+)\?sent", where)[0]
    async with site.database.writing() as session:
        link = await links.load_link(session, token)
        assert link is not None
        code = await pagecodes.make_code(session, link.id, site.clock())
    born = PATIENTS[0].birth_date.isoformat()
    return (await browser.post(f"/p/{token}", {"birth_date": born, "code": code})).status


async def test_an_account_opens_the_page_where_it_is_known_and_asks_for_a_code_elsewhere(house: Site) -> None:
    made = await make(house)
    assert "can sign in with your e-mail address" in await (await made.get(account(house, "?done=made"))).text()
    await made.post("/c/north/sign-out")
    assert (await made.get(account(house))).status in (401, 403)
    assert await sign_in(made, email=MAIL.upper()) == (303, "/c/north/my")
    assert (await made.get("/c/north/my")).headers["Location"].endswith("/home")

    phone = house.browser()
    status, where = await sign_in(phone)
    assert status == 303
    assert (await phone.get("/c/north/my")).status == 401
    async with house.database.reading() as session:
        kinds = {
            one.kind: one.recipient for one in await session.scalars(select(Message).where(Message.kind == "code"))
        }
    assert kinds == {"code": PATIENTS[0].phone}
    assert (await sign_in(phone))[1].startswith("/p/"), "a right password alone makes no device known"
    assert await show_code(house, phone, where) == 303
    assert (await phone.get(account(house))).status == 200
    await phone.post("/c/north/sign-out")
    assert await sign_in(phone) == (303, "/c/north/my")


async def test_nobody_learns_who_has_an_account(house: Site) -> None:
    await make(house)
    said = set()
    for email in (MAIL, "nobody@mail.example", str(PATIENTS[1].email)):
        answer = await house.browser().post(SIGN_IN, {"email": email, "password": "wrong wrong wrong"})
        assert not answer.cookies
        text = re.sub(r"nonce=\S+|[0-9a-f]{32}", "", (await answer.text()).replace(email, ""))
        said.add((answer.status, text))
    assert len(said) == 1
    tried: list[str | None] = []

    class Counting(Passwords):
        async def is_right(self, password_hash: str | None, password: str) -> bool:
            tried.append(password_hash)
            return False

    house.app._state[PASSWORDS] = Counting(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    for email in (MAIL, "nobody@mail.example"):
        tried.clear()
        assert (await sign_in(house.browser(), email=email))[0] == 422
        assert len(tried) == 3, "as much work for each"
    house.app._state[THROTTLE] = Throttle(None)
    codes = [(await sign_in(house.browser(), email="x@mail.example"))[0] for _ in range(12)]
    assert codes[-1] == 429


NO_PASSWORDS = [
    ({"new_password": "short", "password_again": "short"}, "twelve characters"),
    ({"new_password": "annaannaanna", "password_again": "annaannaanna"}, "twelve characters"),
    ({"new_password": PASSWORD, "password_again": "x"}, "differ"),
    ({"new_password": "x" * 2000, "password_again": "x" * 2000}, "too long"),
    ({}, "Enter the new password"),
]


async def test_a_password_that_will_not_do_makes_no_account(house: Site) -> None:
    browser = await house.browser_of("patient")
    for form, why in NO_PASSWORDS:
        answer = await browser.post(account(house), form)
        assert (answer.status, why in await answer.text()) == (422, True), form
    async with house.database.reading() as session:
        assert (await session.scalars(select(PatientAccount))).all() == []


async def test_a_new_password_closes_the_page_elsewhere_and_the_patient_hears_of_every_change(house: Site) -> None:
    here, there = await make(house), await house.browser_of("patient")
    other = await house.browser_of("other patient")
    new = {"new_password": "seven purple lanterns sing", "password_again": "seven purple lanterns sing"}
    assert (await here.post(account(house, "/password"), {"password": "wrong", **new})).status == 422
    assert (await other.post(account(house, "/password"), {"password": PASSWORD, **new})).status == 404
    assert (await there.get(account(house))).status == 200
    assert (await here.post(account(house, "/password"), {"password": PASSWORD, **new})).status == 303
    assert (await there.get(account(house))).status in (401, 403)
    assert (await sign_in(house.browser()))[0] == 422
    assert await sign_in(here, new["new_password"]) == (303, "/c/north/my")

    again = await house.browser_of("patient")
    (session_id,) = re.findall(r"sessions/([0-9a-f-]{36})/end", await (await again.get(account(house))).text())
    assert (await other.post(account(house, f"/sessions/{session_id}/end"))).status == 404
    assert (await again.post(account(house, f"/sessions/{session_id}/end"))).status == 303
    assert (await here.get(account(house))).status in (401, 403)
    assert (await again.post(account(house, f"/sessions/{session_id}/end"))).status == 404
    house.clock.forward(seconds=1)
    assert (await again.post(account(house, "/sessions/others/end"))).status == 303
    assert (await sign_in(here, new["new_password"]))[1].startswith("/p/"), "asked for a code again"

    assert (await again.post(account(house, "/close"))).status == 303
    assert (await again.post(account(house, "/close"))).status == 404
    assert (await sign_in(here, new["new_password"]))[0] == 422
    async with house.database.reading() as session:
        told = (await session.scalars(select(Message.channel).where(Message.kind == "account"))).all()
        actions = (await session.scalars(select(AuditEntry.action))).all()
    assert sorted(told) == ["mail", "mail", "mail", "sms", "sms", "sms"]
    assert {AuditAction.ACCOUNT_MADE, AuditAction.PASSWORD_CHANGED, AuditAction.ACCOUNT_CLOSED} <= set(actions)


async def test_a_family_shares_a_mailbox_and_nobody_else_s_page(house: Site) -> None:
    async with house.database.writing() as session:
        await session.execute(update(Patient).values(email=MAIL))
    await make(house)
    child = await house.browser_of("other patient")
    url = account(house).replace(house.cast.patient, house.cast.other_patient)
    own = "seven purple lanterns sing"
    assert (await child.post(url, {"new_password": own, "password_again": own})).status == 303
    assert (await child.post(url, {"new_password": own, "password_again": own})).status == 409
    await child.post("/c/north/sign-out")
    assert await sign_in(child, own) == (303, "/c/north/my")
    assert house.cast.other_patient in (await child.get("/c/north/my")).headers["Location"]
    assert (await child.get(account(house))).status == 404
    assert (await child.post(f"{url}/close")).status == 303
    async with house.database.writing() as session:
        await session.execute(update(Patient).values(email=None))
    assert "no e-mail address of yours" in await (await child.get(url)).text()
    assert (await child.post(url, {"new_password": own, "password_again": own})).status == 409
