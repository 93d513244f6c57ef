"""The cast of the visits' tests: the clinic's cast, one appointment with its planned visit, and the clinic's own words.

Opening the application over it is conftest's.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import links
from server.accounts.links import LinkKind
from server.context import ClinicScope
from server.db import Database, new_id
from server.encounters import handlers, planning
from server.encounters.clinic_port import ClinicPort
from server.encounters.models import ClinicText, Encounter, Participant
from server.encounters.recording_models import RecordingPurpose
from server.encounters.visits import Visit, visit_of
from server.events import Events
from server.records import handlers as records_handlers
from server.scheduling.models import Appointment, AppointmentPractitioner, VisitType
from server.vault import ClinicVault, Vault
from signaling.words import ParticipantId, Role, RoomId, SessionId
from tests.server.cast import Cast, Clock, Site, add_cast, staff_cookies, visits_cookies

START = datetime(2031, 5, 27, 8, 30, tzinfo=UTC)


@dataclass(frozen=True)
class VisitCast(Cast):
    """Ids of everybody and of the visit, and what the server is made of."""

    database: Database
    vault: Vault
    events: Events
    clock: Clock
    visit_type_id: str
    encounter_id: str
    appointment_id: str

    @property
    def port(self) -> ClinicPort:
        return ClinicPort(self.database, self.events, self.vault, self.clock)

    @property
    def sealer(self) -> ClinicVault:
        """What seals the clinic's notes."""
        return self.vault.clinic(self.clinic.id)

    @property
    def room(self) -> RoomId:
        return RoomId(self.encounter_id)

    async def visit(self, encounter_id: str | None = None) -> Visit:
        async with self.database.reading() as session:
            encounter = await session.get(Encounter, (self.clinic.id, encounter_id or self.encounter_id))
            assert encounter is not None
            return await visit_of(session, encounter)

    async def place(self, role: Role) -> ParticipantId:
        """The newest open place of this role."""
        found = [one for one in (await self.visit()).participants if one.role == role and not one.is_closed]
        return ParticipantId(found[-1].id)

    async def participant(self, participant_id: str) -> Participant:
        async with self.database.reading() as session:
            found = await session.get(Participant, (self.clinic.id, participant_id))
            assert found is not None
            return found

    async def appointment_status(self) -> str:
        async with self.database.reading() as session:
            found = await session.get(Appointment, (self.clinic.id, self.appointment_id))
            assert found is not None
            return found.status

    async def guest(self, name: str = "Ida", role: Role = Role.INTERPRETER) -> ParticipantId:
        async with self.database.writing() as session:
            encounter = await session.get(Encounter, (self.clinic.id, self.encounter_id))
            assert encounter is not None
            guest = planning.new_participant(encounter, role, name, self.clock(), relation="interpreter")
            session.add(guest)
            return ParticipantId(guest.id)

    async def staff_cookies(self, who: str) -> dict[str, str]:
        async with self.database.writing() as session:
            return await staff_cookies(session, getattr(self, who), self.clock())

    async def visits_cookies(self, participant_id: str) -> tuple[dict[str, str], SessionId]:
        async with self.database.writing() as session:
            cookies, session_id = await visits_cookies(session, self.clinic.id, participant_id, self.clock())
        return cookies, SessionId(session_id)

    async def link(self, kind: LinkKind = LinkKind.VISIT, subject_id: str | None = None) -> str:
        async with self.database.writing() as session:
            return await links.new_link(
                session,
                clinic_id=self.clinic.id,
                kind=kind,
                subject_id=subject_id or self.appointment_id,
                now=self.clock(),
            )

    async def another_visit(
        self, patient_id: str, *, doctor: str | None = None, starts_at: datetime = START + timedelta(hours=1)
    ) -> str:
        """A further appointment, with the doctor an hour later when nothing else is said; answers its encounter."""
        async with self.database.writing() as session:
            booked = _Booked(self.clinic, patient_id, doctor or self.doctor, self.visit_type_id, starts_at)
            return (await _book(session, booked)).id


@dataclass
class House(Site):
    """The running application over the visit's cast."""

    cast: VisitCast

    def visit_url(self, rest: str = "") -> str:
        return f"/c/{self.cast.clinic.slug}/visits/{self.cast.encounter_id}{rest}"


async def make_visit_cast(database: Database, vault: Vault) -> VisitCast:
    events = Events()
    handlers.register(events)
    records_handlers.register(events)
    async with database.writing() as session:
        cast = await add_cast(session, START)
        visit_type_id = new_id()
        session.add(
            VisitType(clinic_id=cast.clinic.id, id=visit_type_id, name="Video visit", length_min=20, created_at=START)
        )
        await _words(session, cast.clinic)
        encounter = await _book(session, _Booked(cast.clinic, cast.patient, cast.doctor, visit_type_id, START))
    return VisitCast(
        **{one.name: getattr(cast, one.name) for one in fields(cast)},
        database=database,
        vault=vault,
        events=events,
        clock=Clock(START),
        visit_type_id=visit_type_id,
        encounter_id=encounter.id,
        appointment_id=encounter.appointment_id,
    )


async def _words(session: AsyncSession, clinic: ClinicScope) -> None:
    for kind, text in (
        ("video_consent", "I agree to a video visit."),
        ("recording_consent", "May we record this visit?"),
    ):
        session.add(
            ClinicText(
                clinic_id=clinic.id, id=new_id(), kind=kind, language="en", version=3, text=text,
                created_at=START,
            )
        )  # fmt: skip
    session.add(
        RecordingPurpose(
            clinic_id=clinic.id,
            code="teaching",
            words="To teach young doctors",
            who_may_watch="Doctors of this clinic",
            kept_days=180,
            created_at=START,
        )
    )
    await session.flush()


@dataclass(frozen=True)
class _Booked:
    clinic: ClinicScope
    patient_id: str
    doctor_id: str
    visit_type_id: str
    starts_at: datetime


async def _book(session: AsyncSession, booked: _Booked) -> Encounter:
    appointment = Appointment(
        clinic_id=booked.clinic.id,
        id=new_id(),
        patient_id=booked.patient_id,
        visit_type_id=booked.visit_type_id,
        status="booked",
        kind="normal",
        starts_at=booked.starts_at,
        ends_at=booked.starts_at + timedelta(minutes=20),
        zone=booked.clinic.zone,
        sequence=0,
        created_at=START,
        changed_at=START,
    )
    session.add(appointment)
    await session.flush()
    session.add(
        AppointmentPractitioner(
            clinic_id=booked.clinic.id, appointment_id=appointment.id, person_id=booked.doctor_id, role="doctor"
        )
    )
    await session.flush()
    return await planning.plan(session, booked.clinic.id, appointment.id, START)
