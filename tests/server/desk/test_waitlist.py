"""A freed time goes down the waiting list: one person at a time, each with a deadline, never to two."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from server import context
from server.accounts.service import NewPatient
from server.jobs.loop import JobsLoop
from server.records.events import NoteReleased
from server.scheduling import jobs, offers, service
from server.scheduling.models import Hold, Message, Tick, VisitType
from server.scheduling.ticks import in_transaction
from server.scheduling.waiting_models import WaitlistEntry, WaitlistOffer
from tests.server.cast import PATIENTS, Browser, add_patient
from tests.server.desk.conftest import SQUEEZED, TEN, Desk
from tests.server.desk.test_browser import chromium

TOMORROW = TEN + timedelta(days=1)
NEXT_WEEK = TEN + timedelta(days=7)
THIRD = NewPatient("Chloé Petit", "Chloé", date(1990, 2, 3), email="chloe@mail.example")
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


DEADLINES = [
    ("2026-03-16 10:00", "2026-03-17 10:00", "2026-03-16 12:00"),
    ("2026-03-16 10:00", "2026-03-16 12:00", "2026-03-16 11:30"),
    ("2026-03-16 10:00", "2026-03-16 10:50", "2026-03-16 10:20"),
    ("2026-03-16 10:00", "2026-03-16 10:45", None),
    ("2026-03-16 23:00", "2026-03-17 12:00", "2026-03-17 10:00"),
    ("2026-03-17 03:00", "2026-03-17 12:00", "2026-03-17 10:00"),
    ("2026-03-16 20:59", "2026-03-17 12:00", "2026-03-16 22:59"),
    ("2026-03-16 21:00", "2026-03-17 08:30", None),
    ("2026-03-28 22:00", "2026-03-29 12:00", "2026-03-29 10:00"),
]


@pytest.mark.parametrize(("now", "starts_at", "expected"), DEADLINES)
def test_an_answer_has_two_hours_of_the_waking_day(now: str, starts_at: str, expected: str | None) -> None:
    until = offers.answer_until(at(now), at(starts_at), BERLIN)
    assert until == (at(expected) if expected else None)


async def run_jobs(desk: Desk) -> None:
    site = desk.site
    loop = JobsLoop(site.database, site.settings, site.app[context.VAULT], site.clock, jobs.HANDLERS)
    await loop.run_due()


async def cancel(desk: Desk, appointment: str) -> None:
    await in_transaction(
        desk.site.database, lambda session: service.cancel(session, desk.act(), appointment, "Is well again")
    )
    await run_jobs(desk)


async def all_offers(desk: Desk) -> list[tuple[str, str]]:
    """(patient, state) in the order in which they were asked."""
    async with desk.site.database.reading() as session:
        rows = await session.execute(
            select(WaitlistEntry.patient_id, WaitlistOffer.state)
            .join(WaitlistEntry, WaitlistEntry.id == WaitlistOffer.entry_id)
            .order_by(WaitlistOffer.offered_at)
        )
        return [(patient, state) for patient, state in rows]


async def offer_link(desk: Desk, patient: str) -> str:
    """The address in the newest offer that was sent to them."""
    async with desk.site.database.reading() as session:
        query = select(Message).where(Message.kind == "offer", Message.patient_id == patient, Message.state == "sent")
        message = (await session.scalars(query.order_by(Message.created_at.desc()).limit(1))).one()
    return str(re.findall(r"https?://[^/]+(/o/\S+)", message.text or "")[0])


async def waiting_two(desk: Desk) -> tuple[str, str]:
    """The freed visit's patient aside, two wait: one with a visit next week, one with none."""
    cast = desk.site.cast
    later = await desk.book(cast.other_patient, cast.doctor, NEXT_WEEK)
    async with desk.site.database.writing() as session:
        third = await add_patient(session, cast.clinic, THIRD, desk.site.clock())
    scheduler = await desk.site.browser_of("scheduler")
    assert (await scheduler.post(f"{desk.root}/appointments/{later}/wait")).status == 303
    desk.site.clock.forward(minutes=1)
    form = {"visit_type": desk.visit_type, "doctor": "", "notice_min": "60"}
    assert (await scheduler.post(f"{desk.root}/book/{third}/wait", form)).status == 303
    return later, third


