"""Unsigned text at every door: pages, files, copies, chat, search, messages, calendar, log, the patient's socket.

And what an expired sign-in does to it (the text stays in the tab, and is nobody else's).
"""

from __future__ import annotations

import asyncio
import io
import secrets
from datetime import timedelta
from typing import Any

import socketio
from sqlalchemy import LargeBinary, select

from server.db import Base
from server.encounters import chat
from server.encounters.models import Participant
from server.records.models import Note
from signaling.words import Role
from tests.server.cast import Browser
from tests.server.records.rights import copy_url, make_copy, unpacked
from tests.server.visits import House

WORD = "Xanthelasma"
TEXT = f"Perhaps {WORD}, not sure yet."
JSON = {"Accept": "application/json"}


async def write(house: House, based_on: int = 0, text: str = TEXT) -> int:
    browser = await house.browser_of("doctor")
    headers = {**JSON, "If-Match": str(based_on)}
    answer = await browser.request("PUT", house.visit_url("/note/draft"), json={"text": text}, headers=headers)
    return answer.status


async def test_unsigned_text_leaves_by_no_door(house: House, stream: io.StringIO) -> None:
    cast = house.cast
    slug, home = cast.clinic.slug, copy_url(house).removesuffix("/copy")
    told, client = await _patients_socket(house)
    assert await write(house) == 200
    await client.call("sync", {"id": secrets.token_hex(8)}, namespace="/visit")
    patient, scheduler = await house.browser_of("patient"), await house.browser_of("scheduler")
    found = unpacked(await (await patient.post(f"{copy_url(house)}/{await make_copy(house, patient)}/file")).read())
    said = {f"copy {name}": content for name, content in found.items()}
    note = await _note(house)
    place = (await cast.visit()).patient_place()
    assert place is not None
    for browser, path in (
        (patient, home),
        (patient, f"{home}/access"),
        (patient, f"{home}/notes/{note.id}/versions/1/file"),
        (patient, f"{home}/visits/{cast.appointment_id}/appointment.ics"),
        (await house.at_visit(place.id), f"/visits/{place.id}"),
        (await house.at_visit(place.id), f"/visits/{place.id}/closing"),
        (scheduler, f"/c/{slug}/board"),
        (scheduler, f"/c/{slug}/appointments/{cast.appointment_id}"),
        (await house.browser_of("colleague"), f"/c/{slug}/notes"),
        (await house.browser_of("administrator"), f"/c/{slug}/people"),
        (await house.browser_of("doctor"), house.visit_url("/note/versions/1/file")),
    ):
        said[path] = await (await browser.get(path)).read()
    for browser, path in ((scheduler, f"/c/{slug}/book"), (await house.browser_of("colleague"), f"/c/{slug}/records")):
        assert "Anna Müller" in await _found(browser, path, "anna"), "the search finds people"
        assert "Anna Müller" not in await _found(browser, path, WORD), "and nobody by what is written of them"
    async with cast.database.reading() as session:
        guest = await session.get_one(Participant, (cast.clinic.id, await cast.place(Role.DOCTOR)))
        lines = await chat.load(session, (await cast.visit()).encounter, guest, 0, cast.sealer)
    await client.disconnect()
    said |= {"chat": str(lines).encode(), "socket": str(told).encode(), "log": stream.getvalue().encode()}
    assert told, "the patient's page was told of the room"
    assert [door for door, content in said.items() if WORD.encode() in content] == []
    assert await _kept_in(house) == ["note.draft"], "nor is it kept in a message, the audit, a job, or anywhere else"


async def test_an_expired_sign_in_loses_no_word_and_shows_it_to_nobody_else(house: House) -> None:
    """The server's half of it; the tab's is in tests/web. Typing counts as being there."""
    browser = await house.browser_of("doctor")
    headers = {**JSON, "If-Match": "0"}
    url = house.visit_url("/note/draft")
    for n in range(4):  # 40 minutes of typing against an idle limit of 30
        headers["If-Match"] = str(n)
        answer = await browser.request("PUT", url, json={"text": "x" * (750 * (n + 1))}, headers=headers)
        assert answer.status == 200
        house.clock.forward(minutes=10)
    house.clock.forward(minutes=35)
    last = "x" * 3000 + " and the end"
    headers["If-Match"] = "4"
    refused = await browser.request("PUT", url, json={"text": last}, headers=headers)
    assert refused.status == 401
    assert (await refused.json())["error"] == "not_signed_in"
    assert "x" * 3000 not in await (await browser.get(house.visit_url("/summary"))).text()
    again = await house.browser_of("doctor")
    answer = await again.request("PUT", url, json={"text": last}, headers=headers)
    assert answer.status == 200, "the tab sends on from where it was"
    colleague = await house.browser_of("colleague")
    assert (await colleague.request("PUT", url, json={"text": "mine"}, headers=headers)).status == 404
    assert (await colleague.get(house.visit_url("/summary"))).status == 404
    assert (await _note(house)).draft == last


async def _found(browser: Browser, path: str, text: str) -> str:
    """The page that a search leads to."""
    answer = await browser.post(path, {"search": text})
    assert answer.status == 303
    return await (await browser.get(answer.headers["Location"])).text()


async def _note(house: House) -> Note:
    async with house.database.reading() as session:
        return (await session.scalars(select(Note))).one()


async def _kept_in(house: House) -> list[str]:
    """Every column of every table that holds the word in the clear."""
    found = set()
    async with house.database.reading() as session:
        for table in Base.metadata.sorted_tables:
            for row in (await session.execute(select(table))).mappings():
                for column in table.columns:
                    value = row[column.name]
                    content = value if isinstance(column.type, LargeBinary) else str(value).encode()
                    if value is not None and WORD.encode() in content:
                        found.add(f"{table.name}.{column.name}")
    return sorted(found)


async def _patients_socket(house: House) -> tuple[list[Any], socketio.AsyncClient]:
    """A page of the patient in the waiting room, and everything it is told."""
    cast, told = house.cast, []
    place = (await cast.visit()).patient_place()
    assert place is not None
    browser = await house.at_visit(place.id)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    client = socketio.AsyncClient(reconnection=False)
    came = asyncio.Event()

    def hear(event: str, *body: Any) -> None:
        told.append((event, body))
        came.set()

    client.on("*", handler=hear, namespace="/visit")
    url = str(house.client.make_url("/")).rstrip("/")
    await client.connect(
        url,
        headers={"Cookie": cookies, "Origin": url},
        auth={"v": 1, "tab": secrets.token_hex(8), "participation": place.id},
        namespaces=["/visit"],
        transports=["websocket"],
        wait_timeout=20,
    )
    await asyncio.wait_for(came.wait(), timedelta(seconds=20).total_seconds())
    return told, client
