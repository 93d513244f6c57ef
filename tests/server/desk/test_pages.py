"""The desk's pages in the real application: who may see what, and what each shows and does."""

from __future__ import annotations

import re
from datetime import timedelta

from sqlalchemy import update

from server import context
from server.accounts import links
from server.accounts.links import LinkKind
from server.db import new_id
from server.desk.acts import ROUTES as ACTS
from server.desk.views import ROUTES
from server.encounters.models import Encounter, VisitCard
from server.encounters.visits import load_live_encounter, load_participants
from server.records.events import NoteReleased
from server.records.models import Note
from server.scheduling.models import Message
from server.scheduling.rules import Status
from server.scheduling.views import ROUTES as BOOKING
from signaling import changes
from signaling.words import ParticipantId, Role, RoomId
from tests.server.cast import Site
from tests.server.desk.conftest import SQUEEZED, TEN, Desk

STAFF = {"doctor", "colleague", "scheduler"}
DOCTORS = {"doctor", "colleague"}
PATIENTS = {"patient", "other patient"}
SEEN_BY = {
    "clinic": DOCTORS,
    "clinic.list": DOCTORS,
    "board": STAFF,
    "board.list": STAFF,
    "appointment": STAFF,
    "appointment.show_move": STAFF,
    "appointment.move": STAFF,
    "appointment.cancel": STAFF,
    "appointment.no_show": STAFF,
    "appointment.put_back": STAFF,
    "appointment.send_again": STAFF,
    "book.find": STAFF,
    "book.search": STAFF,
    "book.new_patient": STAFF,
    "book.add_patient": STAFF,
    "book.pick": STAFF,
    "book": STAFF,
    "book.squeeze_in": STAFF,
    "book.walk_in": STAFF,
    "appointment.send_to": STAFF,
    "appointment.door_code": STAFF,
    "appointment.urgent": STAFF,
    "appointment.interpreter": STAFF,
    "appointment.rung": STAFF,
    "clinic.take": DOCTORS,
    "clinic.late": DOCTORS,
    "board.print": {"scheduler"},
    "board.csv": {"scheduler"},
    "mine.show_move": {"patient"},
    "mine.move": {"patient"},
    "mine.cancel": {"patient"},
    "mine.calendar": {"patient"},
    "mine.show_book": {"patient"},
    "mine.book": {"patient"},
    "mine.hold": {"patient"},
    "mine": PATIENTS,
    "mine.home": {"patient"},
    "mine.open_visit": {"patient"},
}
"""Who gets a page with what this test's desk holds."""
ELSEWHERE = {
    *("home", "door_code.show", "door_code.open", "mine.note_file", "mine.note_wrong"),
    *("proxy.show_move", "proxy.move", "proxy.cancel", "proxy.show_book", "proxy.book"),
    *("hours", "hours.doctor", "hours.add", "hours.change", "hours.except", "hours.except_not", "kind", "kind.save"),
    *("waitlist", "waitlist.add", "waitlist.remove", "appointment.wait", "mine.wait", "mine.wait_not"),
    *("patient.file", "patient.file_save", "mine.channels", "clinic.relay"),
    *("offer.show", "offer.answer", "cover", "cover.give", "cover.done", "cover.undo", "free", "free.keep", "hold"),
    "appointment.interpreter_not",
}
"""They need more than the desk holds: the matrix of everybody asks them."""


def test_every_route_of_the_desk_has_its_row() -> None:
    assert {route.name for route in [*ROUTES, *BOOKING]} == {*SEEN_BY, *ELSEWHERE}
    assert {route.name for route in ACTS} < set(SEEN_BY)


async def test_each_page_is_open_to_whom_it_should_be_and_to_nobody_else(desk: Desk) -> None:
    people = await desk.everybody()
    for route in [*ROUTES, *BOOKING]:
        if route.name not in SEEN_BY:
            continue
        path = route.path.format(clinic="north", appointment=desk.appointment, patient=desk.site.cast.patient)
        for who, browser in people.items():
            answer = await browser.request(route.method, path, **({"data": {}} if route.method == "POST" else {}))
            is_let_in = answer.status not in (401, 403, 404)
            assert answer.status < 500, (route.name, who)
            assert is_let_in == (who in SEEN_BY[route.name]), (route.name, who, answer.status)
            if not is_let_in:
                text = await answer.text()
                assert "Anna" not in text
                assert "Boris" not in text


async def test_home_leads_everybody_to_their_own_page(desk: Desk) -> None:
    wanted = {
        "doctor": "/c/north/clinic",
        "scheduler": "/c/north/board",
        "administrator": "/c/north/incidents",
        "patient": "/c/north/my",
        "guest": "/c/north/sign-in",
        "stranger": "/c/north/sign-in",
    }
    people = await desk.everybody()
    for who, place in wanted.items():
        answer = await people[who].get("/c/north/")
        assert (answer.status, answer.headers["Location"]) == (303, place), who


