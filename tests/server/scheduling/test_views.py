"""Booking at the desk in the real application: find, register, pick, Book, and every way it can go wrong."""

from __future__ import annotations

import re
from datetime import timedelta

from sqlalchemy import select

from server.accounts.models import Patient
from server.db import new_id
from server.permissions import StaffRole
from server.scheduling import service
from server.scheduling.models import Schedule
from server.scheduling.service import Booking
from server.scheduling.ticks import in_transaction
from tests.server.cast import Browser, add_staff
from tests.server.desk.conftest import TEN, Desk

ISO = "2026-03-16T09:30:00Z"


async def looked_for(browser: Browser, root: str, search: str) -> str:
    """The page that a search leads to."""
    answer = await browser.post(f"{root}/book", {"search": search})
    assert answer.status == 303
    return await (await browser.get(answer.headers["Location"])).text()


async def people_found(desk: Desk, search: str) -> list[str]:
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    text = await looked_for(browser, desk.root, search)
    return re.findall(r'bs-person__who"><bdi class="bs-name">([^<]+)<', text)


SEARCHES = [
    ("anna", ["Anna Müller"]),
    ("MULLER", ["Anna Müller"]),
    ("muler ana", ["Anna Müller"]),
    ("Ivanof", ["Boris Ivanov"]),
    ("1980-05-01", ["Anna Müller"]),
    ("1.5.1980", ["Anna Müller"]),
    ("030 2312 5102", ["Boris Ivanov"]),
    ("5101", ["Anna Müller"]),
    ("%", []),
    ("_", []),
    ("2026-02-31", []),
    ("'; drop table patient; --", []),
    ("", []),
]


async def test_search_forgives_accents_slips_and_finds_by_date_and_phone(desk: Desk) -> None:
    for search, expected in SEARCHES:
        assert await people_found(desk, search) == expected, search


async def test_a_known_patient_is_booked_in_four_steps(desk: Desk) -> None:
    cast = desk.site.cast
    browser = await desk.site.signed_in(cast.scheduler)
    found = await looked_for(browser, desk.root, "boris")
    address = re.findall(r'href="(/c/north/book/[^"]+)">Choose', found)[0]
    page = await (await browser.get(address)).text()
    assert "Monday 16 March 2026" in page
    fields = {name: re.findall(rf'name="{name}" value="([^"]*)"', page)[0] for name in ("key", "visit_type")}
    slots = re.findall(r'name="slot"[^>]*value="([^"]+)"', page)
    assert f"{cast.colleague}|{ISO}" in slots
    assert f"{cast.doctor}|{ISO}" not in slots
    done = await browser.post(address, {**fields, "slot": f"{cast.colleague}|{ISO}"})
    assert done.status == 303
    assert "Booked. The patient gets a message" in await (await browser.get(done.headers["Location"])).text()
    again = await browser.post(address, {**fields, "slot": f"{cast.colleague}|{ISO}"})
    assert again.headers["Location"] == done.headers["Location"]
    assert len(await desk.appointments()) == 2


async def test_a_stale_page_says_so_and_offers_the_next_three(desk: Desk) -> None:
    cast = desk.site.cast
    browser = await desk.site.signed_in(cast.scheduler)
    address = f"{desk.root}/book/{cast.other_patient}"
    form = {"key": "k", "visit_type": desk.visit_type, "slot": f"{cast.doctor}|{ISO}"}
    answer = await browser.post(address, form)
    assert answer.status == 409
    text = await answer.text()
    assert "This time is gone" in text
    nearest = re.findall(r'id="next-\d" value="([^"]+)"', text)
    assert len(nearest) == 3
    assert nearest[0] == f"{cast.colleague}|{ISO}"
    assert len(await desk.appointments()) == 1
    assert (await browser.post(address, {**form, "slot": nearest[0]})).status == 303


