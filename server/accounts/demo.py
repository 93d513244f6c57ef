"""The demo's one-click sign-in; its routes exist only while `is_demo_allowed`.

Seeding the demo clinic is `seed.py`; the outbox page belongs to the desk.
"""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts import sessions
from server.accounts.models import Clinic, Membership, Patient, Person
from server.accounts.service import note_sign_in
from server.accounts.sessions import Opened, SessionKind
from server.config import Settings
from server.db import Database
from server.errors import not_found
from server.pages import ROLE_WORDS, render
from server.permissions import StaffRole, anybody
from server.routing import Route, see_other
from signaling.words import N_

PATIENT_WORDS = N_("Patient")


async def is_demo_allowed(settings: Settings, database: Database) -> bool:
    """The setting says demo, every listening address is loopback, and the database holds nobody from outside the demo.

    Who was registered by hand in the demo clinic is played by nobody: they come in by their own links, as anywhere.
    """
    if not settings.wants_demo or not settings.listens_on_loopback_only:
        return False
    async with database.reading() as session:
        return await _holds_the_demo_only(session)


async def demo_people(session: AsyncSession) -> list[tuple[str, str, str, str]]:
    """(person id, name, role words, clinic slug) of everybody who was seeded: staff first, then patients."""
    staff = (
        select(Person.id, Person.name, Membership.role, Clinic.slug)
        .join(Membership, Membership.person_id == Person.id)
        .join(Clinic, Clinic.id == Membership.clinic_id)
        .where(Person.is_seeded, Clinic.is_demo)
        .order_by(Membership.role, Person.name)
    )
    patients = (
        select(Patient.person_id, Patient.name, Clinic.slug)
        .join(Clinic, Clinic.id == Patient.clinic_id)
        .join(Person, Person.id == Patient.person_id)
        .where(Person.is_seeded, Clinic.is_demo)
        .order_by(Patient.created_at, Patient.name)
    )
    found = [(row.id, row.name, ROLE_WORDS[StaffRole(row.role)], row.slug) for row in await session.execute(staff)]
    return found + [(row.person_id, row.name, PATIENT_WORDS, row.slug) for row in await session.execute(patients)]


async def show_people(request: web.Request) -> web.Response:
    async with context.database(request).reading() as session:
        people = await demo_people(session)
    return render(request, "accounts/demo.html", {"people": people})


async def show_person(request: web.Request) -> web.Response:
    """One button that posts: opening the link alone signs nobody in."""
    person_id = request.match_info["person"]
    async with context.database(request).reading() as session:
        found = [person for person in await demo_people(session) if person[0] == person_id]
    if not found:
        raise not_found()
    return render(request, "accounts/demo.html", {"people": found})


async def sign_in(request: web.Request) -> web.Response:
    """Signs in as a seeded person; asks the database again, since somebody real may have come since the start."""
    person_id, now = request.match_info["person"], context.now(request)
    async with context.database(request).writing() as session:
        if not await _holds_the_demo_only(session):
            raise not_found()
        membership = await _first_membership(session, person_id)
        if membership is not None:
            opened = await sessions.open_session(session, SessionKind.STAFF, now, person_id=person_id)
            await note_sign_in(session, membership.id, person_id, opened, now)
            return _welcome(opened, f"/c/{membership.slug}/")
        seeded = select(Patient).join(Person, Person.id == Patient.person_id).where(Person.is_seeded)
        patient = (await session.scalars(seeded.where(Patient.person_id == person_id))).first()
        clinic = await session.get(Clinic, patient.clinic_id) if patient else None
        if patient is None or clinic is None or not clinic.is_demo:
            raise not_found()
        opened = await sessions.open_page(session, request.cookies, clinic_id=clinic.id, patient_id=patient.id, now=now)
        return _welcome(opened, patient_home(clinic.slug, patient.id))


def patient_home(slug: str, patient_id: str) -> str:
    """Where a patient's own page lies."""
    return f"/c/{slug}/patients/{patient_id}/home"


ROUTES = [
    Route("GET", "/demo", show_people, anybody, "demo.people"),
    Route("GET", "/demo/sign-in/{person}", show_person, anybody, "demo.person"),
    Route("POST", "/demo/sign-in/{person}", sign_in, anybody, "demo.sign_in"),
]


async def _first_membership(session: AsyncSession, person_id: str) -> Clinic | None:
    query = (
        select(Clinic)
        .join(Membership, Membership.clinic_id == Clinic.id)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.person_id == person_id, Membership.is_active, Clinic.is_demo, Person.is_seeded)
    )
    return (await session.scalars(query.limit(1))).first()


async def _holds_the_demo_only(session: AsyncSession) -> bool:
    """Everybody was seeded, or belongs to the demo clinic and to no other."""
    demo = select(Clinic.id).where(Clinic.is_demo)
    works, is_treated = Membership.person_id == Person.id, Patient.person_id == Person.id
    elsewhere = or_(
        exists().where(works, Membership.clinic_id.not_in(demo)),
        exists().where(is_treated, Patient.clinic_id.not_in(demo)),
        ~or_(exists().where(works), exists().where(is_treated)),
    )
    return not await session.scalar(select(exists().where(~Person.is_seeded, elsewhere)))


def _welcome(opened: Opened, url: str) -> web.Response:
    response = see_other(url)
    sessions.set_cookie(response, opened)
    return response
