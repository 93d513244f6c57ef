"""The demo exists on loopback, when the setting says so, among seeded people only."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.accounts import demo
from server.accounts.models import Person
from server.app import Parts, build_app
from server.config import Settings, load_settings
from server.db import Database, new_id
from server.routing import ROUTES
from server.seed import seed_demo
from server.vault import Vault
from tests.server.cast import NOW, Browser, Clock, OpenApp, Site


async def add_somebody_real(database: Database) -> None:
    async with database.writing() as session:
        session.add(Person(id=new_id(), name="Somebody Real", created_at=NOW))


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),
        ({"BEDSIDE_DEMO": "false"}, False),
        ({"BEDSIDE_HOST": "0.0.0.0"}, False),
        ({"BEDSIDE_JOBS_HOST": "192.0.2.7"}, False),
        ({"BEDSIDE_HOST": "::1"}, True),
    ],
)
async def test_the_demo_needs_the_setting_and_loopback(
    sqlite_database: Database, changes: dict[str, str], *, allowed: bool
) -> None:
    settings = load_settings({"BEDSIDE_ENV": "development", **changes})
    assert await demo.is_demo_allowed(settings, sqlite_database) is allowed


async def test_one_real_person_ends_the_demo(sqlite_database: Database, settings: Settings, vault: Vault) -> None:
    await seed_demo(sqlite_database, vault, Clock())
    assert await demo.is_demo_allowed(settings, sqlite_database)
    await add_somebody_real(sqlite_database)
    assert not await demo.is_demo_allowed(settings, sqlite_database)
    app = await build_app(Parts(settings, sqlite_database, vault))
    assert not [name for name in app[ROUTES] if name.startswith("demo")]


async def test_somebody_real_who_came_since_the_start_ends_one_click_sign_in(
    sqlite_database: Database, vault: Vault, open_app: OpenApp
) -> None:
    await seed_demo(sqlite_database, vault, Clock())
    async with sqlite_database.reading() as session:
        person = (await demo.demo_people(session))[0]
    browser = Browser(await open_app(Clock()))
    assert (await browser.post(f"/demo/sign-in/{person[0]}")).status == 303
    await add_somebody_real(sqlite_database)
    assert (await browser.post(f"/demo/sign-in/{person[0]}")).status == 404


async def test_who_is_registered_by_hand_is_played_by_nobody_and_the_demo_goes_on(
    sqlite_database: Database, vault: Vault, open_app: OpenApp
) -> None:
    await seed_demo(sqlite_database, vault, Clock())
    async with sqlite_database.reading() as session:
        played = {name: person_id for person_id, name, _, _ in await demo.demo_people(session)}
    browser = Browser(await open_app(Clock()))
    assert (await browser.post(f"/demo/sign-in/{played['Peter Novák']}")).status == 303
    person = {"name": "Nora Neu", "email": "nora@lindenhof.example", "roles": "doctor"}
    assert (await browser.post("/c/lindenhof/people", person)).status == 201
    assert (await browser.post(f"/demo/sign-in/{played['Mina Park']}")).status == 303
    patient = {"name": "Pia Hand", "birth_date": "1990-01-01", "phone": "030 23125 199"}
    assert (await browser.post("/c/lindenhof/book/new", patient)).status == 303
    assert "Pia Hand" not in (shown := await (await browser.get("/demo")).text())
    assert "Nora Neu" not in shown
    async with sqlite_database.reading() as session:
        query = select(Person.id).where(Person.name.in_(("Pia Hand", "Nora Neu")))
        by_hand = (await session.scalars(query)).all()
    assert len(by_hand) == 2
    for person_id in by_hand:
        assert (await browser.get(f"/demo/sign-in/{person_id}")).status == 404
        assert (await browser.post(f"/demo/sign-in/{person_id}")).status == 404
    assert (await browser.post(f"/demo/sign-in/{played['Anna Lindqvist']}")).status == 303


async def test_everybody_of_the_demo_can_be_played_and_sees_the_band(
    sqlite_database: Database, vault: Vault, open_app: OpenApp
) -> None:
    assert await seed_demo(sqlite_database, vault, Clock())
    assert not await seed_demo(sqlite_database, vault, Clock())
    async with sqlite_database.reading() as session:
        people = await demo.demo_people(session)
    assert len(people) == 13
    client = await open_app(Clock())
    for person_id, _, _, _ in people:
        browser = Browser(client)
        shown = await browser.get(f"/demo/sign-in/{person_id}")
        assert "made-up people" in await shown.text()
        assert browser.cookies == {}
        answer = await browser.post(f"/demo/sign-in/{person_id}")
        where = answer.headers["Location"]
        while (answer := await browser.get(where)).status == 303:
            where = answer.headers["Location"]
        assert answer.status == 200
        assert "made-up people" in await answer.text()


async def test_without_the_demo_nothing_answers_there(site: Site) -> None:
    browser = site.browser()
    for path in ("/demo", f"/demo/sign-in/{site.cast.doctor}", "/demo/outbox"):
        assert (await browser.get(path)).status == 404
    assert (await browser.post(f"/demo/sign-in/{site.cast.doctor}")).status == 404
    assert "made-up people" not in await (await browser.get("/")).text()
