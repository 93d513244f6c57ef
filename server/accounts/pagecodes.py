"""The second half of a patient-page link: birth date and a code sent to the phone on file.

Unknown, closed and right links answer alike until both are right; the fifth wrong try locks the link (`links.touch`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import links, proxies
from server.accounts.events import PageCodeAsked
from server.accounts.links import LinkKind
from server.accounts.models import Link, PageCode, Patient
from server.accounts.service import load_patient
from server.accounts.trust_models import Proxy
from server.audit import AuditAction
from server.db import new_id
from server.events import Events

CODE_DIGITS = 6
CODE_LIVES = timedelta(minutes=15)
CODES_MAX = 3
"""Within CODE_LIVES, for one link: the phone on file isn't to be flooded."""


@dataclass(frozen=True, slots=True)
class Opener:
    """Whose page a link opens, and the proxy it opens it to, if it is theirs."""

    patient: Patient
    proxy: Proxy | None = None

    @property
    def proxy_phone(self) -> str | None:
        return self.proxy.phone if self.proxy else None

    @property
    def phone(self) -> str | None:
        """Where a code goes; a proxy's never to the patient."""
        return self.proxy.phone if self.proxy else self.patient.phone


async def ask_for_code(session: AsyncSession, events: Events, token: str, now: datetime) -> None:
    """Has a code sent when there is an open link and a phone; answers nothing either way."""
    link = await _open_link(session, token)
    if link is None:
        return
    opener = await _opener(session, link, now)
    if opener is not None and opener.phone:
        await events.raise_event(
            session, PageCodeAsked(link.clinic_id, opener.patient.id, link.id, now, phone=opener.proxy_phone)
        )


async def make_code(session: AsyncSession, link_id: str, now: datetime) -> str | None:
    """A fresh code for this link, to be sent or read out, shown this once; None when there were enough for now."""
    if await _recent(session, link_id, now) >= CODES_MAX:
        return None
    code = _random_code()
    await _store(session, link_id, code, now)
    return code


async def code_to_read_out(
    session: AsyncSession,
    clinic_id: str,
    patient_id: str,
    *,
    by_person_id: str | None,
    now: datetime,
    kind: LinkKind = LinkKind.PAGE,
) -> str | None:
    """One code for every open page link of this patient or proxy, for the desk to say; None when there is none."""
    query = select(Link.id).where(
        Link.clinic_id == clinic_id,
        Link.kind == kind.value,
        Link.subject_id == patient_id,
        Link.closed_at.is_(None),
    )
    code, link_ids = _random_code(), (await session.scalars(query.order_by(Link.id))).all()
    for link_id in link_ids:
        await _store(session, link_id, code, now)
    if not link_ids:
        return None
    await audit.enter(
        session,
        clinic_id=clinic_id,
        actor_person_id=by_person_id,
        action=AuditAction.PAGE_CODE_READ_OUT,
        subject=(("proxy" if kind is LinkKind.PROXY else "patient"), patient_id),
        now=now,
    )
    return code


def _random_code() -> str:
    return "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))


async def _store(session: AsyncSession, link_id: str, code: str, now: datetime) -> None:
    code_id = new_id()
    row = PageCode(
        id=code_id,
        link_id=link_id,
        code_hash=_hash(code_id, code),
        created_at=now,
        expires_at=now + CODE_LIVES,
    )
    session.add(row)
    await session.flush()


async def check(session: AsyncSession, token: str, birth_date: date, code: str, now: datetime) -> Opener | None:
    """Whose page opens to whom, or None: for any link, date or code that isn't right, without saying which."""
    link = await _open_link(session, token)
    if link is None:
        return None
    opener = await _opener(session, link, now)
    row = await _matching(session, link, code, now)
    right = opener is not None and row is not None and opener.patient.birth_date == birth_date
    await links.touch(session, link, right=right, now=now)
    if not right or opener is None or row is None:
        return None
    patient, row.used_at = opener.patient, now
    await audit.enter(
        session,
        clinic_id=link.clinic_id,
        actor_person_id=None if opener.proxy else patient.person_id,
        action=AuditAction.PAGE_OPENED,
        subject=("patient", patient.id),
        detail={"proxy": opener.proxy.id} if opener.proxy else None,
        now=now,
    )
    return opener


async def _open_link(session: AsyncSession, token: str) -> Link | None:
    link = await links.load_link(session, token)
    if link is None or link.closed_at is not None or link.kind not in (LinkKind.PAGE, LinkKind.PROXY):
        return None
    return link


async def _opener(session: AsyncSession, link: Link, now: datetime) -> Opener | None:
    if link.kind == LinkKind.PROXY:
        found = await proxies.load_open(session, link.clinic_id, link.subject_id, now)
        return Opener(found[1], found[0]) if found else None
    patient = await load_patient(session, link.clinic_id, link.subject_id)
    return Opener(patient) if patient else None


async def _recent(session: AsyncSession, link_id: str, now: datetime) -> int:
    query = select(func.count()).where(PageCode.link_id == link_id, PageCode.created_at > now - CODE_LIVES)
    return int(await session.scalar(query) or 0)


async def _matching(session: AsyncSession, link: Link, code: str, now: datetime) -> PageCode | None:
    query = select(PageCode).where(PageCode.link_id == link.id, PageCode.expires_at > now, PageCode.used_at.is_(None))
    rows = (await session.scalars(query)).all()
    return next((row for row in rows if hmac.compare_digest(row.code_hash, _hash(row.id, code))), None)


def _hash(code_id: str, code: str) -> bytes:
    return hashlib.sha256(f"{code_id} {code}".encode()).digest()