NO_BOOKINGS = [
    ({"slot": "{doctor}|2026-03-15T09:30:00Z"}, 422),
    ({"slot": "{doctor}|2026-03-16T09:31:00Z"}, 400),
    ({"slot": "{doctor}|0001-01-01T00:00:00Z"}, 422),
    ({"slot": "{doctor}|9999-12-31T23:59:00Z"}, 422),
    ({"slot": "{doctor}|9999-12-31T23:55:00-12:00"}, 422),
    ({"slot": "{doctor}|0001-01-01T00:00:00+14:00"}, 422),
    ({"slot": "{doctor}|2026-03-21T09:30:00Z"}, 422),
    ({"slot": "nobody|2026-03-16T12:00:00Z"}, 422),
    ({"visit_type": "nothing"}, 404),
    ({"visit_type": "x" * 40}, 422),
    ({"key": ""}, 422),
    ({"key": "k" * 65}, 422),
    ({"slot": "x" * 70_000}, 413),
]


async def test_a_booking_that_can_t_be_is_refused_and_nothing_is_left(desk: Desk) -> None:
    for change, status in NO_BOOKINGS:
        cast = desk.site.cast
        browser = await desk.site.signed_in(cast.scheduler)
        form = {"key": "k", "visit_type": desk.visit_type, "slot": f"{cast.doctor}|2026-03-16T12:00:00Z"}
        form |= {name: value.replace("{doctor}", cast.doctor) for name, value in change.items()}
        answer = await browser.post(f"{desk.root}/book/{cast.other_patient}", form)
        assert answer.status == status
        assert len(await desk.appointments()) == 1


async def test_another_clinic_s_patient_is_not_there(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.stranger)
    for path in (f"/c/south/book/{desk.site.cast.patient}", f"/c/south/appointments/{desk.appointment}"):
        assert (await browser.get(path)).status == 404
    assert "Müller" not in await looked_for(browser, "/c/south", "anna")


async def test_what_is_looked_for_stands_in_no_address_and_opens_for_nobody_else(desk: Desk) -> None:
    browser, cast = await desk.site.signed_in(desk.site.cast.scheduler), desk.site.cast
    places = []
    for search in ("Müller, Anna", "1.5.1980", "", "x" * 4000, "\U0001f469" * 300):
        answer = await browser.post(f"{desk.root}/book", {"search": search})
        places.append(answer.headers["Location"])
    assert len({len(place) for place in places}) == 1, "not even how long a name is"
    assert not any(mark in "".join(places) for mark in ("Anna", "anna", "ller", "1980"))
    page = await (await browser.get(places[0])).text()
    assert "Anna Müller" in page
    fresh = re.findall(r'href="(/c/north/book/new[^"]+)"', page)[0]
    assert "Anna" not in fresh
    assert 'value="Müller, Anna"' in await (await browser.get(fresh)).text()
    colleague = await desk.site.signed_in(cast.colleague)
    assert "Anna Müller" not in await (await colleague.get(places[0])).text()
    for wrong in ("x", "%ff", places[0].partition("=")[2][:-4], "A" * 7000):
        answer = await browser.get(f"{desk.root}/book?q={wrong}")
        assert (answer.status, "Anna" in await answer.text()) == (200, False)
    desk.site.clock.forward(hours=13)
    scheduler = await desk.site.signed_in(cast.scheduler)
    assert "Anna Müller" not in await (await scheduler.get(places[0])).text()


NEW = {"name": "Chloé Petit", "birth_date": "2001-02-03", "phone": "030 23125 199"}


async def load_patients(desk: Desk) -> list[Patient]:
    async with desk.site.database.reading() as session:
        return list(await session.scalars(select(Patient).order_by(Patient.created_at, Patient.name)))


