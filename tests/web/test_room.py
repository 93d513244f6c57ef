"""What the visit's page does with what it is told, and what it says of what a person does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page

from tests.web.conftest import OpenPage
from tests.web.fake_room import FakeRoom
from tests.web.states import DOCTOR, PATIENT, asked, at, bare, recording, room, settled

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

FAILS = """
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const failing = %s;
  navigator.mediaDevices.getUserMedia = async (wishes) => {
    for (const [kind, name] of Object.entries(failing)) if (wishes[kind]) throw new DOMException('', name);
    return real(wishes);
  };
  window.allow = () => { for (const kind of Object.keys(failing)) delete failing[kind]; };
"""
TONES = """
  window.tones = [];
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...at) { window.tones.push(this.frequency.value); start.apply(this, at); };
"""
EVIL = "<img src=x onerror=alert(1)>"


async def until(condition: Any, timeout_s: float = 8.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.03)


async def enter(fake: FakeRoom, open_page: OpenPage, snapshot: dict[str, Any], script: str = "") -> Page:
    fake.snapshots["patient"] = snapshot
    page = await open_page("/room/patient", script=script)
    await page.click("#open-devices")
    await page.click("#enter")
    await page.wait_for_selector("#visit, #door[data-state=waiting]")
    return page


def open_room(**more: Any) -> dict[str, Any]:
    return room(PATIENT, [DOCTOR, PATIENT], **more)


async def test_a_doctor_whose_first_device_is_gone_goes_on_with_the_second(fake: FakeRoom, open_page: OpenPage) -> None:
    you = room(DOCTOR, [])["you"] | {"state": "waiting", "second_device": True, "device": "d2"}
    fake.snapshots["doctor"] = bare(DOCTOR) | {"you": you}
    fake.answers["allow_device"] = {"ok": False, "error": "not_allowed", "message": "No.", "limit": None}
    page = await open_page("/room/doctor")
    await page.click("#take-over")
    assert "still open on the other device" in await page.inner_text("#not-taken-over")
    fake.answers["allow_device"] = {"ok": True}
    await page.click("#take-over")
    await until(lambda: len(fake.sent("allow_device")) == 2)
    assert fake.sent("allow_device")[1].items() >= {"participant_id": "doctor", "device": "d2"}.items()
    await fake.push("doctor", room(DOCTOR, [DOCTOR, PATIENT]))
    await page.wait_for_selector("#visit")


async def test_a_patients_second_device_cannot_let_itself_in(fake: FakeRoom, open_page: OpenPage) -> None:
    told = bare(PATIENT)
    page = await enter(fake, open_page, told | {"you": told["you"] | {"second_device": True}})
    assert await page.locator("#take-over").count() == 0


# ── devices (C38, C40) ──


@pytest.mark.parametrize(
    ("failing", "microphone", "camera"),
    [
        ("{audio: 'NotFoundError', video: 'NotFoundError'}", "none", "none"),
        ("{video: 'NotAllowedError'}", "on", "denied"),
        ("{audio: 'NotAllowedError', video: 'NotAllowedError'}", "denied", "denied"),
        ("{video: 'NotReadableError'}", "on", "none"),
    ],
)
async def test_whatever_is_missing_one_can_go_in_and_says_so(
    fake: FakeRoom, open_page: OpenPage, failing: str, microphone: str, camera: str
) -> None:
    fake.snapshots["patient"] = open_room()
    page = await open_page("/room/patient", script=FAILS % failing)
    await page.click("#open-devices")
    await page.wait_for_selector("#device-help .help")
    told = await page.inner_text("#device-help")
    assert ("you will be heard" in told) == (microphone == "on")
    await page.click("#enter")
    await until(lambda: fake.sent("devices"))
    said = fake.sent("devices")[-1]
    assert (said["microphone"], said["camera"]) == (microphone, camera)
    assert await page.locator("#mute").get_attribute("data-state") == microphone
    await page.evaluate("allow()")
    await page.click("#camera")
    await until(lambda: fake.sent("devices")[-1]["camera"] == "on")


async def test_a_dead_microphone_is_replaced_at_once_and_its_return_is_only_offered(
    fake: FakeRoom, open_page: OpenPage
) -> None:
    script = """
      const media = navigator.mediaDevices;
      const real = media.getUserMedia.bind(media);
      let dead = false;
      const label = (wish) => (wish?.deviceId?.exact === 'bt' || !dead ? 'Headset' : 'Built-in');
      media.getUserMedia = async (wishes) => {
        const plain = Object.fromEntries(Object.keys(wishes).map((kind) => [kind, true]));
        const stream = await real(plain);
        for (const track of stream.getAudioTracks()) {
          Object.defineProperty(track, 'label', { value: label(wishes.audio) });
          window.microphone = track;
        }
        return stream;
      };
      const device = (deviceId, name) => ({ deviceId, label: name, kind: 'audioinput' });
      media.enumerateDevices = async () => (dead ? [] : [device('bt', 'Headset')]).concat(device('in', 'Built-in'));
      window.die = () => {
        dead = true;
        window.microphone.stop();
        window.microphone.dispatchEvent(new Event('ended'));
      };
      window.live = () => { dead = false; media.dispatchEvent(new Event('devicechange')); };
    """
    page = await enter(fake, open_page, open_room(), script)
    await page.wait_for_function("() => window.microphone")
    await page.evaluate("die()")
    await page.wait_for_selector('.notice:has-text("Built-in")', timeout=2000)
    assert await page.evaluate("microphone.label") == "Built-in"
    assert await page.evaluate("microphone.readyState") == "live"
    await page.evaluate("live()")
    await page.wait_for_selector('.notice:has-text("Headset is back")')
    assert await page.evaluate("microphone.label") == "Built-in"
    await page.click('.notice button:has-text("Use it")')
    await page.wait_for_function("() => microphone.label === 'Headset'")


async def test_nobody_is_unmuted_by_a_reload(fake: FakeRoom, open_page: OpenPage) -> None:
    page = await enter(fake, open_page, open_room())
    await page.click("#mute")
    await page.wait_for_selector("#mute[data-state=muted]")
    await page.reload()
    await page.wait_for_selector("#mute[data-state=muted]")
    await until(lambda: fake.sent("devices")[-1]["microphone"] == "muted")
    assert await page.evaluate("window.__bedside.devices.microphone") == "muted"


# ── being told ──


async def test_an_older_snapshot_changes_nothing(fake: FakeRoom, open_page: OpenPage) -> None:
    page = await enter(fake, open_page, open_room())
    await page.wait_for_selector(".tile")
    await fake.emit("patient", "snapshot", bare(PATIENT) | {"revision": 0})
    await fake.emit("patient", "snapshot", open_room(by_phone=True) | {"revision": 1000})
    await page.wait_for_selector("#banner-phone:not([hidden])")
    assert await page.is_visible("#visit")


async def test_an_event_is_sent_again_with_its_id_after_a_lost_connection(fake: FakeRoom, open_page: OpenPage) -> None:
    page = await enter(fake, open_page, open_room())
    fake.silent.add("chat")
    await page.click("#open-chat")
    await page.fill("#chat-text", "hello")
    await page.click("#chat-send")
    await until(lambda: fake.sent("chat"))
    fake.silent.clear()
    await fake.drop("patient")
    await page.wait_for_selector("#banner-lost:not([hidden])")
    await until(lambda: len(fake.sent("chat")) > 1)
    assert len({body["id"] for body in fake.sent("chat")}) == 1
    await page.wait_for_selector("#banner-lost", state="hidden")


async def test_a_visit_that_has_not_opened_counts_down_and_opens_by_itself(fake: FakeRoom, open_page: OpenPage) -> None:
    fake.snapshots["patient"] = bare(PATIENT)
    fake.configs["patient"] = {"opens_at": at(3600)}
    page = await open_page("/room/patient")
    await page.clock.install()
    await page.reload()
    await page.click("#open-devices")
    await page.click("#enter")
    assert await page.is_visible("#countdown")
    assert fake.events == []
    await page.clock.fast_forward("01:00:01")
    await page.wait_for_selector("#door[data-state=waiting]")


@pytest.mark.parametrize(("wrong_by_s", "opens_in_s"), [(-3 * 3600, -60), (3 * 3600, 600)])
async def test_a_phone_whose_clock_is_wrong_is_let_in_when_the_visit_opens_and_not_before(
    fake: FakeRoom, open_page: OpenPage, wrong_by_s: int, opens_in_s: int
) -> None:
    fake.snapshots["patient"] = bare(PATIENT)
    fake.configs["patient"] = {"opens_at": at(opens_in_s)}
    page = await open_page("/room/patient")
    await page.clock.install(time=datetime.now(UTC) + timedelta(seconds=wrong_by_s))
    await page.reload()
    await page.click("#open-devices")
    await page.click("#enter")
    await page.wait_for_selector("#countdown:not([hidden])" if opens_in_s > 0 else "#door[data-state=waiting]")


async def test_a_closed_link_says_so_and_stays_shut(fake: FakeRoom, open_page: OpenPage) -> None:
    fake.refuse["patient"] = "link_closed"
    page = await open_page("/room/patient")
    await page.click("#open-devices")
    await page.click("#enter")
    await page.wait_for_selector("#door[data-state=closed]")
    assert await page.inner_text("#door h1") == "This link is closed"


async def test_a_doctor_signed_off_in_mid_visit_signs_in_and_goes_on_in_this_tab(
    fake: FakeRoom, open_page: OpenPage
) -> None:
    here = room(DOCTOR, [DOCTOR, PATIENT])
    fake.snapshots["doctor"] = here
    page = await open_page("/room/doctor")
    await page.wait_for_selector("#visit")
    fake.refuse["doctor"] = "not_signed_in"
    await fake.drop("doctor")
    await page.wait_for_selector("#door[data-state=closed]")
    assert "link" not in await page.inner_text("#door")
    assert await page.get_attribute("#way-on", "href") == "/c/harbour/sign-in?next=%2Froom%2Fdoctor"
    # Signed in again: another session, so the place is still the old one's, whom nobody holds any more.
    del fake.refuse["doctor"]
    waits = here["you"] | {"state": "waiting", "second_device": True, "device": "d2"}
    fake.snapshots["doctor"] = bare(DOCTOR) | {"you": waits}
    await page.reload()
    await until(lambda: fake.sent("allow_device"))
    assert fake.sent("allow_device")[0]["device"] == "d2"
    fake.refuse["doctor"] = "not_found"
    await fake.drop("doctor")
    await page.wait_for_selector("#way-on[href='/list']")


async def test_a_visit_that_is_over_leads_to_the_closing_page(fake: FakeRoom, open_page: OpenPage) -> None:
    page = await enter(fake, open_page, open_room())
    you = open_room()["you"] | {"state": "left", "reason": "visit_ended"}
    await fake.push("patient", bare(PATIENT) | {"you": you, "phase": "ended"})
    await page.wait_for_url("**/closing")


# ── recording ──


async def test_yes_and_no_look_alike_and_nothing_is_preselected(fake: FakeRoom, open_page: OpenPage) -> None:
    page = await enter(fake, open_page, open_room(recording=asked()))
    await page.wait_for_selector("#recording-question[open]")
    look = """(id) => { const s = getComputedStyle(document.getElementById(id)); const b =
      document.getElementById(id).getBoundingClientRect();
      return [s.color, s.backgroundColor, s.borderColor, s.fontWeight, s.fontSize, Math.round(b.width), b.height] }"""
    await page.mouse.move(0, 0)
    await settled(page)
    assert await page.evaluate(look, "answer-yes") == await page.evaluate(look, "answer-no")
    assert await page.evaluate("document.activeElement.id") == "recording-question-title"
    assert await page.locator("#recording-question :checked").count() == 0
    await page.click("#answer-no")
    await until(lambda: fake.sent("answer_recording"))
    assert fake.sent("answer_recording")[0]["answer"] == "no"


async def test_a_yes_says_who_else_is_there_and_that_they_agree(fake: FakeRoom, open_page: OpenPage) -> None:
    page = await enter(fake, open_page, open_room(recording=asked()))
    await page.click("#answer-yes")
    await page.fill("#others-present", "my sister")
    await page.click("#send-yes")
    assert await page.is_visible("#recording-question .nhsuk-error-message")
    assert fake.sent("answer_recording") == []
    await page.check("#others-agree")
    await page.click("#send-yes")
    await until(lambda: fake.sent("answer_recording"))
    said = fake.sent("answer_recording")[0]
    assert (said["others_present"], said["others_agree"], said["given_for"]) == ("my sister", True, "self")


async def test_why_a_yes_was_refused_stands_in_the_question_and_a_no_is_still_there(
    fake: FakeRoom, open_page: OpenPage
) -> None:
    fake.answers["answer_recording"] = {"ok": False, "error": "not_allowed", "message": "You may not agree."}
    page = await enter(fake, open_page, open_room(recording=asked()))
    await page.click("#answer-yes")
    await page.click("#send-yes")
    await page.wait_for_selector('#recording-question [role=alert]:has-text("You may not agree.")')
    assert await page.locator(".notice").count() == 0, "the question would cover it there"
    fake.answers["answer_recording"] = {"ok": True}
    await page.click(".question__details button[type=button]")
    await until(lambda: [one["answer"] for one in fake.sent("answer_recording")] == ["yes", "no"])


async def test_the_banner_and_its_stop_are_on_screen_and_said_aloud(fake: FakeRoom, open_page: OpenPage) -> None:
    page = await enter(fake, open_page, open_room(), TONES)
    running = asked("running", {"doctor": "yes", "patient": "yes"})
    await fake.push("patient", open_room(recording=running, mode="relay"))
    await page.wait_for_selector('#urgent:has-text("This visit is being recorded")', state="attached")
    await page.wait_for_function("() => window.tones.at(-1) > window.tones.at(-2)")  # rising: it runs
    paused = running | {"phase": "paused", "code": "examination", "paused_by": "Anna"}
    await fake.push("patient", open_room(recording=paused, mode="relay"))
    await page.wait_for_function("() => window.tones.at(-1) === window.tones.at(-2)")
    await fake.push("patient", open_room(recording=running, mode="relay"))
    await page.click("#leave")
    await page.click("#stop-recording")
    await until(lambda: fake.sent("stop_recording"))
    await page.wait_for_selector("#withdrawn[open]")
    await fake.push("patient", open_room(recording=recording(phase="stopped", recording_id="r1"), mode="relay"))
    await page.wait_for_selector('.notice:has-text("stopped")')
    await page.wait_for_function("() => window.tones.at(-1) < window.tones.at(-2)")  # falling: it is over
    assert await page.is_hidden("#recording-banner")
    assert await page.locator("#withdrawn :checked").count() == 0
    fake.answers["choose_withdrawn"] = {"ok": True, "result": "done"}
    await page.click("#withdrawn-delete_mine")
    await page.wait_for_selector('.notice:has-text("being deleted")')
    assert fake.sent("choose_withdrawn")[0]["choice"] == "delete_mine"
    await fake.push("patient", open_room(recording=running, mode="relay"))
    full = recording(phase="failed", recording_id="r1", code="storage_full")
    await fake.push("patient", open_room(recording=full, mode="relay"))
    await page.wait_for_selector('.notice:has-text("the clinic\'s store is full")')


async def test_a_doctor_who_stops_it_is_offered_the_choice_and_not_stopped_by_it(
    fake: FakeRoom, open_page: OpenPage
) -> None:
    here = [DOCTOR, PATIENT]
    fake.snapshots["doctor"] = room(DOCTOR, here)
    page = await open_page("/room/doctor")
    await page.wait_for_selector("#visit")
    answers = {"doctor": "yes", "patient": "yes"}
    await fake.push("doctor", room(DOCTOR, here, recording=asked("running", answers), mode="relay"))
    await page.click("#stop-recording")
    await until(lambda: fake.sent("stop_recording"))
    await fake.push("doctor", room(DOCTOR, here, recording=recording(phase="stopped", recording_id="r1"), mode="relay"))
    await page.click('.notice button:has-text("Keep or delete")')
    await page.wait_for_selector("#withdrawn[open]")


async def test_a_node_that_is_gone_is_told_to_everybody_whose_picture_stands_still(
    fake: FakeRoom, open_page: OpenPage
) -> None:
    here = [DOCTOR, PATIENT]
    fake.snapshots["doctor"] = room(DOCTOR, here, node_down=True)
    doctor = await open_page("/room/doctor")
    patient = await enter(fake, open_page, room(PATIENT, here, mode="relay", relay_up=True))
    assert "straight connection goes on" in await doctor.inner_text("#banner-node")
    await patient.wait_for_selector("#visit")
    assert not await patient.is_visible("#banner-node")
    await fake.push("doctor", room(DOCTOR, here, node_down=True, mode="relay"))
    await fake.push("patient", room(PATIENT, here, mode="relay", relay_up=False))
    await patient.wait_for_selector('#banner-node:has-text("stand still")')
    await doctor.wait_for_selector('#banner-node:has-text("carry on by phone")')
    assert "straight" not in await doctor.inner_text("#banner-node")


async def test_record_says_why_it_cannot_be_and_a_refusal_is_read(fake: FakeRoom, open_page: OpenPage) -> None:
    here = [DOCTOR, PATIENT]
    fake.snapshots["doctor"] = room(DOCTOR, here, node_down=True)
    page = await open_page("/room/doctor")
    await page.wait_for_selector("#record:has-text('Can’t record')")
    await page.click("#record")
    assert "not possible just now" in await page.inner_text("#recording-ask")
    assert await page.locator("#ask-everybody").count() == 0
    await page.keyboard.press("Escape")
    for more in (
        {"recording": recording(phase="declined", recording_id="r1")},
        {"by_phone": True},
        {"people": [DOCTOR]},
    ):
        await fake.push("doctor", room(DOCTOR, here) | more)
        await page.click("#record:has-text('Can’t record')")
        assert await page.is_visible("#why-not-asked")
        await page.keyboard.press("Escape")
    await fake.push("doctor", room(DOCTOR, here, recording=recording(phase="declined", may_ask_again=True)))
    await page.click("#record:not(:has-text('Can’t'))")
    fake.answers["ask_recording"] = {"ok": False, "error": "node_down", "message": "Not just now.", "limit": None}
    await page.click("#purpose-0", force=True)
    await page.click("#ask-everybody")
    await page.wait_for_selector('.notice:has-text("Not just now.")')
    assert await page.is_hidden("#recording-ask")


async def test_a_pause_for_an_examination_is_one_press_and_only_a_press_ends_it(
    fake: FakeRoom, open_page: OpenPage
) -> None:
    page = await enter(fake, open_page, open_room())
    answers = {"doctor": "yes", "patient": "yes"}
    await fake.push("patient", open_room(recording=asked("running", answers), mode="relay"))
    await page.wait_for_selector("#someone-came-in")
    await page.focus("#pause-recording")
    await page.keyboard.press("Enter")
    await until(lambda: fake.sent("pause_recording"))
    assert fake.sent("pause_recording")[0]["why"] == "examination"
    paused = asked("paused", answers, code="examination", paused_by=EVIL, may_resume=True)
    await fake.push("patient", open_room(recording=paused, mode="relay"))
    await page.wait_for_selector('#urgent:has-text("paused for an examination")', state="attached")
    assert await page.is_hidden("#pause-recording")
    assert await page.evaluate("document.activeElement.id") == "resume-recording"
    assert EVIL in await page.inner_text("#recording-banner")
    await page.click("#resume-recording")
    await until(lambda: fake.sent("resume_recording"))
    await fake.push("patient", open_room(recording=asked("running", answers), mode="relay"))
    await page.click("#someone-came-in")
    await until(lambda: len(fake.sent("pause_recording")) == 2)
    assert fake.sent("pause_recording")[1]["why"] == "someone_came_in"


# ── chat and names as text (C118), too long (C07) ──


async def test_names_and_chat_are_text_and_only_safe_addresses_are_links(fake: FakeRoom, open_page: OpenPage) -> None:
    text = f"{EVIL} javascript:alert(1) https://clinic.example/a mailto:a@b.example"
    line = {"n": 1, "at": at(), "participant_id": "doctor", "name": EVIL, "role": "doctor", "text": text}
    fake.answers["chat_history"] = {"ok": True, "lines": [line]}
    page = await enter(fake, open_page, room(PATIENT, [DOCTOR | {"name": EVIL}, PATIENT], chat_count=1))
    await page.click("#open-chat")
    await page.wait_for_selector(".chat__line")
    assert await page.locator("img[src=x]").count() == 0
    hrefs = await page.evaluate("() => [...document.querySelectorAll('.chat__line a')].map((a) => [a.href, a.rel])")
    assert hrefs == [["https://clinic.example/a", "noopener noreferrer"], ["mailto:a@b.example", "noopener noreferrer"]]
    assert EVIL in await page.inner_text(".chat__line")
    assert EVIL in await page.inner_text(".tile__caption")


async def test_too_long_a_message_is_not_sent_and_not_lost(fake: FakeRoom, open_page: OpenPage) -> None:
    page = await enter(fake, open_page, open_room())
    await page.click("#open-chat")
    await page.fill("#chat-text", "A" * 20_000)
    await page.click("#chat-send")
    assert "at most 4000" in await page.inner_text("#chat-problem")
    assert len(await page.input_value("#chat-text")) == 20_000
    assert fake.sent("chat") == []


# ── the note ──


async def test_no_word_of_the_note_is_lost_when_the_server_goes_away(fake: FakeRoom, open_page: OpenPage) -> None:
    fake.snapshots["doctor"] = room(DOCTOR, [DOCTOR])
    fake.draft_answers = [(503, {"error": "unavailable"})] * 3
    page = await open_page("/room/doctor")
    await page.wait_for_selector("#note-text")
    await page.locator("#note-text").press_sequentially("Cough for three", delay=5)
    await page.wait_for_selector("#note-status[data-state=waiting]")
    await page.reload()
    await page.wait_for_function("() => document.getElementById('note-text')?.value === 'Cough for three'")
    await page.wait_for_selector("#note-status[data-state=saved]", timeout=15_000)
    assert fake.drafts[-1] == ("0", "Cough for three")
    assert await page.evaluate("() => Object.keys(localStorage).filter((key) => key.includes('draft'))") == []


async def test_two_writers_are_shown_both_texts(fake: FakeRoom, open_page: OpenPage) -> None:
    fake.snapshots["doctor"] = room(DOCTOR, [DOCTOR])
    fake.draft_answers = [(409, {"revision": 5, "text": "theirs"})]
    page = await open_page("/room/doctor")
    await page.fill("#note-text", "mine")
    await page.wait_for_selector("#note-conflict:not([hidden])")
    assert "theirs" in await page.inner_text("#note-conflict")
    await page.click('#note-conflict button:has-text("Keep both")')
    await page.wait_for_selector("#note-status[data-state=saved]")
    assert fake.drafts[-1] == ("5", "theirs\n\nmine")


# ── arrivals ──


async def test_arrivals_ring_until_seen_and_hide_a_name_that_is_not_told(fake: FakeRoom, open_page: OpenPage) -> None:
    one = {"room_id": "r1", "participant_id": "a", "name": None, "role": "patient", "waiting_since": at(-9)}
    told = {"waiting": [one | {"late": False, "seen": False}], "silent": False, "names_hidden": True}
    fake.arrivals = told
    page = await open_page("/list")
    await page.wait_for_selector("#arrivals[data-state=ringing]")
    assert await page.locator("#arrivals a").get_attribute("href") == "/visits/r1"
    assert "Somebody" in await page.inner_text("#arrivals-list")
    await page.click("#arrivals-seen")
    await until(lambda: fake.sent("arrivals_seen"))
    assert fake.sent("arrivals_seen")[0]["participant_ids"] == ["a"]
    await fake.push_arrivals(told | {"waiting": [one | {"late": False, "seen": True}]})
    await page.wait_for_selector("#arrivals[data-state=quiet]")
    await fake.push_arrivals(told | {"waiting": []})
    await page.wait_for_selector("#arrivals", state="hidden")
    assert not (await page.title()).startswith("(")
