"""Nothing personal comes out: the whole clinic is used, then log, headers, addresses and audit are searched for it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from sqlalchemy import select

from server.audit import AuditEntry
from server.config import Settings
from server.db import Database
from server.jobs.models import Job
from server.routing import ROUTES
from server.vault import Vault
from tests.server.cast import PATIENTS, Browser, OpenApp
from tests.server.test_matrix import TABLE
from tests.server.visits import House, make_visit_cast
from tests.server.world import World, make_world

WRITTEN = (
    "Cough.",
    "Found unconscious marker",
    "Pia Marker",
    "marker.person@mail.example",
    "+493023125150",
    "12 Marker Lane",
)
"""What the story itself says, beside the cast's names."""


@pytest.mark.timeout(300)
async def test_nothing_personal_comes_out_of_a_clinic_in_full_use(  # noqa: PLR0917 (fixtures)
    sqlite_database: Database, vault: Vault, settings: Settings, open_app: OpenApp, tmp_path: Path, stream: io.StringIO
) -> None:
    made = await make_visit_cast(sqlite_database, vault)
    house = House(await open_app(made.clock), settings, sqlite_database, made.clock, made)
    world = await make_world(house, tmp_path)
    addresses = await _use_everything(house, world)
    await _fail_somewhere(house)

    marks = {*WRITTEN, "Weiss", "Haddad", "Ira Admin", "Sam Desk"}
    for patient in PATIENTS:
        marks |= {
            patient.name,
            patient.name.split()[1],
            str(patient.email),
            str(patient.phone),
            str(patient.birth_date),
        }
    marks |= {world.ids["token"], world.ids["next_token"], world.ids["page_token"]}
    marks |= {value for cookies in world.cookies.values() for value in cookies.values()}
    async with sqlite_database.reading() as session:
        entries = [
            f"{one.subject_kind} {one.subject_id} {one.detail}" for one in await session.scalars(select(AuditEntry))
        ]
        entries += [f"{one.subject} {one.error}" for one in await session.scalars(select(Job))]
    assert stream.getvalue().count("\n") > 50, "the log was written"
    assert len(entries) > 30
    for place, text in (("log", stream.getvalue()), ("audit", "\n".join(entries)), ("address", "\n".join(addresses))):
        found = sorted(mark for mark in marks if mark in text or json.dumps(mark)[1:-1] in text)
        assert found == [], place


async def _use_everything(house: House, world: World) -> list[str]:
    """Every route once as somebody who may and once as who may not; answers where it was led to within the clinic."""
    addresses = []
    for name, route in house.app[ROUTES].items():
        row = TABLE.get(name)
        if row is None or name == "sign_out":
            continue
        for who in (next(iter(sorted(row.who)), "nobody"), "doctor elsewhere"):
            browser = Browser(house.client, dict(world.cookies[who]))
            form = {key: value.format_map(world.ids) for key, value in row.form.items()}
            more = {"json": row.json} if row.json is not None else {"data": form} if form else {}
            try:
                path = row.path.format(**world.ids)
            except KeyError:
                continue
            answer = await browser.request(route.method, path, headers=dict(row.headers), **more)
            await answer.read()
            location = answer.headers.get("Location", "")
            addresses += [location] if not location.startswith(("/v/", "/p/")) else []
    return addresses


async def _fail_somewhere(house: House) -> None:
    """A typed form that breaks, a link that was never made, an address with a name in it."""
    browser = await house.browser_of("scheduler")
    await browser.get("/c/north/book?search=Pia Marker")
    await browser.post("/c/north/book", {"search": "Pia Marker"})
    await browser.post("/c/north/book/new", {"name": "Pia Marker", "email": "marker.person@mail.example"})
    await browser.get("/v/Pia Marker")
    await browser.post(f"/c/north/patients/{house.cast.patient}/record", {"reason": "Found unconscious marker"})
    await house.browser().post("/c/north/sign-in", {"email": "marker.person@mail.example", "password": "Pia Marker"})
