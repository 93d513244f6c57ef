"""Every route names who may ask, and the table here agrees: a new route without a row fails.

Whether a handler lets somebody see *this* visit, film or note is tested by its area.
"""

from __future__ import annotations

import re
import uuid

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpClient

from server.app import Parts, build_app
from server.config import Settings
from server.db import Database
from server.pages import Pages
from server.permissions import Actor, ActsFor, StaffRole
from server.routing import RESOURCES, ROUTES, Route, add_routes
from server.vault import Vault
from tests.server.cast import Site

ROLE = {
    "nobody": Actor(),
    "visitor": Actor(visits_session_id="v", clinic_id="c", participations=frozenset({"p"})),
    "patient": Actor(page_session_id="g", clinic_id="c", patients=frozenset({"p"})),
    "doctor": Actor(person_id="d", session_id="s", clinic_id="c", roles=frozenset({StaffRole.DOCTOR})),
    "scheduler": Actor(person_id="d", session_id="s", clinic_id="c", roles=frozenset({StaffRole.SCHEDULER})),
    "administrator": Actor(person_id="d", session_id="s", clinic_id="c", roles=frozenset({StaffRole.ADMINISTRATOR})),
    "privacy officer": Actor(
        person_id="d", session_id="s", clinic_id="c", roles=frozenset({StaffRole.PRIVACY_OFFICER})
    ),
    "proxy": Actor(page_session_id="g", clinic_id="c", acts_for=frozenset({ActsFor("x", "p", frozenset())})),
    "stranger": Actor(person_id="d", session_id="s", clinic_id="c"),
}
ANYBODY = frozenset(ROLE)
SOMEBODY = ANYBODY - {"nobody"}
BOOKS, DESK = frozenset({"doctor", "scheduler"}), frozenset({"scheduler"})
DOCTOR, ADMINISTRATOR = frozenset({"doctor"}), frozenset({"administrator"})
STAFF = frozenset({"doctor", "scheduler", "administrator", "privacy officer"})
REVIEWS = frozenset({"doctor", "privacy officer"})
PROXY = frozenset({"proxy"})
OFFICER = frozenset({"privacy officer"})
TRUST = frozenset({"administrator", "privacy officer"})
KEEPS_HOURS = frozenset({"scheduler", "administrator"})
VISITOR, PATIENT = frozenset({"visitor"}), frozenset({"patient"})

WHO_MAY = {
    ANYBODY: "my_sign_in.show my_sign_in "
    "livez readyz static front sign_in.show sign_in sign_out join.show join "
    "page_link.show page_link.code page_link.open "
    "door_code.show door_code.open offer.show offer.answer "
    "door door_enter door_countdown door_not_me home "
    "demo.people demo.person demo.sign_in demo.outbox demo.calendar",
    SOMEBODY: "film_play film_state film_grant film_retry film_cancel film_again film_tracks.want film_tracks "
    "doctor_room visit_summary note note_draft "
    "note_sign note_add note_put note_patch note_delete note_version_patch note_version_delete "
    "note_start note_release note_withdrawal note_withdraw note_offer note_correction note_file "
    "note_request note_chat note_chat_take note_attach note_attachment note_attachment_delete note_attachment_remove",
    DESK: "page_link.read_out page_link.unlock board.print board.csv",
    BOOKS: "patient.file patient.file_save free free.keep hold cover cover.give cover.done cover.undo "
    "waitlist waitlist.add waitlist.remove appointment.wait "
    "proxies proxies.add proxies.stop proxies.read_out "
    "door_denied_seen "
    "book.search appointment.rung appointment.interpreter appointment.interpreter_not "
    "book.find book.new_patient book.add_patient book.pick book book.squeeze_in book.walk_in board board.list "
    "appointment appointment.show_move appointment.move appointment.cancel appointment.no_show appointment.put_back "
    "appointment.send_again appointment.send_to appointment.door_code appointment.urgent",
    DOCTOR: "record.search visit_hand_over "
    "notes_open record.find record record.open guest_invite clinic clinic.list clinic.late clinic.relay clinic.take",
    OFFICER: "erasures erasure erasure.erase erasure.refuse record.hold record.lift "
    "notes_withdrawn note_original note_original_file audit audit.export looks.hide",
    REVIEWS: "looks looks.review",
    TRUST: "incidents incidents.close incidents.assign keeping keeping.wish keeping.hold",
    STAFF: "sign_in.again account account.end_session account.password account.recovery_codes",
    ADMINISTRATOR: "note_templates note_template people people.invite people.person people.roles "
    "people.invite_again people.second_factor "
    "people.sign_out settings settings.save settings.text settings.purpose settings.switch_purpose",
    KEEPS_HOURS: "hours hours.doctor hours.add hours.change hours.except hours.except_not kind kind.save",
    VISITOR: "visitor_room visit_closing visit_wish",
    PROXY: "proxy.show_move proxy.move proxy.cancel proxy.show_book proxy.book "
    "proxy.copy proxy.copy_ask proxy.copy_state proxy.copy_code proxy.copy_file proxy.note_attachment "
    "proxy proxy.attend",
    PATIENT: "mine.copy mine.copy_ask mine.copy_state mine.copy_code mine.copy_file mine.note_erase "
    "mine.note_attachment "
    "mine.account mine.account_make mine.account_password mine.account_close mine.end_session "
    "mine.note_file mine.note_wrong mine.proxies mine.stop_proxy mine.keep_alone mine "
    "mine.recordings mine.wish mine.access mine.home mine.open_visit "
    "mine.channels mine.wait mine.wait_not mine.show_move mine.move mine.cancel mine.calendar mine.show_book mine.book "
    "mine.hold",
}
ROWS = {name: who for who, names in WHO_MAY.items() for name in names.split()}


