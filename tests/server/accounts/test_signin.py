"""Staff from invitation to sign-off: password and app, lost phones, roles, sessions, idle and back in place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from server import context
from server.accounts import invitations, sessions
from server.accounts.invitations import Purpose
from server.accounts.models import Session
from server.accounts.passwords import PASSWORDS, Passwords
from server.accounts.trust_models import ParkedForm, StaffNotice
from server.audit import AuditAction, AuditEntry
from server.config import Settings
from server.db import Database, new_id
from server.encounters.models import Encounter, Participant
from server.vault import Vault
from signaling.words import Role
from tests.server.cast import Browser, OpenApp, Site
from tests.server.visits import House, make_visit_cast

PASSWORD = "meadow kettle orbit violin"
EMAIL = "new.doctor@north.example"
PEOPLE = "/c/north/people"


@dataclass
class Staff:
    """The site with hashing that tests can bear, and what an app would show."""

    site: Site

    async def administrator(self) -> Browser:
        return await self.site.signed_in(self.site.cast.administrator)

    async def invited(self, **form: object) -> str:
        """The address of an invitation's page, as the administrator is shown it."""
        sent = {"name": "Nora Neu", "email": EMAIL, "roles": "doctor", **form}
        answer = await (await self.administrator()).post(PEOPLE, sent)
        assert answer.status == 201
        return link_in(await answer.text())

    async def join(self, path: str, password: str = PASSWORD, **more: str) -> tuple[int, str, str]:
        """Status, page and the app's secret after the form behind an invitation."""
        browser = self.site.browser()
        secret = secret_in(await (await browser.get(path)).text())
        code = more.pop("code", self.code(secret))
        form = {"password": password, "password_again": password, "code": code, **more}
        answer = await browser.post(path, form)
        return answer.status, await answer.text(), secret

    def code(self, secret: str) -> str:
        return pyotp.TOTP(secret).at(self.site.clock())

    async def sign_in(self, code: str, password: str = PASSWORD, browser: Browser | None = None) -> tuple[int, Browser]:
        browser = browser or self.site.browser()
        answer = await browser.post("/c/north/sign-in", {"email": EMAIL, "password": password, "code": code})
        return answer.status, browser

    async def person_id(self) -> str:
        text = await (await (await self.administrator()).get(PEOPLE)).text()
        return str(re.findall(r"/people/([0-9a-f-]{36})\"[^>]*>Open<span[^>]*> <bdi>Nora Neu", text)[0])

    async def actions(self) -> list[str]:
        async with self.site.database.reading() as session:
            return list(await session.scalars(select(AuditEntry.action)))


def link_in(text: str) -> str:
    return str(re.findall(r'href="[^"]*(/join/[A-Za-z0-9_-]{32})"', text)[0])


def secret_in(text: str) -> str:
    return str(re.findall(r"<code>([A-Z2-7 ]+)</code>", text)[0]).replace(" ", "")


def codes_in(text: str) -> list[str]:
    return re.findall(r"<li><code>([a-z2-9]{5}-[a-z2-9]{5})</code>", text)


@pytest.fixture
async def house(sqlite_database: Database, vault: Vault, settings: Settings, open_app: OpenApp) -> House:
    made = await make_visit_cast(sqlite_database, vault)
    return House(await open_app(made.clock), settings, sqlite_database, made.clock, made)


@pytest.fixture
async def staff(site: Site) -> Staff:
    site.app._state[PASSWORDS] = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return Staff(site)


async def test_from_invitation_to_the_clinic_with_password_and_app(staff: Staff) -> None:
    path = await staff.invited()
    status, page, secret = await staff.join(path)
    assert (status, len(codes_in(page))) == (200, 10)
    assert (await staff.site.browser().get(path)).status == 410, "a link works once"
    staff.site.clock.forward(seconds=30)
    status, browser = await staff.sign_in(staff.code(secret))
    assert status == 303
    assert (await browser.get("/c/north/clinic")).status == 200
    assert {AuditAction.STAFF_INVITED, AuditAction.SIGN_IN_SET_UP, AuditAction.SIGNED_IN} <= set(await staff.actions())


