"""Links by which staff set up how they sign in: to join, or to put a new authenticator app in a lost one's place.

Making people and roles is `staff.py`; the pages are `joining.py`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import notices, secondfactor, sessions
from server.accounts.links import TOKEN_BYTES, TOKEN_SHAPE, TRIES_MAX, token_hash
from server.accounts.models import Membership, Person
from server.accounts.notices import Notice
from server.accounts.trust_models import Invitation
from server.audit import AuditAction
from server.db import new_id
from server.errors import DomainError
from server.vault import ClinicVault
from signaling.words import N_, Code


class Purpose(StrEnum):
    JOIN = "join"
    SECOND_FACTOR = "second_factor"


class IdentityCheck(StrEnum):
    """How the administrator knew who asked; stated each time, kept in the audit."""

    IN_PERSON = "in_person"
    VIDEO = "video"
    CALLED_BACK = "called_back"
    OTHER_ADMINISTRATOR = "other_administrator"
    ON_THE_SERVER = "on_the_server"


CHECK_WORDS = {
    IdentityCheck.IN_PERSON: N_("They stood in front of me and I know them"),
    IdentityCheck.VIDEO: N_("I saw them on video and know them"),
    IdentityCheck.CALLED_BACK: N_("I rang them back on the number we have on file"),
    IdentityCheck.OTHER_ADMINISTRATOR: N_("Another member of staff whom I know vouched for them in person"),
}
LIVES = {Purpose.JOIN: timedelta(days=7), Purpose.SECOND_FACTOR: timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class Invited:
    """What lies behind an open invitation."""

    invitation: Invitation
    person: Person
    secret: str

    @property
    def is_joining(self) -> bool:
        return self.invitation.kind == Purpose.JOIN


async def invite(
    session: AsyncSession,
    vault: ClinicVault,
    *,
    clinic_id: str,
    person_id: str,
    purpose: Purpose,
    by_person_id: str | None,
    now: datetime,
    check: IdentityCheck | None = None,
) -> str:
    """A link's token, shown this once; earlier ones of this person are void."""
    open_ones = update(Invitation).where(Invitation.person_id == person_id, Invitation.closed_at.is_(None))
    await session.execute(open_ones.values(closed_at=now))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    invitation = Invitation(
        id=new_id(),
        clinic_id=clinic_id,
        person_id=person_id,
        kind=purpose.value,
        token_hash=token_hash(token),
        sealed_secret=secondfactor.seal_secret(vault, person_id, secondfactor.new_secret()),
        by_person_id=by_person_id,
        identity_check=check.value if check else None,
        created_at=now,
        expires_at=now + LIVES[purpose],
    )
    session.add(invitation)
    await audit.enter(
        session,
        clinic_id=clinic_id,
        actor_person_id=by_person_id,
        action=AuditAction.STAFF_INVITED if purpose is Purpose.JOIN else AuditAction.SECOND_FACTOR_REPLACED,
        subject=("person", person_id),
        detail={"check": check.value} if check else None,
        now=now,
    )
    if purpose is Purpose.SECOND_FACTOR:
        await _tell_both(session, invitation, now)
    return token


async def _tell_both(session: AsyncSession, invitation: Invitation, now: datetime) -> None:
    """Who lost it, and who replaces it: neither can do it alone without the other hearing of it."""
    clinic_id, owner, by = invitation.clinic_id, invitation.person_id, invitation.by_person_id
    how = invitation.identity_check
    await notices.tell(session, clinic_id, [owner], Notice("factor_replaced", by, how), now)
    if by is not None:
        await notices.tell(session, clinic_id, [by], Notice("factor_replaced_by_you", owner, how), now)


async def look(session: AsyncSession, vault: ClinicVault, token: str, now: datetime) -> Invited:
    """Raises not_found for what was never made, link_closed for what is used, void or too old."""
    if not TOKEN_SHAPE.fullmatch(token):
        raise DomainError(Code.NOT_FOUND)
    found = (await session.scalars(select(Invitation).where(Invitation.token_hash == token_hash(token)))).first()
    if found is None:
        raise DomainError(Code.NOT_FOUND)
    active = select(Membership.person_id).where(
        Membership.person_id == found.person_id, Membership.clinic_id == found.clinic_id, Membership.is_active
    )
    if found.closed_at is not None or found.expires_at <= now or await session.scalar(active.limit(1)) is None:
        raise DomainError(Code.LINK_CLOSED)
    person = await session.get_one(Person, found.person_id)
    return Invited(found, person, secondfactor.open_secret(vault, person.id, found.sealed_secret))


async def count_wrong(session: AsyncSession, invited: Invited, now: datetime) -> None:
    """The fifth wrong code or password closes the link: an administrator makes another."""
    tries = await session.scalar(
        update(Invitation)
        .where(Invitation.id == invited.invitation.id)
        .values(tries=Invitation.tries + 1)
        .returning(Invitation.tries)
    )
    if tries is not None and tries >= TRIES_MAX:
        await _close(session, invited, now)


async def accept(
    session: AsyncSession, invited: Invited, *, step: int, password_hash: str | None, now: datetime
) -> list[str] | None:
    """Uses the link up: app (and password, on joining) are set, all other sessions end; answers recovery codes.

    None when somebody else used it in the same moment.
    """
    if not await _close(session, invited, now):
        return None
    if password_hash is not None:
        await session.execute(update(Person).where(Person.id == invited.person.id).values(password_hash=password_hash))
    await sessions.revoke_all(session, invited.person.id, now)
    await audit.enter(
        session,
        clinic_id=invited.invitation.clinic_id,
        actor_person_id=invited.person.id,
        action=AuditAction.SIGN_IN_SET_UP,
        subject=("person", invited.person.id),
        detail={"kind": invited.invitation.kind},
        now=now,
    )
    clinic_id, by = invited.invitation.clinic_id, invited.invitation.by_person_id
    await notices.tell(session, clinic_id, [invited.person.id], Notice("sign_in_set_up"), now)
    if by is not None:
        await notices.tell(session, clinic_id, [by], Notice("colleague_set_up", invited.person.id), now)
    return await secondfactor.set_up(session, invited.person.id, invited.invitation.sealed_secret, step, now)


async def _close(session: AsyncSession, invited: Invited, now: datetime) -> bool:
    done = await session.execute(
        update(Invitation)
        .where(Invitation.id == invited.invitation.id, Invitation.closed_at.is_(None))
        .values(closed_at=now)
        .returning(Invitation.id)
    )
    return done.scalar_one_or_none() is not None
