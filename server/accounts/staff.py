"""Members of a clinic's staff: who they are, their roles, taking a role away; one administrator always stays.

How they sign in is `invitations.py`; the pages are `administration.py`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import notices, sessions
from server.accounts.models import Membership, Person
from server.accounts.notices import Notice
from server.accounts.trust_models import Invitation, SecondFactor
from server.audit import AuditAction
from server.db import new_id
from server.errors import DomainError, FormError, not_found
from server.permissions import StaffRole
from signaling.words import N_, Code

LAST_ADMINISTRATOR = N_("This is the clinic's only administrator. Make somebody else administrator first.")


@dataclass(frozen=True, slots=True)
class Member:
    """One person of the staff, as the page of people shows them."""

    person_id: str
    name: str
    email: str
    roles: tuple[StaffRole, ...]
    is_set_up: bool
    is_invited: bool


async def load_members(session: AsyncSession, clinic_id: str, now: datetime) -> list[Member]:
    """Everybody who has or had a role here; those without one now come last."""
    query = (
        select(Person, Membership.role, Membership.is_active)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.clinic_id == clinic_id)
    )
    people: dict[str, Person] = {}
    roles: dict[str, set[StaffRole]] = defaultdict(set)
    for person, role, is_active in await session.execute(query):
        people[person.id] = person
        if is_active:
            roles[person.id].add(StaffRole(role))
    set_up = set(await session.scalars(select(SecondFactor.person_id).where(SecondFactor.person_id.in_(people))))
    invited = set(
        await session.scalars(
            select(Invitation.person_id).where(
                Invitation.person_id.in_(people), Invitation.closed_at.is_(None), Invitation.expires_at > now
            )
        )
    )
    members = [
        Member(
            person_id=person.id,
            name=person.name,
            email=person.email or "",
            roles=tuple(sorted(roles[person.id])),
            is_set_up=person.id in set_up and person.password_hash is not None,
            is_invited=person.id in invited,
        )
        for person in people.values()
    ]
    return sorted(members, key=lambda member: (not member.roles, member.name.casefold()))


async def get_member(session: AsyncSession, clinic_id: str, person_id: str, now: datetime) -> Member:
    """Raises not_found, also for another clinic's."""
    found = [one for one in await load_members(session, clinic_id, now) if one.person_id == person_id]
    if not found:
        raise not_found()
    return found[0]


async def add_member(
    session: AsyncSession,
    clinic_id: str,
    *,
    name: str,
    email: str,
    roles: frozenset[StaffRole],
    by_person_id: str | None,
    now: datetime,
) -> str:
    """The person's id. Somebody with this address who works in another clinic already gets roles here besides."""
    person = (await session.scalars(select(Person).where(Person.email == email))).first()
    if person is None:
        person = Person(id=new_id(), name=name, email=email, created_at=now)
        session.add(person)
        await session.flush()
    await set_roles(session, clinic_id, person.id, roles, by_person_id=by_person_id, now=now)
    return person.id


async def set_roles(
    session: AsyncSession,
    clinic_id: str,
    person_id: str,
    roles: frozenset[StaffRole],
    *,
    by_person_id: str | None,
    now: datetime,
) -> list[str]:
    """Exactly these roles from now on; answers the sessions that ended with it. Raises FormError, conflict.

    Rows of everybody in the clinic are locked in one order, so that two administrators can't take each other's role.
    """
    query = select(Membership).where(Membership.clinic_id == clinic_id).order_by(Membership.person_id, Membership.role)
    rows = list(await session.scalars(query.with_for_update()))
    mine = {StaffRole(row.role): row for row in rows if row.person_id == person_id}
    before = frozenset(role for role, row in mine.items() if row.is_active)
    others = {row.person_id for row in rows if row.role == StaffRole.ADMINISTRATOR and row.is_active} - {person_id}
    if StaffRole.ADMINISTRATOR in before - roles and not others:
        raise FormError({"roles": LAST_ADMINISTRATOR})
    for role in sorted(roles - frozenset(mine)):
        session.add(Membership(clinic_id=clinic_id, person_id=person_id, role=role.value, created_at=now))
    for role, row in mine.items():
        row.is_active = role in roles
    await session.flush()
    if before == roles:
        return []
    await audit.enter(
        session,
        clinic_id=clinic_id,
        actor_person_id=by_person_id,
        action=AuditAction.ROLES_CHANGED,
        subject=("person", person_id),
        detail={"before": " ".join(sorted(before)), "after": " ".join(sorted(roles))},
        now=now,
    )
    if before:
        await notices.tell(session, clinic_id, [person_id], Notice("roles_changed", by_person_id), now)
    return await sessions.revoke_all(session, person_id, now) if before - roles else []


async def get_person(session: AsyncSession, person_id: str | None) -> Person:
    """Raises not_signed_in for nobody."""
    person = await session.get(Person, person_id) if person_id else None
    if person is None:
        raise DomainError(Code.NOT_SIGNED_IN)
    return person
