"""One Chromium in which each role has a context of its own, and the ways to the pages that only a run can name.

What is asked of a page when it is there is `test_pages.py`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Page

from server.db import new_id
from tests.scenarios import clinic, room
from tests.scenarios.story import DOCTOR
from tests.support.bedside import AllInOne
from tests.support.people import Person

HERE = clinic.CLINIC
PATIENT = "Anna Lindqvist"
LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff"
ROLES = {
    "doctor": [DOCTOR],
    "scheduler": ["Mina Park"],
    "administrator": ["Peter Nov"],
    "privacy officer": ["Lea Brandt"],
    "patient": [PATIENT],
}


@dataclass(repr=False)
class World:
    """One Chromium in which each role has a context of its own, and what was found on the way."""

    bedside: AllInOne
    first: Person
    roles: dict[str, Person] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)
    """Everything that was asked for, as it would stand in a log of somebody else's."""

    @property
    def people(self) -> list[Person]:
        return [self.first, *self.roles.values()]

    def person(self, role: str) -> Person:
        """This role's context, signed in at the demo where it has an account or a page of its own."""
        if role not in self.roles:
            person = replace(self.first, name=role, troubles=[], foreign=[], flashes=[], received=[])
            person.context.on("request", lambda request: self.addresses.add(unquote(request.url)))
            for name in ROLES.get(role, ()):
                clinic.sign_in(person, name)
            self.roles[role] = person
        return self.roles[role]

    def seek(self, role: str, path: str, selector: str, attribute: str = "href") -> str:
        """The address of the first such link on a page, as this role sees it."""
        page = self.person(role).page
        page.goto(path)
        found = page.locator(selector).first.get_attribute(attribute, timeout=10_000)
        assert found, f"no {selector} on {path}"
        return found

    def search(self, role: str, path: str, text: str) -> str:
        """The address of what is found when this is looked for there."""
        page = self.person(role).page
        page.goto(path)
        page.locator("#search").fill(text)
        page.locator("#search").press("Enter")
        page.wait_for_url(re.compile(r"\?q="))
        return page.url

    # ── the way to each page ──

    def appointment(self) -> str:
        return self.seek("scheduler", f"{HERE}/board", '#maincontent a[href*="/appointments/"]')

    def colleague(self) -> str:
        return self.seek("administrator", f"{HERE}/people", f'#maincontent a[href*="{HERE}/people/"]')

    def invitation(self) -> str:
        """The link that a new member of staff is handed."""
        page = self.person("administrator").page
        page.goto(f"{HERE}/people")
        page.get_by_label("Name, as patients read it").fill("Nora Neu")
        page.get_by_label("E-mail address").fill(f"nora.{new_id()[:8]}@lindenhof.example")
        page.get_by_label("Doctor").check()
        page.get_by_role("button", name="Make the invitation").click()
        return urlsplit(str(page.locator('a[href*="/join/"]').get_attribute("href"))).path

    def home(self) -> str:
        page = self.person("patient").page
        page.goto(f"{HERE}/my")
        return urlsplit(page.url).path

    def own(self, ending: str) -> str:
        """Where a link of the patient's own page leads."""
        self.home()
        link = self.person("patient").page.locator(f'main a[href*="{ending}"]').first
        return str(link.get_attribute("href"))

    def patient_to_book(self) -> str:
        found = self.search("scheduler", f"{HERE}/book", LONG_NAME)
        return self.seek("scheduler", found, f'#maincontent li a[href*="{HERE}/book/"]')

    def visit(self) -> str:
        return self.seek("doctor", f"{HERE}/clinic", '#maincontent .bs-people a[href*="/visits/"]')

    def early_link(self) -> str:
        """Next week's link, from its message."""
        self.person("stranger").open("/demo/outbox")
        page = self.person("stranger").page
        for link in page.locator('article a[href*="/v/"]').all():
            address = str(link.get_attribute("href"))
            if "opens later" in page.request.get(address).text():
                return address
        raise AssertionError("no link of a visit that opens later in the outbox")

    def visitors_room(self) -> str:
        """Anna goes in by the link that the start printed."""
        if "room" not in self.links:
            anna = self.person("visitor")
            anna.open(clinic.visit_link(self.bedside))
            clinic.fill_card(anna, place="12 Mill Lane, Leeds", phone="+44 113 496 0000")
            clinic.go_in(anna)
            room.wait_shown(anna, "#open-devices")
            self.links["room"] = urlsplit(anna.page.url).path
        return self.links["room"]

    def guest_link(self) -> str:
        visit = self.visit()
        page = self.person("doctor").page
        script = """async ([url, body]) => (await (await fetch(url, { method: "POST", body: JSON.stringify(body),
          headers: { "content-type": "application/json", accept: "application/json" } })).json()).url"""
        return str(page.evaluate(script, [f"{visit}/guests", {"name": "Grace Guest", "role": "interpreter"}]))

    def ended_visit(self) -> str:
        """The doctor's address of Anna's visit once it has been held and ended."""
        if "ended" not in self.links:
            anna, doctor = self.person("visitor"), self.person("doctor")
            path = self.visitors_room()
            visit = self.visit()
            anna.open(path)
            room.check_devices_and_enter(anna)
            room.wait_in_waiting_room(anna)
            doctor.open(visit)
            room.admit(doctor, PATIENT)
            room.wait_inside(anna)
            room.say(doctor, "Please drink enough, and ring us on Monday.")
            room.wait_reads(anna, "ring us on Monday")
            room.end_visit(doctor, "seen")
            anna.page.wait_for_url("**/closing", timeout=30_000)
            self.links["ended"] = visit
        return self.links["ended"]

    def summary(self) -> str:
        """The room gives way to the visit's page when nothing is left to undo."""
        visit = self.ended_visit()
        doctor = self.person("doctor")
        doctor.page.goto(visit)
        room.wait_for(doctor, lambda: _opens_summary(doctor.page, visit), "the visit's page", 30)
        return f"{visit}/summary"


def _opens_summary(page: Page, visit: str) -> bool:
    page.goto(visit)
    return urlsplit(page.url).path.endswith("/summary")