async def test_a_new_patient_is_registered_and_booked_next(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    answer = await browser.post(f"{desk.root}/book/new", NEW)
    assert answer.status == 303
    made = [patient for patient in await load_patients(desk) if patient.name == "Chloé Petit"]
    assert [(patient.first_name, patient.phone) for patient in made] == [("Chloé", "+493023125199")]
    assert answer.headers["Location"] == f"{desk.root}/book/{made[0].id}"
    assert "Chloé Petit" in await (await browser.get(answer.headers["Location"])).text()


async def test_one_who_resembles_a_patient_on_file_is_asked_about_first(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    before = len(await load_patients(desk))
    twin = {"name": "Ana Mueller-Muller", "birth_date": "1980-05-01", "phone": "030 23125 177"}
    answer = await browser.post(f"{desk.root}/book/new", twin)
    assert answer.status == 409
    text = await answer.text()
    assert "Is it one of these?" in text
    assert "Anna Müller" in text
    assert "Ana Mueller-Muller" in text
    assert len(await load_patients(desk)) == before
    assert (await browser.post(f"{desk.root}/book/new", {**twin, "is_somebody_else": "true"})).status == 303
    same_phone = {"name": "Somebody", "birth_date": "1999-05-01", "phone": "030 23125 101"}
    assert (await browser.post(f"{desk.root}/book/new", same_phone)).status == 409
    assert (await browser.post(f"{desk.root}/book/new", {**NEW, "birth_date": "1980-05-01"})).status == 303


NO_PATIENTS = [
    ({"name": ""}, "Enter the whole name"),
    ({"name": "\u202e\u200b"}, "Enter a name that can be read"),
    ({"name": "x" * 500}, "too long"),
    ({"birth_date": "yesterday"}, "must be a date"),
    ({"birth_date": "2030-01-01"}, "must lie in the past"),
    ({"birth_date": "1750-01-01"}, "must lie in the past"),
    ({"phone": ""}, "Enter a phone number or an e-mail address"),
    ({"phone": "call me"}, "Enter a phone number, such as"),
    ({"email": "not an address"}, "Enter an e-mail address"),
    ({"email": "a@b.example\r\nBcc: x@evil.example"}, "Enter an e-mail address"),
]


async def test_a_new_patient_s_form_says_what_doesn_t_fit(desk: Desk) -> None:
    for change, sentence in NO_PATIENTS:
        browser = await desk.site.signed_in(desk.site.cast.scheduler)
        before = len(await load_patients(desk))
        answer = await browser.post(f"{desk.root}/book/new", {**NEW, **change})
        assert answer.status == 422
        assert sentence in await answer.text()
        assert len(await load_patients(desk)) == before


SQUEEZE = {"day": "2026-03-16", "clock": "10:35", "reason": "Results came", "key": "s1"}


async def test_squeezing_in_takes_a_reason_and_is_marked(desk: Desk) -> None:
    cast = desk.site.cast
    browser = await desk.site.signed_in(cast.scheduler)
    address = f"{desk.root}/book/{cast.other_patient}/squeeze-in"
    form = {**SQUEEZE, "doctor": cast.doctor, "visit_type": desk.visit_type}
    done = await browser.post(address, form)
    assert done.status == 303
    text = await (await browser.get(done.headers["Location"])).text()
    assert "Squeezed in" in text
    assert "Results came" in text


NO_SQUEEZES = [
    ({"reason": ""}, 422),
    ({"clock": "10:33"}, 400),
    ({"clock": "25:00"}, 422),
    ({"day": "2026-03-13"}, 422),
    ({"day": "2026-03-29", "clock": "02:30"}, 422),
    ({"day": "9999-12-31"}, 422),
    ({"doctor": "nobody"}, 422),
]


async def test_squeezing_in_at_no_time_is_refused(desk: Desk) -> None:
    for change, status in NO_SQUEEZES:
        cast = desk.site.cast
        browser = await desk.site.signed_in(cast.scheduler)
        form = {**SQUEEZE, "doctor": cast.doctor, "visit_type": desk.visit_type, **change}
        answer = await browser.post(f"{desk.root}/book/{cast.other_patient}/squeeze-in", form)
        assert answer.status == status, change
        assert len(await desk.appointments()) == 1


async def test_a_walk_in_stands_on_the_board_without_a_doctor(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    address = f"{desk.root}/book/{desk.site.cast.other_patient}/walk-in"
    done = await browser.post(address, {"visit_type": desk.visit_type, "key": "w"})
    assert done.status == 303
    text = await (await browser.get(f"{desk.root}/board")).text()
    assert "Without a doctor yet" in text


async def test_a_time_at_which_the_patient_has_another_visit_is_neither_listed_nor_offered_again(desk: Desk) -> None:
    cast = desk.site.cast
    browser = await desk.site.browser_of("scheduler")
    taken = f"{cast.colleague}|2026-03-16T09:30:00Z"
    address = f"{desk.root}/book/{cast.patient}"
    query = {"visit_type": desk.visit_type, "doctor": cast.colleague, "day": "2026-03-16"}
    assert taken not in await (await browser.get(address, params=query)).text()
    refused = await browser.post(address, {"visit_type": desk.visit_type, "key": "k", "slot": taken})
    page = await refused.text()
    assert refused.status == 409
    assert "The patient has another visit at this time" in page
    assert taken not in page
    other = f"{desk.root}/book/{cast.other_patient}"
    assert taken in await (await browser.get(other, params=query)).text(), "another patient is free then"
    patient = await desk.site.at_page(cast.patient)
    own = f"{address.replace('book', 'patients')}/home/book"
    assert "T09:30:00Z" not in await (await patient.get(own, params={"visit_type": desk.visit_type})).text()


async def test_a_visit_with_three_doctors_is_moved_with_all_of_them(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    async with site.database.writing() as session:
        third = await add_staff(session, cast.clinic, "Dr Three", StaffRole.DOCTOR, site.clock())
        hours = (await session.scalars(select(Schedule).where(Schedule.person_id == cast.doctor))).one()
        kept = {column.key: getattr(hours, column.key) for column in Schedule.__table__.columns}
        session.add(Schedule(**{**kept, "id": new_id(), "person_id": third}))
    trio = (cast.doctor, cast.colleague, third)
    asked = Booking(cast.other_patient, desk.visit_type, trio, TEN + timedelta(hours=1))
    made = await in_transaction(site.database, lambda session: service.book(session, desk.act(), asked))
    browser, one = await site.browser_of("scheduler"), f"{desk.root}/appointments/{made.id}/move"
    slots = re.findall(r'value="([^"|]+\|[^"]+)"', await (await browser.get(one)).text())
    await desk.book(cast.patient, third, TEN + timedelta(hours=2))
    taken = f"{slots[0].partition('|')[0]}|2026-03-16T11:30:00Z"
    refused = await (await browser.post(one, {"slot": taken, "sequence": "0"})).text()
    assert "This time is gone" in refused
    offered = re.findall(r'value="([^"|]+)\|([^"]+)"', refused)
    assert {tuple(sorted(who.split(","))) for who, _ in offered} == {tuple(sorted(trio))}, "nobody is left out"
    assert "2026-03-16T12:00:00Z" in dict(map(reversed, offered))
    onward = re.findall(r'href="([^"]*together=yes[^"]*)"', refused)[0].replace("&amp;", "&")
    address = onward if onward.startswith("/") else f"{one}{onward}"
    later = re.findall(r'value="([^"|]+)\|[^"]+"', await (await browser.get(address)).text())
    assert {tuple(sorted(who.split(","))) for who in later} == {tuple(sorted(trio))}
    assert (await browser.post(one, {"slot": slots[-1], "sequence": "0"})).status == 303
    async with site.database.reading() as session:
        assert set(await service.load_practitioner_ids(session, cast.clinic, made.id)) == set(trio)
    assert (await desk.load(made.id)).starts_at != asked.starts_at
