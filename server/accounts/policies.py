"""What an administrator decides for the clinic: its names, clocks, emergency words, letterhead and limits.

Wordings of consent and purposes of recording are `encounters/wordings.py`; the page is `desk/clinicsettings.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts.models import Clinic
from server.accounts.trust_models import ClinicPolicy
from server.audit import AuditAction


@dataclass(frozen=True, slots=True)
class Decided:
    """Everything the page of settings holds."""

    name: str
    neutral_name: str
    phone: str
    zone: str
    country: str
    emergency_text: str
    always_relay: bool
    letterhead: str
    idle_min: int
    proxy_ends_age: int
    notes_kept_years: int


OF_CLINIC = ("name", "neutral_name", "phone", "zone", "country", "emergency_text", "always_relay")
OF_POLICY = ("letterhead", "idle_min", "proxy_ends_age", "notes_kept_years")


async def load(session: AsyncSession, clinic_id: str) -> Decided:
    clinic = await session.get_one(Clinic, clinic_id)
    policy = await load_policy(session, clinic_id)
    return Decided(
        **{name: getattr(clinic, name) for name in OF_CLINIC}, **{name: getattr(policy, name) for name in OF_POLICY}
    )


async def load_policy(session: AsyncSession, clinic_id: str) -> ClinicPolicy:
    """The clinic's policies; where it decided nothing, the defaults, not yet stored."""
    found = await session.get(ClinicPolicy, clinic_id)
    defaults = {"letterhead": "", "idle_min": 30, "proxy_ends_age": 18, "notes_kept_years": 10}
    return found or ClinicPolicy(clinic_id=clinic_id, **defaults)


async def decide(
    session: AsyncSession, clinic_id: str, decided: Decided, *, by_person_id: str | None, now: datetime
) -> None:
    """Stores it; the entry names which settings changed, not what they say."""
    before = await load(session, clinic_id)
    changed = [name for name in (*OF_CLINIC, *OF_POLICY) if getattr(before, name) != getattr(decided, name)]
    if not changed:
        return
    clinic, policy = await session.get_one(Clinic, clinic_id), await load_policy(session, clinic_id)
    session.add(policy)
    for name in changed:
        setattr(clinic if name in OF_CLINIC else policy, name, getattr(decided, name))
    await audit.enter(
        session,
        clinic_id=clinic_id,
        actor_person_id=by_person_id,
        action=AuditAction.SETTINGS_CHANGED,
        subject=("clinic", clinic_id),
        detail={"changed": " ".join(changed)},
        now=now,
    )
