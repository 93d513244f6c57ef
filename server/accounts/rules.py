"""Pure rules of accounts: what a password, a phone number and a way back after sign-in must look like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import phonenumbers
from zxcvbn import zxcvbn  # type: ignore[import-untyped]

BROWSERS = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)
PASSWORD_MIN = 12
PASSWORD_MAX = 200
STRENGTH_MIN = 3
"""Of zxcvbn's 0 to 4: out of reach of a million tries a second."""
STRENGTH_LOOKED_AT = 64


def clean_phone(text: str, country: str) -> str:
    """The number in E.164, read as somebody in `country` writes it. Raises ValueError in plain words."""
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        raise ValueError("Enter a phone number, such as 030 901820 or +49 30 901820") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError("Enter a phone number that can be rung: this one is too short or too long")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def check_password(text: str, known: Sequence[str] = ()) -> str:
    """Raises ValueError in plain words; `known` is what a guesser would try first (name, address, clinic)."""
    if len(text) < PASSWORD_MIN:
        raise ValueError(f"The password needs {PASSWORD_MIN} characters or more")
    if len(text) > PASSWORD_MAX:
        raise ValueError(f"The password may have {PASSWORD_MAX} characters at most")
    score = zxcvbn(text[:STRENGTH_LOOKED_AT], user_inputs=[*known, *" ".join(known).split(), "bedside"])["score"]
    if score < STRENGTH_MIN:
        raise ValueError("This password is easy to guess. Take several words that have nothing to do with each other")
    return text


def device_words(agent: str | None) -> str:
    """Browser and system as its owner knows them, from what the browser calls itself; empty for the unknown."""
    browser = next((words for mark, words in BROWSERS if mark in (agent or "")), "")
    system = next((words for mark, words in SYSTEMS if mark in (agent or "")), "")
    return ", ".join(part for part in (browser, system) if part)


def local_words(moment: datetime, zone: str) -> str:
    """A moment on the clinic's clocks, short, for tables."""
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def way_back(wanted: str, slug: str) -> str:
    """Where to go after sign-in: a path inside this clinic, else its first page; never another site."""
    home = f"/c/{slug}/"
    is_inside = wanted.startswith(home) and not any(bad in wanted for bad in ("\\", "//", "\n", "\r", ".."))
    return wanted if is_inside else home
