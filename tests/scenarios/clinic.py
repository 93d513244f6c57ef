"""The clinic's pages as people use them: signing in, booking, a visit's door, the doctor's list, the note, the film.

Selectors of `web/templates` live here alone; the visit's own page is `room.py`.
"""

from __future__ import annotations

import re
import time
from datetime import datetime
from zoneinfo import ZoneInfo

from tests.scenarios.room import check_devices_and_enter, is_shown, wait_in_waiting_room, wait_shown
from tests.support.bedside import AllInOne
from tests.support.people import Person

CLINIC = "/c/lindenhof"
ZONE = ZoneInfo("Europe/Berlin")


def visit_link(bedside: AllInOne) -> str:
    """The link of today's visit that `bedside serve` printed."""
    found = re.search(rf"{re.escape(bedside.url)}/v/\S+", bedside.log())
    assert found, bedside.log()[-2000:]
    return found.group()


def sign_in(person: Person, name: str) -> None:
    """One click in the demo, as the person whose name holds `name`."""
    person.open("/demo")
    person.press(f'button[aria-label*="{name}"]')
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
    scheduler.write(f"{squeeze_in} [name=reason]", "needs to be seen today")
    scheduler.press(f"{squeeze_in} button")
    scheduler.page.wait_for_url(re.compile(r"/appointments/[\w-]+"))
    found = re.search(r"/appointments/([\w-]+)", scheduler.page.url)
    assert found, scheduler.page.url
    return found.group(1)


def links_to(person: Person, patient: str) -> list[str]:
    """The personal links in the demo's outbox to this patient, the newest first."""
    person.open("/demo/outbox")
    found = person.page.locator(f'article:has-text("{patient}") a[href*="/v/"]')
    return [str(link.get_attribute("href")) for link in found.all()]


def book_and_get_link(scheduler: Person, patient: str, doctor: str) -> tuple[str, str]:
    """Books now, and waits for the message that this sends; answers the appointment's id and the personal link."""
    known = set(links_to(scheduler, patient))
    appointment = book_now(scheduler, patient, doctor)
    deadline = time.monotonic() + 15
    while True:
        fresh = [link for link in links_to(scheduler, patient) if link not in known]
        if fresh:
            return appointment, fresh[0]
        assert time.monotonic() < deadline, f"no message to {patient}\n{scheduler.describe()}"
        scheduler.page.wait_for_timeout(300)