async def test_no_code_no_entry_and_no_code_twice(staff: Staff) -> None:
    _, page, secret = await staff.join(await staff.invited())
    used = staff.code(secret)
    recovery = codes_in(page)[3]
    assert (await staff.sign_in(used))[0] == 422, "the code that set the app up is used"
    for wrong in ("", "000000", recovery[:-1], "x" * 40):
        assert (await staff.sign_in(wrong))[0] == 422
    staff.site.clock.forward(minutes=6)
    fresh = staff.code(secret)
    assert (await staff.sign_in(fresh, password="not the password"))[0] == 422
    assert (await staff.sign_in(fresh))[0] == 303
    assert (await staff.sign_in(fresh))[0] == 422
    assert (await staff.sign_in(recovery.upper().replace("-", " ")))[0] == 303
    assert (await staff.sign_in(recovery))[0] == 422


@pytest.mark.parametrize(
    ("password", "more"),
    [("short", {}), ("password1234567", {}), (EMAIL, {}), (PASSWORD, {"password_again": "else"}),
     (PASSWORD, {"code": "000000"}), (PASSWORD, {"code": ""})],
)  # fmt: skip
async def test_what_is_weak_or_wrong_sets_nothing_up(staff: Staff, password: str, more: dict[str, str]) -> None:
    path = await staff.invited()
    status, page, _ = await staff.join(path, password, **more)
    assert (status, codes_in(page)) == (422, [])
    assert f'value="{password}"' not in unescape(page)


async def test_guessing_the_code_closes_the_invitation(staff: Staff) -> None:
    path = await staff.invited()
    for _ in range(5):
        assert (await staff.join(path, code="000000"))[0] == 422
    assert (await staff.site.browser().get(path)).status == 410
    fresh = await (await staff.administrator()).post(f"{PEOPLE}/{await staff.person_id()}/invitation")
    assert (await staff.site.browser().get(link_in(await fresh.text()))).status == 200


async def test_an_invitation_ends_with_its_time_and_with_the_role(staff: Staff) -> None:
    path = await staff.invited()
    person = await staff.person_id()
    await (await staff.administrator()).post(f"{PEOPLE}/{person}/roles", {})
    assert (await staff.site.browser().get(path)).status == 410
    await (await staff.administrator()).post(f"{PEOPLE}/{person}/roles", {"roles": "doctor"})
    assert (await staff.site.browser().get(path)).status == 200
    staff.site.clock.forward(days=8)
    assert (await staff.site.browser().get(path)).status == 410
    assert (await staff.site.browser().get("/join/" + "A" * 32)).status == 404
    assert (await staff.site.browser().get("/join/short")).status == 404


async def test_another_administrator_replaces_a_lost_phone_and_says_how_they_knew(staff: Staff) -> None:
    _, _, old = await staff.join(await staff.invited())
    staff.site.clock.forward(seconds=30)
    _, signed_in = await staff.sign_in(staff.code(old))
    url = f"{PEOPLE}/{await staff.person_id()}/second-factor"
    browser = await staff.administrator()
    assert (await browser.post(url, {})).status == 422, "how identity was checked must be stated"
    answer = await browser.post(url, {"check": "called_back"})
    assert answer.status == 201
    path = link_in(await answer.text())
    assert (await staff.join(path, "not the password"))[0] == 422
    status, page, new = await staff.join(path)
    assert (status, len(codes_in(page))) == (200, 10)
    assert (await signed_in.get("/c/north/clinic")).status == 401, "whoever holds the lost phone is out"
    staff.site.clock.forward(seconds=60)
    assert (await staff.sign_in(staff.code(old)))[0] == 422
    assert (await staff.sign_in(staff.code(new)))[0] == 303
    async with staff.site.database.reading() as session:
        query = select(AuditEntry).where(AuditEntry.action == AuditAction.SECOND_FACTOR_REPLACED.value)
        entry = (await session.scalars(query)).one()
        told = (await session.scalars(select(StaffNotice))).all()
    assert entry.detail == '{"check":"called_back"}'
    assert entry.actor_person_id == staff.site.cast.administrator
    them, me = await staff.person_id(), staff.site.cast.administrator
    assert {(one.kind, one.person_id, one.about_person_id) for one in told} == {
        ("factor_replaced", them, me),
        ("factor_replaced_by_you", me, them),
        ("sign_in_set_up", them, None),
        ("colleague_set_up", me, them),
    }, "both are told"
    page = await (await browser.get("/c/north/account")).text()
    assert "You made a link that replaces" in page
    assert "rang them back" in page


