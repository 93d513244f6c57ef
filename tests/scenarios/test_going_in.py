"""Going in when something is missing: no camera, no microphone, the time has not come, or the patient themself."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from tests.scenarios import clinic, room
from tests.scenarios.story import DOCTOR
from tests.support.bedside import AllInOne
from tests.support.people import Cast, Person

pytestmark = [pytest.mark.timeout(180), pytest.mark.browser]

PATIENT = "Anna Lindqvist"
EARLY = "Zoë"
CHILD, BORN, MOTHER = "Lily Baker", "2017-02-03", "Pia Baker"
OPENS_BEFORE = timedelta(minutes=30)
HELP = {
    "NotFoundError": ("No camera found", "No microphone found"),
    "NotReadableError": ("Your camera is used by another program", "Close other video calls"),
    "NotAllowedError": ("This page may not use your camera", "in the address bar"),
}


@pytest.fixture(scope="module")
def doctor(cast: Cast) -> Person:
    person = cast.person("doctor")
    clinic.sign_in(person, DOCTOR)
    return person


def test_whoever_has_no_device_is_helped_and_goes_in_sees_hears_and_writes(
    bedside: AllInOne, cast: Cast, doctor: Person
) -> None:
    link = clinic.visit_link(bedside)
    anna = cast.person("anna")
    for failure, words in HELP.items():
        anna.begin_anew(failure)
        anna.open(link)
        clinic.go_in(anna)
        anna.press("#open-devices")
        room.wait_shown(anna, "#device-help [data-failure]")
        for part in words:
            assert part in room.text(anna, "#device-help"), failure
        anna.keep(f"device-{failure}", "bad_input")

    anna.press("#enter")
    room.wait_in_waiting_room(anna)
    doctor.open(f"{clinic.CLINIC}/clinic")
    doctor.press(f'#maincontent .bs-person:has-text("{PATIENT}") a')
    room.admit(doctor, PATIENT)
    room.wait_inside(anna)
    anna.wait_sees(doctor.mark, 25)
    anna.wait_hears(doctor.mark)
    room.wait_way([doctor, anna], "direct", 15)
    assert not any(doctor.hears(anna.mark))
    assert not doctor.sees(anna.mark)
    stats = bedside.node.stats(bedside.node.only_room())
    assert (stats.rtp_in, stats.rtp_out) == (0, 0)

    room.say(anna, "I have no camera today")
    room.wait_reads(doctor, "I have no camera today")
    anna.keep("no-device-visit", "bad_input")
    doctor.keep("no-device-visit", "bad_input")
    room.end_visit(doctor, "finished_by_phone")
    anna.page.wait_for_url("**/closing", timeout=30_000)
    anna.assert_untroubled()


def test_an_early_door_counts_down_and_opens_by_itself(bedside: AllInOne, cast: Cast) -> None:
    early, desk = cast.person("stranger"), cast.person("scheduler")
    clinic.sign_in(desk, "Mina Park")
    early.open(clinic.book_first_slot(desk, EARLY, DOCTOR))
    room.wait_shown(early, 'h1:has-text("opens later")')
    assert re.search(r"In \d+ (day|hour|minute)", room.text(early, "#countdown"))
    assert early.page.locator("#i-am").count() == 0

    bring_near(bedside, timedelta(seconds=5))
    room.wait_shown(early, "#i-am", 30)
    early.keep("opened-by-itself", "bad_input")
    early.assert_untroubled()


def bring_near(bedside: AllInOne, opens_in: timedelta) -> None:
    """Sets the newest appointment so that its door opens so soon; through the clinic it is days and whole minutes."""
    starts = datetime.now(UTC) + OPENS_BEFORE + opens_in
    moments = [moment.strftime("%Y-%m-%d %H:%M:%S.%f") for moment in (starts, starts + timedelta(minutes=20))]
    with closing(sqlite3.connect(bedside.var / "bedside.db", timeout=10)) as database, database:
        newest = "SELECT id FROM appointment ORDER BY created_at DESC LIMIT 1"
        changed = database.execute(f"UPDATE appointment SET starts_at = ?, ends_at = ? WHERE id = ({newest})", moments)
        assert changed.rowcount == 1


def test_whoever_acts_for_a_patient_goes_in_by_their_own_page_and_answers_for_themself_alone(
    cast: Cast, doctor: Person
) -> None:
    """A mother within her scope: she comes along and reads, and may not agree to a recording for the child."""
    desk, mother = cast.person("scheduler"), cast.person("second")
    clinic.sign_in(desk, "Mina Park")
    appointment = clinic.book_now(desk, CHILD, DOCTOR)
    link, code = clinic.note_proxy(desk, appointment, MOTHER)
    mother.open(link)
    mother.press('a:has-text("I have a code already")')
    mother.write("[name=birth_date]", BORN)
    mother.write("[name=code]", code)
    mother.press('button:has-text("Open my page")')
    room.wait_shown(mother, f'h1:has-text("{CHILD}")')
    mother.keep("own-page", "proxy")
    mother.press('button:has-text("Go to the visit")')
    clinic.fill_card(mother, place="12 Mill Lane, Leeds", phone="+44 113 496 0000")
    mother.keep("door", "proxy")
    mother.press("#i-help")
    room.check_devices_and_enter(mother)
    room.wait_in_waiting_room(mother)

    clinic.open_visit(doctor, appointment)
    card = f'#lobby [data-participant]:has-text("{MOTHER}")'
    room.wait_shown(doctor, card)
    assert f"mother of {CHILD}, who acts for them" in room.text(doctor, card)
    doctor.keep("lobby", "proxy")
    room.admit(doctor, MOTHER)
    room.wait_inside(mother)
    room.both_see_and_hear(doctor, mother, 25)

    room.ask_to_record(doctor)
    room.answer_yes(doctor)
    room.wait_shown(mother, "#recording-question[open]")
    mother.press("#answer-yes")
    room.wait_shown(mother, "#others-present")
    assert mother.page.locator("#given-patient").count() == 0, "for the child she may not agree"
    mother.press("#send-yes")
    room.wait_shown(mother, '.question__details [role=alert]:has-text("You may not agree to a recording")')
    mother.keep("refused", "proxy", axe=False)
    assert not room.is_shown(doctor, "#recording-banner[data-state=running]")
    mother.press('.question__details button:has-text("No, don")')
    room.wait_for(mother, lambda: not room.is_shown(mother, "#recording-question[open]"), "the question is answered")
    room.end_visit(doctor, "seen")
    mother.page.wait_for_url("**/closing", timeout=30_000)
    mother.assert_untroubled(allowed=["Failed to load resource"])
