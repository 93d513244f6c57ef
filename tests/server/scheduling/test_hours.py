"""Doctors' hours and kinds of visit: what contradicts itself is refused whole, what is saved is what slots follow."""

from __future__ import annotations

import re
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from server.audit import AuditAction, AuditEntry
from server.db import new_id
from server.scheduling import hours
from server.scheduling.models import Schedule, ScheduleException, VisitType, VisitTypeOffer
from server.scheduling.slots import Hours
from server.scheduling.weekly import parse_weekly
from tests.server.cast import Browser
from tests.server.desk.conftest import TEN, Desk

BERLIN, LONDON = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/London")


def block(rule: str, opens: int, closes: int, *, zone: ZoneInfo = BERLIN, **range_: date) -> Hours:
    return Hours(
        zone,
        parse_weekly(rule),
        opens * 60,
        closes * 60,
        range_.get("since", date(2026, 1, 1)),
        range_.get("until"),
    )


MEETINGS = [
    (block("FREQ=WEEKLY;BYDAY=MO", 9, 12), block("FREQ=WEEKLY;BYDAY=MO", 11, 13), True),
    (block("FREQ=WEEKLY;BYDAY=MO", 9, 12), block("FREQ=WEEKLY;BYDAY=MO", 12, 13), False),
    (block("FREQ=WEEKLY;BYDAY=MO", 9, 12), block("FREQ=WEEKLY;BYDAY=TU", 9, 12), False),
    (block("FREQ=WEEKLY;BYDAY=SU", 22, 30), block("FREQ=WEEKLY;BYDAY=MO", 5, 9), True),
    (block("FREQ=WEEKLY;BYDAY=SU", 22, 30), block("FREQ=WEEKLY;BYDAY=MO", 6, 9), False),
    (
        block("FREQ=WEEKLY;BYDAY=MO", 9, 12, until=date(2026, 5, 3)),
        block("FREQ=DAILY", 9, 12, since=date(2026, 5, 4)),
        False,
    ),
    (
        block("FREQ=WEEKLY;BYDAY=MO", 9, 12, until=date(2026, 5, 4)),
        block("FREQ=DAILY", 9, 12, since=date(2026, 5, 4)),
        True,
    ),
    (
        block("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", 9, 12),
        block("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", 9, 12, since=date(2026, 1, 5)),
        False,
    ),
    (block("FREQ=WEEKLY;INTERVAL=4;BYDAY=MO", 9, 12), block("FREQ=WEEKLY;INTERVAL=3;BYDAY=MO", 9, 12), True),
    # Berlin and New York are an hour nearer to each other for three weeks in March; Berlin and London never are.
    (block("FREQ=DAILY", 9, 10), block("FREQ=DAILY", 9, 10, zone=LONDON), False),
    (block("FREQ=DAILY", 9, 10), block("FREQ=DAILY", 4, 5, zone=ZoneInfo("America/New_York")), True),
]


@pytest.mark.parametrize(("one", "other", "expected"), MEETINGS)
def test_blocks_that_are_ever_open_together_meet(one: Hours, other: Hours, *, expected: bool) -> None:
    assert hours.meet(one, other) is hours.meet(other, one) is expected


WEEKLY = {
    "days": ["SA"],
    "opens": "09:00",
    "closes": "12:00",
    "valid_from": "2026-03-16",
    "weeks": "1",
    "zone": "Europe/Berlin",
}
DIFFERENT = {"kind": "extra", "on_date": "2026-03-21", "opens": "14:00", "closes": "16:00"}
BAD_BLOCKS: list[tuple[dict[str, object], str]] = [
    ({"closes": "08:00"}, "The hours end before they start."),
    ({"closes": "09:00"}, "The hours end before they start."),
    ({"closes": "10:00", "next_day": "yes"}, "more than 24 hours"),
    ({"days": []}, "Choose at least one day of the week"),
    ({"days": ["XX"]}, "Choose at least one day of the week"),
    ({"opens": ""}, "Enter from when until when"),
    ({"opens": "25:00"}, "From when must be a time"),
    ({"opens": "09:03"}, "multiple of five minutes"),
    ({"zone": "Europe/Nowhere"}, "This is no time zone we know"),
    ({"zone": "GMT+5"}, "This is no time zone we know"),
    ({"valid_until": "2026-03-15"}, "The last day lies before the first"),
    ({"valid_from": "yesterday"}, "The first day must be a date"),
    ({"valid_from": "0001-01-01"}, "Choose days of this century"),
    ({"weeks": "0"}, "How many weeks apart must be 1 or more"),
    ({"days": ["MO"], "opens": "16:00", "closes": "18:00"}, "The doctor has hours then already"),
]
BAD_EXCEPTIONS: list[tuple[dict[str, object], str]] = [
    ({"closes": "13:00"}, "The hours end before they start."),
    ({"on_date": ""}, "Enter the day"),
    ({"kind": "odd"}, "Choose one of the answers"),
    ({"opens": ""}, "Enter from when until when"),
    ({"until_date": "2026-03-20"}, "The last day lies before the first"),
    ({"until_date": "2028-03-20"}, "A year at most"),
    ({"on_date": "2026-03-29", "opens": "02:30", "closes": "04:00"}, "This time doesn’t exist on that day"),
    ({"on_date": "2026-10-25", "opens": "01:00", "closes": "02:30"}, "This time comes twice on that day"),
]


