"""Every page of the clinic, opened by the person it is for: axe, narrow and wide, no other host, nothing refused.

The rows below cover the router: a new GET route without a row fails. Who else may ask is tested in `tests/server`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page

from server import assets, health
from server.accounts.seed import PATIENTS
from server.accounts.service import NewPatient
from server.app import area_modules, area_routes
from server.routing import Route
from tests.scenarios import clinic
from tests.scenarios.world import HERE, LONG_NAME, PATIENT, World
from tests.support.bedside import AllInOne
from tests.support.people import ARTIFACTS, WIDTHS, Cast, axe_findings

pytestmark = [pytest.mark.timeout(120), pytest.mark.browser]

OUTSIDE = ("stranger", "visitor", "patient")
"""Who sees nobody but Anna."""
TALL = 1000
WRITTEN = ("12 Mill Lane", "+44 113 496 0000", "Grace Guest", "ring us on Monday", "Nora Neu", "nora.")
"""What is typed on the way, beside who is in the demo."""


def marks_of(patient: NewPatient) -> set[str]:
    """What tells of this person."""
    return {patient.name, str(patient.phone), str(patient.email), patient.birth_date.isoformat()}


OVERFLOW = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > wide + 1)
    .map((one) => `${one.tagName}.${one.className} ${Math.round(one.getBoundingClientRect().right)}`);
}"""
"""What sticks out to the right of a page that scrolls sideways."""


@dataclass(frozen=True, slots=True)
class Row:
    """Who opens which page; `way` finds its address in the world of this run."""

    role: str
    way: Callable[[World], str]
    status: int = 200


def at(path: str) -> Callable[[World], str]:
    return lambda _: path


