"""What scheduling tells the later areas, in the same transaction (`server/events.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class AppointmentAtStake:
    """Raised before the desk or the patient changes one, and before its row is locked: whoever refuses keeps it."""

    clinic_id: str
    appointment_id: str
    wanted: Literal["move", "cancel", "no_show"]


@dataclass(frozen=True, slots=True)
class AppointmentBooked:
    clinic_id: str
    appointment_id: str
    patient_id: str
    practitioner_ids: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    kind: str
    by: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class AppointmentMoved:
    clinic_id: str
    appointment_id: str
    practitioner_ids: tuple[str, ...]
    from_starts_at: datetime
    starts_at: datetime
    ends_at: datetime
    by: str | None
    at: datetime
    from_practitioner_ids: tuple[str, ...] = ()
    """Whose time at `from_starts_at` is free now; none, where nobody's is."""


@dataclass(frozen=True, slots=True)
class AppointmentCancelled:
    clinic_id: str
    appointment_id: str
    by: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class AppointmentNoShow:
    clinic_id: str
    appointment_id: str
    by: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class AppointmentPutBack:
    """Booked again: the wrong person had come, or a no-show was undone."""

    clinic_id: str
    appointment_id: str
    by: str | None
    at: datetime
