"""The story's pages with nothing but a keyboard, at 200 % zoom: everything is reached, seen and undone that way.

The whole story by keyboard, and at 200 %, is `test_main_job.py` in the soak; here are its pages' own promises.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.scenarios import clinic, room
from tests.scenarios.story import DOCTOR, PHONE, PLACE, Story
from tests.support.bedside import AllInOne
from tests.support.people import ARTIFACTS, Cast, Person

pytestmark = [pytest.mark.timeout(180), pytest.mark.browser]

PATIENT = "Anna Lindqvist"
LATER = "Zoë"
MOST_STOPS = 150

WATCH_FOCUS = """() => {
  // Tells of every stop of the Tab key at which a person would not see where they are.
  const shows = (style) =>
    (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== "none";
  const look = (one) => {
    if (document.activeElement !== one || one.tabIndex < 0 || !one.matches(":focus-visible")) return;
    const label = one.matches("input[type=checkbox], input[type=radio]") ? one.labels[0] : null;
    const seen = shows(getComputedStyle(one)) || (label && shows(getComputedStyle(label, "::before")));
    const box = (label ?? one).getBoundingClientRect();
    const [x, y] = [box.left + box.width / 2, box.top + Math.min(box.height / 2, 20)];
    const top = document.elementFromPoint(x, y);
    const inSight = top && (one.contains(top) || top.contains(one) || top === label || label?.contains(top));
    const name = `${one.tagName} #${one.id} ${(one.textContent ?? "").trim().slice(0, 30)}`;
    if (!seen) window.__unseen(`no focus mark: ${name}`);
    if (!inSight) window.__unseen(`covered or out of sight: ${name} at ${Math.round(x)},${Math.round(y)}`);
  };
  document.addEventListener("focusin", (event) => requestAnimationFrame(() => look(event.target)));
}"""
MOUSE_ONLY = """() => {
  const shown = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest("[inert]");
  const press = "a, button, summary, input, select, textarea, [role=button], [onclick], [tabindex='0']";
  return [...document.querySelectorAll(press)]
    .filter((one) => shown(one) && !one.disabled && one.tabIndex < 0 && one.type !== "hidden")
    .map((one) => `${one.tagName} #${one.id} ${one.textContent.trim()}`);
}"""
CUT_OFF = """() => {
  const scrolls = (one) => ["auto", "scroll"].includes(getComputedStyle(one).overflowY);
  const wrong = [];
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) wrong.push(`the page is ${page.scrollWidth} wide`);
  const fixed = getComputedStyle(document.body).overflowY === "hidden" || page.scrollHeight <= page.clientHeight;
  for (const one of document.querySelectorAll("h1, h2, h3, p, label, legend, dt, dd, li, a, button, input, select")) {
    if (!one.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const box = one.getBoundingClientRect();
    if (box.width <= 1 || box.height <= 1 || one.closest(".nhsuk-skip-link, .nhsuk-u-visually-hidden")) continue;
    const name = `${one.tagName} #${one.id} ${(one.textContent || one.name || "").trim().slice(0, 40)}`;
    if (box.right > innerWidth + 1 || box.left < -1) wrong.push(`sideways: ${name}`);
    let above = one.parentElement;
    while (above && !scrolls(above)) above = above.parentElement;
    if (fixed && !above && (box.bottom > innerHeight + 1 || box.top < -1)) wrong.push(`below the edge: ${name}`);
    const clips = getComputedStyle(one).overflowX !== "visible" && !scrolls(one) && !one.matches("input, select");
    if (clips && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1))
      wrong.push(`cut: ${name}`);
  }
  return wrong;
}"""


class Keys:
    """A person without a mouse whose page is watched: what had the focus and could not be seen."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.unseen: list[str] = []
        self.folder = ARTIFACTS / "keyboard"
        self.folder.mkdir(parents=True, exist_ok=True)
        person.context.expose_function("__unseen", lambda found: self.unseen.append(str(found)))
        person.context.add_init_script(f"({WATCH_FOCUS})()")

    def check(self, step: str) -> None:
        """Of the page as it is: nothing for the mouse alone, nothing cut off, no focus that nobody saw."""
        page = self.person.page
        page.wait_for_timeout(250)
        page.screenshot(path=self.folder / f"{step.replace(' ', '-')}-{self.person.name}-640.png")
        wrong = [f"mouse only: {found}" for found in page.evaluate(MOUSE_ONLY)]
        wrong += [f"200 %: {found}" for found in page.evaluate(CUT_OFF)]
        wrong += self.unseen
        self.unseen.clear()
        assert not wrong, f"{self.person.name}, {step}: " + "\n".join(wrong)

    def shows_whole(self, *selectors: str) -> bool:
        """Whether these are all on the screen now, without scrolling."""
        inside = """(one) => { const box = document.querySelector(one).getBoundingClientRect();
          return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight + 1; }"""
        return all(self.person.page.evaluate(inside, selector) for selector in selectors)

    def stops(self) -> list[str]:
        """Where Tab leads from here until it comes round, by id, or by words where there is none."""
        page = self.person.page
        name = """() => { const one = document.activeElement;
          return one === document.body ? "" : one.id || one.getAttribute("data-outcome") || one.textContent.trim(); }"""
        found: list[str] = []
        for _ in range(MOST_STOPS):
            page.keyboard.press("Tab")
            stop = str(page.evaluate(name))
            if found and stop == found[0]:
                return found
            found.append(stop)
        raise AssertionError(f"Tab never comes round: {found}")

    def has_focus(self, selector: str) -> bool:
        return bool(self.person.page.evaluate("(one) => document.activeElement?.matches(one) ?? false", selector))


