"""The main job, told once in full: booked, met, talked, recorded, joined, written down, watched afterwards.

Each step is a test that goes on where the last one ended; people, camera and sound are real browsers' throughout.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from media.api import CapturePhase
from tests.scenarios import clinic, room
from tests.scenarios.film_check import ENOUGH_FLASHES, RELOAD_S, story_findings
from tests.scenarios.story import (
    BIRTH_DATE,
    DOCTOR,
    LATER,
    PATIENT,
    PHONE,
    PLACE,
    Moment,
    Story,
    timed,
)
from tests.support.bedside import AllInOne, is_ready
from tests.support.film import Film
from tests.support.people import ARTIFACTS, ROOT, Cast
from tests.support.processes import wait_until

pytestmark = pytest.mark.timeout(300)

WAYS: dict[str, dict[str, object]] = {"mouse": {}, "keyboard": {"keyboard": True}, "zoom": {"zoom": 2}}
SECOND_S = 1.0
GUEST_S = 5.0


@pytest.fixture(
    scope="module",
    params=[
        "mouse",
        pytest.param("keyboard", marks=pytest.mark.soak),
        pytest.param("zoom", marks=pytest.mark.soak),
    ],
)
def told(request: pytest.FixtureRequest, bedside: AllInOne, cast: Cast) -> Story:
    return Story(bedside, cast, f"main_job_{request.param}", WAYS[request.param])


def test_1_the_scheduler_books_and_the_message_holds_a_link_and_a_calendar_file(story: Story) -> None:
    scheduler = story.scheduler
    clinic.sign_in(scheduler, "Mina Park")
    story.keep("1-board", scheduler)
    story.appointment, story.link = clinic.book_and_get_link(scheduler, PATIENT, DOCTOR)

    message = clinic.newest_message(scheduler, PATIENT)
    assert story.link in message
    for word in (clinic.REASON, "visit type", "diagnos", "symptom", "doctor's note"):
        assert word not in message
    calendar = clinic.newest_calendar(scheduler, PATIENT)
    assert calendar.startswith("BEGIN:VCALENDAR")
    assert clinic.REASON not in calendar
    story.keep("1-outbox", scheduler)

    # An ordinary slot, another day: its link counts down and lets nobody in yet.
    early = clinic.book_first_slot(scheduler, LATER, DOCTOR)
    story.anna.open(early)
    room.wait_shown(story.anna, 'h1:has-text("opens later")')
    assert story.anna.page.locator("#i-am").count() == 0
    story.keep("1-early", story.anna)


def test_2_the_patient_is_in_the_waiting_room_after_three_taps(story: Story) -> None:
    anna = story.anna
    anna.open(story.link)
    assert DOCTOR in room.text(anna, "main")
    assert "112" in room.text(anna, "main")
    story.keep("2-door", anna)
    clinic.fill_card(anna, place=PLACE, phone=PHONE, others="nobody")

    before = anna.presses
    clinic.go_in(anna)
    room.wait_shown(anna, "#open-devices")
    story.keep("2-check", anna)
    room.check_devices_and_enter(anna)
    assert anna.presses - before == 3
    room.wait_in_waiting_room(anna)
    story.keep("2-waiting", anna)


def test_3_the_doctor_learns_at_once_and_nothing_crosses_before_admit(story: Story) -> None:
    doctor, anna = story.doctor, story.anna
    clinic.sign_in(doctor, DOCTOR)
    second = doctor.new_page()
    second.goto(f"{clinic.CLINIC}/clinic")
    ringing = "#arrivals[data-state=ringing]"
    room.wait_shown(doctor, ringing)
    assert PATIENT in room.text(doctor, "#arrivals-list")

    # They leave and come back: every open page says so within a second, a reloaded one too.
    anna.press("#leave-waiting")
    room.wait_for(doctor, lambda: not room.is_shown(doctor, "#arrivals-list li"), "nobody waits any more")
    clinic.return_to_waiting(anna, story.link)
    took = timed(
        lambda: anna.press("#enter"),
        lambda: (
            room.is_shown(doctor, "#arrivals-list li")
            and second.locator("#arrivals-list li").locator("visible=true").count() > 0
        ),
        doctor,
        "both pages show who waits",
        5,
    )
    assert took < SECOND_S * room.PATIENCE + 0.3
    doctor.page.reload()
    room.wait_shown(doctor, ringing)
    doctor.press("#arrivals-seen")
    room.wait_shown(doctor, "#arrivals[data-state=quiet]")
    second.wait_for_selector("#arrivals[data-state=quiet]", timeout=3000)
    story.keep("3-arrival", doctor)
    second.close()

    clinic.open_visit(doctor, story.appointment)
    card = f'#lobby [data-participant]:has-text("{PATIENT}")'
    room.wait_shown(doctor, card)
    for part in ("18", "August", "1982", "the patient"):
        assert part in room.text(doctor, card)
    story.keep("3-lobby", doctor)
    heard = "".join(anna.received)
    assert DOCTOR in heard
    for secret in ("a=ice-ufrag", "candidate:", LATER, '"people":[{'):
        assert secret not in heard
    assert room.sees_nobody_of(anna, [doctor.mark])
    assert room.sees_nobody_of(doctor, [anna.mark])

    room.admit(doctor, PATIENT)
    room.wait_inside(anna)


def test_4a_they_see_and_hear_each_other_directly(story: Story) -> None:
    doctor, anna = story.doctor, story.anna
    room.both_see_and_hear(doctor, anna)
    room.wait_way([doctor, anna], "direct")
    story.keep("4-direct", doctor, anna)
    stats = story.stats()
    assert (stats.rtp_in, stats.rtp_out) == (0, 0)
    assert room.selected_remote_candidate(doctor, "direct") != {}
    assert doctor.is_moving(anna.mark)
    assert anna.is_moving(doctor.mark)


def test_4b_each_control_is_felt_on_the_other_side(story: Story) -> None:
    doctor, anna = story.doctor, story.anna
    room.press_control(anna, "mute")
    doctor.wait_not_hears(anna.mark)
    room.wait_shown(doctor, ".tile__muted")
    room.press_control(anna, "mute")
    doctor.wait_hears(anna.mark)

    room.press_control(doctor, "camera")
    anna.wait_not_sees(doctor.mark)
    room.press_control(doctor, "camera")
    anna.wait_sees(doctor.mark)

    room.choose_device(anna, "video", "camera-1")
    doctor.wait_sees(anna.other)
    room.choose_device(anna, "audio", "microphone-1")
    doctor.wait_hears(anna.other)
    room.choose_device(anna, "video", "camera-0")
    room.choose_device(anna, "audio", "microphone-0")
    doctor.wait_sees(anna.mark)
    doctor.wait_hears(anna.mark)

    words = f"left or right? {os.urandom(3).hex()}"
    room.say(doctor, words)
    room.wait_reads(anna, words)


def test_4c_while_a_screen_is_shared_no_other_name_shows(story: Story) -> None:
    doctor, anna = story.doctor, story.anna
    list_page = doctor.new_page()
    list_page.goto(f"{clinic.CLINIC}/clinic")
    list_page.wait_for_selector(f'main :text("{PATIENT}")')

    room.press_control(doctor, "share")
    anna.wait_sees(doctor.screen)
    room.wait_for(
        doctor,
        lambda: PATIENT not in list_page.inner_text("body") and LATER not in list_page.inner_text("body"),
        "no name on the list",
    )
    story.keep("4-sharing", doctor, anna)
    room.press_control(doctor, "share")
    anna.wait_not_sees(doctor.screen)
    list_page.close()
    room.both_see_and_hear(doctor, anna)


def test_4d_emergency_says_place_phone_and_number_in_one_press(story: Story) -> None:
    doctor = story.doctor
    doctor.press("#emergency")
    room.wait_shown(doctor, "#emergency-facts")
    facts = room.text(doctor, "#emergency-facts")
    assert PLACE in facts
    assert PHONE.replace(" ", "") in facts.replace(" ", "")
    # Leeds is abroad for this clinic: the number is that of the place, where the page says which country it is.
    assert any(number in facts for number in ("999", "112"))
    story.keep("4-emergency", doctor)
    doctor.press("#emergency-dialog .dialog__close")


def test_5_a_reload_keeps_the_place_in_direct(story: Story) -> None:
    story.reload_each("direct")


def test_6a_a_no_changes_nothing_and_may_be_asked_once_more(story: Story) -> None:
    doctor, anna = story.doctor, story.anna
    room.ask_to_record(doctor)
    room.wait_shown(anna, "#recording-question[open]")
    question = room.text(anna, "#recording-question")
    for words in ("As part of your record", "The doctors who treat you here", "nothing in your care"):
        assert words in question
    assert anna.page.locator("#recording-question input:checked").count() == 0
    looks = [
        anna.page.locator(f"#answer-{word}").evaluate(
            "(one) => (({ backgroundColor, color, font }) => [backgroundColor, color, font])(getComputedStyle(one))"
        )
        for word in ("yes", "no")
    ]
    assert looks[0] == looks[1]
    story.keep("6-question", anna)
    room.answer_no(anna)
    room.wait_shown(doctor, '.notice[data-kind="recording"]')
    assert story.captured_bytes() == 0
    room.wait_way([doctor, anna], "direct")
    room.both_see_and_hear(doctor, anna)


def test_6b_only_the_last_yes_starts_the_recording_and_the_picture_never_breaks(story: Story) -> None:
    doctor, anna = story.doctor, story.anna
    room.ask_to_record(doctor)
    room.answer_yes(doctor)
    story.all_meet([doctor, anna], asked=[anna])
    assert story.captured_bytes() == 0
    assert story.capture().phase is CapturePhase.OFF
    room.wait_way([doctor, anna], "direct")

    room.wait_shown(anna, "#recording-question[open]")
    anna.press("#answer-yes")
    anna.write("#others-present", "my daughter")
    anna.press("#others-agree")
    for person in (doctor, anna):
        person.start_tape()
    anna.press("#send-yes")
    last_yes = time.time()
    story.recording_from = story.wait_capture(CapturePhase.RUNNING, 6)
    assert story.recording_from.after - last_yes <= 5.0 * room.PATIENCE
    room.wait_for(doctor, lambda: story.captured_bytes() > 0 and story.capture().packets > 0, "the log grows", 1.2)
    assert story.grows(1)
    room.wait_way([doctor, anna], "relay", 3)
    room.wait_recording([doctor, anna])
    story.measure_switch(doctor, anna)
    for person in (doctor, anna):
        assert "recorded" in person.page.locator("#urgent").inner_text()
        assert room.is_shown(person, "#stop-recording")
    room.both_see_and_hear(doctor, anna)
    address = room.selected_remote_candidate(anna, "down")
    assert (address["address"], address["port"]) == ("127.0.0.1", story.bedside.ports.media)
    story.keep("6-recording", doctor, anna)


def test_6c_a_reload_while_recording_keeps_place_and_consent(story: Story) -> None:
    wait_until(lambda: story.flashes_since(story.recording_from.by) >= ENOUGH_FLASHES, 60, "flashes before the reload")
    story.reloaded_at = time.time()
    story.reload_each("relay")
    room.wait_recording([story.doctor, story.anna])
    assert story.capture().phase is CapturePhase.RUNNING
    assert story.grows(1)


def test_6d_the_same_link_on_a_second_device_waits_without_seeing_anything(story: Story) -> None:
    doctor, anna, second = story.doctor, story.anna, story.person("second")
    second.open(story.link)
    clinic.go_in(second)
    second.press("#open-devices")
    second.press("#enter")
    room.wait_shown(second, '#door:has-text("another device")')
    assert room.sees_nobody_of(second, [doctor.mark, anna.mark])
    heard = "".join(second.received)
    for secret in ("left or right?", "a=ice-ufrag", "candidate:", '"people":[{'):
        assert secret not in heard
    room.wait_shown(doctor, "#lobby [data-device]")
    room.wait_shown(anna, "#lobby [data-device]")
    story.all_meet([doctor, anna], asked=[doctor, anna])
    story.keep("6-second-device", second, anna)
    second.close()
    room.wait_for(doctor, lambda: not room.is_shown(doctor, "#lobby [data-device]"), "the other device is gone", 45)


def test_6e_a_guest_joins_once_the_patient_agrees_and_capture_waits_for_their_answer(story: Story) -> None:
    doctor, anna, guest = story.doctor, story.anna, story.guest
    link = clinic.invite_guest(doctor, "Grace Guest", "interpreter")
    guest.open(link)
    clinic.enter_as_guest(guest)
    room.check_devices_and_enter(guest)
    room.wait_shown(anna, '#lobby [data-participant]:has-text("Grace Guest")')
    story.keep("6-guest-asks", anna)
    anna.press('#lobby [data-participant]:has-text("Grace Guest") [data-act=agree]')
    room.wait_for(
        doctor,
        lambda: doctor.page.locator('#lobby [data-participant]:has-text("Grace Guest") [data-act=admit]').is_enabled(),
        "the doctor may admit the guest",
    )
    room.admit(doctor, "Grace Guest")
    room.wait_inside(guest)
    story.all_meet([doctor, anna, guest], asked=[guest])
    story.keep("6-three", doctor, anna, guest)

    paused = story.wait_capture(CapturePhase.PAUSED, 1)
    assert not story.grows(1)
    assert "left or right?" not in "".join(guest.received)
    room.answer_yes(guest)
    story.guest_from = story.wait_capture(CapturePhase.RUNNING, 6)
    room.all_see_and_hear([doctor, anna, guest])
    story.paused_s = story.guest_from.by - paused.after
    room.wait_recording([doctor, anna, guest])
    assert story.grows(1)


def test_6f_anybody_stops_it_and_nothing_later_is_stored(story: Story) -> None:
    doctor, anna = story.doctor, story.anna
    since = story.reloaded_at + RELOAD_S + story.paused_s
    wait_until(lambda: story.flashes_since(since) >= ENOUGH_FLASHES, 90, "flashes after the reload")
    wait_until(lambda: time.time() - story.guest_from.by > GUEST_S, GUEST_S + 5, "enough of the guest on the film")
    pressed = time.time()
    anna.press("#stop-recording")
    room.wait_for(doctor, lambda: story.capture().phase is not CapturePhase.RUNNING, "capture stops", 1)
    story.recording_until = Moment(pressed, time.time())
    doctor.page.wait_for_timeout(1000)
    packets = story.capture().packets
    doctor.page.wait_for_timeout(1500)
    assert story.capture().packets == packets
    assert story.capture().phase is not CapturePhase.RUNNING
    for person in (doctor, anna):
        room.wait_for(person, lambda person=person: not room.is_shown(person, "#recording-banner"), "no banner")  # type: ignore[misc]
    story.keep("6-what-becomes-of-it", anna)
    anna.press("#withdrawn-keep")
    room.all_see_and_hear([doctor, anna, story.guest])


def test_6g_a_reload_keeps_the_place_in_relay_too(story: Story) -> None:
    assert story.capture().phase is not CapturePhase.RUNNING
    story.reload_each("relay", story.guest)


def test_6h_who_is_sent_back_or_leaves_is_seen_and_heard_again_when_they_return(story: Story) -> None:
    doctor, anna, guest = story.doctor, story.anna, story.guest
    room.open_panel(doctor, "people")
    doctor.press(f'#people-inside li:has-text("{PATIENT}") [data-act=back]')
    room.wait_in_waiting_room(anna)
    room.wait_for(guest, lambda: len(room.tiles(guest)) == 1, "the guest sees the doctor alone")
    room.admit(doctor, PATIENT)
    room.wait_inside(anna)
    room.all_see_and_hear([doctor, anna, guest])
    story.keep("6-back-again", doctor)


def test_6i_in_relay_the_pictures_stop_with_the_node_and_go_on_with_it(story: Story) -> None:
    doctor, anna = story.doctor, story.anna
    node = story.bedside.children()["media"]
    room.wait_for(doctor, lambda: doctor.is_moving(anna.mark), "the picture moves", 10)
    os.kill(node, signal.SIGSTOP)
    try:
        doctor.wait_still(anna.mark)
        anna.wait_still(doctor.mark)
        assert not doctor.is_moving(anna.mark)
    finally:
        os.kill(node, signal.SIGCONT)
    room.wait_for(doctor, lambda: doctor.is_moving(anna.mark), "the picture goes on", 15)
    story.guest.close()


def test_7a_a_killed_server_costs_no_word_of_the_note(story: Story) -> None:
    doctor = story.doctor
    room.open_panel(doctor, "note")
    first = "Thomas reports a cough for three days, "
    doctor.page.locator("#note-text").press("Control+A")  # over the headings it begins with
    doctor.page.locator("#note-text").press_sequentially(first, delay=15)
    os.kill(story.bedside.children()["server"], signal.SIGKILL)
    rest = "no fever. Fluids, rest; come back if it gets worse."
    doctor.page.locator("#note-text").press_sequentially(rest, delay=15)
    story.note = first + rest
    wait_until(lambda: is_ready(story.bedside.url), 60, "the server is back")
    room.wait_shown(doctor, "#note-status[data-state=saved]", 30)
    room.both_see_and_hear(doctor, story.anna, 25)
    doctor.reload()
    room.wait_inside(doctor)
    room.open_panel(doctor, "note")
    assert doctor.page.locator("#note-text").input_value() == story.note
    story.keep("7-note", doctor)


def test_7b_carry_on_by_phone_keeps_the_visit_and_gives_the_number(story: Story) -> None:
    doctor, anna = story.doctor, story.anna
    room.press_control(doctor, "phone")
    doctor.press("#phone-now")
    room.wait_shown(doctor, '#phone-dialog a[href^="tel:"]')
    assert "1134960000" in room.text(doctor, "#phone-dialog").replace(" ", "")
    room.wait_shown(anna, "#banner-phone")
    assert DOCTOR in room.text(anna, "#banner-phone")
    assert room.is_shown(doctor, "#clock")
    doctor.press("#phone-dialog .dialog__close")


def test_7c_the_end_can_be_undone_then_stands_and_the_note_is_signed(story: Story) -> None:
    doctor, anna = story.doctor, story.anna
    room.end_visit(doctor, "seen")
    doctor.press("#undo-end")
    room.wait_inside(doctor)
    room.wait_inside(anna)
    room.end_visit(doctor, "seen")
    story.keep("7-ended", doctor)
    anna.page.wait_for_url("**/closing", timeout=20_000)
    room.wait_shown(anna, 'h1:has-text("has ended")')
    story.keep("7-closing", anna)

    clinic.open_summary(doctor, story.appointment)
    story.keep("7-summary", doctor)
    doctor.press("#note-sign")
    room.wait_shown(doctor, '#note h3:has-text("Signed note")')
    assert story.note in room.text(doctor, "#note")


def test_7d_the_patient_reads_it_on_their_own_page_and_not_by_the_visits_link(story: Story) -> None:
    anna = story.anna
    anna.open(story.link)
    assert story.note not in room.text(anna, "body")
    clinic.open_own_page(anna, story.scheduler, PATIENT, BIRTH_DATE)
    assert story.note in room.text(anna, "main")
    story.keep("7-own-page", anna)


def test_8_the_film_shows_and_sounds_everybody_in_sync(story: Story) -> None:
    doctor = story.doctor
    clinic.wait_for_film(doctor, 120)
    story.keep("8-film", doctor)
    assert clinic.plays_and_seeks(doctor)
    path = clinic.fetch_film(doctor, ARTIFACTS / story.folder / "film.mp4")

    wrong = story_findings(story, Film(path))
    assert not wrong, f"{path.relative_to(ROOT)} seed {story.cast.seed}: {'; '.join(wrong)}"


def test_9_nothing_went_wrong_on_any_page_and_no_other_host_was_asked(story: Story) -> None:
    for person in (story.doctor, story.anna, story.guest, story.scheduler):
        person.assert_untroubled(allowed=("WebSocket connection", "ERR_CONNECTION_REFUSED", "Failed to load resource"))
