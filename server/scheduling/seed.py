"""The demo clinic's hours, visit types and appointments: yesterday, today (one starting now), next week.

People are accounts' seed; the messages wait in the outbox and are sent by the first run of the jobs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Clinic, Membership, Patient, Person
from server.accounts.seed import DemoPeople
from server.accounts.service import scope_of
from server.db import new_id
from server.events import Events
from server.scheduling import finding, service
from server.scheduling.finding import Search
from server.scheduling.models import Appointment, Schedule, ScheduleException, VisitType
from server.scheduling.rules import Kind, Status
from server.scheduling.service import Act, Booking
from server.scheduling.slots import local_instant
from server.vault import Vault

EVERY_DAY = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU"
WORKING_DAYS = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
HOURS = (
    ((EVERY_DAY, 8 * 60, 12 * 60), (EVERY_DAY, 13 * 60, 18 * 60)),
    ((WORKING_DAYS, 9 * 60, 17 * 60),),
)
"""By doctor. The first one works every day, so that the demo has visits whenever it is started."""
_DAY = timedelta(days=1)
_WHY_NOW = "So that the demo has a visit now"


async def seed(session: AsyncSession, events: Events, vault: Vault, people: DemoPeople, now: datetime) -> None:
    """Fills the demo clinic's calendar around `now`."""
    zone = ZoneInfo(people.clinic.zone)
    today = now.astimezone(zone).date()
    visit = await _visit_types(session, people, now)
    await _hours(session, people, today, now)
    starting = now - timedelta(seconds=now.timestamp() % 300)
    is_open = await _open_for(session, people, starting, visit, zone)
    long_ago = Act(people.clinic, people.scheduler, now - 3 * _DAY, events)
    lately = Act(people.clinic, people.scheduler, now - timedelta(minutes=10), events)
    anna, *others = people.patients
    await _book(session, long_ago, visit, (anna, people.doctors[0]), starting, is_offered=is_open)
    yesterday = await _book_day(session, long_ago, visit, people, today - _DAY, others[:3])
    await _settle(session, Act(people.clinic, people.scheduler, now, events), yesterday)
    await _book_day(session, lately, visit, people, today, others[3:6], after=starting + timedelta(minutes=30))
    await _book_day(session, lately, visit, people, today + 7 * _DAY, [anna, *others[4:7]])


async def add_visit_now(session: AsyncSession, events: Events, now: datetime) -> Appointment | None:
    """A visit that starts now, for a demo whose seeded day is over; None where nobody is left to have it."""
    clinic = (await session.scalars(select(Clinic).where(Clinic.is_demo).limit(1))).first()
    if clinic is None:
        return None
    members = (
        select(Membership.role, Person.id)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.clinic_id == clinic.id, Membership.is_active, Person.is_seeded)
        .order_by(Person.name.desc())
    )
    staff = {row.role: row.id for row in await session.execute(members)}
    patients = select(Patient.id).where(Patient.clinic_id == clinic.id).order_by(Patient.created_at, Patient.name)
    visit = select(VisitType).where(VisitType.clinic_id == clinic.id).order_by(VisitType.length_min).limit(1)
    patient_id = (await session.scalars(patients.limit(1))).first()
    visit_type = (await session.scalars(visit)).first()
    if patient_id is None or visit_type is None or not {"doctor", "scheduler"} <= staff.keys():
        return None
    starting = now - timedelta(seconds=now.timestamp() % 300)
    act = Act(scope_of(clinic), staff["scheduler"], now, events)
    booking = Booking(patient_id, visit_type.id, (staff["doctor"],), starting, kind=Kind.SQUEEZED_IN, reason=_WHY_NOW)
    return await service.book(session, act, booking)


async def _visit_types(session: AsyncSession, people: DemoPeople, now: datetime) -> VisitType:
    kinds = (("First visit", 40, 10), ("Follow-up", 20, 5))
    made = [
        VisitType(
            clinic_id=people.clinic.id,
            id=new_id(),
            name=name,
            length_min=length,
            buffer_after_min=pause,
            grid_min=30 if length <= 25 else 60,
            lead_time_min=120,
            cutoff_min=24 * 60,
            created_at=now,
        )
        for name, length, pause in kinds
    ]
    session.add_all(made)
    await session.flush()
    return made[-1]


async def _hours(session: AsyncSession, people: DemoPeople, today: date, now: datetime) -> None:
    for person_id, blocks in zip(people.doctors, HOURS, strict=True):
        for rule, opens, closes in blocks:
            session.add(
                Schedule(
                    clinic_id=people.clinic.id,
                    id=new_id(),
                    person_id=person_id,
                    zone=people.clinic.zone,
                    rule=rule,
                    opens_min=opens,
                    closes_min=closes,
                    valid_from=today - 30 * _DAY,
                    created_at=now,
                )
            )
    await session.flush()


async def _open_for(
    session: AsyncSession, people: DemoPeople, starting: datetime, visit: VisitType, zone: ZoneInfo
) -> bool:
    """Extra hours for the visit that starts now, whatever the hour; False in the hour that clocks repeat in autumn."""
    local = starting.astimezone(zone)
    opens = local.hour * 60 + local.minute
    if local_instant(local.date(), opens, zone) != starting:
        return False
    session.add(
        ScheduleException(
            clinic_id=people.clinic.id,
            id=new_id(),
            person_id=people.doctors[0],
            zone=people.clinic.zone,
            on_date=local.date(),
            kind="extra",
            opens_min=opens,
            closes_min=opens + visit.length_min,
            created_at=starting,
        )
    )
    await session.flush()
    return True


async def _book(
    session: AsyncSession,
    act: Act,
    visit: VisitType,
    who: tuple[str, str],
    starts_at: datetime,
    *,
    is_offered: bool = True,
) -> str:
    patient_id, doctor_id = who
    booking = Booking(patient_id, visit.id, (doctor_id,), starts_at)
    if not is_offered:
        booking = replace(booking, kind=Kind.SQUEEZED_IN, reason=_WHY_NOW)
    return (await service.book(session, act, booking)).id


async def _book_day(  # noqa: PLR0917 (private, one page)
    session: AsyncSession,
    act: Act,
    visit: VisitType,
    people: DemoPeople,
    day: date,
    patients: Iterable[str],
    *,
    after: datetime | None = None,
) -> list[str]:
    """One appointment for each of these patients on a local day, as far as it has free starts."""
    zone = ZoneInfo(people.clinic.zone)
    since, until = local_instant(day, 0, zone), local_instant(day, 1440, zone)
    made = []
    for turn, patient_id in enumerate(patients):
        search = Search(visit, people.doctors, act.now)
        offers = await finding.find_offers(session, act.clinic, search, max(since, after or since), until)
        if not offers:
            break
        doctor = people.doctors[turn % len(people.doctors)]
        offer = next((each for each in offers if each.person_id == doctor), offers[0])
        made.append(await _book(session, act, visit, (patient_id, offer.person_id), offer.slot.starts_at))
    return made


async def _settle(session: AsyncSession, act: Act, yesterday: list[str]) -> None:
    """Of yesterday's one came, one didn't, one was cancelled."""
    came, missed, cancelled = yesterday
    await service.set_status(session, act, came, Status.FULFILLED)
    await service.mark_no_show(session, act, missed)
    await service.cancel(session, act, cancelled, "Rang to say that she is well again")
