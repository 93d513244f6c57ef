"""The clinic's pages as people use them: signing in, booking, a visit's door, the doctor's list, the note, the film.

Selectors of `web/templates` live here alone; the visit's own page is `room.py`.
"""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.scenarios.room import check_devices_and_enter, is_shown, open_panel, wait_in_waiting_room, wait_shown
from tests.support.bedside import AllInOne
from tests.support.people import Person

CLINIC = "/c/lindenhof"
REASON = "needs to be seen today"
ZONE = ZoneInfo("Europe/Berlin")


def visit_link(bedside: AllInOne) -> str:
    """The link of today's visit that `bedside serve` printed."""
    found = re.search(rf"{re.escape(bedside.url)}/v/\S+", bedside.log())
    assert found, "the start printed no link"
    return found.group()


def sign_in(person: Person, name: str) -> None:
    """One click in the demo, as the person whose name holds `name`."""
    person.open("/demo")
    person.press(f'button[aria-label*="{name}"]')
    # Enter answers before the page has gone.
    person.page.wait_for_url(lambda url: "/demo" not in url)
    person.page.wait_for_load_state()


def fill_card(person: Person, *, place: str = "", phone: str = "", others: str = "", agrees: bool = True) -> None:
    """The card of the visit's door; parts may be left out."""
    if place:
        person.write("[name=place]", place)
    if phone:
        person.write("[name=phone]", phone)
    if others:
        person.write("[name=others]", others)
    if agrees and is_shown(person, "input[name=agrees]"):
        person.press("input[name=agrees]")


def go_in(person: Person) -> None:
    """The card's one press: "I am …"."""
    person.press("#i-am")


def come_by_link(person: Person, link: str) -> None:
    """Opens the link, fills in the card, checks the devices and waits."""
    person.open(link)
    fill_card(person, place="12 Mill Lane, Leeds", phone="+44 113 496 0000")
    go_in(person)
    check_devices_and_enter(person)
    wait_in_waiting_room(person)


def open_visit(doctor: Person, appointment: str) -> None:
    """From the doctor's list into the visit of this appointment."""
    doctor.open(f"{CLINIC}/clinic")
    doctor.press(f"#visit-{appointment} a")
    wait_shown(doctor, "#visit, #door")


def book_now(scheduler: Person, patient: str, doctor: str) -> str:
    """Squeezes this patient in at the current five minutes; answers the appointment's id."""
    scheduler.open(f"{CLINIC}/book")
    scheduler.write("#search", patient)
    scheduler.press('form[role=search] button:has-text("Search")')
    scheduler.press(f'li:has-text("{patient}") a')
    scheduler.press('summary:has-text("Squeeze in")')
    squeeze_in = 'form[action$="/squeeze-in"]'
    label = scheduler.page.locator("#squeeze-doctor option", has_text=doctor)
    scheduler.choose("#squeeze-doctor", str(label.get_attribute("value")))
    now = datetime.now(ZONE)
    scheduler.write("#squeeze-day", now.date().isoformat())
    scheduler.write("#clock", f"{now.hour:02}:{now.minute // 5 * 5:02}")
    scheduler.write(f"{squeeze_in} [name=reason]", REASON)
    scheduler.press(f"{squeeze_in} button")
    scheduler.page.wait_for_url(re.compile(r"/appointments/[\w-]+"))
    found = re.search(r"/appointments/([\w-]+)", scheduler.page.url)
    assert found, scheduler.page.url
    return found.group(1)


def note_proxy(scheduler: Person, appointment: str, name: str) -> tuple[str, str]:
    """A mother who may come along and read notes; answers the link that is shown once, and a code read out for it."""
    scheduler.open(f"{CLINIC}/appointments/{appointment}")
    patient = str(scheduler.page.locator('#maincontent a[href*="/patients/"]').first.get_attribute("href"))
    found = re.search(r"/patients/[\w-]+", patient)
    assert found, patient
    page = f"{CLINIC}{found.group()}/proxies"
    scheduler.open(page)
    scheduler.write("[name=name]", name)
    scheduler.write("[name=relation]", "mother")
    scheduler.press("input[name=authority][value=parent]")
    for scope in ("attend", "read_notes"):
        scheduler.press(f"input[name=scopes][value={scope}]")
    scheduler.press('button:has-text("make their link")')
    wait_shown(scheduler, 'a[href*="/p/"]')
    link = str(scheduler.page.locator('a[href*="/p/"]').first.get_attribute("href"))
    scheduler.open(page)
    scheduler.press('button:has-text("A code to read out")')
    wait_shown(scheduler, ".nhsuk-heading-xl strong")
    return link, re.sub(r"\D", "", scheduler.page.locator(".nhsuk-heading-xl strong").inner_text())


def links_to(person: Person, patient: str) -> list[str]:
    """The personal links in the demo's outbox to this patient, the newest first."""
    person.open("/demo/outbox")
    found = person.page.locator(f'article:has-text("{patient}") a[href*="/v/"]')
    return [str(link.get_attribute("href")) for link in found.all()]


def book_and_get_link(scheduler: Person, patient: str, doctor: str) -> tuple[str, str]:
    """Books now, and waits for the message that this sends; answers the appointment's id and the personal link."""
    known = set(links_to(scheduler, patient))
    appointment = book_now(scheduler, patient, doctor)
    return appointment, wait_new_link(scheduler, patient, known)


