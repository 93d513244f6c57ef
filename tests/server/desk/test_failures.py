"""What no gateway took stands on the board, however it failed: away for good, or saying no to a number each time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import select, update

from server import context
from server.accounts import notices
from server.accounts.models import Patient
from server.accounts.notices import WORDS, Notice
from server.accounts.trust_models import StaffNotice
from server.config import Settings
from server.jobs.claim import ATTEMPTS_MAX, backoff
from server.jobs.loop import JobsLoop
from server.scheduling import jobs, outbox
from server.scheduling.models import Message
from tests.server.desk.conftest import TEN, Desk


def loop_of(desk: Desk, settings: Settings) -> JobsLoop:
    site = desk.site
    return JobsLoop(site.database, settings, site.app[context.VAULT], site.clock, jobs.HANDLERS)


async def board(desk: Desk) -> str:
    """The part of it that shows what failed; empty when nothing did."""
    scheduler = await desk.site.signed_in(desk.site.cast.scheduler)
    page = await (await scheduler.get(f"{desk.root}/board/list")).text()
    return page.partition('id="failed"')[2].partition("</section>")[0]


@pytest.fixture
def away(desk: Desk, unused_tcp_port: int) -> Settings:
    """Nobody listens where the mail gateway should be."""
    return desk.site.settings.model_copy(update={"smtp_url": SecretStr(f"smtp://127.0.0.1:{unused_tcp_port}")})


async def refusing(desk: Desk, aiohttp_server) -> Settings:  # type: ignore[no-untyped-def]
    """A text gateway that says no to every number, and patients who have nothing else."""

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=400)

    app = web.Application()
    app.router.add_post("/{tail:.*}", refuse)
    server = await aiohttp_server(app)
    address = SecretStr(f"json://127.0.0.1:{server.port}/{{to}}")
    async with desk.site.database.writing() as session:
        await session.execute(update(Patient).values(email=None))
        texts = update(Message).values(channel="sms", recipient=Patient.phone).where(Message.patient_id == Patient.id)
        await session.execute(texts.execution_options(synchronize_session=False))
    return desk.site.settings.model_copy(update={"sms_url": address})


@pytest.mark.parametrize(("gateway", "error"), [("away", "gateway_unreachable"), ("refusing", "gateway_refused")])
async def test_what_was_tried_in_vain_often_enough_shows(  # type: ignore[no-untyped-def]
    desk: Desk, away: Settings, aiohttp_server, gateway: str, error: str
) -> None:
    site, cast = desk.site, desk.site.cast
    tomorrow = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(days=1))
    loop = loop_of(desk, away if gateway == "away" else await refusing(desk, aiohttp_server))
    for tried in range(1, ATTEMPTS_MAX + 1):
        assert tomorrow not in await board(desk), tried
        await loop.run_due()
        site.clock.now += backoff(tried)
    assert tomorrow in await board(desk)
    (failed,) = [one for one in await desk.messages() if (one.appointment_id, one.kind) == (tomorrow, "confirmation")]
    assert (failed.state, failed.error, failed.attempts) == ("failed", error, ATTEMPTS_MAX)
    page = await (await (await site.signed_in(cast.scheduler)).get(f"{desk.root}/appointments/{tomorrow}")).text()
    assert "being sent" not in page
    await loop_of(desk, site.settings).run_due()
    scheduler = await site.signed_in(cast.scheduler)
    assert (await scheduler.post(f"{desk.root}/appointments/{tomorrow}/send-again")).status == 303
    assert tomorrow not in await board(desk)


async def test_it_shows_before_the_visit_begins_though_it_could_be_tried_more_often(desk: Desk, away: Settings) -> None:
    site = desk.site
    site.clock.now = TEN - timedelta(minutes=1)
    loop = loop_of(desk, away)
    for tried in range(1, 5):
        await loop.run_due()
        site.clock.now += backoff(tried)
    assert site.clock.now > TEN
    site.clock.now = TEN - timedelta(seconds=1)
    assert desk.appointment in await board(desk)
    assert [one.attempts for one in await desk.messages() if one.kind == "confirmation"] == [4]


async def test_what_is_no_longer_true_when_it_is_given_up_is_dropped(desk: Desk, away: Settings) -> None:
    """The worker died in each of its tries; meanwhile the visit was moved."""
    site, cast = desk.site, desk.site.cast
    (message, *_) = [one for one in await desk.messages() if one.kind == "confirmation"]
    await loop_of(desk, away).run_due()
    scheduler = await site.signed_in(cast.scheduler)
    later = f"{cast.doctor}|2026-03-16T10:30:00Z"
    moved = {"slot": later, "sequence": "0"}
    assert (await scheduler.post(f"{desk.root}/appointments/{desk.appointment}/move", moved)).status == 303
    async with site.database.writing() as session:
        await outbox.settle_given_up(session, cast.clinic.id, message.id, "given_up", site.clock())
    states = {one.id: (one.state, one.error) for one in await desk.messages()}
    assert states[message.id] == ("dropped", None)


async def test_a_notice_to_staff_that_no_gateway_takes_is_failed_too(desk: Desk, away: Settings) -> None:
    site, cast = desk.site, desk.site.cast
    async with site.database.writing() as session:
        notice = Notice(next(iter(WORDS)), cast.administrator, "called_back")
        await notices.tell(session, cast.clinic.id, [cast.doctor], notice, site.clock())
    loop = loop_of(desk, away)
    for tried in range(1, ATTEMPTS_MAX + 1):
        await loop.run_due()
        site.clock.now += backoff(tried)
    async with site.database.reading() as session:
        (row,) = await session.scalars(select(StaffNotice))
    assert (row.state, row.error) == ("failed", "gateway_unreachable")