@pytest.fixture(scope="module")
def told(bedside: AllInOne, cast: Cast) -> Story:
    return Story(bedside, cast, "keyboard", {"keyboard": True, "zoom": 2})


@pytest.fixture(scope="module")
def keys(told: Story) -> Callable[[Person], Keys]:
    known: dict[str, Keys] = {}

    def of(person: Person) -> Keys:
        if person.name not in known:
            known[person.name] = Keys(person)
        return known[person.name]

    return of


Of = Callable[[Person], Keys]


def test_1_a_slot_is_booked(story: Story, keys: Of) -> None:
    # The scheduler's pages at their own width; the doctor's browser is used for both.
    doctor = story.doctor
    watched = keys(doctor)
    clinic.sign_in(doctor, "Mina Park")
    watched.check("board")
    clinic.book_first_slot(doctor, LATER, DOCTOR)
    watched.check("outbox")


def test_2_door_card_and_waiting_room(story: Story, keys: Of) -> None:
    anna = story.anna
    watched = keys(anna)
    anna.open(clinic.visit_link(story.bedside))
    anna.page.locator("[name=place]").press("Enter")
    assert watched.has_focus("[name=phone]"), "Enter goes to the next question and sends nothing"
    clinic.fill_card(anna, place=PLACE, phone=PHONE, others="nobody")
    watched.check("door")
    clinic.go_in(anna)
    room.wait_shown(anna, "#open-devices")
    watched.check("device check")
    room.check_devices_and_enter(anna)
    room.wait_in_waiting_room(anna)
    watched.check("waiting room")
    assert watched.has_focus("#door h1, #door h1 *, #door button")


def test_3_the_doctor_admits(story: Story, keys: Of) -> None:
    doctor, anna = story.doctor, story.anna
    clinic.sign_in(doctor, DOCTOR)
    doctor.open(f"{clinic.CLINIC}/clinic")
    room.wait_shown(doctor, "#arrivals-list li")
    keys(doctor).check("list with an arrival")
    doctor.press(f'#maincontent .bs-person:has-text("{PATIENT}") a')
    room.wait_shown(doctor, f'#lobby [data-participant]:has-text("{PATIENT}")')
    keys(doctor).check("lobby")
    room.admit(doctor, PATIENT)
    room.wait_inside(anna)
    room.both_see_and_hear(doctor, anna, 25)
    for person in (doctor, anna):
        keys(person).check("visit")
    assert keys(doctor).shows_whole("#emergency", "#mute", "#leave")


