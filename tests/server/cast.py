"""The cast in a small clinic, each with a browser's cookies of their own, before the real application.

patient, other patient, doctor, colleague, scheduler, administrator, guest (no cookie of ours yet), stranger
(signed in at another clinic). Areas' tests add appointments and visits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import sessions
from server.accounts.models import Clinic, Membership, Person
from server.accounts.service import NewPatient, create_patient, scope_of
from server.accounts.sessions import COOKIES, SessionKind
from server.app import Parts, build_app
from server.config import Settings
from server.context import ClinicScope
from server.db import Database, new_id
from server.pages import Pages, load_pages
from server.permissions import StaffRole
from server.vault import Vault

NOW = datetime(2026, 3, 16, 9, 0, tzinfo=UTC)
"""A Monday, 10:00 in Berlin."""

PATIENTS = (
    NewPatient("Anna Müller", "Anna", date(1980, 5, 1), "+493023125101", "anna@mail.example"),
    NewPatient("Boris Ivanov", "Boris", date(1975, 1, 2), "+493023125102", "boris@mail.example"),
)


@dataclass
class TestClock:
    """The application's time, set by the test."""

    __test__ = False
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@dataclass(frozen=True)
class Cast:
    """Ids of everybody: staff by person, patients by patient."""

    clinic: ClinicScope
    other_clinic: ClinicScope
    doctor: str
    colleague: str
    scheduler: str
    administrator: str
    stranger: str
    patient: str
    other_patient: str


@dataclass
class Browser:
    """One person's browser: its cookies, and requests as a page of ours sends them."""

    client: TestClient[web.Request, web.Application]
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **more: Any) -> aiohttp.ClientResponse:
        return await self.request("GET", path, **more)

    async def post(self, path: str, data: Mapping[str, Any] | None = None, **more: Any) -> aiohttp.ClientResponse:
        return await self.request("POST", path, data=data or {}, **more)

    async def request(self, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
        """Sends and keeps what cookies come back (aiohttp's own jar holds none that are Secure on plain http)."""
        headers = {"Sec-Fetch-Site": "same-origin", **more.pop("headers", {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.client.request(method, path, headers=headers, allow_redirects=False, **more)
        for name, morsel in answer.cookies.items():
            if morsel.value:
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)
        return answer


@dataclass
class Site:
    """The running application, the cast in its database, and browsers for them."""

    app: web.Application
    client: TestClient[web.Request, web.Application]
    database: Database
    cast: Cast
    clock: TestClock

    def browser(self) -> Browser:
        """A browser that was never here."""
        return Browser(self.client)

    async def signed_in(self, person_id: str) -> Browser:
        async with self.database.writing() as session:
            opened = await sessions.open_session(session, SessionKind.STAFF, self.clock(), person_id=person_id)
        return Browser(self.client, {COOKIES[SessionKind.STAFF]: str(opened.token)})

    async def at_visit(self, participation_id: str) -> Browser:
        """A browser that holds this place in a visit."""
        async with self.database.writing() as session:
            opened = await sessions.open_visits(
                session,
                {},
                clinic_id=self.cast.clinic.id,
                participation_id=participation_id,
                now=self.clock(),
            )
        return Browser(self.client, {COOKIES[SessionKind.VISITS]: str(opened.token)})

    async def at_page(self, patient_id: str) -> Browser:
        """A browser that opened this patient's page."""
        async with self.database.writing() as session:
            opened = await sessions.open_page(
                session, {}, clinic_id=self.cast.clinic.id, patient_id=patient_id, now=self.clock()
            )
        return Browser(self.client, {COOKIES[SessionKind.PAGE]: str(opened.token)})


@cache
def shared_pages() -> Pages:
    """Read and compiled once a run: templates don't change under a test."""
    return load_pages()


@asynccontextmanager
async def open_site(database: Database, settings: Settings, vault: Vault) -> AsyncIterator[Site]:
    clock = TestClock()
    async with database.writing() as session:
        cast = await add_cast(session)
    app = await build_app(Parts(settings, database, vault, clock, shared_pages()))
    async with TestClient(TestServer(app)) as client:
        yield Site(app, client, database, cast, clock)


@asynccontextmanager
async def open_browser(database: Database, settings: Settings, vault: Vault) -> AsyncIterator[Browser]:
    """A browser at the application over a database that the test filled itself."""
    app = await build_app(Parts(settings, database, vault, TestClock(), shared_pages()))
    async with TestClient(TestServer(app)) as client:
        yield Browser(client)


async def add_cast(session: AsyncSession, now: datetime = NOW) -> Cast:
    clinic, other = await _clinic(session, "north", now), await _clinic(session, "south", now)
    return Cast(
        clinic=clinic,
        other_clinic=other,
        doctor=await _staff(session, clinic, "Dr Ida Weiss", StaffRole.DOCTOR, now),
        colleague=await _staff(session, clinic, "Dr Omar Haddad", StaffRole.DOCTOR, now),
        scheduler=await _staff(session, clinic, "Sam Desk", StaffRole.SCHEDULER, now),
        administrator=await _staff(session, clinic, "Ira Admin", StaffRole.ADMINISTRATOR, now),
        stranger=await _staff(session, other, "Dr Elsewhere", StaffRole.DOCTOR, now),
        patient=await _patient(session, clinic, PATIENTS[0], now),
        other_patient=await _patient(session, clinic, PATIENTS[1], now),
    )


async def _clinic(session: AsyncSession, slug: str, now: datetime) -> ClinicScope:
    clinic = Clinic(
        id=new_id(),
        slug=slug,
        name=f"Clinic {slug}",
        neutral_name=f"The {slug}",
        phone="+49 30 23125 100",
        zone="Europe/Berlin",
        country="DE",
        emergency_text="Ring 112.",
        created_at=now,
    )
    session.add(clinic)
    await session.flush()
    return scope_of(clinic)


async def _staff(session: AsyncSession, clinic: ClinicScope, name: str, role: StaffRole, now: datetime) -> str:
    person = Person(id=new_id(), name=name, email=f"{new_id()[:8]}@{clinic.slug}.example", created_at=now)
    session.add(person)
    await session.flush()
    session.add(Membership(clinic_id=clinic.id, person_id=person.id, role=role.value, created_at=now))
    await session.flush()
    return person.id


async def _patient(session: AsyncSession, clinic: ClinicScope, new: NewPatient, now: datetime) -> str:
    return (await create_patient(session, clinic, new, by_person_id=None, now=now)).id