@pytest.fixture
async def whole_app(sqlite_database: Database, settings: Settings, vault: Vault, pages: Pages) -> web.Application:
    """With the demo's routes: nobody real is in this database."""
    return await build_app(Parts(settings, sqlite_database, vault, pages=pages))


async def test_every_route_has_a_row_and_every_row_a_route(whole_app: web.Application) -> None:
    routes: dict[str, Route] = whole_app[ROUTES]
    assert set(routes) == set(ROWS)


async def test_every_route_lets_in_whom_its_row_names(whole_app: web.Application) -> None:
    wrong = {}
    for name, route in whole_app[ROUTES].items():
        allowed = frozenset(role for role, actor in ROLE.items() if route.may(actor))
        if allowed != ROWS[name]:
            wrong[name] = sorted(allowed ^ ROWS[name])
    assert wrong == {}


async def test_nothing_is_routed_past_the_table(whole_app: web.Application) -> None:
    past = [route for route in whole_app.router.routes() if route not in whole_app[RESOURCES]]
    assert {route.resource.canonical for route in past if route.resource} <= {"/socket.io/"}


async def test_a_clinics_pages_lie_under_its_address(whole_app: web.Application) -> None:
    outside = [name for name, who in ROWS.items() if not whole_app[ROUTES][name].path.startswith("/c/{clinic}/")]
    staff = {"doctor", "scheduler", "administrator", "privacy officer"}
    assert [name for name in outside if ROWS[name] & staff and ROWS[name] != ANYBODY] == []


async def test_camera_and_microphone_open_on_visit_pages_alone(whole_app: web.Application) -> None:
    opening = {name for name, route in whole_app[ROUTES].items() if route.uses_camera}
    assert opening == {"visitor_room", "doctor_room"}


@pytest.mark.parametrize("role", ["nobody", "stranger"])
async def test_who_has_no_place_here_is_turned_away(site: Site, role: str) -> None:
    browser = site.browser() if role == "nobody" else await site.signed_in(site.cast.stranger)
    let_in = []
    for name, route in site.app[ROUTES].items():
        if ROWS[name] == ANYBODY:
            continue
        answer = await browser.request(route.method, filled(route, site.cast.clinic.slug))
        if not 400 <= answer.status < 500:
            let_in.append((name, answer.status))
    assert let_in == []


async def test_an_unknown_clinic_is_not_found(site: Site) -> None:
    browser = await site.signed_in(site.cast.doctor)
    for name, route in site.app[ROUTES].items():
        if "{clinic}" in route.path:
            answer = await browser.request(route.method, filled(route, "nowhere"))
            assert answer.status == 404, name


async def test_two_routes_of_one_name_are_a_mistake(whole_app: web.Application) -> None:
    front = whole_app[ROUTES]["front"]
    with pytest.raises(ValueError, match="two routes are called front"):
        add_routes(whole_app, [Route("GET", "/elsewhere", front.handler, front.may, "front")])


async def test_a_route_past_the_table_is_shut(whole_app: web.Application, aiohttp_client: AiohttpClient) -> None:
    """Deny by default: a handler that somebody added straight to the router never runs."""

    async def secret(_: web.Request) -> web.Response:
        return web.Response(text="secret")

    whole_app.router.add_get("/secret", secret)
    answer = await (await aiohttp_client(whole_app)).get("/secret")
    assert answer.status == 404
    assert "secret" not in await answer.text()


def filled(route: Route, slug: str) -> str:
    """The route's path with this clinic and ids of nothing."""
    return re.sub(r"\{[^}]+\}", lambda _: str(uuid.uuid4()), route.path.replace("{clinic}", slug))