async def test_nobody_replaces_their_own_app_and_the_last_administrator_stays(staff: Staff) -> None:
    me = staff.site.cast.administrator
    browser = await staff.administrator()
    assert (await browser.post(f"{PEOPLE}/{me}/second-factor", {"check": "video"})).status == 403
    answer = await browser.post(f"{PEOPLE}/{me}/roles", {"roles": "scheduler"})
    assert (answer.status, "only administrator" in await answer.text()) == (422, True)
    await browser.post(f"{PEOPLE}/{staff.site.cast.colleague}/roles", {"roles": ["administrator", "doctor"]})
    assert (await browser.post(f"{PEOPLE}/{me}/roles", {"roles": "scheduler"})).status == 303


async def test_who_loses_a_role_is_signed_out_and_who_gains_one_is_not(staff: Staff) -> None:
    person, browser = staff.site.cast.colleague, await staff.administrator()
    theirs = await staff.site.signed_in(person)
    await browser.post(f"{PEOPLE}/{person}/roles", {"roles": ["doctor", "scheduler"]})
    assert (await theirs.get("/c/north/board")).status == 200
    await browser.post(f"{PEOPLE}/{person}/roles", {"roles": "scheduler"})
    assert (await theirs.get("/c/north/board")).status == 401


async def test_another_clinics_people_are_not_here(staff: Staff) -> None:
    browser, stranger = await staff.administrator(), staff.site.cast.stranger
    for path in ("", "/roles", "/second-factor", "/sign-out", "/invitation"):
        method = "POST" if path else "GET"
        answer = await browser.request(method, f"{PEOPLE}/{stranger}{path}", data={"check": "video"})
        assert answer.status == 404, path


async def test_ones_own_sessions_are_listed_and_ended(staff: Staff) -> None:
    person = staff.site.cast.doctor
    here, there, third = [await staff.site.signed_in(person) for _ in range(3)]
    text = await (await here.get("/c/north/account")).text()
    ends = re.findall(r"/account/sessions/([0-9a-f-]{36})/end", text)
    assert len(ends) == 2
    assert (await here.post(f"/c/north/account/sessions/{ends[0]}/end")).status == 303
    assert sorted([(await there.get("/c/north/clinic")).status, (await third.get("/c/north/clinic")).status]) == [
        200,
        401,
    ]
    foreign = await staff.site.signed_in(staff.site.cast.colleague)
    assert (await foreign.post(f"/c/north/account/sessions/{ends[1]}/end")).status == 404
    await here.post("/c/north/account/sessions/others/end")
    assert [(await one.get("/c/north/clinic")).status for one in (here, there, third)] == [200, 401, 401]


async def test_a_new_password_asks_for_the_old_one_and_ends_all_else(staff: Staff) -> None:
    _, _, secret = await staff.join(await staff.invited())
    staff.site.clock.forward(seconds=30)
    _, here = await staff.sign_in(staff.code(secret))
    staff.site.clock.forward(seconds=30)
    _, there = await staff.sign_in(staff.code(secret))
    url, new = "/c/north/account/password", "harbour lantern quilt mosaic"
    assert (await here.post(url, {"password": "wrong", "new_password": new})).status == 422
    assert (await here.post(url, {"password": PASSWORD, "new_password": "short"})).status == 422
    assert (await here.post(url, {"password": PASSWORD, "new_password": new})).status == 303
    assert [(await one.get("/c/north/clinic")).status for one in (here, there)] == [200, 401]
    staff.site.clock.forward(seconds=30)
    assert (await staff.sign_in(staff.code(secret)))[0] == 422
    staff.site.clock.forward(seconds=30)
    assert (await staff.sign_in(staff.code(secret), new))[0] == 303


# ── Idle ──


async def test_idle_staff_are_signed_off_and_a_page_that_asks_by_itself_is_no_activity(staff: Staff) -> None:
    browser = await staff.site.signed_in(staff.site.cast.doctor)
    for _ in range(3):
        staff.site.clock.forward(minutes=20)
        assert (await browser.get("/c/north/clinic")).status == 200
    for minutes in (20, 11):
        staff.site.clock.forward(minutes=minutes)
        answer = await browser.get("/c/north/clinic/list", headers={"HX-Request": "true"})
    assert answer.status == 401
    answer = await browser.get("/c/north/clinic")
    assert (answer.status, "Sign in again" in await answer.text()) == (401, True)
    assert (await browser.get("/c/north/sign-in")).status == 200
    assert AuditAction.SIGNED_OFF in await staff.actions()


