"""Sign-in, sign-out and the patient-page link, asked over HTTP."""

from __future__ import annotations

import re
import statistics
import time
from typing import Any

import pyotp
import pytest
from argon2 import PasswordHasher, extract_parameters
from markupsafe import escape
from sqlalchemy import select, update

from server import context
from server.accounts import links, pagecodes, secondfactor
from server.accounts.links import TRIES_MAX, LinkKind
from server.accounts.models import Clinic, Membership, Person
from server.accounts.models import Session as SessionRow
from server.accounts.passwords import PASSWORDS, Passwords
from server.accounts.signin import WRONG_SIGN_IN
from server.accounts.trust_models import SecondFactor
from server.audit import AuditAction, AuditEntry, Incident
from server.db import new_id
from server.permissions import StaffRole
from tests.server.cast import PATIENTS, Browser, Site

EMAIL, PASSWORD = "ida.weiss@north.example", "a long and calm password"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
async def door(site: Site) -> Site:
    """The site with a password for the doctor, at a cost that tests can bear."""
    passwords = Passwords(FAST)
    site.app._state[PASSWORDS] = passwords
    hashed = await passwords.hash(PASSWORD)
    sealed = secondfactor.seal_secret(site.app[context.VAULT].installation(), site.cast.doctor, SECRET)
    async with site.database.writing() as session:
        session.add(SecondFactor(person_id=site.cast.doctor, sealed_secret=sealed, set_up_at=site.clock()))
        await session.execute(
            update(Person).where(Person.id == site.cast.doctor).values(email=EMAIL, password_hash=hashed)
        )
    return site


async def sign_in(site: Site, email: str = EMAIL, password: str = PASSWORD, **more: str) -> tuple[Browser, Any]:
    browser = site.browser()
    form = {"email": email, "password": password, "code": code_now(site), **more}
    return browser, await browser.post("/c/north/sign-in", form)


def code_now(site: Site) -> str:
    """What the doctor's app shows."""
    return pyotp.TOTP(SECRET).at(site.clock())


async def test_the_right_password_signs_in(door: Site) -> None:
    browser, answer = await sign_in(door, email="  Ida.Weiss@North.example ")
    assert (answer.status, answer.headers["Location"]) == (303, "/c/north/")
    assert (await browser.get("/c/north/clinic")).status == 200


async def test_the_cookie_is_bound_to_this_host_and_hidden_from_scripts(door: Site) -> None:
    _, answer = await sign_in(door)
    cookie, known = answer.headers.getall("Set-Cookie")
    assert known.startswith("__Host-known=")
    assert cookie.startswith("__Host-staff=")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "path=/", "samesite=lax"} <= parts
    assert not any(part.startswith("domain") for part in parts)


async def test_each_sign_in_is_a_new_session_whatever_the_browser_brings(door: Site) -> None:
    browser = Browser(door.client, {"__Host-staff": "chosen-by-somebody-else"})
    form = {"email": EMAIL, "password": PASSWORD}
    await browser.post("/c/north/sign-in", {**form, "code": code_now(door)})
    first = browser.cookies["__Host-staff"]
    door.clock.forward(seconds=30)
    await browser.post("/c/north/sign-in", {**form, "code": code_now(door)})
    assert len({"chosen-by-somebody-else", first, browser.cookies["__Host-staff"]}) == 3


@pytest.mark.parametrize(
    ("email", "password"), [(EMAIL, "wrong"), ("nobody@north.example", PASSWORD), ("a" * 300, "b" * 900)]
)
async def test_whatever_is_wrong_the_answer_is_the_same(door: Site, email: str, password: str) -> None:
    browser, answer = await sign_in(door, email, password)
    text = (await answer.text()).replace(email, "")
    _, other = await sign_in(door, "somebody@else.example", "x" * 20)
    expected = (await other.text()).replace("somebody@else.example", "")
    assert answer.status == other.status == 422
    assert WRONG_SIGN_IN.replace("'", "&#39;") in text
    assert _without_ids(text) == _without_ids(expected)
    assert browser.cookies == {}


