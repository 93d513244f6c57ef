"""HEAD answers every page as GET does, without the body, and nothing of it is kept."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from server.accounts.models import Person
from server.audit import AuditEntry
from server.db import Database
from server.routing import RESOURCES, ROUTES
from tests.server.cast import Site
from tests.server.encounters.conftest import house
from tests.server.visits import House

__all__ = ["house"]


async def test_every_get_route_answers_head_under_the_same_permission(site: Site) -> None:
    table = site.app[RESOURCES]
    methods: dict[str, set[str]] = {}
    for matched, route in table.items():
        methods.setdefault(route.name, set()).add(matched.method)
    for name, route in site.app[ROUTES].items():
        assert methods[name] == ({"GET", "HEAD"} if route.method == "GET" else {route.method}), name


async def test_a_head_is_its_get_without_body_and_leaves_no_entry(house: House) -> None:
    doctor = await house.browser_of("doctor")
    paths = ["/", f"/v/{await house.cast.link()}", house.visit_url(), house.visit_url("/summary"), "/nowhere", "/livez"]
    await doctor.request("PUT", house.visit_url("/note/draft"), json={"text": "Slept well."}, headers={"If-Match": "0"})
    for path in [*paths, house.visit_url("/note")]:
        before = await entries(house.database)
        head = await doctor.request("HEAD", path)
        assert await entries(house.database) == before, path
        assert await head.read() == b""
        get = await doctor.get(path)
        assert head.status == get.status, path
        assert head.headers.get("Content-Type") == get.headers.get("Content-Type"), path
        assert head.headers.get("Location") == get.headers.get("Location"), path
    opened = await entries(house.database)
    await doctor.get(house.visit_url("/note"))
    assert await entries(house.database) > opened


@pytest.mark.parametrize("is_kept", [True, False])
async def test_what_an_unkept_writer_writes_is_gone(database: Database, *, is_kept: bool) -> None:
    async with (database if is_kept else database.unkept()).writing() as session:
        session.add(Person(id="p1", name="Somebody", created_at=datetime(2026, 1, 1, tzinfo=UTC)))
        await session.flush()
    async with database.reading() as session:
        assert (await session.get(Person, "p1") is not None) == is_kept


async def entries(database: Database) -> int:
    async with database.reading() as session:
        return int(await session.scalar(select(func.count()).select_from(AuditEntry)) or 0)