async def test_the_board_shows_the_day_by_doctor(desk: Desk) -> None:
    await desk.book(desk.site.cast.other_patient, desk.site.cast.doctor, TEN, **SQUEEZED)
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    text = await (await browser.get(f"{desk.root}/board")).text()
    assert "Monday 16 March 2026" in text
    assert "Anna Müller" in text
    assert "squeezed in" in text
    assert text.index("Dr Ida Weiss") < text.index("Dr Omar Haddad")
    assert "Not sent yet" in text
    tomorrow = await (await browser.get(f"{desk.root}/board?day=2026-03-17")).text()
    assert "No appointments on this day." in tomorrow
    assert "Anna" not in tomorrow


async def test_a_day_that_is_none_shows_today(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    for day in ["nonsense", "0001-01-01", "9999-12-31", "2026-02-30", "a" * 5000]:
        answer = await browser.get(f"{desk.root}/board", params={"day": day})
        assert answer.status == 200
        assert "Monday 16 March 2026" in await answer.text()


async def test_the_doctor_s_page_holds_their_own_visits_alone(desk: Desk) -> None:
    await desk.book(desk.site.cast.other_patient, desk.site.cast.colleague, TEN)
    people = await desk.everybody()
    mine = await (await people["doctor"].get(f"{desk.root}/clinic")).text()
    theirs = await (await people["colleague"].get(f"{desk.root}/clinic")).text()
    assert "Anna Müller" in mine
    assert "Boris" not in mine
    assert "Boris Ivanov" in theirs
    assert f"{desk.root}/visits/" in mine


async def test_a_patient_sees_their_own_appointments_and_goes_to_the_visit(desk: Desk) -> None:
    cast = desk.site.cast
    browser = await desk.site.at_page(cast.patient)
    first = await browser.get(f"{desk.root}/my")
    assert first.headers["Location"] == f"{desk.root}/patients/{cast.patient}/home"
    text = await (await browser.get(first.headers["Location"])).text()
    assert "Monday 16 March 2026, 10:30" in text
    assert "Dr Ida Weiss" in text
    gone = await browser.post(f"{first.headers['Location']}/visits/{desk.appointment}")
    assert gone.status == 303
    assert gone.headers["Location"].startswith("/v/")
    assert (await browser.get(gone.headers["Location"])).status == 200
    other = await desk.book(cast.other_patient, cast.colleague, TEN)
    assert (await browser.post(f"{first.headers['Location']}/visits/{other}")).status == 404


async def test_a_visit_s_cookie_opens_no_patient_s_page(desk: Desk, site: Site) -> None:
    browser = await site.at_visit("some-participation")
    answer = await browser.get(f"{desk.root}/patients/{site.cast.patient}/home")
    assert answer.status in (401, 403, 404)


async def test_cancelling_asks_why_and_tells_the_patient(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    page = f"{desk.root}/appointments/{desk.appointment}"
    refused = await browser.post(f"{page}/cancel", {"why": "  "})
    assert refused.status == 422
    assert (await desk.load()).status == "booked"
    async with desk.site.database.writing() as session:
        await session.execute(update(Message).values(state="sent"))
    done = await browser.post(f"{page}/cancel", {"why": "Ill <b>"})
    assert done.status == 303
    text = await (await browser.get(done.headers["Location"])).text()
    assert "Cancelled. The patient gets a message." in text
    assert "Ill &lt;b&gt;" in text
    assert "Cancel this appointment" not in text
    assert (await desk.load()).status == "cancelled"


async def test_moving_offers_its_own_time_and_says_when_a_time_is_gone(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    page = f"{desk.root}/appointments/{desk.appointment}/move"
    doctor = desk.site.cast.doctor
    text = await (await browser.get(f"{page}?day=2026-03-16")).text()
    assert f"{doctor}|2026-03-16T09:30:00Z" in text
    await desk.book(desk.site.cast.other_patient, doctor, TEN + timedelta(hours=1))
    gone = await browser.post(page, {"slot": f"{doctor}|2026-03-16T10:30:00Z", "sequence": "0"})
    assert gone.status == 409
    text = await gone.text()
    assert "This time is gone" in text
    assert text.count('id="next-') == 3
    done = await browser.post(page, {"slot": f"{doctor}|2026-03-16T11:00:00Z", "sequence": "0", "why": "She asked"})
    assert done.status == 303
    assert (await desk.load()).starts_at.isoformat() == "2026-03-16T11:00:00+00:00"
    stale = await browser.post(page, {"slot": f"{doctor}|2026-03-16T12:00:00Z", "sequence": "0"})
    assert stale.status == 409


async def test_a_time_that_is_no_time_is_a_plain_refusal(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    move = f"{desk.root}/appointments/{desk.appointment}/move"
    book = f"{desk.root}/book/{desk.site.cast.patient}"
    for slot in ["", "x", "|", "a|b", "a|2026-03-16T11:00:00", "a|" + "9" * 90, "\x00|\x00"]:
        assert (await browser.post(move, {"slot": slot, "sequence": "0"})).status == 422
        answer = await browser.post(book, {"slot": slot, "visit_type": desk.visit_type, "key": "k"})
        assert answer.status == 422
        assert len(await desk.appointments()) == 1


async def test_a_no_show_is_said_by_a_person_and_undone(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.doctor)
    page = f"{desk.root}/appointments/{desk.appointment}"
    assert "did not come" not in await (await browser.get(page)).text()
    assert (await browser.post(f"{page}/no-show")).status == 409
    desk.site.clock.forward(minutes=50)
    browser = await desk.site.signed_in(desk.site.cast.doctor)
    assert "The patient did not come" in await (await browser.get(page)).text()
    assert (await browser.post(f"{page}/no-show")).status == 303
    assert (await desk.load()).status == Status.NOSHOW
    assert (await browser.post(f"{page}/put-back")).status == 303
    assert (await desk.load()).status == Status.BOOKED


async def test_sending_again_queues_one_more_message(desk: Desk) -> None:
    browser = await desk.site.signed_in(desk.site.cast.scheduler)
    before = len(await desk.messages())
    assert (await browser.post(f"{desk.root}/appointments/{desk.appointment}/send-again")).status == 303
    assert len(await desk.messages()) == before + 1


async def test_who_waits_is_on_board_and_clinic_and_comes_first(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    later = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(hours=1))
    site.clock.forward(minutes=20)
    async with site.database.writing() as session:
        encounter = await load_live_encounter(session, cast.clinic.id, later)
        assert encounter is not None
        place = next(one for one in await load_participants(session, encounter) if one.role == "patient")
        place.state, place.waiting_since = "waiting", site.clock() - timedelta(minutes=7)
    board = await (await (await site.signed_in(cast.scheduler)).get(f"{desk.root}/board/list")).text()
    assert "for 7 min" in board
    clinic = await (await (await site.signed_in(cast.doctor)).get(f"{desk.root}/clinic/list")).text()
    assert clinic.index("Next: 11:30") < clinic.index("10:30")
    assert "Waiting for 7 minutes" in clinic
    assert f'href="{desk.root}/visits/{encounter.id}"' in clinic
    site.clock.forward(minutes=85)
    late = await (await (await site.signed_in(cast.doctor)).get(f"{desk.root}/clinic/list")).text()
    assert "You run 15 minutes late." in late
    scheduler = await site.signed_in(cast.scheduler)
    assert "did not come" not in await (await scheduler.get(f"{desk.root}/appointments/{later}")).text(), "they wait"
    assert "did not come" in await (await scheduler.get(f"{desk.root}/appointments/{desk.appointment}")).text()


async def test_who_has_gone_through_the_door_is_at_the_door_on_the_board(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    board = await site.signed_in(cast.scheduler)
    assert "At the door" not in await (await board.get(f"{desk.root}/board/list")).text()
    site.clock.forward(minutes=25)
    async with site.database.writing() as session:
        token = await links.new_link(
            session, clinic_id=cast.clinic.id, kind=LinkKind.VISIT, subject_id=desk.appointment, now=site.clock()
        )
    assert (await site.browser().get(f"/v/{token}")).status == 200
    assert "At the door" not in await (await board.get(f"{desk.root}/board/list")).text(), "looking is not going in"
    assert (await site.browser().post(f"/v/{token}", {"identity": "self"})).status == 303
    assert "At the door" in await (await board.get(f"{desk.root}/board/list")).text()


async def test_a_released_note_sends_the_link_of_the_patient_s_page(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    released = NoteReleased(cast.clinic.id, cast.patient, "e", "n", 1, site.clock())
    async with site.database.writing() as session:
        await site.app[context.EVENTS].raise_event(session, released)
    assert [message.kind for message in await desk.messages()].count("page_link") == 1


async def test_somebody_who_said_no_at_the_door_is_told_to_the_desk(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    async with site.database.writing() as session:
        encounter = await load_live_encounter(session, cast.clinic.id, desk.appointment)
        assert encounter is not None
        session.add(
            VisitCard(
                clinic_id=cast.clinic.id,
                id=new_id(),
                encounter_id=encounter.id,
                identity="denied",
                at=site.clock(),
            )
        )
    scheduler = await site.signed_in(cast.scheduler)
    text = await (await scheduler.get(f"{desk.root}/board")).text()
    assert "neither the patient nor helping them" in text
    assert "+493023125101" in text
    (seen,) = re.findall(rf'action="({desk.root}/denied/[^"]+/seen)"', text)
    for who, browser in (await desk.everybody()).items():
        if who not in STAFF:
            assert (await browser.post(seen)).status in (401, 403, 404), who
    assert "neither the patient" in await (await scheduler.get(f"{desk.root}/board")).text()
    assert (await scheduler.post(f"{desk.root}/denied/nothing/seen")).status == 404
    assert (await scheduler.post(seen)).status == 303
    assert "neither the patient" not in await (await scheduler.get(f"{desk.root}/board")).text()


async def test_the_desk_reads_out_a_code_from_the_appointment_s_page(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    page, act = f"{desk.root}/appointments/{desk.appointment}", f"{desk.root}/patients/{cast.patient}/page-code"
    scheduler = await site.signed_in(cast.scheduler)
    assert f'action="{act}"' in await (await scheduler.get(page)).text()
    assert "A code to read out" in await (await scheduler.post(act)).text()
    doctor = await site.signed_in(cast.doctor)
    assert "page-code" not in await (await doctor.get(page)).text()
    assert (await doctor.post(act)).status == 403


async def test_in_a_visit_a_doctor_s_pages_hide_every_other_patient_s_name(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(hours=1))
    async with site.database.writing() as session:
        encounter = await load_live_encounter(session, cast.clinic.id, desk.appointment)
        assert encounter is not None
        encounter.status, encounter.started_at = "in-progress", site.clock()
    doctor, colleague = await site.signed_in(cast.doctor), await site.signed_in(cast.colleague)
    for path in ("clinic", "clinic/list", "board", "board/list"):
        text = await (await doctor.get(f"{desk.root}/{path}")).text()
        assert "Anna Müller" in text, path
        assert "Boris" not in text, path
        assert "1975-01-02" not in text, path
        assert "names=shown" in text, path
        shown = await (await doctor.get(f"{desk.root}/{path}?names=shown")).text()
        assert "Boris Ivanov" in shown, path
        assert "data-names" not in shown, path
    visit = f"{desk.root}/visits/{encounter.id}/summary"
    assert "<title>Anna" in await (await doctor.get(visit)).text()
    await _share_a_screen(site, encounter)
    assert "<title>Anna" not in await (await doctor.get(visit)).text()
    for path in ("clinic", "clinic/list", "board", "board/list"):
        assert "Boris" not in await (await doctor.get(f"{desk.root}/{path}?names=shown")).text(), path
    assert 'data-names="hidden"' in await (await doctor.get(f"{desk.root}/appointments/{desk.appointment}")).text()
    board = await (await colleague.get(f"{desk.root}/board")).text()
    assert "Boris Ivanov" in board
    assert "data-names" not in board


async def _share_a_screen(site: Site, encounter: Encounter) -> None:
    """The doctor's page in the room sends its screen, as their socket would tell."""
    async with site.database.reading() as session:
        place = next(one for one in await load_participants(session, encounter) if one.role == Role.DOCTOR)
    room, doctor, signaling = RoomId(encounter.id), ParticipantId(place.id), site.app[context.SIGNALING]
    came = changes.Connected(doctor, "sid", signaling._server_id, "session", "tab", "device", site.clock())
    await signaling._conductor.apply(room, came)
    await signaling._conductor.apply(room, changes.DevicesChanged(doctor, "on", "on", screen=True))


async def test_a_note_left_unsigned_stays_on_its_doctor_s_page_until_it_is_signed(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    async with site.database.writing() as session:
        encounter = await load_live_encounter(session, cast.clinic.id, desk.appointment)
        assert encounter is not None
        encounter.status, encounter.outcome = "finished", "seen"
        encounter.started_at = encounter.ended_at = site.clock()
    site.clock.forward(days=3)
    clinic, waits = f"{desk.root}/clinic", f'id="unsigned-{desk.appointment}"'
    doctor, colleague = await site.signed_in(cast.doctor), await site.signed_in(cast.colleague)
    assert waits in await (await doctor.get(clinic)).text()
    assert waits not in await (await colleague.get(clinic)).text()
    async with site.database.writing() as session:
        found = await session.get(Encounter, (cast.clinic.id, encounter.id))
        assert found is not None
        found.outcome = "not_reached"
    assert waits not in await (await doctor.get(clinic)).text()
    async with site.database.writing() as session:
        found = await session.get(Encounter, (cast.clinic.id, encounter.id))
        assert found is not None
        found.outcome = "seen"
        session.add(
            Note(
                clinic_id=cast.clinic.id,
                encounter_id=encounter.id,
                patient_id=cast.patient,
                drafted_by=cast.doctor,
                drafted_at=site.clock(),
                signed_at=site.clock(),
                created_at=site.clock(),
            )
        )
    assert waits not in await (await doctor.get(clinic)).text()
