"""Whom a browser speaks for in a room: decided from its own cookies and the participation it names, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import sessions
from server.accounts.models import Session, SessionParticipation
from server.accounts.service import load_clinic
from server.accounts.sessions import SessionKind
from server.encounters import proxyscopes, rules
from server.encounters.models import Encounter, Participant
from server.encounters.rules import Door
from server.errors import DomainError, not_found
from server.permissions import ProxyScope, StaffRole, rights_in_room
from server.scheduling.models import Appointment
from signaling.ports import Seat, StaffSeat
from signaling.words import ClinicId, Code, ParticipantId, PersonId, Redacted, Right, Role, RoomId, SessionId

Cookies = Mapping[str, str]


async def get_seat(session: AsyncSession, cookies: Cookies, participation: str, now: datetime) -> Seat:
    """Raises not_signed_in, not_found, link_closed, visit_over, removed; the same not_found for what isn't theirs."""
    found = await session.execute(
        select(Participant, Encounter, Appointment)
        .join(
            Encounter,
            (Encounter.clinic_id == Participant.clinic_id) & (Encounter.id == Participant.encounter_id),
        )
        .join(
            Appointment,
            (Appointment.clinic_id == Encounter.clinic_id) & (Appointment.id == Encounter.appointment_id),
        )
        .where(Participant.id == participation)
    )
    row = found.one_or_none()
    if row is None:
        await _refuse_stranger(session, cookies, now)
        raise not_found()
    person, encounter, appointment = row
    holder = await _holder(session, cookies, person, now)
    if person.is_closed:
        raise DomainError(Code.LINK_CLOSED)
    if person.is_blocked:
        raise DomainError(Code.REMOVED)
    _check_open(encounter, appointment, now)
    role = Role(person.role)
    if role is Role.PROXY and ProxyScope.ATTEND not in await proxyscopes.scopes_at(session, person, now):
        raise DomainError(Code.LINK_CLOSED)
    return Seat(
        room_id=RoomId(encounter.id),
        participant_id=ParticipantId(person.id),
        clinic_id=ClinicId(encounter.clinic_id),
        session_id=SessionId(holder.id),
        role=role,
        name=Redacted(person.name),
        rights=rights_in_room(role),
        person_id=PersonId(person.person_id) if person.person_id else None,
    )


async def get_staff_seat(session: AsyncSession, cookies: Cookies, clinic: str, now: datetime) -> StaffSeat:
    """`clinic` is the name in the page's address. Raises not_signed_in, not_allowed, not_found."""
    scope = await load_clinic(session, clinic)
    holder = await sessions.load_session(session, cookies, SessionKind.STAFF, now)
    if holder is None or holder.person_id is None:
        raise DomainError(Code.NOT_SIGNED_IN)
    if scope is None:
        raise not_found()
    roles = await sessions.load_roles(session, scope.id, holder.person_id)
    if not roles:
        raise not_found()
    if StaffRole.DOCTOR not in roles:
        raise DomainError(Code.NOT_ALLOWED)
    return StaffSeat(
        ClinicId(scope.id), PersonId(holder.person_id), SessionId(holder.id), frozenset({Right.SEE_ARRIVALS})
    )


async def _holder(session: AsyncSession, cookies: Cookies, person: Participant, now: datetime) -> Session:
    if person.role == Role.DOCTOR:
        holder = await sessions.load_session(session, cookies, SessionKind.STAFF, now)
        if holder is None:
            raise DomainError(Code.NOT_SIGNED_IN)
        roles = await sessions.load_roles(session, person.clinic_id, holder.person_id)
        if holder.person_id != person.person_id or StaffRole.DOCTOR not in roles:
            raise not_found()
        return holder
    holder = await sessions.load_session(session, cookies, SessionKind.VISITS, now)
    if holder is None:
        raise DomainError(Code.NOT_SIGNED_IN)
    if await session.get(SessionParticipation, (holder.id, person.id)) is None:
        raise not_found()
    return holder


def _check_open(encounter: Encounter, appointment: Appointment, now: datetime) -> None:
    """A visit that ended shows its closing page for a while; one that was cancelled is closed at once."""
    ended_at = encounter.ended_at
    status = "finished" if encounter.status == "entered-in-error" else encounter.status
    state = rules.door(starts_at=appointment.starts_at, status=status, ended_at=ended_at, now=now)
    if state is Door.CANCELLED:
        if encounter.status == "cancelled":
            raise cancelled()
        raise DomainError(Code.LINK_CLOSED)
    if state is Door.OVER:
        raise DomainError(Code.VISIT_OVER)


def cancelled() -> DomainError:
    """For whoever held a place in it, or its link: why it opens nothing any more."""
    return DomainError(Code.LINK_CLOSED, "This visit was cancelled. If you still need help, please ring the clinic.")


async def _refuse_stranger(session: AsyncSession, cookies: Cookies, now: datetime) -> None:
    for kind in (SessionKind.STAFF, SessionKind.VISITS):
        if await sessions.load_session(session, cookies, kind, now) is not None:
            return
    raise DomainError(Code.NOT_SIGNED_IN)
