"""Personal links: stored hashed, many openings, closed for good, earlier ones kept."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from server.accounts import links
from server.accounts.links import LinkKind
from server.accounts.models import Link
from server.audit import Deletion
from server.db import Database
from server.errors import DomainError
from signaling.words import Code
from tests.server.cast import NOW, add_cast


@pytest.fixture
async def clinic_id(database: Database) -> str:
    async with database.writing() as session:
        return (await add_cast(session)).clinic.id


async def make(database: Database, clinic_id: str, kind: LinkKind = LinkKind.VISIT) -> str:
    async with database.writing() as session:
        return await links.new_link(session, clinic_id=clinic_id, kind=kind, subject_id="a1", now=NOW)


async def code_of(database: Database, token: str, kind: LinkKind = LinkKind.VISIT) -> Code | None:
    async with database.reading() as session:
        try:
            await links.resolve(session, token, kind)
        except DomainError as refused:
            return refused.code
    return None


async def test_a_link_opens_any_number_of_times(database: Database, clinic_id: str) -> None:
    token = await make(database, clinic_id)
    assert [await code_of(database, token) for _ in range(3)] == [None] * 3


async def test_the_token_is_not_in_the_database(database: Database, clinic_id: str) -> None:
    token = await make(database, clinic_id)
    async with database.reading() as session:
        link = (await session.scalars(select(Link))).one()
    assert token.encode() not in link.token_hash
    assert token not in {link.id, link.subject_id, link.kind}


async def test_sending_again_leaves_the_earlier_link_working(database: Database, clinic_id: str) -> None:
    first, second = await make(database, clinic_id), await make(database, clinic_id)
    assert first != second
    assert await code_of(database, first) is None
    assert await code_of(database, second) is None


async def test_closing_closes_every_link_of_the_visit(database: Database, clinic_id: str) -> None:
    tokens = [await make(database, clinic_id), await make(database, clinic_id)]
    async with database.writing() as session:
        closed = await links.close_links(session, "a1", "cancelled", NOW)
    assert len(closed) == 2
    assert [await code_of(database, token) for token in tokens] == [Code.LINK_CLOSED] * 2


@pytest.mark.parametrize(("revoked", "listed"), [(True, 1), (False, 0)])
async def test_only_a_revocation_goes_on_the_list(
    database: Database, clinic_id: str, *, revoked: bool, listed: int
) -> None:
    await make(database, clinic_id)
    async with database.writing() as session:
        await links.close_links(session, "a1", "wrong_person", NOW, revoked=revoked)
        assert await session.scalar(select(func.count()).select_from(Deletion)) == listed


async def test_one_kind_of_link_opens_no_other_door(database: Database, clinic_id: str) -> None:
    token = await make(database, clinic_id, LinkKind.VISIT)
    assert await code_of(database, token, LinkKind.PAGE) is Code.NOT_FOUND
    assert await code_of(database, token, LinkKind.GUEST) is Code.NOT_FOUND


@pytest.mark.parametrize(
    "token", ["", "x", "a" * 32, "a" * 5000, "../../etc/passwd", "' OR 1=1 --", "\x00" * 32, "ü" * 32]
)
async def test_anything_never_made_is_not_found(database: Database, clinic_id: str, token: str) -> None:
    assert await code_of(database, token) is Code.NOT_FOUND
