"""What accounts tells later areas, in the same transaction (`server/events.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PageCodeAsked:
    """A code for a patient's page is to go to the phone on file.

    Whoever sends it makes it then, by `accounts.pagecodes.make_code(session, link_id, now)`: no code is ever stored.
    """

    clinic_id: str
    patient_id: str
    link_id: str
    at: datetime
    phone: str | None = None
    """Where it goes instead of the patient's phone: a proxy's own."""


@dataclass(frozen=True, slots=True)
class PageAccountChanged:
    """The way a patient signs in to their page was made, changed or closed: they are told at the addresses on file."""

    clinic_id: str
    patient_id: str
    at: datetime
