"""One day's free starts as a form shows them: visit type, doctor, day, starts by doctor, the next days.

Only reads; the starts come from `finding.py`, judging what was picked is `service.py`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from server.context import ClinicScope
from server.errors import FormError
from server.scheduling import finding
from server.scheduling.finding import Offer, Practitioner, Search
from server.scheduling.models import Appointment, VisitType
from server.scheduling.slots import Slot, by_local_day, clock_labels, local_instant
from server.scheduling.wording import day_words, when

LOOK_AHEAD = timedelta(days=31)
NEXT = 3
YEARS = range(1970, 3000)
"""Outside of them some clock can't say the moment at all."""
SEPARATOR = "|"
AND = ","
"""Between doctors who are wanted together."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the page's address says, as far as it says anything."""

    visit_type_id: str = ""
    doctor_ids: tuple[str, ...] = ()
    day: str = ""
    together: bool = False
    """All of these doctors at once."""
    patient_id: str | None = None
    """For whom: when they have another visit they are not free."""
    is_new: bool | None = None
    """Whether the patient was not seen here yet: their kinds of visit come first."""


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
    doctor_ids: Sequence[str]
    """Those who were asked for; none: everybody."""
    together: bool
    day: date
    day_words: str
    zone: str
    groups: Sequence[tuple[Practitioner, Sequence[Start]]]
    earlier: date | None
    later: date | None

    @property
    def doctor_id(self) -> str:
        """The one doctor who was asked for, if it was one."""
        return self.doctor_ids[0] if len(self.doctor_ids) == 1 else ""

    @property
    def rest(self) -> str:
        """What a link to another day keeps of this search."""
        kept = [("visit_type", self.visit_type.id if self.visit_type else "")]
        kept += [("doctor", each) for each in self.doctor_ids]
        return urlencode([*kept, *([("together", "yes")] if self.together else [])])


@dataclass(frozen=True, slots=True)
class Place:
    """A start with everybody who has it free: one doctor, or all who are wanted together."""

    doctor_ids: tuple[str, ...]
    names: str
    starts_at: datetime
    slot: Slot

    @property
    def value(self) -> str:
        return value_for(self.doctor_ids, self.starts_at)


async def load_picker(
    session: AsyncSession, clinic: ClinicScope, choice: Choice, now: datetime, *, moving: Appointment | None = None
) -> Picker:
    """The day asked for, else the first one with a free start."""
    visit_types = await finding.load_visit_types(session, clinic)
    doctors = await finding.load_practitioners(session, clinic)
    visit_type = (
        await finding.load_any_visit_type(session, moving)
        if moving is not None
        else next(
            (each for each in visit_types if each.id == choice.visit_type_id), _first_for(visit_types, choice.is_new)
        )
    )
    asked_ids = [doctor.person_id for doctor in doctors if doctor.person_id in choice.doctor_ids]
    chosen = [doctor for doctor in doctors if not asked_ids or doctor.person_id in asked_ids]
    together = choice.together and len(asked_ids) > 1
    zone = ZoneInfo(clinic.zone)
    today = now.astimezone(zone).date()
    asked = read_day(choice.day, today)
    since = local_instant(asked or today, 0, zone)
    offers: list[Offer] = []
    if visit_type is not None and chosen:
        search = Search(visit_type, [doctor.person_id for doctor in chosen], now, moving, choice.patient_id)
        offers = await finding.find_offers(session, clinic, search, since, since + LOOK_AHEAD)
    found = places(offers, chosen, together=together)
    days = sorted({place.starts_at.astimezone(zone).date() for place in found})
    day = asked or (days[0] if days else today)
    return Picker(
        visit_types=visit_types,
        doctors=doctors,
        visit_type=visit_type,
        doctor_ids=asked_ids,
        together=together,
        day=day,
        day_words=when(local_instant(day, 720, zone), clinic.zone, clinic.language)["date"],
        zone=clinic.zone,
        groups=_groups(
            [Practitioner(SEPARATOR, names_of(chosen))] if together else chosen,
            [place for place in found if place.starts_at.astimezone(zone).date() == day],
            zone,
            together=together,
        ),
        earlier=day - timedelta(days=1) if day > today else None,
        later=next((each for each in days if each > day), None),
    )


async def load_next(
    session: AsyncSession, clinic: ClinicScope, search: Search, since: datetime, together: Collection[str] = ()
) -> Sequence[tuple[Practitioner, Start]]:
    """The next three free starts for a page whose slot is gone, each with its doctor and date; those whom a visit
    wants `together` stay so."""
    doctors = await finding.load_practitioners(session, clinic)
    since = max(since, search.now)
    if len(together) > 1:
        people = [doctor for doctor in doctors if doctor.person_id in together]
        if len(people) < len(together):
            return []
        search = replace(search, person_ids=list(together))
        offers = await finding.find_offers(session, clinic, search, since, since + finding.NEXT_SEARCH)
        found = places(offers, people, together=True)[:NEXT]
    else:
        found = places(await finding.find_next(session, clinic, search, since, count=NEXT), doctors, together=False)
    return [
        (Practitioner(AND.join(place.doctor_ids), place.names), Start(place.value, _long_label(place, clinic)))
        for place in found
    ]