# In this order: the last ones end the visit.
PAGES: dict[str, Row] = {
    "front": Row("stranger", at("/")),
    "demo.people": Row("stranger", at("/demo")),
    "demo.person": Row("stranger", lambda world: world.seek("stranger", "/demo", 'form[action*="sign-in"]', "action")),
    "sign_in.show": Row("stranger", at(f"{HERE}/sign-in")),
    "page_link.show": Row("stranger", at("/p/" + "A" * 43)),
    "demo.outbox": Row("stranger", at("/demo/outbox")),
    "home": Row("scheduler", at(f"{HERE}/")),
    "board": Row("scheduler", at(f"{HERE}/board")),
    "book.find": Row("scheduler", lambda world: world.search("scheduler", f"{HERE}/book", "a")),
    "book.new_patient": Row("scheduler", at(f"{HERE}/book/new")),
    "book.pick": Row("scheduler", lambda world: world.patient_to_book()),
    "appointment": Row("scheduler", lambda world: world.appointment()),
    "appointment.show_move": Row("scheduler", lambda world: f"{world.appointment()}/move"),
    "free": Row("scheduler", at(f"{HERE}/free")),
    "waitlist": Row("scheduler", at(f"{HERE}/waitlist")),
    "cover": Row("scheduler", at(f"{HERE}/cover")),
    "patient.file": Row("scheduler", lambda world: world.patient_to_book().replace("/book/", "/patients/") + "/file"),
    "hours": Row("administrator", at(f"{HERE}/hours")),
    "hours.doctor": Row(
        "administrator", lambda world: world.seek("administrator", f"{HERE}/hours", f'main a[href*="{HERE}/hours/"]')
    ),
    "kind": Row("administrator", lambda world: world.seek("administrator", f"{HERE}/hours", 'main a[href*="/kinds/"]')),
    "incidents": Row("administrator", at(f"{HERE}/incidents")),
    "keeping": Row("administrator", at(f"{HERE}/recordings")),
    "people": Row("administrator", at(f"{HERE}/people")),
    "people.person": Row("administrator", lambda world: world.colleague()),
    "join.show": Row("stranger", lambda world: world.invitation()),
    "settings": Row("administrator", at(f"{HERE}/settings")),
    "note_templates": Row("administrator", at(f"{HERE}/note-templates")),
    "notes_withdrawn": Row("privacy officer", at(f"{HERE}/withdrawn")),
    "erasures": Row("privacy officer", at(f"{HERE}/erasures")),
    "notes_open": Row("doctor", at(f"{HERE}/notes")),
    "audit": Row("privacy officer", at(f"{HERE}/audit?since=2020-01-01")),
    "record.find": Row("doctor", lambda world: world.search("doctor", f"{HERE}/records", "a")),
    "record": Row(
        "doctor",
        lambda world: world.seek(
            "doctor", world.search("doctor", f"{HERE}/records", "a"), '#maincontent a[href*="/record"]'
        ),
    ),
    "looks": Row("privacy officer", at(f"{HERE}/looks")),
    "account": Row("doctor", at(f"{HERE}/account")),
    "clinic": Row("doctor", at(f"{HERE}/clinic")),
    "mine.home": Row("patient", at(f"{HERE}/my")),
    "mine": Row("patient", at(f"{HERE}/my")),
    "mine.proxies": Row("patient", lambda world: world.home() + "/proxies"),
    "proxies": Row("scheduler", lambda world: world.patient_to_book().replace("/book/", "/patients/") + "/proxies"),
    "my_sign_in.show": Row("stranger", at(f"{HERE}/my/sign-in")),
    "mine.account": Row("patient", lambda world: world.home() + "/account"),
    "mine.show_move": Row("patient", lambda world: world.own("/move")),
    "door_code.show": Row("stranger", at("/k/abcde")),
    "mine.copy": Row("patient", lambda world: world.home() + "/copy"),
    "mine.access": Row("patient", lambda world: world.home() + "/access"),
    "mine.recordings": Row("patient", lambda world: world.home() + "/recordings"),
    "door_early": Row("stranger", lambda world: world.early_link()),
    "door": Row("visitor", lambda world: clinic.visit_link(world.bedside)),
    "door_not_me": Row("visitor", lambda world: clinic.visit_link(world.bedside) + "/not-me"),
    "door_guest": Row("stranger", lambda world: world.guest_link()),
    "visitor_room": Row("visitor", lambda world: world.visitors_room()),
    "doctor_room": Row("doctor", lambda world: world.visit()),
    "visit_closing": Row("visitor", lambda world: world.ended_visit() and f"{world.visitors_room()}/closing"),
    "visit_summary": Row("doctor", lambda world: world.summary()),
    "wrong_link": Row("stranger", at("/v/nothing-here"), 404),
    "not_yours": Row("scheduler", at(f"{HERE}/clinic"), 403),
    "unknown": Row("doctor", at("/no/such/page"), 404),
}
NO_PAGES = {
    "livez": "for machines",
    "readyz": "for machines",
    "static": "a file",
    "demo.calendar": "a file",
    "mine.calendar": "a file",
    "board.csv": "a file",
    "board.print": "a sheet as wide as paper, for the printer alone",
    "mine.show_book": "offered where a kind of visit is open to patients, see tests/server/desk/test_acts.py",
    "cover.done": "follows what was covered, see tests/server/desk/test_cover.py",
    "offer.show": "a question with two answers by a link of its own, see tests/server/desk/test_waitlist.py",
    "sign_in.again": "leads on at once where nothing was being sent",
    "proxy": "opened by a link and a code, see tests/server/desk/test_proxies.py",
    "proxy.show_move": "the patient's own page of times, for whoever may book for them",
    "proxy.show_book": "the patient's own page of times, for whoever may book for them",
    "film_play": "a film",
    "film_tracks": "a download",
    "film_state": "a part of the visit's page",
    "clinic.list": "a part of the doctor's list",
    "board.list": "a part of the board",
    "door_countdown": "a part of the early door",
    "note_start": "for scripts",
    "note_chat": "for scripts",
    "note_file": "a file",
    "note_attachment": "a file",
    "mine.note_file": "a file",
    "mine.note_attachment": "a file",
    "mine.copy_state": "a part of the page of copies",
    "proxy.copy": "the patient's page of copies without what is the patient's alone, see tests/server/records",
    "proxy.copy_state": "a part of the page of copies",
    "proxy.note_attachment": "a file",
    "erasure": "opened for a signed note alone, see tests/server/records/test_erasing.py",
    "note_withdrawal": "opened for a signed note alone, see tests/server/records/test_after.py",
    "note_original_file": "a file",
    "note_original": "opened for a withdrawn note alone, see tests/server/records/test_after.py",
    "note": "for scripts; a browser is led to the visit's page",
}
"""GET routes that no person sees as a page."""


