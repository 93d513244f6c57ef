"""What the visit tells later areas, in the same transaction (`server/events.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class IdentityDenied:
    """Somebody with the patient's link said at the door that they are neither the patient nor helping them."""

    clinic_id: str
    appointment_id: str
    encounter_id: str
    card_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StrangerShutOut:
    """Who came in with the patient's link was not the patient; the visit goes on being the patient's own."""

    clinic_id: str
    encounter_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class GuestInvited:
    clinic_id: str
    encounter_id: str
    participant_id: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FilmGranted:
    """A doctor let the patient watch a film: their page has something new."""

    clinic_id: str
    patient_id: str
    encounter_id: str
    film_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class WishAnswered:
    """A named person answered the patient's wish about a recording: their page says how, and why."""

    clinic_id: str
    patient_id: str
    recording_id: str
    at: datetime