async def test_somebody_without_a_role_here_is_refused_like_anybody(door: Site) -> None:
    async with door.database.writing() as session:
        gone = update(Membership).where(Membership.person_id == door.cast.doctor)
        await session.execute(gone.values(is_active=False))
    _, answer = await sign_in(door)
    assert answer.status == 422


async def test_a_refused_sign_in_is_in_the_audit_without_the_name_tried(door: Site) -> None:
    await sign_in(door, "anna@mail.example", "wrong")
    async with door.database.reading() as session:
        query = select(AuditEntry).where(AuditEntry.action == AuditAction.SIGN_IN_REFUSED.value)
        entry = (await session.scalars(query)).one()
    assert (entry.subject_id, entry.detail) == ("unknown", "{}")


async def test_an_unknown_name_costs_a_hash_of_the_same_kind(door: Site) -> None:
    class Counting(PasswordHasher):
        seen: list[str] = []  # noqa: RUF012

        def verify(self, hash: str | bytes, password: str | bytes) -> Any:
            self.seen.append(str(hash))
            return super().verify(hash, password)

    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    passwords = Passwords(hasher)
    known = await passwords.hash(PASSWORD)
    assert not await passwords.is_right(None, PASSWORD)
    assert not await passwords.is_right(known, "wrong")
    assert await passwords.is_right(known, PASSWORD)
    assert not await passwords.is_right("not a hash", PASSWORD)
    assert len(Counting.seen) == 4
    assert extract_parameters(Counting.seen[0]) == extract_parameters(known)


async def test_known_and_unknown_names_take_as_long() -> None:
    """By the processor's clock: whatever else this machine does counts for neither."""
    hasher = PasswordHasher(time_cost=1, memory_cost=16_384, parallelism=1)
    passwords = Passwords(hasher)
    known = await passwords.hash(PASSWORD)
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    for _ in range(40):
        for who, hashed in (("known", known), ("unknown", None)):
            started = time.process_time()
            await passwords.is_right(hashed, "wrong")
            took[who].append((time.process_time() - started) * 1000)
    spent = {who: statistics.median(values) for who, values in took.items()}
    assert spent["unknown"] > spent["known"] / 2
    assert spent["known"] > spent["unknown"] / 2
    default = Passwords()
    assert extract_parameters(default._decoy) == extract_parameters(await default.hash(PASSWORD))


@pytest.mark.soak
@pytest.mark.timeout(600)  # four hundred real hashes
async def test_c116_known_and_unknown_names_take_as_long_at_the_real_cost() -> None:
    """The case's own bound, by the clock on the wall: for a machine that does nothing else."""
    passwords = Passwords()
    known = await passwords.hash(PASSWORD)
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    for _ in range(200):
        for who, hashed in (("known", known), ("unknown", None)):
            started = time.perf_counter()
            await passwords.is_right(hashed, "wrong")
            took[who].append((time.perf_counter() - started) * 1000)
    assert abs(statistics.median(took["known"]) - statistics.median(took["unknown"])) < 10


async def test_trying_on_is_slowed_down_the_same_for_names_that_exist_and_not(door: Site) -> None:
    for email in (EMAIL, "nobody@north.example"):
        answers = [(await sign_in(door, email, "wrong"))[1].status for _ in range(11)]
        assert answers == [422] * 10 + [429]


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/c/north/board", "/c/north/board"),
        ("https://evil.example/", "/c/north/"),
        ("//evil.example", "/c/north/"),
        ("/c/south/board", "/c/north/"),
        ("/c/north/../../x", "/c/north/"),
        ("/c/north/\\evil", "/c/north/"),
        ("javascript:alert(1)", "/c/north/"),
    ],
)
async def test_after_sign_in_one_stays_in_this_clinic(door: Site, wanted: str, leads_to: str) -> None:
    _, answer = await sign_in(door, next=wanted)
    assert answer.headers["Location"] == leads_to


