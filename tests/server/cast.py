"""The cast in a small clinic, each with a browser's cookies of their own, before the real application.

patient, other patient, doctor, colleague, scheduler, administrator, guest (no cookie of ours yet), stranger
(signed in at another clinic). Areas' tests add appointments and visits; opening the application is conftest's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import sessions
from server.accounts.models import Clinic, Membership, Person
from server.accounts.service import NewPatient, create_patient, scope_of
from server.accounts.sessions import COOKIES, SessionKind
from server.config import Settings
from server.context import ClinicScope
from server.db import Database, new_id
from server.permissions import StaffRole

Client: TypeAlias = TestClient[web.Request, web.Application]

OpenApp: TypeAlias = Callable[..., Awaitable[Client]]
"""(clock, **changed settings) -> a client of the application over the test's own database."""

NOW = datetime(2026, 3, 16, 9, 0, tzinfo=UTC)
"""A Monday, 10:00 in Berlin."""

PATIENTS = (
    NewPatient("Anna Müller", "Anna", date(1980, 5, 1), "+493023125101", "anna@mail.example"),
    NewPatient("Boris Ivanov", "Boris", date(1975, 1, 2), "+493023125102", "boris@mail.example"),
)


@dataclass
class Clock:
    """The application's time: it stands until the test moves it."""

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

    client: Client
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

    client: Client
    settings: Settings
    database: Database
    clock: Clock
    cast: Cast

    @property
    def app(self) -> web.Application:
        return self.client.app

    def browser(self) -> Browser:
        """A browser that was never here."""
        return Browser(self.client)

    async def browser_of(self, who: str) -> Browser:
        """A member of the cast by name: staff signed in, patients on their page, anybody else never here."""
        if who in ("patient", "other patient"):
            return await self.at_page(getattr(self.cast, who.replace(" ", "_")))
        return await self.signed_in(getattr(self.cast, who)) if hasattr(self.cast, who) else self.browser()

    async def signed_in(self, person_id: str) -> Browser:
        async with self.database.writing() as session:
            return Browser(self.client, await staff_cookies(session, person_id, self.clock()))

    async def at_visit(self, participation_id: str) -> Browser:
        """A browser that holds this place in a visit."""
        async with self.database.writing() as session:
            cookies, _ = await visits_cookies(session, self.cast.clinic.id, participation_id, self.clock())
        return Browser(self.client, cookies)

    async def at_page(self, patient_id: str) -> Browser:
        """A browser that opened this patient's page."""
        async with self.database.writing() as session:
            opened = await sessions.open_page(
                session, {}, clinic_id=self.cast.clinic.id, patient_id=patient_id, now=self.clock()
            )
        return Browser(self.client, {COOKIES[SessionKind.PAGE]: str(opened.token)})


async def staff_cookies(session: AsyncSession, person_id: str, now: datetime) -> dict[str, str]:
    """What the browser of a member of staff holds once signed in."""
    opened = await sessions.open_session(session, SessionKind.STAFF, now, person_id=person_id)
    return {COOKIES[SessionKind.STAFF]: str(opened.token)}


async def visits_cookies(
    session: AsyncSession, clinic_id: str, participation_id: str, now: datetime
) -> tuple[dict[str, str], str]:
    """What a browser with this place in a visit holds, and its session's id."""
    opened = await sessions.open_visits(session, {}, clinic_id=clinic_id, participation_id=participation_id, now=now)
    return {COOKIES[SessionKind.VISITS]: str(opened.token)}, opened.id


async def add_cast(session: AsyncSession, now: datetime = NOW) -> Cast:
    """Two clinics and everybody in them, as they are at the beginning of a test."""
    clinic, other = await add_clinic(session, "north", now), await add_clinic(session, "south", now)
    return Cast(
        clinic=clinic,
        other_clinic=other,
        doctor=await add_staff(session, clinic, "Dr Ida Weiss", StaffRole.DOCTOR, now),
        colleague=await add_staff(session, clinic, "Dr Omar Haddad", StaffRole.DOCTOR, now),
        scheduler=await add_staff(session, clinic, "Sam Desk", StaffRole.SCHEDULER, now),
        administrator=await add_staff(session, clinic, "Ira Admin", StaffRole.ADMINISTRATOR, now),
        stranger=await add_staff(session, other, "Dr Elsewhere", StaffRole.DOCTOR, now),
        patient=await add_patient(session, clinic, PATIENTS[0], now),
        other_patient=await add_patient(session, clinic, PATIENTS[1], now),
    )


async def add_clinic(session: AsyncSession, slug: str, now: datetime) -> ClinicScope:
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


async def add_staff(session: AsyncSession, clinic: ClinicScope, name: str, role: StaffRole, now: datetime) -> str:
    person = Person(id=new_id(), name=name, email=f"{new_id()[:8]}@{clinic.slug}.example", created_at=now)
    session.add(person)
    await session.flush()
    session.add(Membership(clinic_id=clinic.id, person_id=person.id, role=role.value, created_at=now))
    await session.flush()
    return person.id


async def add_patient(session: AsyncSession, clinic: ClinicScope, new: NewPatient, now: datetime) -> str:
    return (await create_patient(session, clinic, new, by_person_id=None, now=now)).id
