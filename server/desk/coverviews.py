"""Giving a doctor's day, or some of its visits, away: choose, read the messages, do it, undo it until they leave.

What may go where is `scheduling/cover.py`; nothing changes before the last button.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.context import ClinicScope
from server.desk import day
from server.desk.day import Line
from server.desk.rules import Standing
from server.encounters.visits import load_live_encounter
from server.errors import DomainError, FormError, status_of
from server.forms import read_fields
from server.pages import render
from server.permissions import may_book
from server.routing import Route, see_other
from server.scheduling import cover, finding, picker
from server.scheduling.acting import act_of
from server.scheduling.cover import Choice
from server.scheduling.finding import Offer, Practitioner, Search
from server.scheduling.messages import about_change
from server.scheduling.models import Appointment, VisitType
from server.scheduling.reach import load_reach
from server.scheduling.slots import local_instant
from server.scheduling.ticks import in_transaction
from server.scheduling.waiting_models import CoverMove
from server.scheduling.wording import Facts, Words, when, write
from signaling.words import N_, Code, RoomId

KEEP = "keep"
ALTERNATIVES = 3
GIVABLE = frozenset({Standing.IN_VISIT, Standing.OVER, Standing.CANCELLED, Standing.NO_SHOW, Standing.LEFT})
STALE = frozenset(
    {
        Code.SLOT_TAKEN,
        Code.SLOT_NOT_OFFERED,
        Code.IN_THE_PAST,
        Code.CONFLICT,
        Code.MALFORMED,
        Code.WRONG_PHASE,
    }
)
WRONG = N_("Choose where the visits go.")


@dataclass(frozen=True, slots=True)
class Way:
    """One thing that may be done with a visit."""

    value: str
    person_id: str
    name: str
    words: str
    """Of a new time; empty: the same."""


@dataclass(frozen=True, slots=True)
class Day:
    """A doctor's day as it may be given away."""

    doctors: Sequence[Practitioner]
    doctor: Practitioner | None
    day: str
    only_later: bool
    lines: Sequence[Line]
    ways: Mapping[str, Sequence[Way]]


async def show(request: web.Request) -> web.Response:
    return await _choose(request, request.query)