async def test_a_cancelled_time_goes_to_the_first_and_their_link_stays(desk: Desk) -> None:
    cast = desk.site.cast
    later, third = await waiting_two(desk)
    freed = await desk.book(cast.patient, cast.doctor, TOMORROW)
    await cancel(desk, freed)
    assert await all_offers(desk) == [(cast.other_patient, "open")]
    link = await offer_link(desk, cast.other_patient)
    nobody = desk.site.browser()
    page = await (await nobody.get(link)).text()
    assert "It would be instead of" in page
    assert "Weiss" not in page
    for _ in range(3):
        assert (await nobody.get(link)).status == 200
    assert await all_offers(desk) == [(cast.other_patient, "open")]
    listed = await (await (await desk.site.browser_of("doctor")).get(f"{desk.root}/waitlist")).text()
    assert "kept until" in listed
    assert (await nobody.post(link, {"answer": "yes"})).status == 303
    assert (await nobody.post(link, {"answer": "yes"})).status == 303
    assert "is yours" in await (await nobody.get(link)).text()
    moved = await desk.load(later)
    assert (moved.starts_at, moved.sequence) == (TOMORROW, 1)
    await run_jobs(desk)
    # What they gave up is free now, and goes to the next.
    assert await all_offers(desk) == [(cast.other_patient, "accepted"), (third, "open")]
    async with desk.site.database.reading() as session:
        assert {hold.starts_at for hold in await session.scalars(select(Hold))} == {NEXT_WEEK}


async def test_a_no_and_a_deadline_pass_the_time_on(desk: Desk) -> None:
    cast = desk.site.cast
    _, third = await waiting_two(desk)
    freed = await desk.book(cast.patient, cast.doctor, TOMORROW)
    await cancel(desk, freed)
    link = await offer_link(desk, cast.other_patient)
    nobody = desk.site.browser()
    assert (await nobody.post(link, {"answer": "perhaps"})).status == 422
    assert (await nobody.post(link, {"answer": "no"})).status == 303
    assert "You said no" in await (await nobody.get(link)).text()
    await run_jobs(desk)
    assert await all_offers(desk) == [(cast.other_patient, "declined"), (third, "open")]
    assert (await nobody.post(link, {"answer": "yes"})).status == 409
    late = await offer_link(desk, third)
    desk.site.clock.forward(hours=2, minutes=1)
    assert (await nobody.post(late, {"answer": "yes"})).status == 409
    assert "This offer is over" in await (await nobody.get(late)).text()
    await run_jobs(desk)
    assert await all_offers(desk) == [(cast.other_patient, "declined"), (third, "expired")]
    async with desk.site.database.reading() as session:
        assert not list(await session.scalars(select(Tick).where(Tick.hold_id.is_not(None))))
    again = await desk.book(cast.patient, cast.doctor, TOMORROW)
    assert again


