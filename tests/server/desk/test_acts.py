"""What doctors, the desk and patients do in one press: take, run late, reach, move, cancel, export."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from datetime import date, timedelta

from ical.calendar_stream import IcsCalendarStream
from icalendar import Calendar
from sqlalchemy import select, update

from server import context
from server.accounts import links
from server.accounts.links import LinkKind
from server.accounts.models import Membership
from server.accounts.trust_models import StaffNotice
from server.db import new_id
from server.desk.sheets import plain_cell
from server.encounters.models import Encounter, Participant
from server.jobs.loop import JobsLoop
from server.scheduling import handing, jobs, service
from server.scheduling.models import Hold, Message, Schedule, Tick, VisitType
from server.scheduling.rules import Kind
from server.scheduling.service import Booking
from server.scheduling.ticks import in_transaction
from tests.server.cast import Site
from tests.server.desk.conftest import TEN, Desk


async def walk_in(desk: Desk, patient: str) -> str:
    asked = Booking(patient, desk.visit_type, (), desk.site.clock(), kind=Kind.WALK_IN)
    made = await in_transaction(desk.site.database, lambda session: service.book(session, desk.act(), asked))
    return made.id


async def test_of_two_doctors_who_press_take_at_once_one_has_the_patient(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    waiting = await walk_in(desk, cast.patient)
    doctors = [await site.signed_in(person) for person in (cast.doctor, cast.colleague)]
    press = f"{desk.root}/appointments/{waiting}/take"
    answers = await asyncio.gather(*(doctor.post(press) for doctor in doctors))
    places = sorted(answer.headers["Location"] for answer in answers)
    assert places[0] == f"{desk.root}/clinic?done=taken_by_other"
    assert places[1].startswith(f"{desk.root}/visits/")
    winner = next(n for n, answer in enumerate(answers) if "/visits/" in answer.headers["Location"])
    async with site.database.reading() as session:
        holders = await service.load_practitioner_ids(session, cast.clinic, waiting)
    assert holders == ((cast.doctor, cast.colleague)[winner],)
    assert (await doctors[winner].get(places[1])).status == 200
    assert (await doctors[1 - winner].get(places[1])).status == 404
    assert (await doctors[winner].post(press)).headers["Location"] == places[1]
    assert (await doctors[winner].post(f"{desk.root}/appointments/{desk.appointment}/take")).status == 409


async def test_the_longest_wait_comes_first_unless_the_desk_marks_urgent(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    first = await walk_in(desk, cast.patient)
    site.clock.forward(minutes=12)
    second = await walk_in(desk, cast.other_patient)
    doctor, scheduler = await site.signed_in(cast.doctor), await site.signed_in(cast.scheduler)

    async def order() -> list[str]:
        return re.findall(r'id="walk-in-([^"]+)"', await (await doctor.get(f"{desk.root}/clinic/list")).text())

    assert await order() == [first, second]
    board = await (await scheduler.get(f"{desk.root}/board/list")).text()
    assert f"untaken-{first}" in board
    assert f"untaken-{second}" not in board
    urgent = f"{desk.root}/appointments/{second}/urgent"
    assert (await scheduler.post(urgent, {"is_urgent": "true"})).status == 303
    assert await order() == [second, first]
    assert (await scheduler.post(urgent, {})).status == 303
    assert await order() == [first, second]


async def test_a_walk_in_reads_a_doctor_of_the_clinic_until_one_takes_them_who_then_has_seen_it(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    wanted, phone = await walk_in(desk, cast.patient), site.browser()
    async with site.database.writing() as session:
        token = await links.new_link(
            session, clinic_id=cast.clinic.id, kind=LinkKind.VISIT, subject_id=wanted, now=site.clock()
        )
    door = await (await phone.get(f"/v/{token}")).text()
    assert re.search(r"With</dt>\s*<dd[^>]*>a doctor of the clinic</dd>", door)
    place = (await phone.post(f"/v/{token}", {"identity": "self"})).headers["Location"]
    room = await (await phone.get(place)).text()
    assert "<title>A doctor of the clinic" in room
    assert '"title": "A doctor of the clinic"' in room
    async with site.database.writing() as session:
        patient = await session.get_one(Participant, (cast.clinic.id, place.rpartition("/")[2]))
        patient.state, patient.waiting_since = "waiting", site.clock()
    doctor = await site.signed_in(cast.doctor)
    assert (await doctor.post(f"{desk.root}/appointments/{wanted}/take")).status == 303
    async with site.database.reading() as session:
        assert (await session.get_one(Participant, (cast.clinic.id, patient.id))).seen_at == site.clock()
    assert "<title>Dr " in await (await phone.get(place)).text()


async def run_jobs(desk: Desk) -> None:
    site = desk.site
    await JobsLoop(site.database, site.settings, site.app[context.VAULT], site.clock, jobs.HANDLERS).run_due()


async def test_whoever_wrote_a_walk_in_down_is_told_once_when_nobody_takes_it_in_time(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    doctor, scheduler = await site.signed_in(cast.doctor), await site.signed_in(cast.scheduler)

    async def told() -> list[tuple[str, str | None]]:
        async with site.database.reading() as session:
            rows = await session.scalars(select(StaffNotice).where(StaffNotice.kind == "walk_in_untaken"))
            return [(row.person_id, row.detail) for row in rows]

    async def send(patient: str) -> str:
        form = {"visit_type": desk.visit_type, "key": new_id()}
        page = (await scheduler.post(f"{desk.root}/book/{patient}/walk-in", form)).headers["Location"]
        return page.partition("?")[0].rpartition("/")[2]

    taken, left = await send(cast.patient), await send(cast.other_patient)
    assert (await doctor.post(f"{desk.root}/appointments/{taken}/take")).status == 303
    site.clock.forward(minutes=9)
    await run_jobs(desk)
    assert await told() == []
    site.clock.forward(minutes=1)
    await run_jobs(desk)
    await run_jobs(desk)
    assert await told() == [(cast.scheduler, f"appointments/{left}")]
    assert "no doctor has taken it" in await (await scheduler.get(f"{desk.root}/board")).text()


async def test_before_did_not_come_stands_what_was_tried_today(desk: Desk) -> None:
    site = desk.site
    scheduler = await site.browser_of("scheduler")
    one = f"{desk.root}/appointments/{desk.appointment}"
    await run_jobs(desk)
    assert (await scheduler.post(f"{one}/rung")).status == 303
    assert (await scheduler.post(f"{one}/door-code")).status == 200
    assert 'id="tries"' not in await (await scheduler.get(one)).text(), "before its start nobody says so"
    site.clock.forward(minutes=45)
    scheduler = await site.signed_in(site.cast.scheduler)
    page = await (await scheduler.get(one)).text()
    tried = re.findall(r"<li>(\d\d:\d\d): ([^<]+)</li>", page[page.index('id="tries"') :])
    assert sorted(tried) == [
        ("10:00", "Code read out on the phone"),
        ("10:00", "Message sent"),
        ("10:00", "Rung: no answer"),
    ]
    assert (await scheduler.post(f"{one}/no-show")).status == 303
    gone = await (await scheduler.get(one)).text()
    assert 'id="tries"' in gone
    assert "Book another time" in gone
    assert (await scheduler.post(f"{one}/rung")).status == 409


async def test_a_message_that_did_not_arrive_stands_on_the_board_until_a_later_one_does(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    tomorrow = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(days=1))
    async with site.database.writing() as session:
        await session.execute(
            update(Message).where(Message.kind == "confirmation").values(state="failed", error="no_gateway")
        )
    scheduler, doctor = await site.browser_of("scheduler"), await site.browser_of("doctor")

    async def failed() -> list[str]:
        page = await (await scheduler.get(f"{desk.root}/board/list")).text()
        part = page.partition('id="failed"')[2].partition("</section>")[0]
        return re.findall(r"appointments/([^\"]+)", part)

    assert sorted(await failed()) == sorted([desk.appointment, tomorrow])
    site.clock.forward(minutes=1)
    assert (await doctor.post(f"{desk.root}/appointments/{tomorrow}/send-again")).status == 303
    assert await failed() == [desk.appointment]
    site.clock.forward(minutes=45)
    scheduler = await site.signed_in(cast.scheduler)
    assert await failed() == [], "it has begun"


async def test_running_late_tells_those_not_seen_yet_and_nobody_else(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    seen = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(hours=1))
    await desk.book(cast.other_patient, cast.colleague, TEN + timedelta(hours=2))
    tomorrow = await desk.book(cast.patient, cast.doctor, TEN + timedelta(days=1))
    async with site.database.writing() as session:
        begun = {"status": "in-progress", "started_at": site.clock()}
        await session.execute(update(Encounter).where(Encounter.appointment_id == seen).values(**begun))
    doctor = await site.signed_in(cast.doctor)
    for wrong in ({}, {"minutes": "x"}, {"minutes": "0"}, {"minutes": "9999"}, {"said": "x" * 201}):
        refused = await doctor.post(f"{desk.root}/clinic/late", wrong)
        assert refused.headers["Location"].endswith("done=late_how")
    assert [message.kind for message in await desk.messages()].count("late") == 0
    assert (await doctor.post(f"{desk.root}/clinic/late", {"minutes": "20"})).status == 303
    told = [message for message in await desk.messages() if message.kind == "late"]
    assert [message.appointment_id for message in told] == [desk.appointment]
    assert (await desk.load()).delay_min == 20
    assert (await desk.load(tomorrow)).delay_min is None
    patient = await site.at_page(cast.patient)
    assert "about 20 minutes late" in await (await patient.get(f"{desk.root}/patients/{cast.patient}/home")).text()
    await doctor.post(f"{desk.root}/clinic/late", {"said": "An <b>hour</b>"})
    states = [message.state for message in await desk.messages() if message.kind == "late"]
    assert sorted(states) == ["dropped", "waiting"]


async def test_a_night_s_session_goes_on_after_midnight(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    night = {"rule": "FREQ=WEEKLY;BYDAY=MO", "opens_min": 22 * 60, "closes_min": 30 * 60}
    async with site.database.writing() as session:
        session.add(
            Schedule(
                clinic_id=cast.clinic.id,
                id=new_id(),
                person_id=cast.doctor,
                zone="Europe/Berlin",
                valid_from=date(2026, 1, 1),
                created_at=site.clock(),
                **night,
            )
        )
    before = await desk.book(cast.patient, cast.doctor, TEN + timedelta(hours=13))
    after = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(hours=14))
    next_evening = await desk.book(cast.patient, cast.doctor, TEN + timedelta(days=1))
    site.clock.forward(hours=13, minutes=10)
    doctor = await site.signed_in(cast.doctor)

    async def listed() -> set[str]:
        page = await (await doctor.get(f"{desk.root}/clinic/list")).text()
        return {one for one in (before, after, next_evening) if one in page}

    assert await listed() == {before, after}
    assert (await doctor.post(f"{desk.root}/clinic/late", {"minutes": "30"})).status == 303
    late = {one.id: one.delay_min for one in await desk.appointments()}
    assert (late[before], late[after], late[next_evening]) == (30, 30, None)
    site.clock.forward(hours=1)
    assert await listed() == {before, after}
    site.clock.forward(hours=7)
    doctor = await site.signed_in(cast.doctor)
    assert await listed() == {next_evening}
    async with site.database.writing() as session:
        query = select(Participant).join(Encounter, Encounter.id == Participant.encounter_id)
        query = query.where(Encounter.appointment_id == after, Participant.role == "patient")
        place = (await session.scalars(query)).one()
        place.state, place.waiting_since = "waiting", site.clock()
    assert await listed() == {next_evening, after}, "who still waits is nobody's yesterday"


async def test_a_visit_that_gets_another_time_or_doctor_is_not_late_any_more(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    second = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(minutes=30))
    doctor = await site.signed_in(cast.doctor)
    await doctor.post(f"{desk.root}/clinic/late", {"minutes": "30", "said": "An emergency"})
    assert {(one.delay_min, one.delay_said) for one in await desk.appointments()} == {(30, "An emergency")}
    scheduler = await site.browser_of("scheduler")
    slot = f"{cast.doctor}|{TEN + timedelta(days=7):%Y-%m-%dT%H:%M:%S%z}"
    moved = await scheduler.post(f"{desk.root}/appointments/{desk.appointment}/move", {"slot": slot, "sequence": "0"})
    assert moved.status == 303
    await in_transaction(
        site.database,
        lambda session: handing.hand_over(session, desk.act(), second, cast.doctor, cast.colleague),
    )
    assert {(one.delay_min, one.delay_said) for one in await desk.appointments()} == {(None, None)}


async def test_a_code_read_out_opens_the_door_once_within_five_tries(desk: Desk, site: Site) -> None:
    scheduler, phone = await site.signed_in(site.cast.scheduler), site.browser()
    make = f"{desk.root}/appointments/{desk.appointment}/door-code"

    async def read_out() -> tuple[str, str]:
        text = await (await scheduler.post(make)).text()
        address, digits = re.search(r"/k/([a-z]{5})<", text), re.search(r"<strong>(\d{4} \d{4})</strong>", text)
        assert address is not None
        assert digits is not None
        return f"/k/{address[1]}", digits[1]

    old, old_digits = await read_out()
    address, digits = await read_out()
    assert (await phone.post(old, {"digits": old_digits})).status == 422
    for _ in range(3):
        assert (await phone.get(address)).status == 200
    wrong = "0000 0000" if digits != "0000 0000" else "1111 1111"
    for _ in range(4):
        assert (await phone.post(address, {"digits": wrong})).status == 422
    opened = await phone.post(address, {"digits": digits})
    assert opened.status == 303
    assert (await phone.get(opened.headers["Location"])).status == 200
    assert (await phone.post(address, {"digits": digits})).status == 422
    address, digits = await read_out()
    for _ in range(5):
        await phone.post(address, {"digits": wrong})
    assert (await phone.post(address, {"digits": digits})).status == 422
    address, digits = await read_out()
    site.clock.forward(minutes=16)
    assert (await phone.post(address, {"digits": digits})).status == 422
    for path in ("/k/zzzzz", "/k/%00", "/k/" + "a" * 300):
        assert (await phone.post(path, {"digits": "\x00", "more": "1"})).status in (400, 404, 422)


async def test_the_link_goes_to_another_address_for_this_once(desk: Desk) -> None:
    scheduler = await desk.site.signed_in(desk.site.cast.scheduler)
    press = f"{desk.root}/appointments/{desk.appointment}/send-to"
    for channel, address in (("mail", "no address"), ("sms", "abc"), ("fax", "1"), ("mail", "")):
        assert (await scheduler.post(press, {"channel": channel, "address": address})).status == 422
    assert (await scheduler.post(press, {"channel": "mail", "address": "sister@mail.example"})).status == 303
    assert [message.recipient for message in await desk.messages()].count("sister@mail.example") == 1
    await scheduler.post(f"{desk.root}/appointments/{desk.appointment}/send-again")
    assert [message.recipient for message in await desk.messages()].count("sister@mail.example") == 1


async def test_a_patient_moves_and_cancels_until_the_cutoff(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    own, other = await site.at_page(cast.patient), await site.at_page(cast.other_patient)
    one = f"{desk.root}/patients/{cast.patient}/home/visits/{desk.appointment}"
    theirs = one.replace(cast.patient, cast.other_patient)
    assert (await other.post(f"{theirs}/cancel")).status == 404
    assert (
        await own.post(f"{one}/move", {"slot": f"{cast.colleague}|2026-03-16T11:00:00Z", "sequence": "0"})
    ).status == 403
    text = await (await own.get(f"{one}/move")).text()
    assert f"{cast.doctor}|2026-03-16T11:00:00Z" in text
    assert f"{cast.colleague}|" not in text
    taken = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(hours=1))
    gone = await own.post(f"{one}/move", {"slot": f"{cast.doctor}|2026-03-16T10:30:00Z", "sequence": "0"})
    assert gone.status == 409
    assert "This time is gone" in await gone.text()
    moved = await own.post(f"{one}/move", {"slot": f"{cast.doctor}|2026-03-16T11:00:00Z", "sequence": "0"})
    assert moved.headers["Location"].endswith("home?done=moved")
    assert (await desk.load()).starts_at == TEN + timedelta(hours=1, minutes=30)
    async with site.database.writing() as session:
        await session.execute(update(VisitType).values(cutoff_min=24 * 60))
    page = f"{desk.root}/patients/{cast.patient}/home"
    assert "ring the clinic" in await (await own.get(page)).text()
    assert (await own.post(f"{one}/cancel")).status == 409
    assert (await own.get(f"{one}/move")).status == 409
    assert (await desk.load()).status == "booked"
    async with site.database.writing() as session:
        await session.execute(update(VisitType).values(cutoff_min=0))
    assert (await own.post(f"{one}/cancel")).status == 303
    assert (await desk.load()).status == "cancelled"
    assert (await desk.load(taken)).status == "booked"


async def test_a_patient_moves_a_visit_with_two_doctors_to_when_both_are_free(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    both = (cast.doctor, cast.colleague)
    asked = Booking(cast.other_patient, desk.visit_type, both, TEN + timedelta(days=1))
    made = await in_transaction(site.database, lambda session: service.book(session, desk.act(), asked))
    await desk.book(cast.patient, cast.colleague, TEN + timedelta(days=1, hours=1))
    patient = await site.at_page(cast.other_patient)
    one = f"{desk.root}/patients/{cast.other_patient}/home/visits/{made.id}/move"
    page = await (await patient.get(one)).text()
    assert "2026-03-17T10:30:00Z" not in page, "the colleague has something else then"
    slots = [value for value in re.findall(r'value="([^"|]+\|[^"]+)"', page) if "2026-03-17T11:30:00Z" in value]
    assert [set(value.partition("|")[0].split(",")) for value in slots] == [set(both)]
    assert (await patient.post(one, {"slot": slots[0], "sequence": "0"})).status == 303
    async with site.database.writing() as session:
        assert set(await service.load_practitioner_ids(session, cast.clinic, made.id)) == set(both)
        gone = Membership.person_id == cast.colleague
        await session.execute(update(Membership).where(gone).values(is_active=False))
    assert "There is no free time here now." in await (await patient.get(one)).text()


async def test_a_patient_books_only_what_patients_may_book_with_its_notice(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    own = await site.at_page(cast.patient)
    page = f"{desk.root}/patients/{cast.patient}/home/book"
    form = {"visit_type": desk.visit_type, "slot": f"{cast.doctor}|2026-03-16T12:00:00Z", "key": new_id()}
    assert (await own.post(page, form)).status == 404
    async with site.database.writing() as session:
        await session.execute(update(VisitType).values(for_patients=True, lead_time_min=240))
    assert "2026-03-16T12:00:00Z" not in await (await own.get(page)).text()
    assert (await own.post(page, form)).status == 422
    later = {**form, "slot": f"{cast.doctor}|2026-03-16T15:00:00Z"}
    assert later["slot"] in await (await own.get(page)).text()
    for _ in range(2):
        assert (await own.post(page, later)).status == 303
    assert len(await desk.appointments()) == 2


async def test_a_time_that_a_patient_picks_is_kept_for_them_with_its_timer_one_at_a_time(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    own, other = await site.at_page(cast.patient), await site.at_page(cast.other_patient)
    home = f"{desk.root}/patients/{cast.patient}/home"
    form = {"visit_type": desk.visit_type, "slot": f"{cast.doctor}|2026-03-16T12:00:00Z"}
    assert (await own.post(f"{home}/hold", form)).status == 404, "no kind that patients may book"
    async with site.database.writing() as session:
        await session.execute(update(VisitType).values(for_patients=True))
    assert f'hx-post="{home}/hold"' in await (await own.get(f"{home}/book")).text()
    kept = await (await own.post(f"{home}/hold", form)).text()
    assert 'data-countdown="600"' in kept
    assert "Kept for you until 10:10" in kept
    refused = await other.post(f"{home}/hold".replace(cast.patient, cast.other_patient), form)
    assert refused.status == 409
    assert "Somebody has just taken this time" in await refused.text()
    assert (await other.post(f"{home}/hold", form)).status == 404
    assert (await own.post(f"{home}/hold", {**form, "slot": "x"})).status == 422
    again = await (await own.post(f"{home}/hold", {**form, "slot": f"{cast.doctor}|2026-03-16T13:00:00Z"})).text()
    async with site.database.reading() as session:
        assert [f"{each.starts_at:%H:%M}" for each in await session.scalars(select(Hold))] == ["13:00"]
    hold = re.findall(r'name="hold" value="([^"]+)"', again)[0]
    shown = await own.post(f"{home}/book", {"visit_type": desk.visit_type, "key": "k", "hold": hold})
    assert shown.status == 422
    assert f'value="{cast.doctor}|2026-03-16T13:00:00Z" checked' in await shown.text()
    done = {**form, "slot": f"{cast.doctor}|2026-03-16T13:00:00Z", "key": "k", "hold": hold}
    assert (await own.post(f"{home}/book", done)).status == 303
    async with site.database.reading() as session:
        assert not list(await session.scalars(select(Tick).where(Tick.hold_id.is_not(None))))
    assert (
        await other.post(f"{home}/book".replace(cast.patient, cast.other_patient), {**form, "key": "o"})
    ).status == 303


async def test_the_calendar_file_of_the_page_holds_only_what_a_calendar_may(desk: Desk) -> None:
    cast = desk.site.cast
    own = await desk.site.at_page(cast.patient)
    one = f"{desk.root}/patients/{cast.patient}/home/visits/{desk.appointment}"
    answer = await own.get(f"{one}/appointment.ics")
    calendar = Calendar.from_ical(await answer.read())
    (event,) = calendar.walk("VEVENT")
    assert calendar["METHOD"] == "PUBLISH"
    assert str(event["UID"]).startswith(desk.appointment)
    assert event["CLASS"] == "PRIVATE"
    assert event.decoded("DTSTART") == TEN
    (other,) = IcsCalendarStream.calendar_from_ics(await answer.text()).events
    assert (other.start, other.uid, other.classification) == (TEN, str(event["UID"]), "PRIVATE")
    assert "Müller" not in str(event)
    assert "Ida" not in str(event)


async def test_a_day_as_a_table_holds_no_formula(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler = await desk.site.signed_in(cast.scheduler)
    answer = await scheduler.get(f"{desk.root}/board/appointments.csv?day=2026-03-16")
    rows = list(csv.reader(io.StringIO((await answer.read()).decode("utf-8-sig"))))
    assert rows[1][4] == "Anna Müller"
    assert rows[1][6].startswith("'+")
    for text in ("=1+1", "+1", "-1", "@x", "\t=1", " =1", "\ufeff=1", "|x"):
        assert plain_cell(text) == f"'{text}"
    assert plain_cell("O’Neil-Smith") == "O’Neil-Smith"
    printed = await (await scheduler.get(f"{desk.root}/board/print?day=2026-03-16")).text()
    assert "Anna Müller" in printed