async def preview(request: web.Request) -> web.Response:
    """The messages as they would be written; nothing has changed yet."""
    fields = {name: values[-1] for name, values in (await read_fields(request)).items()}
    found = await _load(request, fields)
    chosen = _chosen(fields, found)
    if found.doctor is None or not chosen:
        return await _choose(request, fields, {"": WRONG}, status=422)
    if "go" in fields:
        return await _give(request, fields, found.doctor, chosen)
    by_id = {line.appointment.id: line for line in found.lines}
    names = {doctor.person_id: doctor.name for doctor in found.doctors}
    shown = []
    async with context.database(request).reading() as session:
        for choice in chosen:
            line = by_id[choice.appointment_id]
            kind = await about_change(
                session, line.appointment, is_moved=choice.starts_at != line.appointment.starts_at
            )
            reach = await load_reach(session, line.patient)
            shown.append((line, names[choice.to_person_id], _letter(request, line, choice, kind), reach.value))
    values = {"doctor": found.doctor, "shown": shown, "fields": fields, "minutes": cover.UNDO // timedelta(minutes=1)}
    return render(request, "desk/cover_preview.html", values)


async def show_done(request: web.Request) -> web.Response:
    clinic, now = context.clinic(request), context.now(request)
    async with context.database(request).reading() as session:
        done = await cover.get(session, clinic, request.match_info["cover"])
        moves = await cover.load_moves(session, done)
        rows = [(row, await day.load_one(session, clinic, row.appointment_id, now)) for row in moves]
        names = {doctor.person_id: doctor.name for doctor in await finding.load_practitioners(session, clinic)}
    values = {
        "cover": done,
        "may_undo": done.undone_at is None and now < done.undo_until,
        "until": when(done.undo_until, clinic.zone, clinic.language),
        "seconds": max(0, int((done.undo_until - now).total_seconds())),
        "rows": [_row(clinic, row, line, names) for row, line in rows if line is not None],
    }
    return render(request, "desk/cover_done.html", values)


async def undo(request: web.Request) -> web.Response:
    act, wanted = act_of(request), request.match_info["cover"]
    await in_transaction(context.database(request), lambda session: cover.undo(session, act, wanted))
    async with context.database(request).reading() as session:
        moves = await cover.load_moves(session, await cover.get(session, act.clinic, wanted))
    await _tell_rooms(request, [row.appointment_id for row in moves])
    return see_other(f"/c/{act.clinic.slug}/cover/{wanted}")


ROUTES = [
    Route("GET", "/c/{clinic}/cover", show, may_book, "cover"),
    Route("POST", "/c/{clinic}/cover", preview, may_book, "cover.give"),
    Route("GET", "/c/{clinic}/cover/{cover}", show_done, may_book, "cover.done"),
    Route("POST", "/c/{clinic}/cover/{cover}/undo", undo, may_book, "cover.undo"),
]


async def _give(
    request: web.Request, fields: Mapping[str, str], doctor: Practitioner, chosen: Sequence[Choice]
) -> web.Response:
    act = act_of(request)
    try:
        done = await in_transaction(
            context.database(request), lambda session: cover.give(session, act, doctor.person_id, chosen)
        )
    except DomainError as refused:
        if isinstance(refused, FormError) or refused.code not in STALE:
            raise
        return await _choose(request, fields, {"": refused.message}, status=status_of(refused))
    await _tell_rooms(request, [choice.appointment_id for choice in chosen])
    return see_other(f"/c/{act.clinic.slug}/cover/{done.id}")


async def _choose(
    request: web.Request, query: Mapping[str, str], errors: Mapping[str, str] | None = None, *, status: int = 200
) -> web.Response:
    found = await _load(request, query)
    everything = query.get("colleague", "")
    values = {
        "found": found,
        "colleague": everything,
        "picked": {line.appointment.id: _picked(query, line, found, everything) for line in found.lines},
        "errors": dict(errors or {}),
        "keep": KEEP,
    }
    return render(request, "desk/cover.html", values, status=status)


async def _load(request: web.Request, query: Mapping[str, str]) -> Day:
    if request.get(context.NAMES_HIDDEN, False):
        raise DomainError(Code.NOT_ALLOWED, "Names are hidden while a screen is shared.")
    clinic, now = context.clinic(request), context.now(request)
    today = now.astimezone(ZoneInfo(clinic.zone)).date()
    shown = picker.read_day(query.get("day", ""), today) or today
    async with context.database(request).reading() as session:
        doctors = await finding.load_practitioners(session, clinic)
        doctor = next((each for each in doctors if each.person_id == query.get("doctor")), None)
        lines = await day.load_day(session, clinic, shown, now, doctor_id=doctor.person_id) if doctor else []
        lines = [line for line in lines if line.standing not in GIVABLE and line.appointment.kind != "walk_in"]
        if query.get("rest") == "yes":
            lines = [line for line in lines if line.appointment.starts_at >= now]
        ways = await _ways(session, clinic, doctor, doctors, lines, now) if doctor else {}
    return Day(doctors, doctor, shown.isoformat(), query.get("rest") == "yes", lines, ways)


async def _ways(  # noqa: PLR0917 (private, one page)
    session: AsyncSession,
    clinic: ClinicScope,
    doctor: Practitioner,
    doctors: Sequence[Practitioner],
    lines: Sequence[Line],
    now: datetime,
) -> Mapping[str, Sequence[Way]]:
    """Of each visit: the colleagues who are free then, and the next new times, later days of the same doctor too."""
    names = {each.person_id: each.name for each in doctors}
    colleagues = [person for person in names if person != doctor.person_id]
    kinds: dict[str, VisitType] = {}
    visits: list[tuple[Appointment, VisitType]] = []
    for line in lines:
        kind = kinds.get(line.appointment.visit_type_id)
        kind = kind or await finding.load_any_visit_type(session, line.appointment)
        kinds[kind.id] = kind
        visits.append((line.appointment, kind))
    free = await cover.load_free(session, clinic, visits, colleagues, now)
    ways: dict[str, list[Way]] = {}
    for line, (appointment, kind) in zip(lines, visits, strict=True):
        staying = {person for person, _ in line.doctors} - {doctor.person_id}
        others = [person for person in colleagues if person not in staying]
        same = [
            Way(_value(person, appointment.starts_at), person, names[person], "")
            for person in others
            if person in free[appointment.id]
        ]
        ways[appointment.id] = same + await _new_times(
            session, clinic, Search(kind, others, now, appointment), doctor, staying
        )
        ways[appointment.id] = [
            way for way in ways[appointment.id] if way.value != _value(doctor.person_id, appointment.starts_at)
        ]
    return ways


async def _new_times(
    session: AsyncSession, clinic: ClinicScope, search: Search, doctor: Practitioner, staying: Collection[str]
) -> list[Way]:
    """The next free starts: the colleagues of the search from now on, the doctor from the day after on; whoever is in
    the visit with the doctor and stays is free then, too."""
    names = {each.person_id: each.name for each in await finding.load_practitioners(session, clinic)}
    zone = ZoneInfo(clinic.zone)
    at = search.moving.starts_at if search.moving is not None else search.now
    next_day = local_instant(at.astimezone(zone).date() + timedelta(days=1), 0, zone)
    own = replace(search, person_ids=[doctor.person_id])
    others = await _find_with(session, clinic, search, staying, max(at, search.now))
    found = [each for each in others if each.slot.starts_at != at][:ALTERNATIVES]
    found += (await _find_with(session, clinic, own, staying, max(next_day, search.now)))[:ALTERNATIVES]
    ways = []
    for each in found:
        words = when(each.slot.starts_at, clinic.zone, clinic.language)
        ways.append(
            Way(picker.value_of(each), each.person_id, names[each.person_id], f"{words['date']}, {words['clock']}")
        )
    return ways


async def _find_with(
    session: AsyncSession, clinic: ClinicScope, search: Search, staying: Collection[str], since: datetime
) -> list[Offer]:
    """Each one's free starts at which all of `staying` are free as well."""
    everybody = replace(search, person_ids=[*search.person_ids, *staying])
    offers = await finding.find_offers(session, clinic, everybody, since, since + finding.NEXT_SEARCH)
    having = Counter(each.slot for each in offers if each.person_id in staying)
    return [each for each in offers if each.person_id not in staying and having[each.slot] == len(staying)]


def _picked(query: Mapping[str, str], line: Line, found: Day, everything: str) -> str:
    """What the page comes with chosen: what was chosen before, else the colleague for all, where they are free."""
    ways = found.ways[line.appointment.id]
    asked = query.get(f"to-{line.appointment.id}", "")
    if asked in {KEEP, *(way.value for way in ways)}:
        return asked
    return next((way.value for way in ways if way.person_id == everything and not way.words), KEEP)


def _chosen(fields: Mapping[str, str], found: Day) -> list[Choice]:
    """What the form says of the visits that are still there; nonsense counts as not chosen."""
    chosen = []
    for line in found.lines:
        text, sequence = fields.get(f"to-{line.appointment.id}", KEEP), fields.get(f"seq-{line.appointment.id}", "")
        if text == KEEP or not sequence.isdecimal():
            continue
        try:
            person_id, starts_at = picker.read_value(text)
        except FormError:
            continue
        if person_id in {doctor.person_id for doctor in found.doctors}:
            chosen.append(Choice(line.appointment.id, int(sequence[:9]), person_id, starts_at))
    return chosen


def _letter(request: web.Request, line: Line, choice: Choice, kind: str) -> Words:
    """What the patient would get, without its link."""
    clinic, patient, appointment = context.clinic(request), line.patient, line.appointment
    length = appointment.ends_at - appointment.starts_at
    facts = Facts(
        kind=kind,
        language=patient.language,
        clinic_name=clinic.neutral_name,
        clinic_phone=clinic.phone,
        first_name=patient.first_name,
        recipient=patient.email or patient.phone or "",
        sender="preview@localhost",
        written_at=context.now(request),
        channel="mail" if patient.email else "sms",
        link=None,
        starts_at=choice.starts_at,
        ends_at=choice.starts_at + length,
        zone=appointment.zone,
        patient_zone=patient.zone,
    )
    return write(facts)


def _row(clinic: ClinicScope, row: CoverMove, line: Line, names: Mapping[str, str]) -> dict[str, Any]:
    at, to = (when(moment, clinic.zone, clinic.language) for moment in (row.from_starts_at, row.to_starts_at))
    return {
        "line": line,
        "from": f"{at['date']}, {at['clock']}, {names.get(row.from_person_id, '')}",
        "to": f"{to['date']}, {to['clock']}, {names.get(row.to_person_id, '')}",
    }


async def _tell_rooms(request: web.Request, appointment_ids: Sequence[str]) -> None:
    """A room that is open already looks at the clinic's facts again."""
    for appointment_id in appointment_ids:
        async with context.database(request).reading() as session:
            encounter = await load_live_encounter(session, context.clinic(request).id, appointment_id)
        if encounter is not None and encounter.status != "planned":
            await context.signaling(request).refresh_room(RoomId(encounter.id))


def _value(person_id: str, starts_at: datetime) -> str:
    return f"{person_id}{picker.SEPARATOR}{starts_at:%Y-%m-%dT%H:%M:%SZ}"
