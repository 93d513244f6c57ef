"""Mail to staff: what happened and where to look, nobody of the patients; it says so where it can't be sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from server.accounts import notices
from server.accounts.models import Person
from server.accounts.notices import WORDS, Notice
from server.accounts.trust_models import StaffNotice
from server.db import Database
from server.jobs import JobFailed, OrElse
from server.jobs.models import Job
from server.scheduling import jobs, staffmail
from tests.server.cast import NOW, PATIENTS, Cast, add_cast
from tests.server.scheduling.test_messages import SETTINGS, job_context


async def load(database: Database) -> dict[str, StaffNotice]:
    async with database.reading() as session:
        return {row.kind: row for row in await session.scalars(select(StaffNotice))}


async def tell(database: Database) -> Cast:
    """One notice of each kind to the doctor, about the administrator."""
    async with database.writing() as session:
        cast = await add_cast(session)
        for n, kind in enumerate(WORDS):
            notice = Notice(kind, cast.administrator, "called_back")
            await notices.tell(session, cast.clinic.id, [cast.doctor, cast.doctor], notice, NOW + timedelta(minutes=n))
    return cast


async def test_every_notice_is_written_names_no_patient_and_says_where_to_look(sqlite_database: Database) -> None:
    cast = await tell(sqlite_database)
    handler = jobs.HANDLERS[notices.SEND]
    assert isinstance(handler, OrElse)
    assert handler.run is staffmail.send_notice
    for row in (await load(sqlite_database)).values():
        await staffmail.send_notice(job_context(sqlite_database, cast.clinic.id, row.id, NOW, SETTINGS))
    sent = await load(sqlite_database)
    assert set(sent) == set(WORDS)
    for kind, row in sent.items():
        assert (row.state, row.sent_at) == ("sent", NOW)
        text = row.text or ""
        assert WORDS[kind] in text
        assert "Ira Admin" in text
        assert "rang them back" in text
        assert "https://visits.example.org/c/north/" in text
        assert not any(patient.name in text for patient in PATIENTS)
    async with sqlite_database.reading() as session:
        told = await notices.load_newest(session, cast.clinic.id, cast.doctor)
        assert await notices.load_newest(session, cast.other_clinic.id, cast.doctor) == []
        assert len((await session.scalars(select(Job))).all()) == len(WORDS), "each of them once"
    assert [one.kind for one, _ in told] == list(reversed(WORDS))


@pytest.mark.parametrize(
    ("change", "email", "error"),
    [
        ({"env": "production"}, "x@north.example", "no_gateway"),
        ({}, None, "no_address"),
        ({"smtp_url": SecretStr("smtp://127.0.0.1:1")}, "not an address", "recipient_refused"),
    ],
)
async def test_what_can_t_be_sent_says_so_and_keeps_no_words(
    sqlite_database: Database, change: dict[str, object], email: str | None, error: str
) -> None:
    cast = await tell(sqlite_database)
    async with sqlite_database.writing() as session:
        await session.execute(update(Person).where(Person.id == cast.doctor).values(email=email))
    row = next(iter((await load(sqlite_database)).values()))
    settings = SETTINGS.model_copy(update=change)
    await staffmail.send_notice(job_context(sqlite_database, cast.clinic.id, row.id, NOW, settings))
    row = (await load(sqlite_database))[row.kind]
    assert (row.state, row.error, row.text) == ("failed", error, None)


async def test_a_gateway_that_is_away_is_asked_again(sqlite_database: Database, unused_tcp_port: int) -> None:
    cast = await tell(sqlite_database)
    row = next(iter((await load(sqlite_database)).values()))
    settings = SETTINGS.model_copy(update={"smtp_url": SecretStr(f"smtp://127.0.0.1:{unused_tcp_port}")})
    with pytest.raises(JobFailed, match="gateway_unreachable"):
        await staffmail.send_notice(job_context(sqlite_database, cast.clinic.id, row.id, NOW, settings))
    assert (await load(sqlite_database))[row.kind].state == "waiting"
