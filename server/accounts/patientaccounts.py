"""A patient's own account: the e-mail address on file and a password, beside the links that the clinic sends.

In a browser where it was used before it opens the page at once; anywhere else a code to the phone follows
(`pagecodes.py`). The pages are `mypages.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts.events import PageAccountChanged
from server.accounts.models import Patient
from server.accounts.passwords import Passwords
from server.accounts.trust_models import PatientAccount
from server.audit import AuditAction
from server.errors import DomainError
from server.events import Events
from signaling.words import Code

MAILBOX_MAX = 3
"""Accounts with one address: a family shares a mailbox. So many passwords are tried at every sign-in, always."""


async def load(session: AsyncSession, clinic_id: str, patient_id: str) -> PatientAccount | None:
    return await session.get(PatientAccount, (clinic_id, patient_id))


async def load_of_mailbox(session: AsyncSession, clinic_id: str, email: str) -> Sequence[PatientAccount]:
    query = select(PatientAccount).where(PatientAccount.clinic_id == clinic_id, PatientAccount.email == email)
    return (await session.scalars(query.order_by(PatientAccount.created_at).limit(MAILBOX_MAX))).all()


async def fitting(accounts: Sequence[PatientAccount], passwords: Passwords, password: str) -> list[PatientAccount]:
    """Those whose password this is; as much work for no account as for many."""
    hashes = [account.password_hash for account in accounts] + [None] * (MAILBOX_MAX - len(accounts))
    fits = await asyncio.gather(*(passwords.is_right(one, password) for one in hashes))
    return [account for account, fit in zip(accounts, fits, strict=False) if fit]


async def make(session: AsyncSession, events: Events, patient: Patient, password_hash: str, now: datetime) -> None:
    """Raises wrong_phase without an address on file, conflict for a second account, too_many for a full mailbox."""
    if not patient.email:
        raise DomainError(Code.WRONG_PHASE, "The clinic has no e-mail address of yours. Please ring it first.")
    if await load(session, patient.clinic_id, patient.id) is not None:
        raise DomainError(Code.CONFLICT, "You have a password already. You can change it or close the account.")
    email = patient.email.strip().lower()
    same = select(func.count()).where(PatientAccount.clinic_id == patient.clinic_id, PatientAccount.email == email)
    if int(await session.scalar(same) or 0) >= MAILBOX_MAX:
        raise DomainError(Code.TOO_MANY, "Too many people use this e-mail address here. Please ring the clinic.")
    account = PatientAccount(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        email=email,
        password_hash=password_hash,
        known_after=now,
        created_at=now,
    )
    session.add(account)
    await session.flush()
    await _tell(session, events, patient, AuditAction.ACCOUNT_MADE, now)


async def change_password(
    session: AsyncSession, events: Events, patient: Patient, password_hash: str, now: datetime
) -> None:
    """Every browser is asked for a code again. Raises not_found."""
    account = await get(session, patient)
    account.password_hash, account.known_after = password_hash, now
    await _tell(session, events, patient, AuditAction.PASSWORD_CHANGED, now)


async def forget_browsers(session: AsyncSession, patient: Patient, now: datetime) -> None:
    """From now on every browser is asked for a code again."""
    account = await load(session, patient.clinic_id, patient.id)
    if account is not None:
        account.known_after = now


async def close(session: AsyncSession, events: Events, patient: Patient, now: datetime) -> None:
    """The links that the clinic sends go on working. Raises not_found."""
    await session.delete(await get(session, patient))
    await session.flush()
    await _tell(session, events, patient, AuditAction.ACCOUNT_CLOSED, now)


async def get(session: AsyncSession, patient: Patient) -> PatientAccount:
    account = await load(session, patient.clinic_id, patient.id)
    if account is None:
        raise DomainError(Code.NOT_FOUND)
    return account


async def _tell(session: AsyncSession, events: Events, patient: Patient, action: AuditAction, now: datetime) -> None:
    await audit.enter(
        session,
        clinic_id=patient.clinic_id,
        actor_person_id=patient.person_id,
        action=action,
        subject=("patient", patient.id),
        now=now,
    )
    await events.raise_event(session, PageAccountChanged(patient.clinic_id, patient.id, now))