async def test_the_time_is_held_for_who_was_asked_and_two_yeses_make_one_visit(desk: Desk) -> None:
    cast = desk.site.cast
    _, third = await waiting_two(desk)
    await cancel(desk, await desk.book(cast.patient, cast.doctor, TOMORROW))
    scheduler = await desk.site.browser_of("scheduler")
    form = {
        "key": "k",
        "visit_type": desk.visit_type,
        "slot": f"{cast.doctor}|{TOMORROW.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    assert (await scheduler.post(f"{desk.root}/book/{third}", form)).status == 409
    link = await offer_link(desk, cast.other_patient)
    browsers = [desk.site.browser() for _ in range(3)]
    answers = await asyncio.gather(*(browser.post(link, {"answer": "yes"}) for browser in browsers))
    assert {answer.status for answer in answers} == {303}
    at_that_time = [one for one in await desk.appointments() if one.starts_at == TOMORROW and one.status == "booked"]
    assert len(at_that_time) == 1


async def test_who_has_another_visit_then_is_passed_over_and_told_so_truly(desk: Desk) -> None:
    cast = desk.site.cast
    _, third = await waiting_two(desk)
    await desk.book(cast.other_patient, cast.colleague, TOMORROW)
    await cancel(desk, await desk.book(cast.patient, cast.doctor, TOMORROW))
    assert await all_offers(desk) == [(third, "open")]
    link = await offer_link(desk, third)
    await desk.book(third, cast.colleague, TOMORROW, **SQUEEZED)
    answer = await desk.site.browser().post(link, {"answer": "yes"})
    assert answer.status == 409
    assert "You have another visit at this time." in await answer.text()


async def test_who_has_a_visit_of_a_kind_not_offered_any_more_waits_for_an_earlier_time_all_the_same(
    desk: Desk,
) -> None:
    cast = desk.site.cast
    later, freed = [
        await desk.book(patient, cast.doctor, starts_at)
        for patient, starts_at in ((cast.other_patient, NEXT_WEEK), (cast.patient, TOMORROW))
    ]
    async with desk.site.database.writing() as session:
        await session.execute(update(VisitType).where(VisitType.id == desk.visit_type).values(is_active=False))
    scheduler = await desk.site.browser_of("scheduler")
    assert (await scheduler.post(f"{desk.root}/appointments/{later}/wait")).status == 303
    await cancel(desk, freed)
    link = await offer_link(desk, cast.other_patient)
    assert (await desk.site.browser().post(link, {"answer": "yes"})).status == 303
    assert (await desk.load(later)).starts_at == TOMORROW


async def mine(desk: Desk) -> tuple[Browser, str]:
    cast = desk.site.cast
    home = f"{desk.root}/patients/{cast.patient}/home"
    return await desk.site.browser_of("patient"), home


async def test_a_patient_asks_on_their_own_page_and_stops_asking(desk: Desk) -> None:
    browser, home = await mine(desk)
    one = f"{home}/visits/{desk.appointment}"
    assert (await browser.post(f"{one}/wait")).status == 303
    assert "We write to you when an earlier time is free." in await (await browser.get(home)).text()
    assert (await browser.post(f"{one}/wait/stop")).status == 303
    assert "Tell me when an earlier time is free" in await (await browser.get(home)).text()
    other = await desk.book(desk.site.cast.other_patient, desk.site.cast.doctor, TOMORROW)
    assert (await browser.post(f"{home}/visits/{other}/wait")).status == 404


async def test_who_leaves_the_list_or_cancels_is_not_asked(desk: Desk) -> None:
    cast = desk.site.cast
    later, third = await waiting_two(desk)
    scheduler = await desk.site.browser_of("scheduler")
    page = await (await scheduler.get(f"{desk.root}/waitlist")).text()
    assert page.index("Boris") < page.index("Chloé")
    await cancel(desk, later)
    assert await all_offers(desk) == [(third, "open")]
    link = await offer_link(desk, third)
    assert (await desk.site.browser().post(link, {"answer": "never"})).status == 303
    assert "not asked again" in await (await desk.site.browser().get(link)).text()
    await cancel(desk, await desk.book(cast.patient, cast.doctor, TOMORROW))
    assert await all_offers(desk) == [(third, "declined")]
    assert "Nobody waits." in await (await scheduler.get(f"{desk.root}/waitlist")).text()


BAD = [{"visit_type": ""}, {"until_on": "soon"}, {"notice_min": "0"}, {"notice_min": "x"}]


async def test_bad_wishes_put_nobody_on_the_list(desk: Desk) -> None:
    scheduler = await desk.site.browser_of("scheduler")
    here = f"{desk.root}/book/{desk.site.cast.patient}/wait"
    for change in BAD:
        answer = await scheduler.post(here, {"visit_type": desk.visit_type, **change})
        assert answer.headers["Location"].endswith("done=how"), change
    assert (await scheduler.post(here, {"visit_type": "nothing"})).status == 404
    assert (await scheduler.post(here, {"visit_type": desk.visit_type, "doctor": "nobody"})).status == 404
    assert (await scheduler.post(f"{desk.root}/waitlist/nobody/remove")).status == 404
    for token in ("x", "A" * 32, "../../x"):
        assert (await desk.site.browser().get(f"/o/{token}")).status == 404
        assert (await desk.site.browser().post(f"/o/{token}", {"answer": "yes"})).status == 404
    async with desk.site.database.reading() as session:
        assert list(await session.scalars(select(WaitlistEntry))) == []


async def sent(desk: Desk, kind: str, patient: str) -> str:
    """The words of the newest such message that was sent to them."""
    async with desk.site.database.reading() as session:
        query = select(Message.text).where(Message.kind == kind, Message.patient_id == patient, Message.state == "sent")
        return (await session.scalars(query.order_by(Message.created_at.desc()).limit(1))).one() or ""


@pytest.mark.browser
async def test_a_scanner_that_runs_script_opens_every_link_three_times_and_the_patient_still_succeeds(
    desk: Desk,
) -> None:
    """Every kind of link there is in a message (a visit's, an offer's, the own page's), looked at by a real browser:
    nothing is confirmed, taken, opened or used up, and then each does what it is for."""
    cast, site = desk.site.cast, desk.site
    await waiting_two(desk)
    released = NoteReleased(cast.clinic.id, cast.patient, "e", "n", 1, site.clock())
    async with site.database.writing() as session:
        await site.app[context.EVENTS].raise_event(session, released)
    await cancel(desk, await desk.book(cast.patient, cast.doctor, TOMORROW))
    async with site.database.reading() as session:
        texts = await session.scalars(select(Message.text).where(Message.state == "sent"))
        links = {found for text in texts for found in re.findall(r"https?://[^/]+(/\w/\S+)", text or "")}
    assert {link[:3] for link in links} == {"/v/", "/o/", "/p/"}
    before = [(one.id, one.status, one.starts_at, one.sequence) for one in await desk.appointments()]
    async with chromium() as browser:
        for _ in range(3):
            scanner = await (await browser.new_context()).new_page()
            for link in sorted(links):
                await scanner.goto(str(site.client.make_url(link)), wait_until="load")
            await scanner.context.close()
        assert [(one.id, one.status, one.starts_at, one.sequence) for one in await desk.appointments()] == before
        assert await all_offers(desk) == [(cast.other_patient, "open")]
        assert "code" not in [message.kind for message in await desk.messages()]
        patient = await (await browser.new_context()).new_page()
        await patient.goto(str(site.client.make_url(await offer_link(desk, cast.other_patient))))
        await patient.get_by_role("button", name="Yes, I take it").click()
        await patient.get_by_text("The earlier appointment is yours.").wait_for()
    assert await all_offers(desk) == [(cast.other_patient, "accepted")]
    own = site.browser()
    (page,) = re.findall(r"/p/\S+", await sent(desk, "page_link", cast.patient))
    assert (await own.post(f"{page}/code")).status == 303
    await run_jobs(desk)
    (code,) = re.findall(r"\b\d{6}\b", await sent(desk, "code", cast.patient))
    opened = await own.post(page, {"birth_date": PATIENTS[0].birth_date.isoformat(), "code": code})
    assert opened.headers["Location"] == f"{desk.root}/patients/{cast.patient}/home"
    site.clock.forward(minutes=25)
    async with site.database.reading() as session:
        query = select(Message.text).where(Message.appointment_id == desk.appointment, Message.kind == "confirmation")
        (visit,) = re.findall(r"/v/\S+", (await session.scalars(query)).one() or "")
    went_in = await site.browser().post(visit, {"identity": "self"})
    assert went_in.headers["Location"].startswith("/visits/")