async def rows(desk: Desk, model: type[Schedule | ScheduleException | VisitType | VisitTypeOffer]) -> list[object]:
    async with desk.site.database.reading() as session:
        return list(await session.scalars(select(model)))


async def starts(desk: Desk, browser: Browser, day: str) -> list[str]:
    page = await (await browser.get(f"{desk.root}/book/{desk.site.cast.patient}?day={day}")).text()
    return [value.partition("|")[2] for value in re.findall(r'name="slot"[^>]*value="([^"]+)"', page)]


async def test_bad_hours_are_refused_in_plain_words_and_nothing_is_left(desk: Desk) -> None:
    browser = await desk.site.browser_of("administrator")
    here = f"{desk.root}/hours/{desk.site.cast.doctor}"
    before = len(await rows(desk, Schedule))
    for change, words in BAD_BLOCKS:
        answer = await browser.post(f"{here}/blocks", {**WEEKLY, **change})
        assert answer.status == 422, change
        assert words in await answer.text(), change
    for change, words in BAD_EXCEPTIONS:
        answer = await browser.post(f"{here}/exceptions", {**DIFFERENT, **change})
        assert answer.status == 422, change
        assert words in await answer.text(), change
    assert len(await rows(desk, Schedule)) == before
    assert await rows(desk, ScheduleException) == []


async def test_saved_hours_are_offered_and_ended_ones_are_not(desk: Desk) -> None:
    browser = await desk.site.browser_of("scheduler")
    here = f"{desk.root}/hours/{desk.site.cast.doctor}"
    assert await starts(desk, browser, "2026-03-21") == []
    assert (await browser.post(f"{here}/blocks", WEEKLY)).status == 303
    assert (await starts(desk, browser, "2026-03-21"))[0] == "2026-03-21T08:00:00Z"
    page = await (await browser.get(here)).text()
    assert "Sat 09:00–12:00" in page
    made = re.findall(r'/blocks/([^"]+)"', page)
    saturday = next(
        row.id for row in await rows(desk, Schedule) if isinstance(row, Schedule) and row.rule.endswith("SA")
    )
    assert saturday in made
    assert (await browser.post(f"{here}/blocks/{saturday}", {"valid_until": "2026-03-20"})).status == 303
    assert await starts(desk, browser, "2026-03-21") == []
    assert (await browser.post(f"{here}/blocks/{saturday}", {"remove": "yes"})).status == 303
    assert (await browser.post(f"{here}/blocks/{saturday}", {"remove": "yes"})).status == 404
    elsewhere = f"{desk.root}/hours/{desk.site.cast.colleague}/blocks/{made[0]}"
    assert (await browser.post(elsewhere, {"remove": "yes"})).status == 404
    async with desk.site.database.reading() as session:
        noted = await session.scalars(
            select(AuditEntry.subject_kind).where(AuditEntry.action == AuditAction.SETTINGS_CHANGED.value)
        )
        assert list(noted) == ["hours"] * 3


async def test_a_closed_day_offers_nothing_and_says_what_is_booked_then(desk: Desk) -> None:
    browser = await desk.site.browser_of("administrator")
    here = f"{desk.root}/hours/{desk.site.cast.doctor}"
    closed = {"kind": "closed", "on_date": "2026-03-16", "until_date": "2026-03-17"}
    assert (await browser.post(f"{here}/exceptions", closed)).status == 303
    page = await (await browser.get(here)).text()
    assert "1 visit is booked then: give it away" in page
    assert (await browser.post(f"{here}/exceptions", closed)).status == 422
    assert len(await rows(desk, ScheduleException)) == 2
    scheduler = await desk.site.browser_of("scheduler")
    listed = await (await scheduler.get(f"{desk.root}/book/{desk.site.cast.patient}?day=2026-03-17")).text()
    assert desk.site.cast.doctor not in re.findall(r'value="([^"|]+)\|', listed)
    for made in re.findall(r'/exceptions/([^"]+)"', page):
        assert (await browser.post(f"{here}/exceptions/{made}")).status == 303
    assert await rows(desk, ScheduleException) == []


KIND = {"name": "Long talk", "length_min": "60", "audience": "new", "is_active": "yes"}
BAD_KINDS: list[tuple[dict[str, object], str]] = [
    ({"name": ""}, "Enter the name"),
    ({"name": "x" * 201}, "too long"),
    ({"length_min": "0"}, "must be 5 or more"),
    ({"length_min": "13"}, "multiple of five minutes"),
    ({"length_min": "long"}, "must be a whole number"),
    ({"buffer_after_min": "-5"}, "must be 0 or more"),
    ({"horizon_days": "9999"}, "must be 730 or less"),
    ({"audience": "nobody"}, "Choose one of the answers"),
    ({"offering": ["somebody"]}, "Choose doctors of this clinic"),
]