async def test_signing_out_ends_the_session_itself(door: Site) -> None:
    browser, _ = await sign_in(door)
    kept = dict(browser.cookies)
    answer = await browser.post("/c/north/sign-out")
    assert answer.status == 303
    assert set(browser.cookies) == {"__Host-known"}
    stolen = Browser(door.client, kept)
    assert (await stolen.get("/c/north/clinic")).status == 401


async def test_a_session_ends_by_itself(door: Site) -> None:
    browser, _ = await sign_in(door)
    door.clock.forward(hours=13)
    assert (await browser.get("/c/north/clinic")).status == 401


async def test_looking_never_changes_anything(door: Site) -> None:
    token = await _page_link(door)
    before = await _rows(door)
    for path in ("/", "/c/north/sign-in", f"/p/{token}", f"/p/{token}?sent", "/p/" + "x" * 32, "/c/north/sign-out"):
        for method in ("GET", "HEAD"):
            await door.browser().request(method, path)
    assert await _rows(door) == before


async def test_the_page_opens_with_birth_date_and_code(door: Site) -> None:
    token = await _page_link(door)
    code = await _code(door, token)
    browser = door.browser()
    born = PATIENTS[0].birth_date.isoformat()
    answer = await browser.post(f"/p/{token}", {"birth_date": born, "code": f"{code[:3]} {code[3:]}"})
    assert answer.status == 303
    assert set(browser.cookies) == {"__Host-page"}
    assert (await browser.get(answer.headers["Location"])).status == 200


async def test_the_page_of_somebody_else_stays_shut(door: Site) -> None:
    browser = await door.at_page(door.cast.patient)
    other = f"/c/north/patients/{door.cast.other_patient}/home"
    assert (await browser.get(f"/c/north/patients/{door.cast.patient}/home")).status == 200
    assert (await browser.get(other)).status == 404


async def test_unknown_closed_and_locked_links_answer_like_an_open_one(door: Site) -> None:
    token = await _page_link(door)
    closed = await _page_link(door)
    async with door.database.writing() as session:
        link = await links.load_link(session, closed)
        assert link is not None
        for _ in range(TRIES_MAX):
            await links.touch(session, link, right=False, now=door.clock())
    said = set()
    for each in (token, closed, "x" * 32):
        shown = await door.browser().get(f"/p/{each}")
        tried = await door.browser().post(f"/p/{each}", {"birth_date": "1990-01-01", "code": "000000"})
        asked = await door.browser().post(f"/p/{each}/code")
        where = asked.headers["Location"].replace(each, "")
        pages = [_without_ids((await page.text()).replace(each, "")) for page in (shown, tried)]
        said.add((shown.status, tried.status, asked.status, where, *pages))
    assert len(said) == 1


async def test_the_desk_reads_out_a_code_and_only_for_its_own_patients(door: Site) -> None:
    token = await _page_link(door)
    scheduler = await door.signed_in(door.cast.scheduler)
    path = f"/c/north/patients/{door.cast.patient}/page-code"
    shown = await (await scheduler.post(path)).text()
    (code,) = re.findall(r"<strong[^>]*>(\d{3}) (\d{3})</strong>", shown)
    born = PATIENTS[0].birth_date.isoformat()
    opened = await door.browser().post(f"/p/{token}", {"birth_date": born, "code": "".join(code)})
    assert opened.status == 303
    for _ in range(5):
        await door.browser().post(f"/p/{token}", {"birth_date": "1999-09-09", "code": "000000"})
    shown = await (await scheduler.post(path)).text()
    assert "locked" in shown
    (unlock,) = re.findall(r'action="([^"]+/unlock)"', shown)
    assert "work again" in await (await scheduler.post(unlock)).text()
    shown = await (await scheduler.post(path)).text()
    assert "locked" not in shown
    (code,) = re.findall(r"<strong[^>]*>(\d{3}) (\d{3})</strong>", shown)
    assert (await door.browser().post(f"/p/{token}", {"birth_date": born, "code": "".join(code)})).status == 303
    assert (await scheduler.post("/c/north/patients/somebody/page-code")).status == 404
    async with door.database.writing() as session:
        clinic = await session.scalar(select(Clinic.id).where(Clinic.slug == "south"))
        role = StaffRole.SCHEDULER.value
        session.add(Membership(clinic_id=clinic, person_id=door.cast.stranger, role=role, created_at=door.clock()))
    stranger = await door.signed_in(door.cast.stranger)
    assert (await stranger.post(f"/c/south/patients/{door.cast.patient}/page-code")).status == 404


