"""How fast drafts are saved by fifty doctors at once, and how fast a long record opens, on both databases.

`make bench-records`; the last line is JSON. One real server process over HTTP; the clients are this process.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
from sqlalchemy import select

from server import keys
from server.accounts import sessions
from server.accounts.sessions import COOKIES, SessionKind
from server.app import load_models
from server.config import load_settings
from server.db import Database
from server.encounters.models import Encounter
from server.events import Events
from server.migrations import migrate
from server.permissions import Actor, StaffRole
from server.records import service
from server.records.models import Note
from server.records.service import Writing
from signaling.words import utc_now
from tests.bench.figures import Figure, table
from tests.server.cast import add_staff, staff_cookies
from tests.server.visits import START, VisitCast, make_visit_cast
from tests.support.bedside import BIN, clean_environment, is_ready
from tests.support.postgres import PostgresCluster
from tests.support.processes import Program, free_port

EVERY_S = 2.0
NOTE = "Cough for a week, no fever. " * 73
"""Two kilobytes."""


@dataclass(frozen=True, slots=True)
class Size:
    doctors: int
    saves: int
    """Of each doctor, one every two seconds."""
    visits: int
    looks: int


FULL = Size(doctors=50, saves=10, visits=500, looks=20)
SMALLEST = Size(doctors=2, saves=2, visits=3, looks=1)


@dataclass(frozen=True, slots=True)
class Filled:
    """What the clients need to know: addresses and cookies."""

    drafts: list[tuple[str, str]]
    """(path of a draft, its doctor's cookie)."""
    page: str
    file: str
    patient: str
    """The patient's cookie."""


def measure(full: bool) -> list[Figure]:
    size = FULL if full else SMALLEST
    figures: list[Figure] = []
    for engine in ("sqlite", "postgresql") if full else ("sqlite",):
        with _server(engine, size) as (url, filled):
            figures += asyncio.run(_measured(url, filled, size, engine))
    return figures


@contextmanager
def _server(engine: str, size: Size) -> Iterator[tuple[str, Filled]]:
    """A filled database, and `bedside server` over it."""
    with tempfile.TemporaryDirectory(prefix="bedside-bench-") as name, ExitStack() as ending:
        folder, port = Path(name), free_port()
        env = clean_environment() | {
            "BEDSIDE_ENV": "development",
            "BEDSIDE_VAR": str(folder / "var"),
            "BEDSIDE_PORT": str(port),
            "BEDSIDE_DEMO": "false",
        }
        if engine == "postgresql":
            cluster = PostgresCluster()
            ending.callback(cluster.close)
            env["BEDSIDE_DATABASE_URL"] = cluster.create("records")
        filled = asyncio.run(_fill(env, size))
        program = Program([BIN / "bedside", "server"], log=folder / "server.log", env=env, cwd=folder)
        ending.callback(program.stop)
        url = f"http://127.0.0.1:{port}"
        program.wait_ready(lambda: is_ready(url), 60)
        yield url, filled


async def _fill(env: dict[str, str], size: Size) -> Filled:
    load_models()
    settings = load_settings({key: value for key, value in env.items() if key.startswith("BEDSIDE_")})
    keys.prepare_var(settings.var)
    database = Database(settings.database)
    await migrate(database)
    cast = await make_visit_cast(database, keys.open_vault(settings))
    drafts = [await _doctor(cast, n) for n in range(size.doctors)]
    note_id = await _long_record(cast, size.visits)
    async with database.writing() as session:
        opened = await sessions.open_page(session, {}, clinic_id=cast.clinic.id, patient_id=cast.patient, now=utc_now())
    await database.close()
    home = f"/c/{cast.clinic.slug}/patients/{cast.patient}/home"
    cookie = f"{COOKIES[SessionKind.PAGE]}={opened.token}"
    return Filled(drafts, home, f"{home}/notes/{note_id}/versions/1/file", cookie)


async def _doctor(cast: VisitCast, n: int) -> tuple[str, str]:
    """Another doctor with a visit of their own, signed in."""
    async with cast.database.writing() as session:
        doctor = await add_staff(session, cast.clinic, f"Dr {n}", StaffRole.DOCTOR, START)
        cookies = await staff_cookies(session, doctor, utc_now())
    encounter = await cast.another_visit(cast.other_patient, doctor=doctor)
    path = f"/c/{cast.clinic.slug}/visits/{encounter}/note/draft"
    return path, "; ".join(f"{name}={value}" for name, value in cookies.items())


async def _long_record(cast: VisitCast, visits: int) -> str:
    """Signed notes of so many visits of one patient; the id of the last."""
    actor = Actor(person_id=cast.doctor, clinic_id=cast.clinic.id, roles=frozenset({StaffRole.DOCTOR}))
    last = utc_now().replace(minute=0, second=0, microsecond=0)
    for n in range(visits):
        starts_at = last - timedelta(days=n + 1)
        encounter_id = await cast.another_visit(cast.patient, starts_at=starts_at)
        writing = Writing(cast.clinic, actor, starts_at + timedelta(minutes=30), Events(), cast.sealer)
        async with cast.database.writing() as session:
            await service.save_draft(session, writing, encounter_id, NOTE, 0)
            await service.sign(session, writing, encounter_id, 1)
            encounter = await session.get_one(Encounter, (cast.clinic.id, encounter_id))
            encounter.status, encounter.outcome = "finished", "seen"
    async with cast.database.reading() as session:
        query = select(Note.id).where(Note.patient_id == cast.patient)
        return str(await session.scalar(query.order_by(Note.signed_at.desc()).limit(1)))


async def _measured(url: str, filled: Filled, size: Size, engine: str) -> list[Figure]:
    async with aiohttp.ClientSession(url, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        pages = [await _get(client, filled.page, filled.patient) for _ in range(size.looks + 1)][1:]
        files = [await _get(client, filled.file, filled.patient) for _ in range(size.looks + 1)][1:]
        writers = [
            _write(client, path, cookie, n * EVERY_S / size.doctors, size.saves)
            for n, (path, cookie) in enumerate(filled.drafts)
        ]
        saves = sorted(one for times in await asyncio.gather(*writers) for one in times)
    last = saves[min(len(saves) - 1, int(len(saves) * 0.99))]
    return [
        Figure(f"a draft saved, {size.doctors} doctors, {engine}, median", statistics.median(saves) * 1000, "ms", 30),
        Figure(f"a draft saved, {size.doctors} doctors, {engine}, 99 of 100", last * 1000, "ms", 250),
        Figure(f"a patient's page, {size.visits} visits, {engine}", statistics.median(pages) * 1000, "ms", 150),
        Figure(f"a note as PDF, {engine}", statistics.median(files) * 1000, "ms", 200),
    ]


async def _write(client: aiohttp.ClientSession, path: str, cookie: str, after_s: float, count: int) -> list[float]:
    """One doctor, typing: each save is the text so far, on the revision that the last one was answered with."""
    await asyncio.sleep(after_s)
    times, revision, began = [], 0, time.perf_counter()
    for n in range(count):
        await asyncio.sleep(max(0.0, began + n * EVERY_S - time.perf_counter()))
        words = f"{n:04d} {NOTE}"[:2048]
        headers = {"Cookie": cookie, "If-Match": str(revision), "Accept": "application/json"}
        sent = time.perf_counter()
        async with client.put(path, json={"text": words}, headers=headers) as answer:
            body = await answer.json()
        times.append(time.perf_counter() - sent)
        if answer.status != 200:
            raise RuntimeError(f"a draft was not saved: {answer.status} {body}")
        revision = body["revision"]
    return times


async def _get(client: aiohttp.ClientSession, path: str, cookie: str) -> float:
    sent = time.perf_counter()
    async with client.get(path, headers={"Cookie": cookie}) as answer:
        content = await answer.read()
    if answer.status != 200 or not content:
        raise RuntimeError(f"{path}: {answer.status}")
    return time.perf_counter() - sent


if __name__ == "__main__":
    measured = measure(full=True)
    print(table(measured))
    print(json.dumps({figure.name: round(figure.value, 3) for figure in measured}))
    sys.exit(0 if all(figure.meets(figure.must) for figure in measured) else 1)
