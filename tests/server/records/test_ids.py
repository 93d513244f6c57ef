"""Ids that somebody counts or comes upon open nothing: the cases of notes and recordings by their numbers."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from sqlalchemy import select

from server.audit import AuditAction, AuditEntry
from server.encounters import films
from server.records.models import Note
from tests.server.cast import Browser
from tests.server.encounters.recorded import Recorded, make_recorded
from tests.server.records.rights import sign
from tests.server.visits import House


async def with_a_granted_film(house: House, folder: Path) -> Recorded:
    recorded = await make_recorded(house)
    await recorded.stop()
    await recorded.with_film(folder)
    async with house.database.writing() as session:
        film = await films.get_film(session, house.cast.clinic.id, (await recorded.film()).id)
        await films.grant(session, film, house.cast.patient, house.cast.doctor, house.clock())
    return recorded


async def statuses(browser: Browser, paths: list[str]) -> list[int]:
    return [(await browser.get(path, headers={"Accept": "application/json"})).status for path in paths]


async def test_c112_notes_and_films_are_not_read_by_counting_ids(house: House, tmp_path: Path) -> None:
    cast = house.cast
    recorded = await with_a_granted_film(house, tmp_path)
    await sign(house, "Rash on the left arm.")
    async with house.database.reading() as session:
        note = (await session.scalars(select(Note))).one()
    home = f"/c/{cast.clinic.slug}/patients/{cast.patient}/home"
    of_patient = [
        home,
        f"{home}/notes/{note.id}/versions/1/file",
        f"{home}/visits/{cast.appointment_id}/appointment.ics",
        await recorded.url("play"),
    ]
    of_doctor = [house.visit_url("/note"), house.visit_url("/note/versions/1/file"), await recorded.url("play")]
    assert set(await statuses(await house.browser_of("patient"), of_patient)) == {200}
    assert set(await statuses(await house.browser_of("doctor"), of_doctor)) == {200}
    assert set(await statuses(await house.browser_of("patient"), of_doctor[:2])) == {404}
    for who in ("other patient", "colleague"):
        browser = await house.browser_of(who)
        assert set(await statuses(browser, [*of_doctor, *of_patient])) <= {403, 404}, who
        unknown = str(uuid.uuid4())
        for path in of_doctor:
            for known in (cast.encounter_id, (await recorded.film()).id):
                same = await browser.get(path), await browser.get(path.replace(known, unknown))
                assert (same[0].status, same[1].status) == (404, 404)
    elsewhere = await house.browser_of("stranger")
    assert set(await statuses(elsewhere, [*of_doctor, *of_patient])) <= {403, 404}
    assert (await elsewhere.request("PUT", house.visit_url("/note"), json={})).status == 404
    async with house.database.reading() as session:
        query = select(AuditEntry).where(AuditEntry.action == AuditAction.REFUSED.value)
        refused = [(one.actor_person_id, json.loads(one.detail)["code"]) for one in await session.scalars(query)]
    assert (cast.colleague, "not_found") in refused, "each attempt of somebody known is an entry"


async def test_c114_a_recordings_address_opens_nothing_by_itself(house: House, tmp_path: Path) -> None:
    cast = house.cast
    recorded = await with_a_granted_film(house, tmp_path)
    play = await recorded.url("play")
    anybody, forwarded = house.browser(), await house.browser_of("other patient")
    for rest in ("play", "state", "tracks"):
        assert (await anybody.get(await recorded.url(rest))).status == 401, rest
        assert (await forwarded.get(await recorded.url(rest))).status == 404, rest
    known = (await recorded.film()).id
    patient = await house.browser_of("patient")
    began = int(house.clock().timestamp())
    for second in range(began - 600, began + 601, 60):
        guessed = str(uuid.uuid5(uuid.UUID(cast.encounter_id), str(second)))
        assert (await patient.get(play.replace(known, guessed))).status == 404
    answer = await patient.get(play)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Referrer-Policy"] in ("no-referrer", "same-origin")
    assert (await patient.get(f"{play}?expires=1&signature=x")).status == 200, "nothing but the session opens it"
    assert (await anybody.get(f"{play}?expires=9999999999&signature=x")).status == 401
