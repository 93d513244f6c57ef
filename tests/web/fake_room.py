"""A scripted room for the visit's page: it tells what it is told to tell, answers what it is told to answer.

Real are the page, the browser and Socket.IO; what a room would decide is the test's script.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import socketio
from aiohttp import web
from jinja2 import ChainableUndefined, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from markupsafe import Markup

from tests.web.states import at

WEB = Path(__file__).parents[2] / "web"
CSP = (
    "default-src 'none'; script-src 'nonce-n0'; style-src 'self'; img-src 'self'; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "trusted-types default; require-trusted-types-for 'script'"
)


def make_environment() -> Environment:
    """The two environments of the server's pages, as web/README.md asks for them."""
    components = Environment(
        loader=PackageLoader("nhsuk_frontend_jinja"), undefined=ChainableUndefined, autoescape=True, trim_blocks=True
    )

    def nhsuk(component: str, params: dict[str, object]) -> Markup:
        template = components.get_template(f"nhsuk/components/{component}/template.jinja")
        return Markup(template.render(params=params))

    manifest = WEB / "dist" / "manifest.json"
    names = json.loads(manifest.read_text("utf-8")) if manifest.exists() else {}
    ours = Environment(loader=FileSystemLoader(WEB / "templates"), undefined=StrictUndefined, autoescape=True)
    ours.globals.update(nhsuk=nhsuk, _=lambda text: text, asset=lambda name: f"/static/{names.get(name, name)}")
    return ours


