"""One day's free starts as a form shows them: visit type, doctor, day, starts by doctor, the next days.

Only reads; the starts come from `finding.py`, judging what was picked is `service.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from server.context import ClinicScope
from server.errors import FormError
from server.scheduling import finding
from server.scheduling.finding import Offer, Practitioner, Search
from server.scheduling.models import Appointment, VisitType
from server.scheduling.slots import clock_labels, local_instant
from server.scheduling.wording import when

LOOK_AHEAD = timedelta(days=31)
SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the page's address says, as far as it says anything."""

    visit_type_id: str = ""
    doctor_id: str = ""
    day: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Picker:
    """What the template shows."""

    visit_types: Sequence[VisitType]
    doctors: Sequence[Practitioner]
    visit_type: VisitType | None
    doctor_id: str
    day: date
    day_words: str
    zone: str
    groups: Sequence[tuple[Practitioner, Sequence[Start]]]
    earlier: date | None
    later: date | None


async def load_picker(
    session: AsyncSession, clinic: ClinicScope, choice: Choice, now: datetime, *, moving: Appointment | None = None
) -> Picker:
    """The day asked for, else the first one with a free start."""
    visit_types = await finding.load_visit_types(session, clinic)
    doctors = await finding.load_practitioners(session, clinic)
    wanted = moving.visit_type_id if moving is not None else choice.visit_type_id
    visit_type = next((each for each in visit_types if each.id == wanted), visit_types[0] if visit_types else None)
    doctor_id = choice.doctor_id if choice.doctor_id in {doctor.person_id for doctor in doctors} else ""
    chosen = [doctor for doctor in doctors if doctor_id in ("", doctor.person_id)]
    zone = ZoneInfo(clinic.zone)
    today = now.astimezone(zone).date()
    asked = read_day(choice.day, today)
    since = local_instant(asked or today, 0, zone)
    offers: list[Offer] = []
    if visit_type is not None and chosen:
        search = Search(visit_type, [doctor.person_id for doctor in chosen], now, moving)
        offers = await finding.find_offers(session, clinic, search, since, since + LOOK_AHEAD)
    days = sorted({offer.slot.starts_at.astimezone(zone).date() for offer in offers})
    day = asked or (days[0] if days else today)
    return Picker(
        visit_types=visit_types,
        doctors=doctors,
        visit_type=visit_type,
        doctor_id=doctor_id,
        day=day,
        day_words=when(local_instant(day, 720, zone), clinic.zone, clinic.language)["date"],
        zone=clinic.zone,
        groups=_groups(
            chosen, [offer for offer in offers if offer.slot.starts_at.astimezone(zone).date() == day], zone
        ),
        earlier=day - timedelta(days=1) if day > today else None,
        later=next((each for each in days if each > day), None),
    )


async def load_next(
    session: AsyncSession, clinic: ClinicScope, search: Search, since: datetime
) -> Sequence[tuple[Practitioner, Start]]:
    """The next three free starts for a page whose slot is gone, each with its doctor and date."""
    names = {doctor.person_id: doctor for doctor in await finding.load_practitioners(session, clinic)}
    offers = await finding.find_next(session, clinic, search, max(since, search.now))
    return [(names[offer.person_id], Start(value_of(offer), _long_label(offer, clinic))) for offer in offers]


def value_of(offer: Offer) -> str:
    return f"{offer.person_id}{SEPARATOR}{offer.slot.starts_at:%Y-%m-%dT%H:%M:%SZ}"


def read_value(text: str) -> tuple[str, datetime]:
    """(doctor, start) of a picked start. Raises FormError."""
    person_id, separator, moment = text.partition(SEPARATOR)
    try:
        starts_at = datetime.fromisoformat(moment)
    except ValueError:
        raise _not_picked() from None
    if not separator or not person_id or starts_at.tzinfo is None:
        raise _not_picked()
    return person_id, starts_at


def read_day(text: str, today: date) -> date | None:
    """A day from an address; None for none, nonsense, or one farther than two years away."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if abs(day - today) <= timedelta(days=730) else None


def _groups(
    doctors: Sequence[Practitioner], offers: Sequence[Offer], zone: ZoneInfo
) -> Sequence[tuple[Practitioner, Sequence[Start]]]:
    by_doctor: Mapping[str, list[Offer]] = {doctor.person_id: [] for doctor in doctors}
    for offer in offers:
        by_doctor[offer.person_id].append(offer)
    groups = []
    for doctor in doctors:
        own = by_doctor[doctor.person_id]
        labels = clock_labels([offer.slot for offer in own], zone)
        starts = [Start(value_of(offer), label) for offer, label in zip(own, labels, strict=True)]
        groups.append((doctor, starts))
    return groups


def _long_label(offer: Offer, clinic: ClinicScope) -> str:
    at = when(offer.slot.starts_at, clinic.zone, clinic.language)
    return f"{at['date']}, {at['clock']}"


def _not_picked() -> FormError:
    return FormError({"slot": "Choose one of the times."})
