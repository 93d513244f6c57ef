"""The second half of a staff sign-in: a code from an authenticator app (RFC 6238), or a recovery code, each once.

Secrets lie sealed; who may give somebody a new app is `invitations.py`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime

import pyotp
import segno
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.trust_models import RecoveryCode, SecondFactor
from server.vault import ClinicVault

STEP_S = 30
DRIFT = (0, -1, 1)
"""A phone's clock may be one step off."""
RECOVERY_CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what is mistaken for another: i, l, o, 0, 1."""
RECOVERY_LENGTH = 10
ISSUER = "Bedside"


def new_secret() -> str:
    return str(pyotp.random_base32())


def seal_secret(vault: ClinicVault, person_id: str, secret: str) -> bytes:
    return vault.seal(f"second factor {person_id}", secret.encode())


def open_secret(vault: ClinicVault, person_id: str, sealed: bytes) -> str:
    return vault.open(f"second factor {person_id}", sealed).decode()


def picture(secret: str, account: str) -> str:
    """The QR code for the app, as a data address; the page says the secret in letters beside it."""
    uri = pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=ISSUER)
    return str(segno.make(uri, error="m").svg_data_uri(scale=5, border=3, dark="#0a3a45", light="#ffffff"))


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step this code belongs to, within the drift; None for a wrong one."""
    digits = "".join(one for one in code if one.isascii() and one.isdigit())
    here, totp = int(now.timestamp()) // STEP_S, pyotp.TOTP(secret)
    steps = [here + off for off in DRIFT if hmac.compare_digest(totp.at((here + off) * STEP_S), digits)]
    return steps[0] if steps else None


async def is_right(session: AsyncSession, vault: ClinicVault, person_id: str, code: str, now: datetime) -> bool:
    """Whether the code opens, by app or by recovery code; either is used up by it."""
    factor = await session.get(SecondFactor, person_id)
    if factor is None:
        return False
    step = step_of(open_secret(vault, person_id, factor.sealed_secret), code, now)
    if step is not None:
        newer = update(SecondFactor).where(SecondFactor.person_id == person_id, SecondFactor.last_step < step)
        done = await session.execute(newer.values(last_step=step).returning(SecondFactor.person_id))
        return done.scalar_one_or_none() is not None
    unused = (
        RecoveryCode.person_id == person_id,
        RecoveryCode.code_hash == _hash(code),
        RecoveryCode.used_at.is_(None),
    )
    used = await session.execute(
        update(RecoveryCode).where(*unused).values(used_at=now).returning(RecoveryCode.person_id)
    )
    return used.scalar_one_or_none() is not None


async def set_up(session: AsyncSession, person_id: str, sealed_secret: bytes, step: int, now: datetime) -> list[str]:
    """Puts this app in the place of any earlier one; answers fresh recovery codes, shown this once."""
    await session.execute(delete(SecondFactor).where(SecondFactor.person_id == person_id))
    session.add(SecondFactor(person_id=person_id, sealed_secret=sealed_secret, last_step=step, set_up_at=now))
    await session.flush()
    return await new_recovery_codes(session, person_id)


async def new_recovery_codes(session: AsyncSession, person_id: str) -> list[str]:
    """Ten new ones; earlier ones are void."""
    codes = [_random_code() for _ in range(RECOVERY_CODES)]
    await session.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person_id))
    session.add_all(RecoveryCode(person_id=person_id, code_hash=_hash(code)) for code in codes)
    await session.flush()
    return codes


async def recovery_codes_left(session: AsyncSession, person_id: str) -> int:
    query = select(func.count()).where(RecoveryCode.person_id == person_id, RecoveryCode.used_at.is_(None))
    return int(await session.scalar(query) or 0)


def _random_code() -> str:
    letters = "".join(secrets.choice(ALPHABET) for _ in range(RECOVERY_LENGTH))
    return f"{letters[:5]}-{letters[5:]}"


def _hash(code: str) -> bytes:
    kept = "".join(one for one in code.casefold() if one in ALPHABET)
    return hashlib.sha256(f"recovery {kept}".encode()).digest()