def test_4_mute_camera_and_chat(story: Story, keys: Of) -> None:
    doctor, anna = story.doctor, story.anna
    room.press_control(anna, "mute")
    doctor.wait_not_hears(anna.mark)
    room.press_control(anna, "mute")
    doctor.wait_hears(anna.mark)
    room.press_control(doctor, "camera")
    anna.wait_not_sees(doctor.mark)
    room.press_control(doctor, "camera")
    anna.wait_sees(doctor.mark)
    room.say(anna, "by keyboard")
    room.wait_reads(doctor, "by keyboard")
    for person in (doctor, anna):
        keys(person).check("chat")


def test_5_dialogs_take_the_focus_and_give_it_back(story: Story, keys: Of) -> None:
    """They don't lock the page: Emergency and Stop must stay in reach whatever is open."""
    doctor = story.doctor
    watched = keys(doctor)
    for opener, dialog in (("emergency", "emergency-dialog"), ("leave", "end-dialog"), ("record", "recording-ask")):
        room.press_control(doctor, opener)
        room.wait_shown(doctor, f"#{dialog}[open]")
        assert watched.has_focus(f"#{dialog} *"), f"focus is not in {dialog}"
        if opener == "emergency":
            room.wait_shown(doctor, "#emergency-facts")
        watched.check(dialog)
        assert "emergency" in watched.stops()
        doctor.page.locator(f"#{dialog} h2").focus()
        doctor.page.keyboard.press("Escape")
        room.wait_for(doctor, lambda dialog=dialog: not room.is_shown(doctor, f"#{dialog}"), f"{dialog} closes")  # type: ignore[misc]
        assert watched.has_focus(f"#{opener}, #more"), f"after {dialog} the focus is lost"
        watched.unseen.clear()


def test_6_a_recording_is_asked_for_answered_and_stopped(story: Story, keys: Of) -> None:
    doctor, anna = story.doctor, story.anna
    room.ask_to_record(doctor)
    room.wait_shown(anna, "#recording-question[open]")
    assert keys(anna).has_focus("#recording-question *")
    keys(anna).check("question")
    room.answer_yes(doctor)
    room.answer_yes(anna)
    room.wait_recording([doctor, anna], 15)
    for person in (doctor, anna):
        keys(person).check("recording")
        assert keys(person).shows_whole("#stop-recording", "#mute", "#leave")
    assert keys(doctor).shows_whole("#emergency")
    server = story.bedside.children()["server"]
    os.kill(server, signal.SIGSTOP)
    try:  # what can't be delivered holds all the same
        anna.press("#stop-recording")
        room.wait_shown(anna, "#recording-banner[data-held=true]")
        doctor.wait_not_hears(anna.mark)
        keys(anna).check("held back")
    finally:
        os.kill(server, signal.SIGCONT)
    room.wait_shown(anna, "#withdrawn-keep")
    keys(anna).check("what becomes of it")
    anna.press("#withdrawn-keep")
    room.wait_for(doctor, lambda: not room.is_shown(doctor, "#recording-banner[data-state=running]"), "it has stopped")
    room.both_see_and_hear(doctor, anna, 25)


def test_7_note_end_undo_and_sign(story: Story, keys: Of) -> None:
    doctor, anna = story.doctor, story.anna
    room.open_panel(doctor, "note")
    doctor.write("#note-text", "Seen without a mouse.")
    room.wait_shown(doctor, "#note-status[data-state=saved]", 20)
    keys(doctor).check("note")
    room.end_visit(doctor, "seen")
    doctor.press("#undo-end")
    room.wait_inside(doctor)
    room.wait_inside(anna)
    room.end_visit(doctor, "seen")
    keys(doctor).check("ended")
    anna.page.wait_for_url("**/closing", timeout=25_000)
    keys(anna).check("closing")
    doctor.press("#note-sign")
    room.wait_shown(doctor, '#note h3:has-text("Signed note")', 20)
    assert "Seen without a mouse." in room.text(doctor, "#note")
    keys(doctor).check("summary")
    for person in (doctor, anna):
        person.assert_untroubled(allowed=("WebSocket", "Failed to load resource"))
