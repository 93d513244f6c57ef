"""A code that the desk reads out on the phone: a short address and eight digits open the door of one appointment.

For whoever gets no message. Fifteen minutes, five tries, once; the link it gives is a visit link like any other.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import links
from server.accounts.links import LinkKind
from server.audit import AuditAction
from server.db import new_id
from server.errors import DomainError
from server.scheduling import rules, service
from server.scheduling.history import Act
from server.scheduling.models import DoorCode
from server.scheduling.rules import Status
from signaling.words import Code

DIGITS = 8
ADDRESS_LENGTH = 5
LETTERS = "abcdefghjkmnpqrstuvwxyz"
"""Without those that sound or look like another when they are read out."""
LIVES = timedelta(minutes=15)
TRIES_MAX = 5


@dataclass(frozen=True, slots=True, repr=False)
class ReadOut:
    """What the desk says, shown this once."""

    address: str
    digits: str
    expires_at: datetime


async def make(session: AsyncSession, act: Act, appointment_id: str) -> ReadOut:
    """A fresh code; the earlier ones of this appointment end. Raises wrong_phase once it is over."""
    appointment = await service.get_appointment(session, act.clinic, appointment_id, lock=True)
    if Status(appointment.status) not in rules.OPEN:
        raise DomainError(Code.WRONG_PHASE, "This visit is over or cancelled. No code was made.")
    earlier = update(DoorCode).where(
        DoorCode.clinic_id == act.clinic.id, DoorCode.appointment_id == appointment_id, DoorCode.used_at.is_(None)
    )
    await session.execute(earlier.values(expires_at=act.now).execution_options(synchronize_session=False))
    code_id, digits = new_id(), "".join(secrets.choice("0123456789") for _ in range(DIGITS))
    row = DoorCode(
        clinic_id=act.clinic.id,
        id=code_id,
        appointment_id=appointment_id,
        address="".join(secrets.choice(LETTERS) for _ in range(ADDRESS_LENGTH)),
        code_hash=_hash(code_id, digits),
        created_by=act.by,
        created_at=act.now,
        expires_at=act.now + LIVES,
    )
    session.add(row)
    await session.flush()
    await audit.enter(
        session,
        clinic_id=act.clinic.id,
        actor_person_id=act.by,
        action=AuditAction.DOOR_CODE_READ_OUT,
        subject=("appointment", appointment_id),
        now=act.now,
    )
    return ReadOut(row.address, digits, row.expires_at)


async def redeem(session: AsyncSession, address: str, digits: str, now: datetime) -> str | None:
    """The token of a new visit link, or None: for any address or digits that aren't right, without saying which."""
    query = select(DoorCode).where(DoorCode.address == address.strip().lower(), DoorCode.used_at.is_(None))
    row = (await session.scalars(query.with_for_update())).one_or_none()
    if row is None or row.expires_at <= now or row.tries >= TRIES_MAX:
        return None
    plain = "".join(sign for sign in digits if sign.isascii() and sign.isdigit())
    if not hmac.compare_digest(row.code_hash, _hash(row.id, plain)):
        row.tries += 1
        return None
    row.used_at = now
    return await links.new_link(
        session, clinic_id=row.clinic_id, kind=LinkKind.VISIT, subject_id=row.appointment_id, now=now
    )


def _hash(code_id: str, digits: str) -> bytes:
    return hashlib.sha256(f"{code_id} {digits}".encode()).digest()