async def test_what_was_typed_is_sent_after_signing_in_again(staff: Staff) -> None:
    _, _, secret = await staff.join(await staff.invited(roles="scheduler"))
    staff.site.clock.forward(seconds=30)
    _, browser = await staff.sign_in(staff.code(secret))
    staff.site.clock.forward(hours=2)
    typed = {"name": "Ünal <b>Öz", "birth_date": "1990-01-01", "phone": "+493023125150", "password": "secret"}
    answer = await browser.post("/c/north/book/new", typed)
    assert (answer.status, "is kept" in await answer.text()) == (401, True)
    async with staff.site.database.reading() as session:
        parked = (await session.scalars(select(ParkedForm))).one()
    assert b"1990" not in parked.sealed
    old = browser.cookies["__Host-staff"]
    answer = await browser.post(
        "/c/north/sign-in", {"email": EMAIL, "password": PASSWORD, "code": staff.code(secret), "next": "/c/north/board"}
    )
    assert answer.headers["Location"] == "/c/north/again"
    assert browser.cookies["__Host-staff"] != old
    text = await (await browser.get("/c/north/again")).text()
    fields = {name: unescape(value) for name, value in re.findall(r'hidden" name="(\w+)" value="([^"]*)"', text)}
    assert fields == {name: value for name, value in typed.items() if name != "password"}
    assert 'action="/c/north/book/new"' in text
    assert (await browser.post("/c/north/book/new", fields)).status == 303


async def test_what_somebody_typed_is_shown_to_nobody_else(staff: Staff) -> None:
    _, _, secret = await staff.join(await staff.invited(roles="scheduler"))
    browser = await staff.site.signed_in(staff.site.cast.scheduler)
    staff.site.clock.forward(hours=2)
    await browser.post("/c/north/book/new", {"name": "Somebody private"})
    answer = await browser.post("/c/north/sign-in", {"email": EMAIL, "password": PASSWORD, "code": staff.code(secret)})
    assert answer.headers["Location"] == "/c/north/"
    assert (await browser.get("/c/north/again")).status == 303, "nothing waits for them"
    async with staff.site.database.reading() as session:
        assert (await session.scalars(select(ParkedForm))).all() == []


async def test_scripts_hear_that_nobody_is_signed_in(staff: Staff) -> None:
    browser = await staff.site.signed_in(staff.site.cast.doctor)
    staff.site.clock.forward(hours=2)
    path = f"/c/north/visits/{new_id()}/note/draft"
    answer = await browser.request("PUT", path, json={"text": "x"}, headers={"Accept": "application/json"})
    assert (answer.status, (await answer.json())["error"]) == (401, "not_signed_in")


async def test_a_session_that_was_signed_off_opens_no_socket(staff: Staff) -> None:
    person = staff.site.cast.doctor
    browser = await staff.site.signed_in(person)
    staff.site.clock.forward(hours=2)
    await browser.get("/c/north/clinic")
    async with staff.site.database.reading() as session:
        kind = sessions.SessionKind.STAFF
        assert await sessions.load_session(session, browser.cookies, kind, staff.site.clock()) is None
        row = (await session.scalars(select(Session).where(Session.person_id == person))).one()
    assert row.locked_at is not None
    assert row.revoked_at is None


async def test_nobody_is_signed_off_in_a_visit_nor_right_after_it(house: House) -> None:
    doctor = await house.signed_in(house.cast.doctor)
    place = await house.cast.place(role=Role.DOCTOR)
    async with house.database.writing() as session:
        await session.execute(update(Participant).where(Participant.id == place).values(state="admitted"))
        await session.execute(update(Encounter).values(status="in-progress"))
    house.clock.forward(hours=3)
    assert (await doctor.get("/c/north/clinic")).status == 200
    house.clock.forward(hours=3)
    async with house.database.writing() as session:
        left = {"state": "left", "reason": "visit_ended", "left_at": house.clock()}
        await session.execute(update(Participant).where(Participant.id == place).values(**left))
        await session.execute(update(Encounter).values(status="finished", ended_at=house.clock()))
    house.clock.forward(minutes=20)
    assert (await doctor.get("/c/north/clinic")).status == 200
    house.clock.forward(minutes=31)
    assert (await doctor.get("/c/north/clinic")).status == 401


async def test_a_new_invitation_voids_the_one_before(staff: Staff) -> None:
    path = await staff.invited()
    person = await staff.person_id()
    async with staff.site.database.writing() as session:
        await invitations.invite(
            session,
            staff.site.app[context.VAULT].installation(),
            clinic_id=staff.site.cast.clinic.id,
            person_id=person,
            purpose=Purpose.JOIN,
            by_person_id=None,
            now=staff.site.clock(),
        )
    assert (await staff.site.browser().get(path)).status == 410
