"""How fast free times are listed, and what a rush of bookings from several processes does, on both databases.

`make bench-schedule`; the last line is JSON. The work of each process is `schedule_worker.py`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from server.accounts.models import Membership, Person
from server.accounts.service import NewPatient, create_patient
from server.app import load_models
from server.db import Database, new_id
from server.migrations import migrate
from server.permissions import StaffRole
from server.scheduling import finding
from server.scheduling.finding import Search
from server.scheduling.models import Appointment, AppointmentPractitioner, Schedule, Tick, VisitType
from server.scheduling.slots import tick_of
from tests.bench.figures import Figure, as_json, table
from tests.server.cast import add_clinic
from tests.support.postgres import PostgresCluster

NOW = datetime(2026, 3, 16, 4, 0, tzinfo=UTC)
"""A Monday, 05:00 in Berlin."""
FIRST = datetime(2026, 3, 16, 8, 0, tzinfo=UTC)
MONTH = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Size:
    doctors: int
    appointments: int
    lists: int
    slots: int
    attempts: int
    bookings: int
    processes: int


FULL = Size(doctors=200, appointments=100_000, lists=15, slots=100, attempts=10_000, bookings=80, processes=4)
SMALLEST = Size(doctors=3, appointments=60, lists=1, slots=4, attempts=40, bookings=4, processes=1)


@dataclass(frozen=True, slots=True)
class Stored:
    """Ids of what the databases hold."""

    clinic: str
    doctors: tuple[str, ...]
    patients: tuple[str, ...]
    visit: str


def measure(full: bool) -> list[Figure]:
    size = FULL if full else SMALLEST
    engines = ("sqlite", "postgresql") if full else ("sqlite",)
    figures: list[Figure] = []
    with _crew(size.processes) as crew:
        for engine in engines:
            with _databases(engine) as make:
                if engine == "sqlite":
                    figures += asyncio.run(_lists(make("lists"), size))
                figures += _rush(crew, make, size, engine)
                figures += _beside_core(crew, make, size, engine)
    return figures


class _Databases:
    """Makes empty, migrated databases by name, and copies of them. Migrating itself is done once."""

    def __init__(self, folder: Path, cluster: PostgresCluster | None) -> None:
        self._folder, self._cluster = folder, cluster
        asyncio.run(_migrate(self._url("empty") if cluster is None else cluster.create("empty")))

    def __call__(self, name: str) -> str:
        return self.copy("empty", name)

    def copy(self, name: str, to: str) -> str:
        if self._cluster is not None:
            return self._cluster.create(to, template=name)
        shutil.copy(self._folder / f"{name}.db", self._folder / f"{to}.db")
        return self._url(to)

    def _url(self, name: str) -> str:
        return f"sqlite+aiosqlite:///{self._folder}/{name}.db"


@contextmanager
def _databases(engine: str) -> Iterator[_Databases]:
    with tempfile.TemporaryDirectory(prefix="bedside-bench-") as folder:
        cluster = PostgresCluster() if engine == "postgresql" else None
        try:
            yield _Databases(Path(folder), cluster)
        finally:
            if cluster is not None:
                cluster.close()


async def _migrate(url: str) -> None:
    load_models()
    database = Database(url)
    await migrate(database)
    await database.close()


async def fill(database: Database, doctors: int, patients: int) -> Stored:
    """A clinic with these many doctors, each open on every day from nine to five."""
    async with database.writing() as session:
        clinic = await add_clinic(session, "north", NOW)
        people = [new_id() for _ in range(doctors)]
        await session.execute(
            insert(Person),
            [{"id": person, "name": "Dr", "is_seeded": False, "created_at": NOW} for person in people],
        )
        role = StaffRole.DOCTOR.value
        await session.execute(
            insert(Membership),
            [{"clinic_id": clinic.id, "person_id": person, "role": role, "created_at": NOW} for person in people],
        )
        await session.execute(insert(Schedule), [_hours(clinic.id, person) for person in people])
        visit = VisitType(
            clinic_id=clinic.id,
            id=new_id(),
            name="Follow-up",
            length_min=20,
            buffer_after_min=10,
            grid_min=30,
            created_at=NOW,
        )
        session.add(visit)
        new = NewPatient("Anna", "Anna", date(1980, 1, 1), "+4930111", "anna@example.org")
        made = [await create_patient(session, clinic, new, by_person_id=None, now=NOW) for _ in range(patients)]
        return Stored(clinic.id, tuple(people), tuple(patient.id for patient in made), visit.id)


def _hours(clinic: str, person: str) -> dict[str, Any]:
    return {
        "clinic_id": clinic,
        "id": new_id(),
        "person_id": person,
        "role": StaffRole.DOCTOR.value,
        "zone": "Europe/Berlin",
        "rule": "FREQ=DAILY",
        "opens_min": 9 * 60,
        "closes_min": 17 * 60,
        "valid_from": date(2024, 1, 1),
        "created_at": NOW,
    }


async def _lists(url: str, size: Size) -> list[Figure]:
    database = Database(url)
    stored = await fill(database, size.doctors, 1)
    await _store_appointments(database, stored, size)
    figures = []
    for count, must in ((1, 5), (size.doctors, 400)):
        await _list_once(database, stored, stored.doctors[:count])
        times = [await _list_once(database, stored, stored.doctors[:count]) for _ in range(size.lists)]
        name = "a month of slots, 1 practitioner" if count == 1 else f"a month of slots, {count} practitioners"
        figures.append(Figure(name, statistics.median(times) * 1000, "ms", must=must))
    await database.close()
    return figures


async def _list_once(database: Database, stored: Stored, doctors: tuple[str, ...]) -> float:
    async with database.reading() as session:
        clinic = await _clinic(session, stored)
        visit = await finding.get_visit_type(session, clinic, stored.visit)
        began = time.perf_counter()
        found = await finding.find_offers(session, clinic, Search(visit, doctors, NOW), NOW, NOW + MONTH)
        took = time.perf_counter() - began
    if not found:
        raise RuntimeError("no free time was found: nothing was measured")
    return took


async def _clinic(session: Any, stored: Stored) -> Any:
    from server.accounts.service import get_clinic  # noqa: PLC0415 — beside its one use

    return await get_clinic(session, stored.clinic)


async def _store_appointments(database: Database, stored: Stored, size: Size) -> None:
    """Eight a day and doctor, from weeks ago into the coming month, each with its doctor's ticks."""
    each = size.appointments // size.doctors
    first = datetime(2026, 3, 16, 8, 0, tzinfo=UTC) - timedelta(days=max(each // 8 - 12, 0))
    for doctor in stored.doctors:
        rows, held, ticks = [], [], []
        for n in range(each):
            start = first + timedelta(days=n // 8, minutes=60 * (n % 8))
            one = new_id()
            rows.append(_appointment(stored, one, start))
            held.append(
                {"clinic_id": stored.clinic, "appointment_id": one, "person_id": doctor, "role": StaffRole.DOCTOR.value}
            )
            ticks += [
                {"person_id": doctor, "tick": tick_of(start) + k, "clinic_id": stored.clinic, "appointment_id": one}
                for k in range(6)
            ]
        async with database.writing() as session:
            for model, values in ((Appointment, rows), (AppointmentPractitioner, held), (Tick, ticks)):
                await session.execute(insert(model), values)


def _appointment(stored: Stored, one: str, start: datetime) -> dict[str, Any]:
    return {
        "clinic_id": stored.clinic,
        "id": one,
        "patient_id": stored.patients[0],
        "visit_type_id": stored.visit,
        "status": "booked",
        "kind": "normal",
        "starts_at": start,
        "ends_at": start + timedelta(minutes=20),
        "zone": "Europe/Berlin",
        "sequence": 0,
        "created_at": NOW,
        "changed_at": NOW,
    }


def _rush(crew: _Crew, make: _Databases, size: Size, engine: str) -> list[Figure]:
    """Many attempts on few slots: as many bookings as slots, every refusal coded."""
    url = make("rush")
    doctors = max(1, size.slots // 10)
    stored = asyncio.run(_filled(url, doctors, size.slots * 2))
    told = {"job": "rush", "slots": size.slots, "tries": size.attempts // (size.slots * size.processes)}
    answers: Counter[str] = Counter()
    outputs = crew.run([{**told, "url": url, **_ids(stored), "n": n} for n in range(size.processes)])
    for output in outputs:
        answers.update(output["answers"])
    took = max(output["end"] for output in outputs) - min(output["begin"] for output in outputs)
    refused = answers.total() - answers["booked"]
    uncoded = sum(n for code, n in answers.items() if code not in ("booked", "slot_taken"))
    stands = asyncio.run(_count(url))
    return [
        Figure(f"{engine}: booked of {size.slots} slots too many or few", abs(stands - size.slots), "", must=0),
        Figure(f"{engine}: refusals other than slot_taken", uncoded, "", must=0),
        Figure(f"{engine}: refusals", refused / took, "/s", must=500, higher_is_better=True),
    ]


def _beside_core(crew: _Crew, make: _Databases, size: Size, engine: str) -> list[Figure]:
    """Bookings through the service beside the very same statements through SQLAlchemy Core, in turns."""
    url = make("base")
    stored = asyncio.run(_filled(url, size.processes, size.processes * (size.bookings + 1)))
    copies = {name: make.copy("base", name) for name in ("recorded", "core", "service")}
    told = {"job": "beside", "bookings": size.bookings, "urls": copies}
    outputs = crew.run([{**told, **_ids(stored), "n": n} for n in range(size.processes)])
    core = sum(output["core_s"] for output in outputs)
    ours = sum(output["service_s"] for output in outputs)
    rate = size.processes * size.bookings / (ours / size.processes)
    return [
        Figure(f"{engine}: bookings", rate, "/s", higher_is_better=True),
        Figure(f"{engine}: bookings beside Core", core / ours, "", must=0.7, higher_is_better=True),
    ]


class _Crew:
    """The processes that measure. Each says that it is ready, then all begin together, in every turn of a task."""

    def __init__(self, workers: list[subprocess.Popen[str]]) -> None:
        self._workers = workers

    def run(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for worker, task in zip(self._workers, tasks, strict=True):
            _say(worker, json.dumps(task))
        results: dict[int, dict[str, Any]] = {}
        while len(results) < len(tasks):
            lines = [(n, _hear(worker)) for n, worker in enumerate(self._workers) if n not in results]
            for n, line in lines:
                if line != "ready":
                    results[n] = json.loads(line)
            for n, line in lines:
                if line == "ready":
                    _say(self._workers[n], "go")
        return [results[n] for n in range(len(tasks))]


@contextmanager
def _crew(count: int) -> Iterator[_Crew]:
    command = [sys.executable, "-m", "tests.bench.schedule_worker"]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        for _ in range(count)
    ]
    try:
        yield _Crew(workers)
    finally:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
        for worker in workers:
            worker.wait(30)


def _say(worker: subprocess.Popen[str], line: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(f"{line}\n")
    worker.stdin.flush()


def _hear(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline().strip()
    if not line:
        raise RuntimeError("a worker ended without an answer")
    return line


async def _filled(url: str, doctors: int, patients: int) -> Stored:
    database = Database(url)
    stored = await fill(database, doctors, patients)
    await database.close()
    return stored


async def _count(url: str) -> int:
    database = Database(url)
    async with database.reading() as session:
        found = await session.scalar(select(func.count()).select_from(Appointment))
    await database.close()
    return int(found or 0)


def _ids(stored: Stored) -> dict[str, Any]:
    return {
        "clinic": stored.clinic,
        "doctors": stored.doctors,
        "patients": stored.patients,
        "visit": stored.visit,
        "now": NOW.isoformat(),
        "first": FIRST.isoformat(),
    }


if __name__ == "__main__":
    measured = measure(full=True)
    print(table(measured))
    print(as_json(measured))
    sys.exit(0 if all(figure.meets(figure.must) for figure in measured) else 1)