async def test_bad_kinds_are_refused_and_nothing_is_left(desk: Desk) -> None:
    browser = await desk.site.browser_of("administrator")
    for change, words in BAD_KINDS:
        answer = await browser.post(f"{desk.root}/kinds/new", {**KIND, **change})
        assert answer.status == 422, change
        assert words in await answer.text(), change
    assert len(await rows(desk, VisitType)) == 1
    assert (await browser.post(f"{desk.root}/kinds/elsewhere", KIND)).status == 404


async def test_only_who_offers_a_kind_is_offered_and_booked(desk: Desk) -> None:
    cast = desk.site.cast
    administrator, scheduler = await desk.site.browser_of("administrator"), await desk.site.browser_of("scheduler")
    assert (await administrator.post(f"{desk.root}/kinds/new", {**KIND, "offering": [cast.doctor]})).status == 303
    kind = next(row.id for row in await rows(desk, VisitType) if isinstance(row, VisitType) and row.name == "Long talk")
    book = f"{desk.root}/book/{cast.other_patient}"
    page = await (await scheduler.get(f"{book}?visit_type={kind}&day=2026-03-17")).text()
    assert set(re.findall(r'name="slot"[^>]*value="([^"|]+)\|', page)) == {cast.doctor}
    form = {"key": "k", "visit_type": kind, "slot": f"{cast.colleague}|2026-03-17T08:00:00Z"}
    assert (await scheduler.post(book, form)).status == 422
    assert (await scheduler.post(book, {**form, "slot": f"{cast.doctor}|2026-03-17T08:00:00Z"})).status == 303
    everybody = {**KIND, "offering": [cast.doctor, cast.colleague]}
    assert (await administrator.post(f"{desk.root}/kinds/{kind}", everybody)).status == 303
    assert await rows(desk, VisitTypeOffer) == []
    assert (await administrator.post(f"{desk.root}/kinds/{kind}", {**KIND, "is_active": ""})).status == 303
    assert "Long talk" not in await (await scheduler.get(book)).text()


async def test_a_kind_that_is_not_offered_any_more_leaves_its_booked_visits_as_they_were(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    tomorrow = await desk.book(cast.patient, cast.doctor, TEN + timedelta(days=1))
    async with site.database.writing() as session:
        await session.execute(update(VisitType).where(VisitType.id == desk.visit_type).values(is_active=False))
        other = {"name": "Other", "length_min": 10, "grid_min": 10, "created_at": site.clock()}
        session.add(VisitType(clinic_id=cast.clinic.id, id=new_id(), **other))
    scheduler = await site.browser_of("scheduler")
    one = f"{desk.root}/appointments/{tomorrow}"
    assert (await scheduler.post(f"{one}/send-again")).status == 303
    page = await (await scheduler.get(f"{one}/move")).text()
    assert {value[-7:] for value in re.findall(r'value="[^"|]+\|([^"]+)"', page)} == {":00:00Z", ":30:00Z"}
    to = {"slot": f"{cast.doctor}|2026-03-18T08:00:00Z", "sequence": "0"}
    assert (await scheduler.post(f"{one}/move", to)).status == 303
    patient, home = await site.at_page(cast.patient), f"{desk.root}/patients/{cast.patient}/home"
    assert f"visits/{tomorrow}/move" in await (await patient.get(home)).text()
    back = {"slot": f"{cast.doctor}|2026-03-18T09:00:00Z", "sequence": "1"}
    assert (await patient.post(f"{home}/visits/{tomorrow}/move", back)).status == 303
    asked = {"key": "k", "visit_type": desk.visit_type, "slot": f"{cast.doctor}|2026-03-19T09:00:00Z"}
    assert (await scheduler.post(f"{desk.root}/book/{cast.patient}", asked)).status == 404


async def test_a_patient_books_only_kinds_that_are_meant_for_them(desk: Desk) -> None:
    cast = desk.site.cast
    administrator, patient = await desk.site.browser_of("administrator"), await desk.site.browser_of("patient")
    for name, audience in (("For new ones", "new"), ("For known ones", "follow_up")):
        form = {**KIND, "name": name, "audience": audience, "for_patients": "yes"}
        assert (await administrator.post(f"{desk.root}/kinds/new", form)).status == 303
    ids = {row.name: row.id for row in await rows(desk, VisitType) if isinstance(row, VisitType)}
    here = f"{desk.root}/patients/{cast.patient}/home/book"
    form = {"key": "k", "slot": f"{cast.doctor}|2026-03-17T08:00:00Z"}
    for name, status in (("For known ones", 404), ("Follow-up", 404), ("For new ones", 303)):
        assert (await patient.post(here, {**form, "visit_type": ids[name]})).status == status, name
    assert ids["For known ones"] not in await (await patient.get(here)).text()