class FakeRoom:
    """One page per participation; `snapshots` is what each is told, `answers` what an event is answered with."""

    def __init__(self) -> None:
        self.sio = socketio.AsyncServer(async_mode="aiohttp", async_handlers=False)
        self.environment = make_environment()
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.answering: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {}
        self.arrivals: dict[str, Any] | None = None
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.drafts: list[tuple[str, str]] = []
        self.draft_answers: list[tuple[int, dict[str, Any]]] = []
        self.refuse: dict[str, str] = {}
        self.silent: set[str] = set()
        self.base = ""
        self.told = 0
        """The revision of the newest snapshot that anybody was told."""
        self._people: dict[str, str] = {}
        self._revision = 0
        self._register()

    def _register(self) -> None:
        self.sio.on("connect", self._connect, namespace="/visit")
        self.sio.on("*", self._event, namespace="/visit")
        self.sio.on("connect", self._connect_clinic, namespace="/clinic")
        self.sio.on("*", self._clinic_event, namespace="/clinic")

    async def _connect(self, sid: str, _environ: object, auth: dict[str, Any]) -> None:
        who = auth["participation"]
        if who in self.refuse:
            code = self.refuse[who]
            raise socketio.exceptions.ConnectionRefusedError(code, {"ok": False, "error": code, "message": ""})
        self._people[sid] = who
        self._later(self._tell(sid, who))

    def _later(self, work: Any) -> None:
        self.sio.start_background_task(lambda: work)

    async def _tell(self, sid: str, who: str) -> None:
        self._revision += 1
        self.told = self._revision
        await self.sio.emit("snapshot", self.snapshots[who] | {"revision": self._revision}, to=sid, namespace="/visit")

    async def push(self, who: str, snapshot: dict[str, Any]) -> None:
        self.snapshots[who] = snapshot
        for sid, one in list(self._people.items()):
            if one == who:
                await self._tell(sid, who)

    async def emit(self, who: str, name: str, body: dict[str, Any]) -> None:
        for sid, one in list(self._people.items()):
            if one == who:
                await self.sio.emit(name, body, to=sid, namespace="/visit")

    async def drop(self, who: str) -> None:
        """The server goes away from under this page."""
        for sid, one in list(self._people.items()):
            if one == who:
                del self._people[sid]
                await self.sio.disconnect(sid, namespace="/visit")

    async def _event(self, name: str, sid: str, body: dict[str, Any]) -> dict[str, Any] | None:
        who = self._people.get(sid, "")
        self.events.append((who, name, body))
        while name in self.silent:
            await asyncio.sleep(0.03)
        if name in ("describe", "candidate"):
            await self._forward(who, name, body)
        return await self.answering[name](body) if name in self.answering else self.answers.get(name, {"ok": True})

    async def _forward(self, who: str, name: str, body: dict[str, Any]) -> None:
        signal = {"sender": who, "attempt": body["attempt"], "sdp": "", "candidate": "", "mid": None, "line": None}
        kind = body["type"] if name == "describe" else "candidate"
        rest = {key: value for key, value in body.items() if key not in ("id", "to", "attempt", "type")}
        await self.emit(body["to"], "signal", signal | rest | {"type": kind})

    async def _connect_clinic(self, sid: str, _environ: object, _auth: object) -> None:
        self._later(self._tell_clinic(sid))

    async def _tell_clinic(self, sid: str | None = None) -> None:
        if self.arrivals is None:
            return
        self._revision += 1
        await self.sio.emit("arrivals", self.arrivals | {"revision": self._revision}, to=sid, namespace="/clinic")

    async def push_arrivals(self, arrivals: dict[str, Any]) -> None:
        self.arrivals = arrivals
        await self._tell_clinic()

    async def _clinic_event(self, name: str, _sid: str, body: dict[str, Any]) -> dict[str, Any]:
        self.events.append(("clinic", name, body))
        return {"ok": True}

    def sent(self, name: str) -> list[dict[str, Any]]:
        return [body for _who, one, body in self.events if one == name]

    # ── pages ──

    async def page(self, request: web.Request) -> web.Response:
        who = request.match_info["who"]
        config = make_config(who) | self.configs.get(who, {})
        html = self.environment.get_template("visit/room.html").render(
            clinic_name="Harbour Clinic", clinic_phone=None, lang=request.query.get("lang", "en"),
            dir=request.query.get("dir", "ltr"), csp_nonce="n0", demo="demo" in request.query, env="development",
            user=None, config=config, visit_title="Your visit",
            clinic_live={"clinic": "harbour", "visit_url": ""} if config["role"] == "doctor" else None,
        )  # fmt: skip
        return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": CSP})

    async def list_page(self, _request: web.Request) -> web.Response:
        """A doctor's ordinary page with the live arrivals, and each macro once."""
        html = self.environment.from_string(LIST_PAGE).render(
            clinic_name="Harbour Clinic", clinic_phone="+44 20 7946 0000", lang="en", dir="ltr", csp_nonce="n0",
            demo=True, env="development", user={"name": "Dr Amara Okafor", "role_words": "doctor"},
            nav=[{"href": "#", "text": "Today", "current": True}, {"href": "#", "text": "Messages"}],
            clinic_live={"clinic": "harbour", "visit_url": "/visits/{room}"},
        )  # fmt: skip
        return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": CSP})

    async def draft(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.drafts.append((request.headers["If-Match"], body["text"]))
        status, answer = self.draft_answers.pop(0) if self.draft_answers else (200, {"revision": len(self.drafts)})
        return web.json_response(answer, status=status)

    async def guest_link(self, _request: web.Request) -> web.Response:
        return web.json_response({"url": "https://clinic.example/v/Gh7c2"})

    async def closing(self, _request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>Closing</title><h1>Goodbye</h1>", content_type="text/html")

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/room/{who}", self.page)
        app.router.add_get("/list", self.list_page)
        app.router.add_put("/draft", self.draft)
        app.router.add_post("/guest", self.guest_link)
        app.router.add_get("/closing", self.closing)
        app.router.add_static("/static", WEB / "dist")
        self.sio.attach(app)
        return app


@asynccontextmanager
async def running(room: FakeRoom) -> AsyncIterator[FakeRoom]:
    runner = web.AppRunner(room.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    room.base = f"http://127.0.0.1:{port}"
    try:
        yield room
    finally:
        await runner.cleanup()


def make_config(who: str) -> dict[str, Any]:
    doctor = who.startswith("doctor")
    release = {
        "patient": "Zoë Ångström", "review_on": "2031-06-12", "reasons": [["risk_of_harm", "It could do harm"]],
        "proxies": [{"name": "ليلى", "reads": True}, {"name": "Tomas", "reads": False}],
        "typed": {},
    }  # fmt: skip
    note = {
        "url": "/note", "draft_url": "/draft", "revision": 0, "text": "", "sign_url": "/sign", "start_url": "/start",
        "template": "", "release": release, "attached_url": "/attachments", "attached": [],
        "keep_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    }  # fmt: skip
    return {
        "participation": who,
        "room_id": "room1",
        "role": "doctor" if doctor else who.split("-", maxsplit=1)[0],
        "env": "development",
        "back_url": "/list",
        "note": note if doctor else None,
        "closing_url": None if doctor else "/closing",
        "purposes": [
            {"code": "care", "words": "Part of your care"},
            {"code": "teaching", "words": "Teaching of doctors"},
        ],
        "guest_link_url": "/guest" if doctor else None,
        "film_url": None,
        "clinic_phone": "+44 20 7946 0000",
        "title": "Anna Marker" if doctor else "Dr Adeyemi",
        "sent_at": at(),
        "opens_at": None,
    }


LIST_PAGE = """{% extends "layout.html" %}{% import "macros/parts.html" as ui with context %}
{% block title %}Today{% endblock %}
{% block before %}{{ ui.back("#", "Back") }}{% endblock %}
{% block content %}
{{ ui.error_summary({"name": "Enter a name"}) }}
{{ ui.notice("The appointment was moved.") }}
<h1 class="nhsuk-heading-l">Today</h1>
<ul class="bs-people"><li class="bs-person bs-person--waiting"><span class="bs-person__time">14:00</span>
<span class="bs-person__who">{{ ui.name("Zoë Ångström") }}</span>
<span class="bs-person__what">Waiting since 13:52</span>
{{ ui.button("Open the visit", href="#") }}</li>
<li class="bs-person"><span class="bs-person__time">14:30</span>
<span class="bs-person__who">{{ ui.name("ليلى") }}</span>
<span class="bs-person__what">Follow-up {{ ui.tag("Delivered", "green") }}</span>{{ ui.post("#", "Cancel") }}</li></ul>
<div class="bs-columns"><div class="bs-sheet">
{{ ui.field("name", "Name", errors={"name": "Enter a name"}, hint="As on the card") }}
{{ ui.radios("kind", "Kind of visit", [("new", "First visit"), ("again", "Follow-up", "20 minutes")]) }}
{{ ui.select("zone", "Zone", [("a", "Europe/London"), ("b", "Asia/Kolkata")], value="b") }}
{{ ui.checkboxes("more", "Also", [("x", "Interpreter")]) }}{{ ui.date("born", "Birth date") }}
{{ ui.area("why", "Reason") }}
<div class="bs-actions">{{ ui.button("Book") }}{{ ui.button("Cancel", "secondary", href="#") }}</div></div>
<div>{{ ui.summary([("Patient", "Zoë Ångström"), ("When", "today, 14:00", "#", "Change")]) }}
{% call ui.details("What is this?") %}<p>Words.</p>{% endcall %}{% call ui.inset() %}<p>Inset.</p>{% endcall %}
{{ ui.progress(0.4, "Making the film") }}{{ ui.empty("Nobody else today.") }}</div></div>
{% endblock %}"""
