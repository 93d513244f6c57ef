"""The outbox: what is queued by which act, written when sent, and never sent any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from icalendar import Calendar
from pydantic import SecretStr
from sqlalchemy import select, update

from server.accounts import links
from server.accounts.links import LinkKind
from server.accounts.models import Clinic, Link, Patient, Person
from server.config import Settings
from server.db import Database
from server.errors import DomainError
from server.jobs import JobContext, JobFailed
from server.jobs.models import Job
from server.scheduling import delays, handlers, jobs, messages, service
from server.scheduling.delays import Delay, Hearers
from server.scheduling.messages import SEND, News
from server.scheduling.models import Appointment, Message, VisitType
from server.scheduling.rules import Kind
from server.scheduling.service import Move
from server.scheduling.ticks import in_transaction
from server.vault import Vault, new_keyset
from signaling.words import Code
from tests.server.scheduling.conftest import NOW, World
from tests.server.scheduling.test_service import NINE, book

SETTINGS = Settings(env="development", public_url="https://visits.example.org")


def job_for(world: World, subject: str, now: datetime, settings: Settings = SETTINGS) -> JobContext:
    return job_context(world.database, world.clinic.id, subject, now, settings)


def job_context(database: Database, clinic_id: str, subject: str, now: datetime, settings: Settings) -> JobContext:
    async def progress(done: float) -> None: ...

    async def pause(seconds: float) -> None: ...

    return JobContext(
        id="j",
        kind=SEND,
        subject=subject,
        clinic_id=clinic_id,
        attempt=1,
        database=database,
        settings=settings,
        vault=Vault(settings.var, new_keyset()),
        clock=lambda: now,
        _progress=progress,
        _is_cancelled=lambda: False,
        _pause=pause,
    )


async def send_due(world: World, now: datetime = NOW, settings: Settings = SETTINGS) -> None:
    async with world.database.reading() as session:
        due = list(await session.scalars(select(Job.subject).where(Job.kind == SEND, Job.due_at <= now)))
    for subject in due:
        await jobs.send_message(job_for(world, subject, now, settings))


async def outbox(world: World) -> Sequence[Message]:
    async with world.database.reading() as session:
        return (await session.scalars(select(Message).order_by(Message.created_at, Message.due_at))).all()


async def move(world: World, appointment: Appointment, starts_at: datetime, now: datetime = NOW) -> Appointment:
    asked = Move(appointment.id, starts_at)
    return await in_transaction(world.database, lambda session: service.move(session, world.act(now), asked))


async def cancel(world: World, appointment: Appointment, now: datetime = NOW) -> None:
    await in_transaction(world.database, lambda session: service.cancel(session, world.act(now), appointment.id, "Ill"))


async def send_again(world: World, appointment: Appointment, patient_id: str) -> None:
    async with world.database.writing() as session:
        patient = await session.get_one(Patient, (world.clinic.id, patient_id))
        visit_type = await session.get_one(VisitType, (world.clinic.id, world.visit))
        await messages.send_again(session, News(world.clinic, appointment, patient, visit_type, NOW))


async def test_a_booking_queues_the_confirmation_now_and_the_reminder_for_later(world: World) -> None:
    made = await book(world)
    rows = await outbox(world)
    assert [(row.kind, row.due_at, row.state) for row in rows] == [
        ("confirmation", NOW, "waiting"),
        ("reminder", made.starts_at - timedelta(days=1), "waiting"),
    ]
    assert all(row.text is None for row in rows)


async def test_a_reminder_that_would_be_due_already_is_none(world: World) -> None:
    await book(world, datetime.fromisoformat("2026-03-16T10:00:00+01:00"))
    assert [row.kind for row in await outbox(world)] == ["confirmation"]


async def test_the_sent_message_opens_the_appointment_s_door(world: World) -> None:
    made = await book(world)
    await send_due(world)
    row = (await outbox(world))[0]
    assert (row.state, row.sent_at, row.recipient, row.channel) == ("sent", NOW, "anna@example.org", "mail")
    token = (row.text or "").split("https://visits.example.org/v/")[1].split()[0]
    async with world.database.reading() as session:
        link = await links.resolve(session, token, LinkKind.VISIT)
    assert link.subject_id == made.id
    (event,) = Calendar.from_ical(row.ics or b"").walk("VEVENT")
    assert str(event["UID"]) == f"{made.id}@visits.example.org"


async def test_sending_twice_sends_once(world: World) -> None:
    await book(world)
    await send_due(world)
    first = (await outbox(world))[0].text
    await send_due(world)
    assert (await outbox(world))[0].text == first


async def test_a_moved_visit_s_old_reminder_is_never_sent(world: World) -> None:
    made = await book(world)
    await send_due(world)
    await move(world, made, NINE + timedelta(hours=3))
    await send_due(world, NINE - timedelta(hours=23))
    rows = await outbox(world)
    assert sorted((row.kind, row.state, row.sequence) for row in rows) == [
        ("change", "sent", 1),
        ("confirmation", "sent", 0),
        ("reminder", "dropped", 0),
        ("reminder", "waiting", 1),
    ]
    await send_due(world, NINE - timedelta(hours=20))
    (reminder,) = [row for row in await outbox(world) if row.kind == "reminder" and row.state == "sent"]
    assert "12:00" in (reminder.text or "")


async def test_c95_the_calendar_follows_book_move_cancel_and_a_new_booking_is_a_new_entry(world: World) -> None:
    made = await book(world)
    await send_due(world)
    await move(world, made, NINE + timedelta(hours=1), NOW + timedelta(hours=1))
    await send_due(world, NOW + timedelta(hours=1))
    await cancel(world, made, NOW + timedelta(hours=2))
    await send_due(world, NOW + timedelta(hours=2))
    await book(world, now=NOW + timedelta(hours=3))
    await send_due(world, NOW + timedelta(hours=3))
    files = [Calendar.from_ical(row.ics) for row in await outbox(world) if row.ics]
    events = [calendar.walk("VEVENT")[0] for calendar in files]
    assert [str(calendar["METHOD"]) for calendar in files] == ["REQUEST", "REQUEST", "CANCEL", "REQUEST"]
    assert [str(event["SEQUENCE"]) for event in events] == ["0", "1", "2", "0"]
    assert len({str(event["UID"]) for event in events[:3]}) == 1
    assert str(events[3]["UID"]) != str(events[0]["UID"])


async def test_what_never_left_is_not_taken_back(world: World) -> None:
    made = await book(world)
    await move(world, made, NINE + timedelta(hours=1))
    await send_due(world)
    assert [row.kind for row in await outbox(world) if row.state == "sent"] == ["confirmation"]
    other = await book(world, patient_id=world.boris, starts_at=NINE + timedelta(hours=3))
    await cancel(world, other)
    await send_due(world)
    assert {row.state for row in await outbox(world) if row.appointment_id == other.id} == {"dropped"}


async def test_a_patient_without_mail_gets_a_text_and_without_anything_nothing(world: World) -> None:
    await book(world, patient_id=world.boris)
    await book(world, patient_id=world.chen, starts_at=NINE + timedelta(hours=1))
    await send_due(world)
    rows = [row for row in await outbox(world) if row.kind == "confirmation"]
    assert [(row.channel, row.recipient, row.html, row.ics) for row in rows] == [("sms", "+4930222", None, None)]
    assert "Boris" in (rows[0].text or "")


async def test_send_again_makes_another_link_and_leaves_the_first(world: World) -> None:
    made = await book(world)
    await send_due(world)
    await send_again(world, made, world.anna)
    await send_due(world)
    async with world.database.reading() as session:
        found = list(await session.scalars(select(Link).where(Link.subject_id == made.id)))
    assert len(found) == 2
    assert not [link for link in found if link.closed_at is not None]


async def test_sending_again_to_nobody_says_so(world: World) -> None:
    made = await book(world, patient_id=world.chen)
    with pytest.raises(DomainError) as refused:
        await send_again(world, made, world.chen)
    assert refused.value.code is Code.WRONG_PHASE
    assert "neither an e-mail address" in refused.value.message


async def test_sending_again_to_whoever_wants_no_messages_says_that_instead(world: World) -> None:
    made = await book(world)
    async with world.database.writing() as session:
        await messages.refuse(session, await session.get_one(Patient, (world.clinic.id, world.anna)), ["mail"], NOW)
    await send_again(world, made, world.anna)
    async with world.database.writing() as session:
        anna = await session.get_one(Patient, (world.clinic.id, world.anna))
        await messages.refuse(session, anna, ["mail", "sms"], NOW)
    with pytest.raises(DomainError) as refused:
        await send_again(world, made, world.anna)
    assert "wants no messages" in refused.value.message


@pytest.mark.parametrize("channel", ["mail", "sms"])
async def test_a_message_holds_none_of_the_markers_of_every_other_field(world: World, channel: str) -> None:
    """Sender and file names are written from the same facts, see test_wording.py."""
    marker, is_mail = "MARKER", channel == "mail"
    async with world.database.writing() as session:
        await session.execute(
            update(Patient)
            .where(Patient.id == world.anna)
            .values(
                name=f"Anna {marker}name",
                search_key=f"{marker}key",
                phone=f"+49{marker}" if is_mail else "+49 30 11",
                email="anna@example.org" if is_mail else None,
                language="en",
            )
        )
        await session.execute(update(Clinic).values(name=f"{marker}clinic", emergency_text=f"{marker}emergency"))
        await session.execute(update(VisitType).values(name=f"{marker}type"))
        await session.execute(update(Person).values(name=f"{marker}person", email=None))
    made = await book(
        world,
        kind=Kind.SQUEEZED_IN,
        reason=f"{marker}reason",
        idempotency_key=f"{marker}idem",
        language=f"{marker}speech",
        interpreter="signed",
    )
    await send_due(world)
    async with world.database.writing() as session:
        delay = Delay(20, "The lift is stuck")
        assert await delays.run_late(session, world.act(), world.doctor, made.ends_at, delay) == Hearers(1, 0)
    await send_due(world)
    await move(world, made, NINE + timedelta(hours=1))
    await send_due(world)
    await in_transaction(
        world.database, lambda session: service.cancel(session, world.act(), made.id, f"{marker}cancelled")
    )
    await send_due(world)
    async with world.database.writing() as session:
        patient = await session.get_one(Patient, (world.clinic.id, world.anna))
        await messages.queue_page_link(session, world.clinic, patient, NOW)
    await send_due(world)
    sent = [row for row in await outbox(world) if row.state == "sent"]
    assert {row.kind for row in sent} == {"confirmation", "late", "change", "cancellation", "page_link"}
    assert {row.channel for row in sent} == {channel}
    for row in sent:
        whole = "".join((row.subject or "", row.text or "", row.html or "", (row.ics or b"").decode()))
        assert ("The lift is stuck" in whole) == (row.kind == "late")
        assert "interpret" not in whole.lower()
        unfolded = whole.replace("\r\n ", "")
        assert "Anna" in unfolded
        assert marker.lower() not in unfolded.lower()


async def test_a_code_goes_to_the_phone_and_is_made_when_sent(world: World) -> None:
    from server.accounts.events import PageCodeAsked  # noqa: PLC0415 (only here)

    handlers.register(world.events)
    async with world.database.writing() as session:
        token = await links.new_link(
            session, clinic_id=world.clinic.id, kind=LinkKind.PAGE, subject_id=world.anna, now=NOW
        )
        link = await links.resolve(session, token, LinkKind.PAGE)
        await world.events.raise_event(session, PageCodeAsked(world.clinic.id, world.anna, link.id, NOW))
    assert [row.text for row in await outbox(world)] == [None]
    await send_due(world)
    (row,) = await outbox(world)
    assert (row.kind, row.channel, row.recipient) == ("code", "sms", "+4930111")
    assert any(word.isdigit() and len(word) == 6 for word in (row.text or "").replace(":", " ").split())


async def test_without_a_gateway_production_says_failed_and_keeps_no_words(world: World) -> None:
    await book(world)
    await send_due(world, settings=SETTINGS.model_copy(update={"env": "production"}))
    row = (await outbox(world))[0]
    assert (row.state, row.error, row.text) == ("failed", "no_gateway", None)


async def test_a_gateway_that_is_away_leaves_the_message_for_the_next_try(world: World, unused_tcp_port: int) -> None:
    await book(world)
    away = SETTINGS.model_copy(update={"smtp_url": SecretStr(f"smtp://127.0.0.1:{unused_tcp_port}")})
    with pytest.raises(JobFailed):
        await send_due(world, settings=away)
    assert (await outbox(world))[0].state == "sending"
    await send_due(world)
    assert ((await outbox(world))[0].state, (await outbox(world))[0].attempts) == ("sent", 2)


async def test_a_gateway_takes_the_letter_and_the_words_are_dropped(world: World) -> None:
    await book(world)
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            heard.append(line)
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                while (line := await reader.readline()) != b".\r\n":
                    heard.append(line)
            writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await send_due(world, settings=SETTINGS.model_copy(update={"smtp_url": SecretStr(f"smtp://127.0.0.1:{port}")}))
    row = (await outbox(world))[0]
    assert (row.state, row.text, row.html, row.ics, row.subject) == ("sent", None, None, None, None)
    assert b"RCPT TO:<anna@example.org>\r\n" in heard
    assert any(b"text/calendar" in line for line in heard)


async def test_another_clinic_s_message_is_not_sent_under_this_one(world: World) -> None:
    await book(world)
    subject = (await outbox(world))[0].id
    await jobs.send_message(replace(job_for(world, subject, NOW), clinic_id=world.other_clinic.id))
    assert (await outbox(world))[0].state == "waiting"
