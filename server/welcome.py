"""The lines `bedside serve` prints when everything answers: where to go, and in the demo a way in for everybody."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import links
from server.accounts.demo import demo_people, is_demo_allowed
from server.accounts.links import LinkKind
from server.accounts.models import Clinic
from server.config import Settings
from server.db import Database
from server.encounters.rules import OPENS_BEFORE
from server.scheduling.models import Appointment
from server.seed import add_visit_now
from signaling.words import Clock, utc_now


async def welcome_lines(settings: Settings, database: Database, clock: Clock = utc_now) -> list[str]:
    """What to print, line by line."""
    lines = ["", f"Bedside is ready: {settings.origin}/"]
    if await is_demo_allowed(settings, database):
        lines += await _demo_lines(settings.origin, database, clock)
    return [*lines, "Ctrl-C ends everything.", ""]


async def _demo_lines(origin: str, database: Database, clock: Clock) -> list[str]:
    async with database.reading() as session:
        people = await demo_people(session)
    lines = ["", "Sign in as somebody of the demo clinic, one browser window a person:"]
    lines += [f"  {origin}/demo/sign-in/{key}  {name}, {role.lower()}" for key, name, role, _ in people]
    async with database.writing() as session:
        visit = await _visit_line(session, origin, clock)
    return [*lines, "", *visit, f"Every message sent:  {origin}/demo/outbox", ""]


async def _visit_line(session: AsyncSession, origin: str, clock: Clock) -> list[str]:
    """A fresh link to today's visit, which is made when there is none; links sent before go on working."""
    now = clock()
    visit = await _open_visit(session, now) or await add_visit_now(session, now)
    if visit is None:
        return []
    token = await links.new_link(session, clinic_id=visit.clinic_id, kind=LinkKind.VISIT, subject_id=visit.id, now=now)
    return [f"Today's visit, as the patient's link:  {origin}/v/{token}"]


async def _open_visit(session: AsyncSession, now: datetime) -> Appointment | None:
    """The demo's visit that is on now or whose door is open."""
    query = (
        select(Appointment)
        .join(Clinic, Clinic.id == Appointment.clinic_id)
        .where(Clinic.is_demo, Appointment.status.in_(("booked", "arrived")))
        .where(Appointment.ends_at > now, Appointment.starts_at <= now + OPENS_BEFORE)
        .order_by(Appointment.starts_at)
    )
    return (await session.scalars(query.limit(1))).first()
