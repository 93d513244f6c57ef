"""Who may do what: every route asked for real by the whole cast, against a table written by hand from the rules.

Nothing is kept of any request, so every cell meets the same world. The socket's half is `test_matrix_events.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from pytest_aiohttp.plugin import AiohttpClient

from server.accounts.passwords import PASSWORDS, Passwords
from server.accounts.throttle import THROTTLE, Throttle
from server.app import Parts, build_app
from server.config import Settings
from server.db import Database
from server.pages import Pages
from server.routing import ROUTES
from server.vault import Vault
from tests.server.cast import Browser, Client, OpenApp
from tests.server.visits import House, make_visit_cast
from tests.server.world import WHO, World, make_world

EVERYBODY = " ".join(name.replace(" ", "_") for name in WHO)
BOOKING = "scheduler doctor colleague"
HOURS = "scheduler administrator"
STAFF = "doctor colleague scheduler administrator privacy_officer"
TREATING = "doctor"
BOOKS_FOR = "proxy proxy_out_of_scope"
"""In this world, the latter may book and nothing else."""
REFUSED = (401, 403, 404)
JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class Row:
    """Whom the rules let in (`may`), the address, what is sent, and which answers count as let in."""

    may: str
    path: str
    form: dict[str, str] = field(default_factory=dict)
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    ok: tuple[int, ...] = (200, 303)

    @property
    def who(self) -> frozenset[str]:
        return frozenset(name.replace("_", " ") for name in self.may.split())


C = "/c/{clinic}"
VISIT, NEXT = C + "/visits/{visit}", C + "/visits/{next}"
APPOINTMENT = C + "/appointments/{next_appointment}"
HOME, PROXY = C + "/patients/{patient}/home", C + "/patients/{patient}/proxy"

TABLE: dict[str, Row] = {
    # Open to all: they show nothing of anybody, or a secret in the address says who it is for.
    "livez": Row(EVERYBODY, "/livez"),
    "readyz": Row(EVERYBODY, "/readyz", ok=(200, 503)),
    "static": Row("", "/static/nothing.js"),
    "front": Row(EVERYBODY, "/"),
    "home": Row(EVERYBODY, C + "/"),
    "sign_in.show": Row(EVERYBODY, C + "/sign-in"),
    "sign_in": Row(EVERYBODY, C + "/sign-in", {"email": "x@y.example", "password": "wrong"}, ok=(422,)),
    "sign_out": Row(EVERYBODY, C + "/sign-out"),
    "page_link.show": Row(EVERYBODY, "/p/{page_token}"),
    "page_link.code": Row(EVERYBODY, "/p/{page_token}/code"),
    "page_link.open": Row(EVERYBODY, "/p/{page_token}", {"birth_date": "1900-01-01", "code": "000000"}, ok=(422,)),
    "join.show": Row("", "/join/{next_token}"),
    "join": Row("", "/join/{next_token}", {"password": "x", "code": "000000"}),
    "door": Row(EVERYBODY, "/v/{next_token}"),
    "door_enter": Row(EVERYBODY, "/v/{next_token}", {"identity": "self"}),
    "door_countdown": Row(EVERYBODY, "/v/{next_token}/countdown"),
    "door_not_me": Row(EVERYBODY, "/v/{next_token}/not-me"),
    # The visit's own place: whoever holds it in their browser.
    "visitor_room": Row("patient", "/visits/{place}"),
    "visit_closing": Row("patient", "/visits/{place}/closing"),
    "visit_wish": Row("patient", "/visits/{place}/recordings/{recording}", {"choice": ""}),
    # The doctor of the visit, nobody else of the staff.
    "doctor_room": Row(TREATING, NEXT),
    "visit_summary": Row(TREATING, VISIT + "/summary"),
    "note": Row(TREATING, VISIT + "/note", headers=JSON),
    "note_draft": Row(TREATING, NEXT + "/note/draft", json={"text": "x"}, headers={**JSON, "If-Match": "0"}),
    "note_sign": Row(TREATING, VISIT + "/note/sign", {"revision": "1"}, ok=(303, 409)),
    "note_add": Row(TREATING, VISIT + "/note/addenda", {"kind": "addendum", "text": "More.", "reason": "Forgot it."}),
    "note_start": Row(TREATING, NEXT + "/note/start", headers=JSON),
    "note_release": Row(TREATING, VISIT + "/note/release", ok=(409,)),
    "note_withdrawal": Row(TREATING, VISIT + "/note/withdrawal"),
    "note_withdraw": Row(TREATING, VISIT + "/note/withdrawal"),
    "note_offer": Row(TREATING, VISIT + "/note/withdrawal/offer", {"visit": "{next}"}, ok=(303, 409)),
    "note_correction": Row(
        TREATING, VISIT + "/note/corrections/{correction}", {"outcome": "stands", "answer": "As I saw it."}
    ),
    "note_file": Row(TREATING, VISIT + "/note/versions/1/file"),
    "note_attach": Row(TREATING, VISIT + "/note/attachments", ok=(409,)),
    "note_attachment": Row("", VISIT + "/note/attachments/none"),
    "note_attachment_delete": Row(TREATING, VISIT + "/note/attachments/none", ok=(409,)),
    "note_attachment_remove": Row(TREATING, VISIT + "/note/attachments/none/remove", ok=(409,)),
    "notes_open": Row("doctor colleague", C + "/notes"),
    "note_templates": Row("administrator", C + "/note-templates"),
    "note_template": Row("administrator", C + "/note-templates/{type}", {"text": "Seen:"}),
    "notes_withdrawn": Row("privacy_officer", C + "/withdrawn"),
    "note_original": Row("privacy_officer", C + "/withdrawn/{withdrawn}"),
    "note_original_file": Row("", C + "/withdrawn/{withdrawn}/files/none"),
    "mine.note_file": Row("patient", HOME + "/notes/{note}/versions/1/file"),
    "note_chat": Row(TREATING, VISIT + "/note/attachments/chat", headers=JSON),
    "note_chat_take": Row(TREATING, VISIT + "/note/attachments/chat", {"line": "1"}, ok=(409,)),
    "note_request": Row(TREATING, VISIT + "/note/requests/{wanted}", {"outcome": "refused", "reason": "harm"}),
    "erasures": Row("privacy_officer", C + "/erasures"),
    "erasure": Row("privacy_officer", C + "/erasures/{note}"),
    "erasure.erase": Row("privacy_officer", C + "/erasures/{note}", {"ground": "ordered"}),
    "erasure.refuse": Row("privacy_officer", C + "/erasure-requests/{unwanted}", {"reason": "claims"}),
    "record.hold": Row("privacy_officer", C + "/patients/{patient}/hold", {"reason": "A claim"}),
    "record.lift": Row("privacy_officer", C + "/patients/{patient}/hold/lift"),
    "mine.copy": Row("patient", HOME + "/copy"),
    "mine.copy_ask": Row("patient", HOME + "/copy", {"x": "1"}),
    "mine.copy_state": Row("patient", HOME + "/copy/{export}"),
    "mine.copy_code": Row("", HOME + "/copy/{export}/code"),
    "mine.copy_file": Row("", HOME + "/copy/{export}/file"),
    "mine.note_erase": Row("patient", HOME + "/notes/{note}/erase", ok=(409,)),
    "mine.note_attachment": Row("", HOME + "/notes/{note}/attachments/none"),
    "proxy.copy": Row("proxy proxy_out_of_scope", PROXY + "/copy"),
    "proxy.copy_ask": Row("proxy proxy_out_of_scope", PROXY + "/copy", {"x": "1"}),
    "proxy.copy_state": Row("", PROXY + "/copy/{export}"),
    "proxy.copy_code": Row("", PROXY + "/copy/{export}/code"),
    "proxy.copy_file": Row("", PROXY + "/copy/{export}/file"),
    "proxy.note_attachment": Row("", PROXY + "/notes/{note}/attachments/none"),
    "mine.note_wrong": Row("patient", HOME + "/notes/{note}/wrong", {"text": "It was the left ear."}),
    "note_put": Row(TREATING, VISIT + "/note", ok=(409,)),
    "note_patch": Row(TREATING, VISIT + "/note", ok=(409,)),
    "note_delete": Row(TREATING, VISIT + "/note", ok=(409,)),
    "note_version_patch": Row(TREATING, VISIT + "/note/versions/1", ok=(409,)),
    "note_version_delete": Row(TREATING, VISIT + "/note/versions/1", ok=(409,)),
    "visit_hand_over": Row(TREATING, NEXT + "/hand-over", {"colleague": "{doctor}"}, ok=(409,)),
    "guest_invite": Row(TREATING, NEXT + "/guests", {"name": "Eve", "role": "guest"}, ok=(201,)),
    "film_play": Row("doctor patient proxy", C + "/films/{film}/play"),
    "film_state": Row("doctor patient proxy", C + "/films/{film}/state"),
    "film_grant": Row(TREATING, C + "/films/{film}/grant"),
    "film_retry": Row(TREATING, C + "/films/{film}/retry"),
    "film_cancel": Row(TREATING, C + "/films/{film}/cancel"),
    "film_tracks.want": Row(TREATING, C + "/films/{film}/tracks"),
    "film_tracks": Row("", C + "/films/{film}/tracks"),
    "film_again": Row(TREATING, C + "/films/{film}/again", {"names": "yes"}),
    # Doctors' own lists; what stands on them is theirs alone.
    "clinic": Row("doctor colleague", C + "/clinic"),
    "clinic.list": Row("doctor colleague", C + "/clinic/list"),
    # The desk: schedulers, and doctors who book for themselves.
    "book.find": Row(BOOKING, C + "/book"),
    "book.search": Row(BOOKING, C + "/book", {"search": "anna"}),
    "book.new_patient": Row(BOOKING, C + "/book/new"),
    "book.add_patient": Row(
        BOOKING, C + "/book/new", {"name": "New One", "birth_date": "1990-01-01", "phone": "+493023125150"}
    ),
    "book.pick": Row(BOOKING, C + "/book/{patient}"),
    "book": Row(BOOKING, C + "/book/{patient}", {"visit_type": "{type}", "slot": "x", "key": "k"}, ok=(303, 422)),
    "book.squeeze_in": Row(BOOKING, C + "/book/{patient}/squeeze-in", {"visit_type": "{type}"}, ok=(422,)),
    "book.walk_in": Row(BOOKING, C + "/book/{patient}/walk-in", {"visit_type": "{type}", "key": "k"}),
    "board": Row(BOOKING, C + "/board"),
    "board.list": Row(BOOKING, C + "/board/list"),
    "appointment": Row(BOOKING, APPOINTMENT),
    "appointment.show_move": Row(BOOKING, APPOINTMENT + "/move"),
    "appointment.move": Row(BOOKING, APPOINTMENT + "/move", {"slot": "x", "sequence": "0"}, ok=(422,)),
    "appointment.cancel": Row(BOOKING, APPOINTMENT + "/cancel", {"why": "rang us"}),
    "appointment.no_show": Row(BOOKING, APPOINTMENT + "/no-show", ok=(303, 409)),
    "appointment.put_back": Row(BOOKING, APPOINTMENT + "/put-back", ok=(303, 409)),
    "appointment.send_again": Row(BOOKING, APPOINTMENT + "/send-again"),
    "appointment.send_to": Row(
        BOOKING, APPOINTMENT + "/send-to", {"channel": "mail", "address": "new@mail.example"}, ok=(303, 409)
    ),
    "appointment.door_code": Row(BOOKING, APPOINTMENT + "/door-code", ok=(200, 409)),
    "appointment.urgent": Row(BOOKING, APPOINTMENT + "/urgent", ok=(409,)),
    "clinic.take": Row("doctor colleague", APPOINTMENT + "/take", ok=(409,)),
    "clinic.late": Row("doctor colleague", C + "/clinic/late", {"minutes": "10"}),
    "door_code.show": Row(EVERYBODY, "/k/abcde"),
    "door_code.open": Row(EVERYBODY, "/k/abcde", {"digits": "00000000"}, ok=(422,)),
    "board.print": Row("scheduler", C + "/board/print"),
    "board.csv": Row("scheduler", C + "/board/appointments.csv"),
    # Hours, kinds of visit and who waits for a time.
    "hours": Row(HOURS, C + "/hours"),
    "hours.doctor": Row(HOURS, C + "/hours/{doctor}"),
    "hours.add": Row(HOURS, C + "/hours/{doctor}/blocks", {"opens": "09:00"}, ok=(422,)),
    "hours.change": Row(HOURS, C + "/hours/{doctor}/blocks/none", ok=(404,)),
    "hours.except": Row(HOURS, C + "/hours/{doctor}/exceptions", {"kind": "closed", "on_date": "2031-01-01"}),
    "hours.except_not": Row(HOURS, C + "/hours/{doctor}/exceptions/none", ok=(404,)),
    "kind": Row(HOURS, C + "/kinds/{type}"),
    "kind.save": Row(HOURS, C + "/kinds/{type}", {"name": ""}, ok=(422,)),
    "waitlist": Row(BOOKING, C + "/waitlist"),
    "waitlist.add": Row(BOOKING, C + "/book/{patient}/wait", {"visit_type": "{type}"}),
    "waitlist.remove": Row(BOOKING, C + "/waitlist/none/remove", ok=(404,)),
    "appointment.wait": Row(BOOKING, APPOINTMENT + "/wait", ok=(303, 409)),
    "cover": Row(BOOKING, C + "/cover?doctor={doctor}"),
    "cover.give": Row(BOOKING, C + "/cover", {"doctor": "{doctor}"}, ok=(422,)),
    "cover.done": Row("", C + "/cover/none"),
    "cover.undo": Row("", C + "/cover/none/undo"),
    "appointment.rung": Row(BOOKING, C + "/appointments/{next_appointment}/rung", ok=(303, 409)),
    "appointment.interpreter": Row(
        BOOKING, C + "/appointments/{next_appointment}/interpreter", {"need": "spoken"}, ok=(422,)
    ),
    "appointment.interpreter_not": Row("", C + "/appointments/{next_appointment}/interpreter/none/withdraw"),
    "patient.file": Row(BOOKING, C + "/patients/{patient}/file"),
    "patient.file_save": Row(BOOKING, C + "/patients/{patient}/file", {"language": "en", "allowed": "mail"}),
    "mine.channels": Row("patient", HOME + "/channels", {"allowed": "mail"}),
    "clinic.relay": Row("doctor colleague", C + "/clinic/relay", {"always_relay": "yes"}),
    "free": Row(BOOKING, C + "/free"),
    "free.keep": Row(BOOKING, C + "/free", {"visit_type": "{type}", "slot": "x"}, ok=(422,)),
    "hold": Row(BOOKING, C + "/hold", {"visit_type": "{type}", "slot": "x"}, ok=(422,)),
    "mine.wait": Row("patient", HOME + "/visits/{next_appointment}/wait", ok=(303, 409)),
    "mine.wait_not": Row("patient", HOME + "/visits/{next_appointment}/wait/stop"),
    "offer.show": Row("", "/o/{next_token}"),
    "offer.answer": Row("", "/o/{next_token}", {"answer": "yes"}),
    "page_link.read_out": Row("scheduler", C + "/patients/{patient}/page-code"),
    "page_link.unlock": Row("scheduler", C + "/patients/{patient}/page-link/unlock"),
    "door_denied_seen": Row(BOOKING, C + "/denied/{denied}/seen"),
    # The patient's own page.
    "mine": Row("patient other_patient", C + "/my"),
    "mine.home": Row("patient", HOME),
    "mine.show_move": Row("patient", HOME + "/visits/{next_appointment}/move", ok=(200, 409)),
    "mine.move": Row(
        "patient", HOME + "/visits/{next_appointment}/move", {"slot": "x", "sequence": "0"}, ok=(422, 409)
    ),
    "mine.cancel": Row("patient", HOME + "/visits/{next_appointment}/cancel", ok=(303, 409)),
    "mine.calendar": Row("patient", HOME + "/visits/{next_appointment}/appointment.ics"),
    "mine.show_book": Row("patient", HOME + "/book"),
    "mine.book": Row("patient", HOME + "/book", {"visit_type": "{type}", "slot": "x", "key": "k"}, ok=(422,)),
    "mine.hold": Row("patient", HOME + "/hold", {"visit_type": "{type}", "slot": "x"}, ok=(422,)),
    "mine.open_visit": Row("patient", HOME + "/visits/{next_appointment}"),
    "my_sign_in.show": Row(EVERYBODY, C + "/my/sign-in"),
    "my_sign_in": Row(EVERYBODY, C + "/my/sign-in", {"email": "x@y.example", "password": "wrong"}, ok=(422,)),
    "mine.account": Row("patient", HOME + "/account"),
    "mine.account_make": Row("patient", HOME + "/account", {"new_password": "short"}, ok=(422,)),
    "mine.account_password": Row("patient", HOME + "/account/password", {"new_password": "short"}, ok=(422,)),
    "mine.account_close": Row("", HOME + "/account/close"),
    "mine.end_session": Row("patient", HOME + "/account/sessions/others/end"),
    # Every member of the clinic's staff, for themselves.
    "sign_in.again": Row(STAFF, C + "/again"),
    "account": Row(STAFF, C + "/account"),
    "account.end_session": Row(STAFF, C + "/account/sessions/others/end"),
    "account.password": Row(STAFF, C + "/account/password", {"password": "x", "new_password": "y"}, ok=(422,)),
    "account.recovery_codes": Row(STAFF, C + "/account/recovery-codes"),
    # People: the administrator alone.
    "people": Row("administrator", C + "/people"),
    "people.invite": Row(
        "administrator", C + "/people", {"name": "New One", "email": "new@north.example", "roles": "doctor"}, ok=(201,)
    ),
    "people.person": Row("administrator", C + "/people/{doctor}"),
    "people.roles": Row("administrator", C + "/people/{doctor}/roles", {"roles": "doctor"}),
    "people.invite_again": Row("administrator", C + "/people/{doctor}/invitation", ok=(201,)),
    "people.second_factor": Row("administrator", C + "/people/{doctor}/second-factor", {"check": "video"}, ok=(409,)),
    "people.sign_out": Row("administrator", C + "/people/{doctor}/sign-out"),
    "settings": Row("administrator", C + "/settings"),
    "settings.save": Row("administrator", C + "/settings", {"name": "North"}, ok=(422,)),
    "settings.text": Row("administrator", C + "/settings/texts", {"kind": "video_consent", "text": "Yes?"}),
    "settings.purpose": Row(
        "administrator",
        C + "/settings/purposes",
        {"words": "a", "who_may_watch": "b", "kept_days": "3", "kind": "other"},
    ),
    "settings.switch_purpose": Row("administrator", C + "/settings/purposes/teaching", {"is_active": "no"}),
    # The audit: the privacy officer; of their own record, the patient.
    "audit": Row("privacy_officer", C + "/audit?subject={patient}"),
    "audit.export": Row("privacy_officer", C + "/audit/export", {"subject": "{patient}"}),
    "mine.access": Row("patient", HOME + "/access"),
    "mine.recordings": Row("patient", HOME + "/recordings"),
    "mine.wish": Row("patient", HOME + "/recordings/{recording}", {"choice": "keep"}, ok=(404,)),
    # Proxies: staff note what they saw, the patient ends it, the proxy sees their part while it lasts.
    "proxies": Row(BOOKING, C + "/patients/{patient}/proxies"),
    "proxies.add": Row(
        BOOKING,
        C + "/patients/{patient}/proxies",
        {"name": "Pia", "relation": "sister", "authority": "power_of_attorney", "scopes": "attend"},
        ok=(201,),
    ),
    "proxies.stop": Row(BOOKING, C + "/patients/{patient}/proxies/{proxy}/stop"),
    "proxies.read_out": Row(BOOKING, C + "/patients/{patient}/proxies/{proxy}/code"),
    "mine.proxies": Row("patient", HOME + "/proxies"),
    "mine.stop_proxy": Row("patient", HOME + "/proxies/{proxy}/stop"),
    "mine.keep_alone": Row("patient", HOME + "/alone/{next_appointment}"),
    "proxy": Row("proxy proxy_out_of_scope", C + "/patients/{patient}/proxy"),
    "proxy.show_move": Row(BOOKS_FOR, C + "/patients/{patient}/proxy/visits/{next_appointment}/move", ok=(200, 409)),
    "proxy.move": Row(
        BOOKS_FOR,
        C + "/patients/{patient}/proxy/visits/{next_appointment}/move",
        {"slot": "x", "sequence": "0"},
        ok=(422, 409),
    ),
    "proxy.cancel": Row(BOOKS_FOR, C + "/patients/{patient}/proxy/visits/{next_appointment}/cancel", ok=(303, 409)),
    "proxy.show_book": Row(BOOKS_FOR, C + "/patients/{patient}/proxy/book"),
    "proxy.book": Row(
        BOOKS_FOR, C + "/patients/{patient}/proxy/book", {"visit_type": "{type}", "slot": "x", "key": "k"}, ok=(422,)
    ),
    "proxy.attend": Row("proxy", C + "/patients/{patient}/proxy/visits/{next_appointment}"),
    # A record without a visit: doctors, with a reason; reviewed by somebody else.
    "record.find": Row("doctor colleague", C + "/records"),
    "record.search": Row("doctor colleague", C + "/records", {"search": "anna"}),
    "record": Row("doctor colleague", C + "/patients/{patient}/record"),
    "record.open": Row("doctor colleague", C + "/patients/{patient}/record", {"reason": "She is unconscious here."}),
    "looks": Row("doctor colleague privacy_officer", C + "/looks"),
    "looks.review": Row("colleague privacy_officer", C + "/looks/{look}/review", {"verdict": "justified"}),
    "looks.hide": Row(
        "privacy_officer", C + "/looks/{look}/hide", {"until": "2031-06-10", "reason": "An inquiry is going on."}
    ),
    # Incidents.
    "incidents": Row("administrator privacy_officer", C + "/incidents"),
    "keeping": Row("administrator privacy_officer", C + "/recordings"),
    "keeping.wish": Row(
        "administrator privacy_officer", C + "/recordings/wishes/{wish}", {"answer": "refuse", "reason": "The law."}
    ),
    "keeping.hold": Row(
        "administrator privacy_officer",
        C + "/recordings/{recording}/hold",
        {"answer": "hold", "reason": "A complaint."},
    ),
    "incidents.assign": Row("administrator privacy_officer", C + "/incidents/{incident}/owner", {"owner": "{admin}"}),
    "incidents.close": Row("administrator privacy_officer", C + "/incidents/{incident}/close"),
}


@dataclass
class Asked:
    """The world behind an application that keeps nothing."""

    world: World
    client: Client

    async def ask(self, method: str, row: Row, who: str) -> int:
        self.client.app._state[THROTTLE] = Throttle(None)
        browser = Browser(self.client, dict(self.world.cookies[who]))
        form = {name: value.format(**self.world.ids) for name, value in row.form.items()}
        sent: dict[str, Any] = {"json": row.json} if row.json is not None else {"data": form} if form else {}
        path = row.path.format(**self.world.ids)
        answer = await browser.request(
            method, path, headers={**({} if who in row.who else JSON), **row.headers}, **sent
        )
        await answer.read()
        return answer.status


@pytest.fixture
async def house(sqlite_database: Database, vault: Vault, settings: Settings, open_app: OpenApp) -> House:
    made = await make_visit_cast(sqlite_database, vault)
    return House(await open_app(made.clock), settings, sqlite_database, made.clock, made)


@pytest.fixture
async def asked(house: House, tmp_path: Path, pages: Pages, aiohttp_client: AiohttpClient) -> Asked:
    world = await make_world(house, tmp_path)
    parts = Parts(house.settings, house.database.unkept(), house.cast.vault, house.clock, pages)
    app = await build_app(parts)
    app._state[PASSWORDS] = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return Asked(world, await aiohttp_client(app))


@pytest.mark.timeout(300)
async def test_every_route_answers_each_of_the_cast_as_the_rules_say(asked: Asked) -> None:
    routes = {name: route for name, route in asked.client.app[ROUTES].items() if not name.startswith("demo.")}
    assert set(routes) == set(TABLE), "a route without a row in the matrix, or a row without a route"
    wrong = []
    for name, route in routes.items():
        row = TABLE[name]
        for who in WHO:
            status = await asked.ask(route.method, row, who)
            expected = row.ok if who in row.who else REFUSED
            if status not in expected:
                wrong.append((name, who, status))
    assert wrong == []
