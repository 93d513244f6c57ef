"""The pages of doctors' hours and of the kinds of visit, for administrators and schedulers.

What contradicts itself is refused by `hours.py` and the forms; nothing that is booked moves by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from aiohttp import web
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.errors import FormError
from server.forms import parse_form, read_fields
from server.pages import render
from server.permissions import may_keep_hours
from server.routing import Route, see_other
from server.scheduling import finding, hours, kinds
from server.scheduling.acting import act_of
from server.scheduling.history import Act
from server.scheduling.hourforms import BlockForm, EndForm, ExceptionForm, KindForm
from server.scheduling.models import Schedule, ScheduleException, VisitType
from server.scheduling.ticks import in_transaction
from server.scheduling.weekly import DAYS, parse_weekly
from server.scheduling.wording import day_words, weekday_words
from signaling.words import N_

F = TypeVar("F", bound=BaseModel)
AUDIENCES = {"any": N_("Everybody"), "new": N_("Who was not seen here yet"), "follow_up": N_("Who was seen here")}
DONE = {"saved": N_("Saved."), "removed": N_("Taken away.")}
NEW = "new"
_FRESH_BLOCK = {"days": ["MO", "TU", "WE", "TH", "FR"], "opens": "09:00", "closes": "17:00", "weeks": "1"}
_FRESH_KIND: Mapping[str, Any] = {
    "name": "",
    "length_min": 20,
    "buffer_before_min": 0,
    "buffer_after_min": 5,
    "grid_min": "",
    "lead_time_min": 120,
    "cutoff_min": 1440,
    "horizon_days": 180,
    "reminder_min": 1440,
    "audience": "any",
    "for_patients": False,
    "is_active": True,
}


async def show_doctors(request: web.Request) -> web.Response:
    clinic = context.clinic(request)
    today = _today(request)
    async with context.database(request).reading() as session:
        doctors = await finding.load_practitioners(session, clinic)
        kept = [(doctor, await hours.load(session, clinic, doctor.person_id, today)) for doctor in doctors]
        every = await kinds.load_all(session, clinic)
    rows = [(doctor, [_block_words(block, clinic.language) for block in each.blocks]) for doctor, each in kept]
    return render(request, "scheduling/hours.html", {"rows": rows, "kinds": every, "audiences": AUDIENCES})


async def show_hours(request: web.Request) -> web.Response:
    return await _hours_page(request)


async def add_block(request: web.Request) -> web.Response:
    async def add(session: AsyncSession, act: Act, person: str, form: BlockForm) -> None:
        await hours.add_block(session, act, form.block(act.clinic.id, person, act.clinic.zone))

    refused = await _add(request, BlockForm, add)
    return _back(request, "saved") if refused is None else await _hours_page(request, block=refused)


async def change_block(request: web.Request) -> web.Response:
    """Another last day, or away with it."""
    act, person, block_id = act_of(request), request.match_info["person"], request.match_info["block"]
    try:
        form = await parse_form(request, EndForm)
        async with context.database(request).writing() as session:
            if form.remove:
                await hours.remove_block(session, act, block_id, person)
            else:
                await hours.end_block(session, act, block_id, person, form.valid_until)
    except FormError as error:
        return await _hours_page(request, block=_Refused({}, {"": next(iter(error.fields.values()))}))
    return _back(request, "removed" if form.remove else "saved")


async def add_exception(request: web.Request) -> web.Response:
    async def add(session: AsyncSession, act: Act, person: str, form: ExceptionForm) -> None:
        await hours.add_exceptions(session, act, form.rows(act.clinic.id, person, act.clinic.zone))

    refused = await _add(request, ExceptionForm, add)
    return _back(request, "saved") if refused is None else await _hours_page(request, exception=refused)


async def remove_exception(request: web.Request) -> web.Response:
    act, person = act_of(request), request.match_info["person"]
    async with context.database(request).writing() as session:
        await hours.remove_exception(session, act, request.match_info["exception"], person)
    return _back(request, "removed")


async def show_kind(request: web.Request) -> web.Response:
    return await _kind_page(request)


async def save_kind(request: web.Request) -> web.Response:
    act, kind_id = act_of(request), request.match_info["kind"]
    wanted = None if kind_id == NEW else kind_id
    try:
        form = await parse_form(request, KindForm)
        await in_transaction(
            context.database(request),
            lambda session: kinds.save(session, act, wanted, form.values(), form.offering),
        )
    except FormError as error:
        return await _kind_page(request, typed=await read_fields(request), errors=error.fields)
    return see_other(f"/c/{act.clinic.slug}/hours#kinds")


_ONE = "/c/{clinic}/hours/{person}"
ROUTES = [
    Route("GET", "/c/{clinic}/hours", show_doctors, may_keep_hours, "hours", nav=N_("Hours")),
    Route("GET", "/c/{clinic}/kinds/{kind}", show_kind, may_keep_hours, "kind"),
    Route("POST", "/c/{clinic}/kinds/{kind}", save_kind, may_keep_hours, "kind.save"),
    Route("GET", _ONE, show_hours, may_keep_hours, "hours.doctor"),
    Route("POST", f"{_ONE}/blocks", add_block, may_keep_hours, "hours.add"),
    Route("POST", f"{_ONE}/blocks/{{block}}", change_block, may_keep_hours, "hours.change"),
    Route("POST", f"{_ONE}/exceptions", add_exception, may_keep_hours, "hours.except"),
    Route("POST", f"{_ONE}/exceptions/{{exception}}", remove_exception, may_keep_hours, "hours.except_not"),
]


@dataclass(frozen=True, slots=True)
class _Refused:
    """A form as it was typed, and what doesn't fit."""

    typed: Mapping[str, Any]
    errors: Mapping[str, str]