def places(offers: Sequence[Offer], doctors: Sequence[Practitioner], *, together: bool) -> list[Place]:
    """The starts in order: each doctor's own, or those that all of them have free at once."""
    names = {doctor.person_id: doctor.name for doctor in doctors}
    if not together:
        return [Place((offer.person_id,), names[offer.person_id], offer.slot.starts_at, offer.slot) for offer in offers]
    having: dict[Slot, int] = {}
    for offer in offers:
        having[offer.slot] = having.get(offer.slot, 0) + 1
    ids = tuple(doctor.person_id for doctor in doctors)
    return [Place(ids, names_of(doctors), slot.starts_at, slot) for slot in having if having[slot] == len(ids)]


def names_of(doctors: Sequence[Practitioner]) -> str:
    return ", ".join(doctor.name for doctor in doctors)


def value_of(offer: Offer) -> str:
    return value_for([offer.person_id], offer.slot.starts_at)


def value_for(doctor_ids: Sequence[str], starts_at: datetime) -> str:
    return f"{AND.join(doctor_ids)}{SEPARATOR}{starts_at:%Y-%m-%dT%H:%M:%SZ}"


def read_value(text: str) -> tuple[str, datetime]:
    """(doctor, start) of a picked start of one doctor. Raises FormError."""
    doctor_ids, starts_at = read_doctors(text)
    return doctor_ids[0], starts_at


def read_doctors(text: str) -> tuple[tuple[str, ...], datetime]:
    """(doctors, start) of a picked start. Raises FormError."""
    person_id, separator, moment = text.partition(SEPARATOR)
    try:
        starts_at = datetime.fromisoformat(moment)
    except ValueError:
        raise _not_picked() from None
    if not separator or not person_id or starts_at.tzinfo is None or starts_at.year not in YEARS:
        raise _not_picked()
    return tuple(dict.fromkeys(person_id.split(AND))), starts_at


def read_day(text: str, today: date) -> date | None:
    """A day from an address; None for none, nonsense, or one farther than two years away."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if abs(day - today) <= timedelta(days=730) else None


def _first_for(visit_types: Sequence[VisitType], is_new: bool | None) -> VisitType | None:
    """The kind that the form begins with: one meant for this patient, before one for everybody."""
    if is_new is not None:
        meant = "new" if is_new else "follow_up"
        fitting = sorted(
            (each for each in visit_types if each.audience in (meant, "any")), key=lambda each: each.audience != meant
        )
        visit_types = fitting or visit_types
    return visit_types[0] if visit_types else None


def _groups(
    doctors: Sequence[Practitioner], found: Sequence[Place], zone: ZoneInfo, *, together: bool
) -> Sequence[tuple[Practitioner, Sequence[Start]]]:
    by_doctor: Mapping[str, list[Place]] = {doctor.person_id: [] for doctor in doctors}
    for place in found:
        by_doctor[SEPARATOR if together else place.doctor_ids[0]].append(place)
    groups = []
    for doctor in doctors:
        own = by_doctor[doctor.person_id]
        labels = clock_labels([place.slot for place in own], zone)
        starts = [Start(place.value, label) for place, label in zip(own, labels, strict=True)]
        groups.append((doctor, starts))
    return groups


def by_day(places: Sequence[Place], zone: str, language: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """(day's words, [(value, clock, doctors)]) by the clock of whoever looks; an hour that comes twice says which."""
    whose = ZoneInfo(zone)
    starts = {place.starts_at.astimezone(UTC): place.slot for place in places}
    labels = {
        slot: label
        for slots in by_local_day(starts.values(), whose).values()
        for slot, label in zip(slots, clock_labels(slots, whose), strict=True)
    }
    days: dict[str, list[tuple[str, str, str]]] = {}
    for place in places:
        slot = starts[place.starts_at.astimezone(UTC)]
        day = day_words(place.starts_at.astimezone(whose).date(), language)
        days.setdefault(day, []).append((place.value, labels[slot], place.names))
    return list(days.items())


def _long_label(place: Place, clinic: ClinicScope) -> str:
    at = when(place.starts_at, clinic.zone, clinic.language)
    return f"{at['date']}, {at['clock']}"


def _not_picked() -> FormError:
    return FormError({"slot": "Choose one of the times."})