async def test_the_page_link_page_names_nobody(door: Site) -> None:
    text = await (await door.browser().get(f"/p/{await _page_link(door)}")).text()
    assert not any(word in text for word in ("Anna", "Clinic north", "1980"))


async def test_an_administrator_sees_incidents_and_closes_them(door: Site) -> None:
    incident = Incident(
        clinic_id=door.cast.clinic.id,
        id=new_id(),
        kind="wrong_person",
        subject_kind="encounter",
        subject_id="e1",
        owner_person_id=door.cast.administrator,
        filed_at=door.clock(),
    )
    async with door.database.writing() as session:
        session.add(incident)
    browser = await door.signed_in(door.cast.administrator)
    text = await (await browser.get("/c/north/incidents")).text()
    assert "Wrong person" in text
    assert "Ira Admin" in text
    assert (await browser.post(f"/c/north/incidents/{incident.id}/close")).status == 303
    assert "Wrong person" not in await (await browser.get("/c/north/incidents")).text()
    assert (await browser.post("/c/north/incidents/absent/close")).status == 404


async def test_the_front_door_leads_staff_to_their_clinic(door: Site) -> None:
    browser = await door.signed_in(door.cast.doctor)
    assert (await browser.get("/")).headers["Location"] == "/c/north/"
    assert (await door.browser().get("/")).status == 200


async def _page_link(site: Site) -> str:
    async with site.database.writing() as session:
        return await links.new_link(
            session, clinic_id=site.cast.clinic.id, kind=LinkKind.PAGE, subject_id=site.cast.patient, now=site.clock()
        )


async def _code(site: Site, token: str) -> str:
    async with site.database.writing() as session:
        link = await links.load_link(session, token)
        assert link is not None
        code = await pagecodes.make_code(session, link.id, site.clock())
    assert code is not None
    return code


async def _rows(site: Site) -> list[tuple[int, int]]:
    async with site.database.reading() as session:
        sessions = (await session.scalars(select(SessionRow))).all()
        entries = (await session.scalars(select(AuditEntry))).all()
    return [(len(sessions), len(entries))]


def _without_ids(text: str) -> str:
    """A page without what is different each time: nonces and request ids."""
    lines = [line for line in text.splitlines() if "nonce=" not in line and "<code>" not in line]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text", ['"><svg/onload=alert(1)>', "</script><script>alert(1)</script>", "{{7*7}}", "\u202egnp"]
)
async def test_what_somebody_typed_or_is_called_is_shown_as_text(door: Site, text: str) -> None:
    """C118: in a form that comes back and in the head of every page."""
    _, answer = await sign_in(door, text, "wrong")
    shown = await answer.text()
    assert text not in shown.replace(str(escape(text)), "")
    assert str(escape(text)) in shown
    async with door.database.writing() as session:
        await session.execute(update(Person).where(Person.id == door.cast.administrator).values(name=text))
    browser = await door.signed_in(door.cast.administrator)
    page = await (await browser.get("/c/north/incidents")).text()
    assert f"<bdi>{escape(text)}</bdi>" in page
    assert text not in page.replace(str(escape(text)), "")