_NOTHING = _Refused({}, {})


async def _add(
    request: web.Request, form_class: type[F], add: Callable[[AsyncSession, Act, str, F], Awaitable[None]]
) -> _Refused | None:
    """Adds what the form says to the hours of the address's doctor; answers what was refused."""
    act, person = act_of(request), request.match_info["person"]
    async with context.database(request).reading() as session:
        await hours.get_doctor(session, act.clinic, person)
    try:
        form = await parse_form(request, form_class)
        await in_transaction(context.database(request), lambda session: add(session, act, person, form))
    except FormError as error:
        return _Refused(await _typed(request), error.fields)
    return None


async def _hours_page(
    request: web.Request,
    *,
    block: _Refused = _NOTHING,
    exception: _Refused = _NOTHING,
) -> web.Response:
    clinic, person, today = context.clinic(request), request.match_info["person"], _today(request)
    async with context.database(request).reading() as session:
        doctor = await hours.get_doctor(session, clinic, person)
        kept = await hours.load(session, clinic, person, today)
        booked = await hours.count_booked(session, clinic, person, kept.exceptions, context.now(request))
    values = {
        "doctor": doctor,
        "blocks": [(each, _block_words(each, clinic.language)) for each in kept.blocks],
        "exceptions": [(each, _exception_words(each, clinic.language)) for each in kept.exceptions],
        "booked": booked,
        "weekdays": list(zip(DAYS, weekday_words(clinic.language), strict=True)),
        "typed": {**_FRESH_BLOCK, "valid_from": today.isoformat(), **block.typed},
        "except": {"on_date": "", **exception.typed},
        "zone": clinic.zone,
        "done": DONE.get(request.query.get("done", "")),
        "errors": dict(block.errors),
        "exception_errors": dict(exception.errors),
    }
    is_refused = block.errors or exception.errors
    return render(request, "scheduling/hours_of.html", values, status=422 if is_refused else 200)


async def _kind_page(
    request: web.Request, *, typed: Mapping[str, list[str]] | None = None, errors: Mapping[str, str] | None = None
) -> web.Response:
    clinic, kind_id = context.clinic(request), request.match_info["kind"]
    async with context.database(request).reading() as session:
        doctors = await finding.load_practitioners(session, clinic)
        kind = None if kind_id == NEW else await kinds.get(session, clinic, kind_id)
        offering = await kinds.load_offering(session, clinic, kind_id) if kind else set()
    shown = _values_of(kind) if kind else dict(_FRESH_KIND)
    if typed is not None:
        shown = {name: (typed.get(name) or [""])[-1] for name in _FRESH_KIND}
        offering = set(typed.get("offering", []))
    values = {
        "kind_id": kind_id,
        "shown": shown,
        "doctors": doctors,
        "offering": offering or ({doctor.person_id for doctor in doctors} if typed is None else set()),
        "audiences": AUDIENCES,
        "errors": dict(errors or {}),
    }
    return render(request, "scheduling/kind.html", values, status=422 if errors else 200)


def _values_of(kind: VisitType) -> dict[str, Any]:
    return {name: "" if (value := getattr(kind, name)) is None else value for name in _FRESH_KIND}


def _block_words(block: Schedule, language: str) -> str:
    rule = parse_weekly(block.rule)
    names = weekday_words(language)
    days = ", ".join(names[day] for day in sorted(rule.weekdays))
    return f"{days} {_clock(block.opens_min)}–{_clock(block.closes_min)}"


def _exception_words(row: ScheduleException, language: str) -> tuple[str, str]:
    is_whole = row.opens_min == 0 and row.closes_min == 1440
    clock = "" if is_whole else f"{_clock(row.opens_min)}–{_clock(row.closes_min)}"
    return day_words(row.on_date, language), clock


def _clock(minutes: int) -> str:
    days, minute = divmod(minutes, 1440)
    return f"{minute // 60:02}:{minute % 60:02}" + (" +1" if days and minute else "")


def _today(request: web.Request) -> date:
    return context.now(request).astimezone(ZoneInfo(context.clinic(request).zone)).date()


async def _typed(request: web.Request) -> dict[str, Any]:
    fields = await read_fields(request)
    return {name: values if name == "days" else values[-1] for name, values in fields.items()}


def _back(request: web.Request, done: str) -> web.Response:
    clinic, person = context.clinic(request), request.match_info["person"]
    return see_other(f"/c/{clinic.slug}/hours/{person}?done={done}")
