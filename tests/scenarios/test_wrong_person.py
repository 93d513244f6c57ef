""" "Not the right person" cuts somebody off at once, closes their link and puts the appointment back as it was."""

from __future__ import annotations

import pytest

from tests.scenarios import clinic, room
from tests.scenarios.story import DOCTOR, PATIENT
from tests.support.bedside import AllInOne
from tests.support.people import Cast, Person

pytestmark = pytest.mark.timeout(180)


STRANGERS_WORDS = "I have a rash"


@pytest.fixture(scope="module")
def anna(cast: Cast) -> Person:
    return cast.person("anna")


@pytest.fixture(scope="module")
def scheduler(cast: Cast) -> Person:
    return cast.person("scheduler")


def test_the_wrong_person_is_cut_off_and_the_clinic_told(
    bedside: AllInOne, cast: Cast, anna: Person, scheduler: Person
) -> None:
    doctor = cast.person("doctor")
    clinic.sign_in(scheduler, "Mina Park")
    appointment, link = clinic.book_and_get_link(scheduler, PATIENT, DOCTOR)
    clinic.sign_in(doctor, DOCTOR)
    clinic.come_by_link(anna, link)
    clinic.open_visit(doctor, appointment)
    room.admit(doctor, PATIENT)
    room.wait_inside(anna)
    room.both_see_and_hear(doctor, anna)

    room.open_panel(doctor, "note")
    begins = doctor.page.input_value("#note-text")
    doctor.write("#note-text", "A rash on the left arm")
    room.wait_shown(doctor, "#note-status[data-state=saved]", 20)
    room.say(anna, STRANGERS_WORDS)
    room.wait_reads(doctor, STRANGERS_WORDS)
    room.press_control(doctor, "phone")
    doctor.press("#phone-now")
    doctor.press("#phone-dialog .dialog__close")
    room.open_panel(doctor, "people")
    doctor.press("#people-inside [data-act=wrong]")
    doctor.keep("confirm", "wrong_person")
    doctor.press("#wrong-now")

    doctor.wait_not_sees(anna.mark, 5)
    doctor.wait_not_hears(anna.mark, 5)
    anna.wait_not_sees(doctor.mark, 5)
    assert room.is_shown(anna, "#door")
    anna.keep("cut-off", "wrong_person")

    room.open_panel(doctor, "note")
    room.wait_for(doctor, lambda: doctor.page.input_value("#note-text") == begins, "a new note for the patient")
    doctor.keep("new-note", "wrong_person")

    answer = anna.page.goto(link)
    assert answer is not None
    assert answer.status == 410
    assert PATIENT not in anna.page.inner_text("body")

    known = set(clinic.links_to(scheduler, PATIENT))
    scheduler.open(f"{clinic.CLINIC}/appointments/{appointment}")
    assert "Link closed: send again" in room.text(scheduler, "main")
    scheduler.press('button:has-text("Send the link again")')
    right = cast.person("second")
    clinic.come_by_link(right, clinic.wait_new_link(scheduler, PATIENT, known))
    room.admit(doctor, PATIENT)
    room.wait_inside(right)
    room.both_see_and_hear(doctor, right)
    # Nothing that the stranger did is this patient's: no call, no line, no Noes.
    assert not room.is_shown(right, "#banner-phone")
    room.open_panel(doctor, "chat")
    assert STRANGERS_WORDS not in doctor.page.inner_text("#chat-lines")
    room.say(right, "here I am")
    room.wait_reads(doctor, "here I am")
    room.wait_shown(doctor, '#record:has-text("Record")')
    doctor.keep("right-person", "wrong_person")
    right.close()
    clinic.sign_in(scheduler, "Peter Nov")
    scheduler.open(f"{clinic.CLINIC}/incidents")
    assert PATIENT in room.text(scheduler, "main .bs-sheet")
    scheduler.keep("incident", "wrong_person")
    listed = "".join(path.read_text() for path in (bedside.var / "deletions").rglob("*.jsonl"))
    assert '"link_revoked"' in listed


def test_a_no_at_the_door_shows_nothing_more_and_tells_the_desk(anna: Person, scheduler: Person) -> None:
    stranger = anna
    stranger.begin_anew()
    clinic.sign_in(scheduler, "Mina Park")
    _, link = clinic.book_and_get_link(scheduler, "Robin", DOCTOR)
    stranger.open(link)
    stranger.press("#i-am-not")
    room.wait_for(stranger, lambda: stranger.page.url.endswith("/not-me"), "the page after a no")
    said = stranger.page.inner_text("main")
    assert "+49 30 23125 100" in said
    assert DOCTOR not in said
    stranger.keep("not-me", "wrong_person")
    scheduler.open(f"{clinic.CLINIC}/board")
    room.wait_shown(scheduler, 'main :text("Robin")')
    scheduler.keep("desk-told", "wrong_person")
