"""Browsers' sessions: several places in one, roles of one clinic only, nothing outlives its end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import select

from server.accounts import sessions
from server.accounts.models import Session
from server.accounts.sessions import COOKIES, LIVES, SessionKind
from server.db import Database
from server.permissions import Actor, StaffRole
from tests.server.cast import NOW, Cast, add_cast

VISITS, STAFF, PAGE = (COOKIES[kind] for kind in (SessionKind.VISITS, SessionKind.STAFF, SessionKind.PAGE))


@dataclass
class World:
    database: Database
    cast: Cast

    async def visit(self, participation_id: str, cookies: dict[str, str], *, other: bool = False) -> dict[str, str]:
        clinic = self.cast.other_clinic if other else self.cast.clinic
        async with self.database.writing() as session:
            opened = await sessions.open_visits(
                session, cookies, clinic_id=clinic.id, participation_id=participation_id, now=NOW
            )
        return {**cookies, VISITS: opened.token} if opened.token else cookies

    async def actor(self, cookies: dict[str, str], *, other: bool = False) -> Actor:
        clinic = self.cast.other_clinic if other else self.cast.clinic
        async with self.database.reading() as session:
            return await sessions.load_actor(session, cookies, clinic.id, NOW)


@pytest.fixture
async def world(database: Database) -> World:
    async with database.writing() as session:
        return World(database, await add_cast(session))


async def test_two_people_at_one_browser_hold_two_places_in_one_session(world: World) -> None:
    cookies = await world.visit("anna", {})
    same = await world.visit("boris", cookies)
    assert same == cookies
    assert (await world.actor(cookies)).participations == {"anna", "boris"}


async def test_opening_a_place_again_changes_nothing(world: World) -> None:
    cookies = await world.visit("anna", {})
    before = await world.actor(cookies)
    assert await world.visit("anna", cookies) == cookies
    assert await world.actor(cookies) == before


async def test_another_browser_has_another_session(world: World) -> None:
    first, second = await world.visit("anna", {}), await world.visit("anna", {})
    assert first != second
    assert (await world.actor(first)).visits_session_id != (await world.actor(second)).visits_session_id


async def test_places_and_roles_count_in_their_own_clinic_alone(world: World) -> None:
    cookies = await world.visit("anna", {})
    async with world.database.writing() as session:
        opened = await sessions.open_session(session, SessionKind.STAFF, NOW, person_id=world.cast.doctor)
    cookies[STAFF] = str(opened.token)
    here, there = await world.actor(cookies), await world.actor(cookies, other=True)
    assert (here.roles, here.participations) == (frozenset({StaffRole.DOCTOR}), frozenset({"anna"}))
    assert (there.roles, there.participations) == (frozenset(), frozenset())


async def test_a_cookie_opens_its_own_kind_of_session_alone(world: World) -> None:
    cookies = await world.visit("anna", {})
    crossed = {STAFF: cookies[VISITS], PAGE: cookies[VISITS]}
    assert await world.actor(crossed) == Actor(clinic_id=world.cast.clinic.id)


@pytest.mark.parametrize("kind", list(SessionKind))
async def test_a_session_ends_with_its_time_or_its_revocation(world: World, kind: SessionKind) -> None:
    async with world.database.writing() as session:
        opened = await sessions.open_session(session, kind, NOW, person_id=world.cast.doctor)
    cookies = {COOKIES[kind]: str(opened.token)}
    async with world.database.writing() as session:
        assert await sessions.load_session(session, cookies, kind, NOW + LIVES[kind]) is None
        assert await sessions.load_session(session, cookies, kind, NOW) is not None
        await sessions.revoke(session, opened.id, NOW)
    async with world.database.reading() as session:
        assert await sessions.load_session(session, cookies, kind, NOW) is None


async def test_the_token_is_not_in_the_database(world: World) -> None:
    cookies = await world.visit("anna", {})
    async with world.database.reading() as session:
        (row,) = (await session.scalars(select(Session))).all()
    assert cookies[VISITS].encode() not in row.token_hash


async def test_a_page_opened_again_is_a_new_session_and_the_old_one_ends(world: World) -> None:
    jar: dict[str, str] = {}
    for _ in range(2):
        async with world.database.writing() as session:
            opened = await sessions.open_page(
                session, jar, clinic_id=world.cast.clinic.id, patient_id=world.cast.patient, now=NOW
            )
        old, jar = jar, {PAGE: str(opened.token)}
    assert (await world.actor(jar)).patients == {world.cast.patient}
    assert (await world.actor(old)).patients == frozenset()


async def test_a_browser_holds_the_pages_of_two_who_share_it_each_for_its_hour(world: World) -> None:
    jar: dict[str, str] = {}
    at = NOW
    for patient in (world.cast.patient, world.cast.other_patient):
        async with world.database.writing() as session:
            opened = await sessions.open_page(session, jar, clinic_id=world.cast.clinic.id, patient_id=patient, now=at)
        jar, at = {PAGE: str(opened.token)}, at + LIVES[SessionKind.PAGE] / 2
    assert (await world.actor(jar)).patients == {world.cast.patient, world.cast.other_patient}
    async with world.database.reading() as session:
        later = await sessions.load_actor(session, jar, world.cast.clinic.id, at + LIVES[SessionKind.PAGE] / 4)
    assert later.patients == {world.cast.other_patient}
