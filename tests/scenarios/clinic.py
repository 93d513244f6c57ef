"""The clinic's pages as people use them: signing in, booking, a visit's door, the doctor's list, the note, the film.

Selectors of `web/templates` live here alone; the visit's own page is `room.py`.
"""

from __future__ import annotations

import re

from tests.scenarios.room import check_devices_and_enter, wait_in_waiting_room, wait_shown
from tests.support.bedside import AllInOne
from tests.support.people import Person


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
    if agrees:
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


def open_visit(doctor: Person, patient: str) -> None:
    """From the doctor's list into the visit of this patient."""
    doctor.page.wait_for_load_state()
    doctor.press(f'main li:has-text("{patient}") a, main tr:has-text("{patient}") a')
    doctor.page.wait_for_load_state()
    wait_shown(doctor, "#visit, #door")


def link_in_outbox(person: Person, first_name: str) -> str:
    """The newest personal link in the demo's outbox written to somebody of this name."""
    person.open("/demo/outbox")
    found = re.findall(r"https?://[^\s\"<]+/v/[\w-]+", person.page.locator(f':text("{first_name}")').first.inner_html())
    assert found, person.describe()
    return str(found[0])
