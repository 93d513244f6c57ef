"""By which way and when a message goes: no ringing at night, nothing by a refused way, text messages by a gateway."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Patient
from server.scheduling import messages, service
from server.scheduling.delivery import DeliveryFailed
from server.scheduling.messages import Item
from server.scheduling.models import Message
from server.scheduling.outbox import wake_at
from server.scheduling.textmessages import parse_text_gateway
from tests.server.scheduling.conftest import NOW, World


def rings_at(
    channel: str, now: str, starts_in: timedelta | None, zone: str = "Europe/Berlin", kind: str = "change"
) -> str:
    moment = datetime.fromisoformat(now).astimezone(UTC)
    starts_at = None if starts_in is None else moment + starts_in
    found = wake_at(Message(channel=channel, kind=kind), zone, starts_at, moment)
    return "now" if found is None else found.isoformat()


@pytest.mark.parametrize(
    ("channel", "now", "starts_in", "zone", "expected"),
    [
        ("sms", "2026-03-16T22:30:00+01:00", timedelta(days=3), "Europe/Berlin", "2026-03-17T07:00:00+00:00"),
        ("sms", "2026-03-17T07:59:00+01:00", timedelta(days=3), "Europe/Berlin", "2026-03-17T07:00:00+00:00"),
        ("sms", "2026-03-17T08:00:00+01:00", timedelta(days=3), "Europe/Berlin", "now"),
        ("sms", "2026-03-16T20:59:00+01:00", timedelta(days=3), "Europe/Berlin", "now"),
        ("sms", "2026-03-16T22:30:00+01:00", timedelta(hours=2), "Europe/Berlin", "now"),
        ("sms", "2026-03-16T22:30:00+01:00", timedelta(hours=5), "Europe/Berlin", "2026-03-17T00:30:00+00:00"),
        ("sms", "2026-03-28T23:00:00+01:00", timedelta(days=3), "Europe/Berlin", "2026-03-29T06:00:00+00:00"),
        ("sms", "2026-03-16T22:30:00+01:00", timedelta(days=3), "America/New_York", "now"),
        ("sms", "2026-03-16T22:30:00+01:00", None, "Asia/Kolkata", "2026-03-17T02:30:00+00:00"),
        ("mail", "2026-03-16T23:30:00+01:00", timedelta(days=3), "Europe/Berlin", "now"),
    ],
)
def test_a_text_message_waits_for_the_patient_s_morning_unless_the_visit_is_near(
    channel: str, now: str, starts_in: timedelta | None, zone: str, expected: str
) -> None:
    assert rings_at(channel, now, starts_in, zone) == expected


def test_a_code_that_somebody_waits_for_comes_at_night_too() -> None:
    assert rings_at("sms", "2026-03-16T23:30:00+01:00", None, kind="code") == "now"


async def test_a_refused_way_is_never_used_and_what_waits_there_goes_by_another_or_not_at_all(world: World) -> None:
    async with world.database.writing() as session:
        patient = await service.get_patient(session, world.clinic, world.anna)
        assert await _way(session, world, patient) == "mail"
        await messages.refuse(session, patient, {"mail"}, NOW)
        assert list((await session.scalars(select(Message.recipient))).all()) == [patient.phone]
        assert await _way(session, world, patient) == "sms"
        await messages.refuse(session, patient, {"mail", "sms"}, NOW)
        assert await _way(session, world, patient) is None
        states = (await session.scalars(select(Message.state))).all()
        assert list(states) == ["dropped", "dropped"]
        await messages.refuse(session, patient, set(), NOW)
        assert await _way(session, world, patient) == "mail"


async def _way(session: AsyncSession, world: World, patient: Patient) -> str | None:
    made = await messages.queue(session, world.clinic, patient, Item("page_link", NOW), NOW)
    return made.channel if made else None


async def test_a_text_message_reaches_the_gateway_with_number_and_words(aiohttp_server, capfd) -> None:  # type: ignore[no-untyped-def]
    heard: list[tuple[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        heard.append((request.path, (await request.json())["message"]))
        return web.Response(status=200 if len(heard) == 1 else 503)

    app = web.Application()
    app.router.add_post("/{tail:.*}", take)
    server = await aiohttp_server(app)
    gateway = parse_text_gateway(f"json://127.0.0.1:{server.port}/sms/{{to}}")
    await gateway.send("+4930555", "Video appointment for Anna")
    assert heard[0][0].rstrip("/").endswith("4930555")
    assert heard[0][1] == "Video appointment for Anna"
    with pytest.raises(DeliveryFailed, match="gateway_refused"):
        await gateway.send("+4930555", "Again")
    assert "4930555" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("address", ["", "x", "http//{to}", "json://127.0.0.1/", "nosuchservice://{to}"])
def test_an_address_that_is_no_gateway_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="apprise"):
        parse_text_gateway(address)
