"""Who may do what in a room: every Socket.IO event said for real by the whole cast, against a table from the rules.

The browser's half is `test_matrix.py`; what an event then does is tested in `tests/signaling`.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import socketio
from socketio.exceptions import ConnectionError as SocketError

from server.config import Settings
from server.db import Database
from server.vault import Vault
from signaling.table import TABLE
from signaling.words import Role
from tests.server.cast import OpenApp
from tests.server.visits import House, make_visit_cast
from tests.server.world import WHO, World, make_world
from tests.signaling.test_waiting import ANYTHING

TIMEOUT_S = 20.0
REFUSED = frozenset({"not_allowed", "not_admitted"})

# Written from the rules: DESIGN §4 and the wire protocol's page.
WHOEVER_HOLDS_A_PLACE = frozenset({"sync", "devices", "leave"})
THE_DOCTOR = frozenset({
    "admit", "wrong_person", "back_to_waiting", "remove", "unblock", "ask_recording", "emergency",
    "carry_on_by_phone", "end_visit", "undo_end",
})  # fmt: skip
WHOEVER_IS_ADMITTED = frozenset({
    "describe", "candidate", "up_offer", "down_request", "down_answer", "link", "chat", "chat_history",
    "answer_recording", "stop_recording", "pause_recording", "resume_recording", "choose_withdrawn",
})  # fmt: skip
ONE_NAMED_PERSON = frozenset({"agree_guest", "allow_device"})
"""The patient's word on a guest, a first device's on a second: which person is told by the room, not by the role."""
HOLDERS = {"patient": "patient", "doctor": "doctor", "guest": "guest", "interpreter": "interpreter"}
LAST = ("leave", "end_visit", "undo_end", "wrong_person", "remove")


@dataclass
class Room:
    """The visit that goes on, its places by role, and everybody's cookies."""

    url: str
    world: World
    places: dict[str, str]

    @asynccontextmanager
    async def page(self, who: str, namespace: str = "/visit", **auth: str) -> AsyncIterator[socketio.AsyncClient]:
        """A page of theirs. Raises SocketError when the door stays shut."""
        client = socketio.AsyncClient(reconnection=False)
        cookies = "; ".join(f"{name}={value}" for name, value in self.world.cookies[who].items())
        try:
            await client.connect(
                self.url,
                headers={"Cookie": cookies, "Origin": self.url},
                auth={"v": 1, "tab": secrets.token_hex(8), **auth} if namespace == "/visit" else {"v": 1, **auth},
                namespaces=[namespace],
                transports=["websocket"],
                wait_timeout=int(TIMEOUT_S),
            )
            yield client
        finally:
            await client.disconnect()

    async def say(self, client: socketio.AsyncClient, event: str, **more: Any) -> str:
        """The code it is answered with; ok for a yes."""
        body = {"id": secrets.token_hex(8), **ANYTHING[event], **more}
        answer = await client.call(event, body, namespace="/visit", timeout=TIMEOUT_S)
        return "ok" if answer["ok"] else str(answer["error"])


@pytest.fixture
async def room(sqlite_database: Database, vault: Vault, settings: Settings, open_app: OpenApp, tmp_path: Path) -> Room:
    made = await make_visit_cast(sqlite_database, vault)
    house = House(await open_app(made.clock), settings, sqlite_database, made.clock, made)
    world = await make_world(house, tmp_path)
    visit = await made.visit(world.ids["next"])
    places = {one.role: one.id for one in visit.participants if not one.is_closed and one.role != Role.PROXY}
    client = house.client
    return Room(f"http://{client.host}:{client.port}", world, places)


def test_every_event_has_its_row_in_the_matrix() -> None:
    rows = (WHOEVER_HOLDS_A_PLACE, THE_DOCTOR, WHOEVER_IS_ADMITTED, ONE_NAMED_PERSON)
    assert set(TABLE) == frozenset().union(*rows)
    assert len(TABLE) == sum(len(row) for row in rows)


async def test_nobody_takes_a_place_that_their_browser_does_not_hold(room: Room) -> None:
    let_in = []
    for who in WHO:
        for role, place in room.places.items():
            try:
                async with room.page(who, participation=place):
                    let_in.append((who, role))
            except SocketError:
                continue
    assert sorted(let_in) == sorted(HOLDERS.items())


async def test_only_doctors_of_the_clinic_hear_who_arrives(room: Room) -> None:
    heard = []
    for who in WHO:
        try:
            async with room.page(who, "/clinic", clinic="north"):
                heard.append(who)
        except SocketError:
            continue
    assert heard == ["doctor", "colleague"]


@pytest.mark.timeout(300)
async def test_every_event_is_answered_as_the_rules_say(room: Room) -> None:
    wrong: list[tuple[str, str, str]] = []

    async def ask(client: socketio.AsyncClient, who: str, events: frozenset[str], *, may: bool) -> None:
        for event in sorted(events, key=lambda name: (name in LAST, name)):
            code = await room.say(client, event)
            if (code not in REFUSED) != may:
                wrong.append((who, event, code))

    for who in ("guest", "interpreter", "patient"):
        async with room.page(who, participation=room.places[who]) as client:
            shut = frozenset(TABLE) - WHOEVER_HOLDS_A_PLACE
            await ask(client, f"{who}, waiting", shut, may=False)
            await ask(client, f"{who}, waiting", WHOEVER_HOLDS_A_PLACE - {"leave"}, may=True)
    async with (
        room.page("doctor", participation=room.places["doctor"]) as doctor,
        room.page("patient", participation=room.places["patient"]) as patient,
    ):
        await room.say(doctor, "sync")
        assert await room.say(doctor, "admit", participant_id=room.places["patient"]) == "ok"
        await ask(patient, "patient", THE_DOCTOR, may=False)
        await ask(patient, "patient", WHOEVER_IS_ADMITTED | WHOEVER_HOLDS_A_PLACE - {"leave"}, may=True)
        everything = THE_DOCTOR | WHOEVER_IS_ADMITTED | WHOEVER_HOLDS_A_PLACE - {"leave"}
        await ask(doctor, "doctor", everything, may=True)
    assert wrong == []