def wait_new_link(person: Person, patient: str, known: set[str]) -> str:
    """The link of the next message to this patient, once the job has sent it."""
    deadline = time.monotonic() + 15
    while True:
        fresh = [link for link in links_to(person, patient) if link not in known]
        if fresh:
            return fresh[0]
        assert time.monotonic() < deadline, f"no message to {patient} within 15 s ({person.brief()})"
        person.page.wait_for_timeout(300)


def book_first_slot(scheduler: Person, patient: str, doctor: str) -> str:
    """Books the first free time that the clinic offers from tomorrow on; answers the link sent for it."""
    known = set(links_to(scheduler, patient))
    scheduler.open(f"{CLINIC}/book")
    scheduler.write("#search", patient)
    scheduler.press('form[role=search] button:has-text("Search")')
    scheduler.press(f'li:has-text("{patient}") a')
    scheduler.press('a:has-text("Next day with free times")')
    scheduler.press(f'fieldset:has-text("{doctor}") input[name=slot]')
    scheduler.press('button:has-text("Book")')
    scheduler.page.wait_for_url(re.compile(r"/appointments/[\w-]+"))
    return wait_new_link(scheduler, patient, known)


def newest_message(person: Person, patient: str) -> str:
    person.open("/demo/outbox")
    return person.page.locator(f'article:has-text("{patient}")').first.inner_text()


def newest_calendar(person: Person, patient: str) -> str:
    """The calendar file of the newest message that has one."""
    person.open("/demo/outbox")
    link = person.page.locator(f'article:has-text("{patient}") a[href$=".ics"]').first
    answer = person.page.request.get(str(link.get_attribute("href")))
    assert answer.headers["content-type"].startswith("text/calendar")
    return answer.text()


def return_to_waiting(person: Person, link: str) -> None:
    """Back to the device check with the same link, on the same device: the card is filled in from before."""
    person.open(link)
    assert person.page.locator("[name=place]").input_value() != ""
    go_in(person)
    wait_shown(person, "#open-devices, #enter")
    if is_shown(person, "#open-devices"):
        person.press("#open-devices")
    wait_shown(person, "#enter")


def invite_guest(doctor: Person, name: str, role: str) -> str:
    """The doctor makes a link for one more person; answers it."""
    open_panel(doctor, "people")
    doctor.write("#guest-name", name)
    doctor.choose("#guest-role", role)
    doctor.press("#guest-make")
    wait_shown(doctor, "#guest-link")
    return doctor.page.locator("#guest-link").input_value()


def enter_as_guest(guest: Person) -> None:
    guest.press("main form button")
    wait_shown(guest, "#open-devices")


# ── after the visit ──


def open_summary(doctor: Person, appointment: str) -> None:
    """From the page that says the visit has ended, over the list, to what is left of it."""
    doctor.press("#back-to-list")
    deadline = time.monotonic() + 30
    while not is_shown(doctor, "#note"):
        assert time.monotonic() < deadline, f"no summary ({doctor.brief()})"
        doctor.open(f"{CLINIC}/clinic")
        doctor.press(f"#visit-{appointment} a")
        doctor.page.wait_for_load_state()
        doctor.page.wait_for_timeout(1000)


def open_own_page(patient: Person, reader: Person, name: str, birth_date: str) -> None:
    """By the link sent when the note was signed: birth date and the code sent to the phone on file."""
    deadline = time.monotonic() + 15
    while True:
        reader.open("/demo/outbox")
        found = reader.page.locator(f'article:has-text("{name}") a[href*="/p/"]').first
        if found.count():
            break
        assert time.monotonic() < deadline, f"no message about the signed note ({reader.brief()})"
        reader.page.wait_for_timeout(300)
    patient.open(str(found.get_attribute("href")))
    patient.press('button:has-text("Send me the code")')
    wait_shown(patient, "[name=code]")
    code = None
    while code is None:
        found_code = re.search(r"\b(\d{6})\b", newest_message(reader, name))
        code = found_code.group(1) if found_code else None
        assert time.monotonic() < deadline + 15, f"no code in a message ({reader.brief()})"
    patient.write("[name=birth_date]", birth_date)
    patient.write("[name=code]", code)
    patient.press('button:has-text("Open my page")')
    wait_shown(patient, 'h1:has-text("Your page")')


def wait_for_film(doctor: Person, timeout_s: float) -> None:
    """On the visit's page: a bar that moves, then the film."""
    wait_shown(doctor, "#films progress, #films video", 20)
    wait_shown(doctor, "#films video", timeout_s)


def plays_and_seeks(doctor: Person) -> bool:
    """Whether the film plays, and goes on playing from its middle after a jump there."""
    script = """async (video) => {
      const event = (name) => new Promise((done) => video.addEventListener(name, done, { once: true }));
      video.muted = true;
      await video.play();
      while (video.currentTime < 0.3) await event("timeupdate");
      const middle = video.duration / 2;
      video.currentTime = middle;
      await event("seeked");
      while (video.currentTime < middle + 0.3) await event("timeupdate");
      video.pause();
      return video.seekable.length === 1 && video.seekable.end(0) > video.duration - 0.1;
    }"""
    return bool(doctor.page.locator("#films video").first.evaluate(script))


def fetch_film(doctor: Person, path: Path) -> Path:
    source = str(doctor.page.locator("#films video").first.get_attribute("src"))
    answer = doctor.page.request.get(source)
    assert answer.ok
    assert answer.headers["content-type"] == "video/mp4"
    path.write_bytes(answer.body())
    return path
