"""Finding a patient at the desk: forgiving accents and spelling, by birth date or phone; who resembles a new one.

Only reads. Registering a patient is `accounts.service`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from difflib import SequenceMatcher

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Patient
from server.context import ClinicScope
from server.names import search_key

FOUND_MAX = 20
FUZZY_MAX = 5000
"""Of larger clinics only so many names are compared letter by letter; exact search is never limited."""
CLOSE_ENOUGH = 0.72
LAST_DIGITS = 4
_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"),
    re.compile(r"(?P<d>\d{1,2})[./ ](?P<m>\d{1,2})[./ ](?P<y>\d{4})"),
)


async def search(session: AsyncSession, clinic: ClinicScope, text: str) -> Sequence[Patient]:
    """At most 20 patients: born on that date, with those digits in their phone, or with a name like it."""
    born = read_date(text)
    if born is not None:
        return await _found(session, clinic, Patient.birth_date == born)
    digits = re.sub(r"\D", "", text).lstrip("0")
    if len(digits) >= LAST_DIGITS and not re.search(r"[^\W\d_]", text):
        return await _found(session, clinic, _plain_phone().contains(digits, autoescape=True))
    words = search_key(text).split()
    if not words:
        return []
    exact = await _found(session, clinic, *(Patient.search_key.contains(word, autoescape=True) for word in words))
    return exact or await _alike(session, clinic, words)


async def resembling(
    session: AsyncSession, clinic: ClinicScope, name: str, birth_date: date, phone: str | None
) -> Sequence[Patient]:
    """Patients on file who may be the same person: same birth date and a name like it, or the same phone."""
    same = [Patient.birth_date == birth_date]
    if phone:
        same.append(Patient.phone == phone)
    rows = await session.scalars(select(Patient).where(Patient.clinic_id == clinic.id, or_(*same)).limit(200))
    words = search_key(name).split()
    return [
        row
        for row in rows
        if (phone is not None and row.phone == phone) or _is_alike(words, row.search_key.split(), any_word=True)
    ]


async def sharing_contact(session: AsyncSession, patient: Patient) -> Sequence[Patient]:
    """Others with the same phone number or e-mail address: a family's, a carer's, or a slip."""
    same = []
    if patient.phone:
        same.append(Patient.phone == patient.phone)
    if patient.email:
        same.append(func.lower(Patient.email) == patient.email.lower())
    if not same:
        return []
    query = select(Patient).where(Patient.clinic_id == patient.clinic_id, Patient.id != patient.id, or_(*same))
    return (await session.scalars(query.order_by(Patient.name, Patient.id).limit(FOUND_MAX))).all()


def read_date(text: str) -> date | None:
    """A date as people write it, day first; None when it is none."""
    for pattern in _DATES:
        found = pattern.fullmatch(text.strip())
        if found:
            try:
                return date(int(found["y"]), int(found["m"]), int(found["d"]))
            except ValueError:
                return None
    return None


def last_digits(phone: str | None) -> str:
    """The end of a phone number, enough to tell two people apart at the desk."""
    return re.sub(r"\D", "", phone or "")[-LAST_DIGITS:]


async def _found(session: AsyncSession, clinic: ClinicScope, *conditions: ColumnElement[bool]) -> Sequence[Patient]:
    query = select(Patient).where(Patient.clinic_id == clinic.id, *conditions)
    return (await session.scalars(query.order_by(Patient.name, Patient.id).limit(FOUND_MAX))).all()


async def _alike(session: AsyncSession, clinic: ClinicScope, words: list[str]) -> Sequence[Patient]:
    names = await session.execute(
        select(Patient.id, Patient.search_key).where(Patient.clinic_id == clinic.id).limit(FUZZY_MAX)
    )
    close = [patient_id for patient_id, key in names if _is_alike(words, key.split())][:FOUND_MAX]
    return await _found(session, clinic, Patient.id.in_(close))


def _is_alike(words: list[str], key: list[str], *, any_word: bool = False) -> bool:
    near = (any(_is_close(word, other) for other in key) for word in words)
    return any(near) if any_word else all(near)


def _is_close(one: str, other: str) -> bool:
    if one == other:
        return True
    matcher = SequenceMatcher(None, one, other)
    return matcher.quick_ratio() >= CLOSE_ENOUGH and matcher.ratio() >= CLOSE_ENOUGH


def _plain_phone() -> ColumnElement[str]:
    plain: ColumnElement[str] = func.replace(Patient.phone, " ", "")
    for sign in "-/()":
        plain = func.replace(plain, sign, "")
    return plain
