"""A patient's page: birth date and code both right, few tries, the same answer whatever is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from server.accounts import links, pagecodes
from server.accounts.events import PageCodeAsked
from server.accounts.links import TRIES_MAX, LinkKind
from server.audit import AuditAction, AuditEntry
from server.db import Database
from server.events import Events
from tests.server.cast import NOW, PATIENTS, Cast, add_cast

BORN = PATIENTS[0].birth_date


@dataclass
class Door:
    """A page link and the ways to try it."""

    database: Database
    cast: Cast
    token: str
    link_id: str

    async def code(self, now: datetime = NOW) -> str | None:
        async with self.database.writing() as session:
            return await pagecodes.make_code(session, self.link_id, now)

    async def opens(self, code: str, born: date = BORN, token: str | None = None, now: datetime = NOW) -> bool:
        async with self.database.writing() as session:
            return await pagecodes.check(session, token or self.token, born, code, now) is not None


@pytest.fixture
async def door(database: Database) -> Door:
    async with database.writing() as session:
        cast = await add_cast(session)
        token = await links.new_link(
            session, clinic_id=cast.clinic.id, kind=LinkKind.PAGE, subject_id=cast.patient, now=NOW
        )
        link = await links.load_link(session, token)
    assert link is not None
    return Door(database, cast, token, link.id)


async def new_code(door: Door, now: datetime = NOW) -> str:
    code = await door.code(now)
    assert code is not None
    return code


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


async def test_birth_date_and_code_open_the_page(door: Door) -> None:
    assert await door.opens(await new_code(door))


async def test_either_alone_does_not(door: Door) -> None:
    code = await new_code(door)
    assert not await door.opens(code, date(1980, 5, 2))
    assert not await door.opens(other_than(code))


async def test_a_code_opens_once(door: Door) -> None:
    code = await new_code(door)
    assert await door.opens(code)
    assert not await door.opens(code)


async def test_a_code_gets_old(door: Door) -> None:
    code = await new_code(door)
    assert not await door.opens(code, now=NOW + pagecodes.CODE_LIVES)


async def test_the_fifth_wrong_try_locks_this_link_and_no_other(door: Door) -> None:
    async with door.database.writing() as session:
        second = await links.new_link(
            session, clinic_id=door.cast.clinic.id, kind=LinkKind.PAGE, subject_id=door.cast.patient, now=NOW
        )
    code = await new_code(door)
    for _ in range(TRIES_MAX):
        assert not await door.opens(other_than(code))
    assert not await door.opens(code)
    async with door.database.reading() as session:
        first, other = await links.load_link(session, door.token), await links.load_link(session, second)
    assert first is not None
    assert first.closed_reason == "locked"
    assert other is not None
    assert other.closed_at is None


async def test_the_desk_unlocks_a_link_that_wrong_tries_have_locked_and_no_other(door: Door) -> None:
    code = await new_code(door)
    for _ in range(TRIES_MAX):
        assert not await door.opens(other_than(code))
    async with door.database.writing() as session:
        revoked = await links.new_link(
            session, clinic_id=door.cast.clinic.id, kind=LinkKind.PAGE, subject_id=door.cast.patient, now=NOW
        )
        await links.close_links(session, door.cast.patient, "stopped", NOW, revoked=True)

        async def unlock(clinic: str, patient: str) -> int:
            return await links.unlock(session, clinic, [patient], by_person_id=door.cast.scheduler, now=NOW)

        assert await unlock(door.cast.other_clinic.id, door.cast.patient) == 0
        assert await unlock(door.cast.clinic.id, door.cast.other_patient) == 0
        assert await unlock(door.cast.clinic.id, door.cast.patient) == 1
        entries = select(AuditEntry.subject_id).where(AuditEntry.action == AuditAction.LINK_UNLOCKED)
        assert list(await session.scalars(entries)) == [door.link_id]
    assert await door.opens(code)
    assert not await door.opens(await new_code(door), token=revoked)
    for _ in range(TRIES_MAX):
        assert not await door.opens("nonsense")
    assert not await door.opens(await new_code(door)), "five tries again, and no more"


async def test_a_right_try_clears_the_count(door: Door) -> None:
    for _ in range(2):
        code = await new_code(door)
        for _ in range(TRIES_MAX - 1):
            assert not await door.opens(other_than(code))
        assert await door.opens(code)


async def test_a_phone_is_not_flooded(door: Door) -> None:
    codes = [await door.code() for _ in range(pagecodes.CODES_MAX + 1)]
    assert codes[-1] is None
    assert await door.code(NOW + pagecodes.CODE_LIVES + timedelta(seconds=1)) is not None


async def test_the_desk_reads_out_a_code_that_opens_any_of_the_patients_links(door: Door) -> None:
    async with door.database.writing() as session:
        second = await links.new_link(
            session, clinic_id=door.cast.clinic.id, kind=LinkKind.PAGE, subject_id=door.cast.patient, now=NOW
        )
        code = await pagecodes.code_to_read_out(
            session, door.cast.clinic.id, door.cast.patient, by_person_id=door.cast.scheduler, now=NOW
        )
        nobodys = await pagecodes.code_to_read_out(
            session, door.cast.clinic.id, door.cast.other_patient, by_person_id=door.cast.scheduler, now=NOW
        )
    assert code is not None
    assert nobodys is None
    assert await door.opens(code)
    assert await door.opens(code, token=second)


async def test_a_visit_link_is_no_page_link(door: Door) -> None:
    async with door.database.writing() as session:
        visit = await links.new_link(
            session, clinic_id=door.cast.clinic.id, kind=LinkKind.VISIT, subject_id=door.cast.patient, now=NOW
        )
    assert not await door.opens(await new_code(door), token=visit)


@pytest.mark.parametrize("known", [True, False])
async def test_a_code_is_sent_for_an_open_link_alone_and_nobody_is_told(door: Door, *, known: bool) -> None:
    asked: list[PageCodeAsked] = []

    async def note(_: object, event: PageCodeAsked) -> None:
        asked.append(event)

    events = Events()
    events.on(PageCodeAsked, note)
    async with door.database.writing() as session:
        token = door.token if known else "x" * 32
        answer = await pagecodes.ask_for_code(session, events, token, NOW)  # type: ignore[func-returns-value]
    assert answer is None
    assert [event.patient_id for event in asked] == ([door.cast.patient] if known else [])
