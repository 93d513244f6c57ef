"""The cast of the visits' tests: a clinic, its people, one appointment with its planned visit, a clock that is set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import links, sessions
from server.accounts.links import LinkKind
from server.accounts.models import Clinic, Membership, Patient, Person
from server.accounts.sessions import SessionKind
from server.app import Parts, build_app
from server.config import Settings
from server.db import Database, new_id
from server.encounters import handlers, planning
from server.encounters.clinic_port import ClinicPort
from server.encounters.models import ClinicText, Encounter, Participant
from server.encounters.recording_models import RecordingPurpose
from server.encounters.visits import Visit, visit_of
from server.events import Events
from server.names import search_key
from server.permissions import StaffRole
from server.scheduling.models import Appointment, AppointmentPractitioner, VisitType
from server.vault import Vault, new_keyset
from signaling.words import ParticipantId, Role, RoomId, SessionId
from tests.server.cast import Browser

START = datetime(2031, 5, 27, 8, 30, tzinfo=UTC)


@dataclass
class Clock:
    """Time that stands until it is moved."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Cast:
    """Ids of everybody, and what the server is made of."""

    database: Database
    vault: Vault
    events: Events
    clock: Clock
    clinic_id: str = field(default_factory=new_id)
    other_clinic_id: str = field(default_factory=new_id)
    slug: str = "harbour"
    people: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    encounter_id: str = ""
    appointment_id: str = ""
    visit_type_id: str = field(default_factory=new_id)

    @property
    def port(self) -> ClinicPort:
        return ClinicPort(self.database, self.events, self.vault, self.clock)

    @property
    def room(self) -> RoomId:
        return RoomId(self.encounter_id)

    async def visit(self, encounter_id: str | None = None) -> Visit:
        async with self.database.reading() as session:
            encounter = await session.get(Encounter, (self.clinic_id, encounter_id or self.encounter_id))
            assert encounter is not None
            return await visit_of(session, encounter)

    async def place(self, role: Role) -> ParticipantId:
        """The newest open place of this role."""
        found = [one for one in (await self.visit()).participants if one.role == role and not one.is_closed]
        return ParticipantId(found[-1].id)

    async def participant(self, participant_id: str) -> Participant:
        async with self.database.reading() as session:
            found = await session.get(Participant, (self.clinic_id, participant_id))
            assert found is not None
            return found

    async def appointment_status(self) -> str:
        async with self.database.reading() as session:
            found = await session.get(Appointment, (self.clinic_id, self.appointment_id))
            assert found is not None
            return found.status

    async def guest(self, name: str = "Ida", role: Role = Role.INTERPRETER) -> ParticipantId:
        async with self.database.writing() as session:
            encounter = await session.get(Encounter, (self.clinic_id, self.encounter_id))
            assert encounter is not None
            guest = planning.new_participant(encounter, role, name, self.clock(), relation="interpreter")
            session.add(guest)
            return ParticipantId(guest.id)

    async def staff_cookies(self, who: str) -> dict[str, str]:
        async with self.database.writing() as session:
            opened = await sessions.open_session(session, SessionKind.STAFF, self.clock(), person_id=self.people[who])
        return {sessions.COOKIES[SessionKind.STAFF]: opened.token or ""}

    async def visits_cookies(self, participant_id: str) -> tuple[dict[str, str], SessionId]:
        async with self.database.writing() as session:
            opened = await sessions.open_visits(
                session, {}, clinic_id=self.clinic_id, participation_id=participant_id, now=self.clock()
            )
        return {sessions.COOKIES[SessionKind.VISITS]: opened.token or ""}, SessionId(opened.id)

    async def page_cookies(self, who: str) -> dict[str, str]:
        async with self.database.writing() as session:
            opened = await sessions.open_page(
                session, {}, clinic_id=self.clinic_id, patient_id=self.patients[who], now=self.clock()
            )
        return {sessions.COOKIES[SessionKind.PAGE]: opened.token or ""}

    async def link(self, kind: LinkKind = LinkKind.VISIT, subject_id: str | None = None) -> str:
        async with self.database.writing() as session:
            return await links.new_link(
                session,
                clinic_id=self.clinic_id,
                kind=kind,
                subject_id=subject_id or self.appointment_id,
                now=self.clock(),
            )

    async def another_visit(self, patient: str = "patient", doctor: str = "doctor") -> str:
        """A further appointment an hour later; answers its encounter."""
        async with self.database.writing() as session:
            encounter = await self._book(session, patient, doctor, START + timedelta(hours=1))
            return encounter.id

    async def fill(self) -> None:
        async with self.database.writing() as session:
            await self._clinics(session)
            for who, role in (
                ("doctor", StaffRole.DOCTOR),
                ("colleague", StaffRole.DOCTOR),
                ("scheduler", StaffRole.SCHEDULER),
                ("administrator", StaffRole.ADMINISTRATOR),
            ):
                await self._staff(session, who, role)
            await self._patient(session, "patient", "Anna Ólafsdóttir", "Anna")
            await self._patient(session, "other patient", "Bo Lindqvist", "Bo")
            await self._words(session)
            encounter = await self._book(session, "patient", "doctor", START)
            self.encounter_id, self.appointment_id = encounter.id, encounter.appointment_id

    async def _clinics(self, session: AsyncSession) -> None:
        for clinic_id, slug in ((self.clinic_id, self.slug), (self.other_clinic_id, "hillside")):
            session.add(
                Clinic(
                    id=clinic_id,
                    slug=slug,
                    name=f"{slug.title()} Clinic",
                    neutral_name=slug.title(),
                    phone="+44 20 7946 0000",
                    zone="Europe/London",
                    country="GB",
                    language="en",
                    emergency_text="In an emergency ring 999.",
                    created_at=START,
                )
            )
        await session.flush()
        session.add(
            VisitType(
                clinic_id=self.clinic_id, id=self.visit_type_id, name="Video visit", length_min=20, created_at=START
            )
        )
        await session.flush()

    async def _staff(self, session: AsyncSession, who: str, role: StaffRole) -> None:
        person = Person(id=new_id(), name=f"Dr {who.title()}", created_at=START)
        session.add(person)
        await session.flush()
        session.add(
            Membership(clinic_id=self.clinic_id, person_id=person.id, role=role.value, is_active=True, created_at=START)
        )
        await session.flush()
        self.people[who] = person.id

    async def _patient(self, session: AsyncSession, who: str, name: str, first_name: str) -> None:
        person = Person(id=new_id(), name=name, created_at=START)
        session.add(person)
        await session.flush()
        patient = Patient(
            clinic_id=self.clinic_id,
            id=new_id(),
            person_id=person.id,
            name=name,
            first_name=first_name,
            search_key=search_key(name),
            birth_date=date(1951, 3, 2),
            phone="+44 7700 900123",
            created_at=START,
        )
        session.add(patient)
        await session.flush()
        self.patients[who] = patient.id

    async def _words(self, session: AsyncSession) -> None:
        for kind, text in (
            ("video_consent", "I agree to a video visit."),
            ("recording_consent", "May we record this visit?"),
        ):
            session.add(
                ClinicText(
                    clinic_id=self.clinic_id, id=new_id(), kind=kind, language="en", version=3, text=text,
                    created_at=START,
                )
            )  # fmt: skip
        session.add(
            RecordingPurpose(
                clinic_id=self.clinic_id,
                code="teaching",
                words="To teach young doctors",
                who_may_watch="Doctors of this clinic",
                kept_days=180,
                created_at=START,
            )
        )
        await session.flush()

    async def _book(self, session: AsyncSession, patient: str, doctor: str, starts_at: datetime) -> Encounter:
        appointment = Appointment(
            clinic_id=self.clinic_id,
            id=new_id(),
            patient_id=self.patients[patient],
            visit_type_id=self.visit_type_id,
            status="booked",
            kind="normal",
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=20),
            zone="Europe/London",
            sequence=0,
            created_at=START,
            changed_at=START,
        )
        session.add(appointment)
        await session.flush()
        session.add(
            AppointmentPractitioner(
                clinic_id=self.clinic_id, appointment_id=appointment.id, person_id=self.people[doctor], role="doctor"
            )
        )
        await session.flush()
        return await planning.plan(session, self.clinic_id, appointment.id, START)


async def make_cast(database: Database, folder: Path) -> Cast:
    events = Events()
    handlers.register(events)
    cast = Cast(database, Vault(folder / "clinics", new_keyset()), events, Clock())
    await cast.fill()
    return cast


@dataclass
class House:
    """The running application over the cast, and a browser for each of them."""

    cast: Cast
    app: web.Application
    client: TestClient[web.Request, web.Application]
    settings: Settings

    def stranger(self) -> Browser:
        """A browser that was never here."""
        return Browser(self.client)

    async def browser(self, who: str) -> Browser:
        """A member of the cast by name: staff signed in, patients on their page."""
        if who == "stranger":
            return self.stranger()
        if who in self.cast.patients:
            return Browser(self.client, await self.cast.page_cookies(who))
        return Browser(self.client, await self.cast.staff_cookies(who))

    def visit_url(self, rest: str = "") -> str:
        return f"/c/{self.cast.slug}/visits/{self.cast.encounter_id}{rest}"


@asynccontextmanager
async def open_house(cast: Cast, settings: Settings) -> AsyncIterator[House]:
    app = await build_app(Parts(settings, cast.database, cast.vault, cast.clock))
    async with TestClient(TestServer(app)) as client:
        yield House(cast, app, client, settings)