def every_route() -> list[Route]:
    demo = [route for module in area_modules("demo") for route in module.ROUTES]
    return [*health.ROUTES, *assets.ROUTES, *area_routes(), *demo]


def test_every_page_has_a_row() -> None:
    names = {route.name for route in every_route() if route.method == "GET"}
    states = {"door_early", "door_guest", "wrong_link", "not_yours", "unknown"}
    assert names - set(PAGES) - set(NO_PAGES) == set(), "a page without a row: nobody looked at it"
    assert (set(PAGES) | set(NO_PAGES)) - states == names


@pytest.fixture(scope="module")
def world(bedside: AllInOne, cast: Cast) -> Iterator[World]:
    made = World(bedside, cast.person("anna"))
    yield made
    for person in made.people:
        person.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound(world: World, name: str) -> None:
    row = PAGES[name]
    person = world.person(row.role)
    path = row.way(world)
    person.troubles.clear()
    answer = person.page.goto(path)
    assert answer is not None
    assert answer.status == row.status
    page = person.page
    page.wait_for_load_state()
    page.wait_for_selector("h1", timeout=15_000)

    wrong = look_at(page, name)
    assert not wrong, "\n".join(wrong)
    assert page.locator("h1").locator("visible=true").count() == 1
    assert page.title().endswith("Bedside")
    person.assert_untroubled(allowed=["Failed to load resource"] if row.status >= 400 else [])
    if row.role in OUTSIDE and not name.startswith("demo."):
        others = {mark for one in PATIENTS if one.name != PATIENT for mark in marks_of(one)}
        assert [mark for mark in others if mark in page.content()] == [], "of somebody else"
    for button in page.locator("button[href]").all():
        pytest.fail(f"a button that should be a link: {button.inner_text()}")


def test_nothing_of_a_person_is_in_a_log_or_an_address(world: World) -> None:
    """After everything above, in as many browsers; the start's own words, which print the demo's links, are no log."""
    # Whoever typed a name looked it up, and the links that were made are known: both must be found where they belong.
    world.search("scheduler", f"{HERE}/book", LONG_NAME)
    assert LONG_NAME in world.person("scheduler").page.content()
    log = "\n".join(line for line in world.bedside.log().splitlines() if line.startswith("{"))
    assert log.count('"request"') > 20, "the log was written"
    assert len(world.addresses) > 20
    marks = {mark for one in PATIENTS for mark in marks_of(one)} | {LONG_NAME, "Lindqvist", *WRITTEN}
    tokens = {found for one in world.addresses for found in re.findall(r"/[vpk]/([\w-]{20,})", one)}
    assert tokens, "somebody came by a link"
    assert sorted(mark for mark in marks | tokens if mark in log or json.dumps(mark)[1:-1] in log) == []
    said = "\n".join(world.addresses)
    assert sorted(mark for mark in marks if mark in said) == []


def look_at(page: Page, name: str) -> list[str]:
    """Keeps a picture of the whole page at each width; answers what axe finds and what sticks out."""
    wrong: list[str] = []
    target = ARTIFACTS / "pages"
    target.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": TALL})
        page.wait_for_timeout(100)
        page.screenshot(path=target / f"{name}-{width}.png", full_page=True)
        wrong += [f"{width} px: {finding}" for finding in axe_findings(page)]
        wrong += [f"{width} px, sticks out: {found}" for found in page.evaluate(OVERFLOW)]
    return wrong


def test_parts_of_pages_are_parts(world: World) -> None:
    """What a page asks for again by itself comes without a frame of its own."""
    early = re.sub(r"^https?://[^/]+", "", world.early_link())
    for role, path in (
        ("doctor", f"{HERE}/clinic/list"),
        ("scheduler", f"{HERE}/board/list"),
        ("stranger", f"{early}/countdown"),
    ):
        answer = world.person(role).page.request.get(path)
        assert answer.status == 200, path
        assert "<html" not in answer.text()
