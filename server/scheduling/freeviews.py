"""The next free times across doctors before anybody is chosen, and keeping a time while the form is filled in.

Booking itself is `views.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from server import context
from server.accounts.models import Patient
from server.errors import DomainError, FormError, status_of
from server.forms import parse_form
from server.pages import language_of, render
from server.permissions import may_book
from server.routing import Route, see_other
from server.scheduling import finding, holding, picker
from server.scheduling.acting import act_of
from server.scheduling.finding import Search
from server.scheduling.forms import HoldForm
from server.scheduling.holding import Held
from server.scheduling.slots import local_instant
from server.scheduling.ticks import in_transaction
from server.scheduling.wording import when

SHOWN_MAX = 24


async def show_free(request: web.Request) -> web.Response:
    return await _free(request)


async def keep_free(request: web.Request) -> web.Response:
    """Keeps the time and asks whom it is for."""
    try:
        held = await _hold(request)
    except (DomainError, FormError) as refused:
        said = next(iter(refused.fields.values())) if isinstance(refused, FormError) else refused.message
        status = 422 if isinstance(refused, FormError) else status_of(refused)
        return await _free(request, {"slot": said}, status=status)
    return see_other(f"/c/{context.clinic(request).slug}/book?hold={held.id}")


async def hold(request: web.Request) -> web.Response:
    """A time was picked in the form: it is kept, and the form shows how long."""
    try:
        held = await _hold(request)
    except (DomainError, FormError) as refused:
        said = next(iter(refused.fields.values())) if isinstance(refused, FormError) else refused.message
        status = 422 if isinstance(refused, FormError) else status_of(refused)
        return render(request, "scheduling/hold.html", {"held": None, "said": said}, status=status)
    return render(request, "scheduling/hold.html", {"held": held_values(request, held), "said": None})


def held_values(request: web.Request, held: Held | None, reader: Patient | None = None) -> dict[str, Any] | None:
    """A kept time as pages show it: to staff on the clinic's clocks, to a patient on theirs and in their language."""
    if held is None:
        return None
    clinic, now = context.clinic(request), context.now(request)
    zone, language = (
        (clinic.zone, clinic.language) if reader is None else (reader.zone or clinic.zone, language_of(request))
    )
    at = when(held.starts_at, zone, language)
    return {
        "id": held.id,
        "kind": held.visit_type.name,
        "words": f"{at['date']}, {at['clock']}",
        "doctors": ", ".join(doctor.name for doctor in held.doctors),
        "value": picker.value_for([doctor.person_id for doctor in held.doctors], held.starts_at),
        "until": when(held.expires_at, zone, language)["clock"],
        "seconds": max(0, int((held.expires_at - now).total_seconds())),
    }


ROUTES = [
    Route("GET", "/c/{clinic}/free", show_free, may_book, "free"),
    Route("POST", "/c/{clinic}/free", keep_free, may_book, "free.keep"),
    Route("POST", "/c/{clinic}/hold", hold, may_book, "hold"),
]


async def _hold(request: web.Request) -> Held:
    form = await parse_form(request, HoldForm)
    doctors, starts_at = picker.read_doctors(form.slot)
    act = act_of(request)
    return await in_transaction(
        context.database(request),
        lambda session: holding.exchange(session, act, form.visit_type, doctors, starts_at, instead_of=form.hold),
    )


async def _free(request: web.Request, errors: dict[str, str] | None = None, *, status: int = 200) -> web.Response:
    clinic, now = context.clinic(request), context.now(request)
    zone = ZoneInfo(clinic.zone)
    today = now.astimezone(zone).date()
    day = picker.read_day(request.query.get("day", ""), today) or today
    since = max(now, local_instant(day, 0, zone))
    async with context.database(request).reading() as session:
        kinds = await finding.load_visit_types(session, clinic)
        doctors = await finding.load_practitioners(session, clinic)
        kind = next((each for each in kinds if each.id == request.query.get("visit_type")), kinds[0] if kinds else None)
        asked = set(request.query.getall("doctor", []))
        chosen = [each for each in doctors if each.person_id in asked] or doctors
        together = request.query.get("together") == "yes" and len(chosen) > 1
        found: list[picker.Place] = []
        if kind is not None and chosen:
            search = Search(kind, [each.person_id for each in chosen], now)
            offers = await finding.find_offers(session, clinic, search, since, since + picker.LOOK_AHEAD)
            found = picker.places(offers, chosen, together=together)[:SHOWN_MAX]
    values = {
        "kinds": kinds,
        "kind": kind,
        "doctors": doctors,
        "asked": asked,
        "together": together,
        "day": day.isoformat(),
        "days": picker.by_day(found, clinic.zone, clinic.language),
        "zone": clinic.zone,
        "errors": errors or {},
        "later": _later(found, zone),
    }
    return render(request, "scheduling/free.html", values, status=status)


def _later(found: list[picker.Place], zone: ZoneInfo) -> str | None:
    """The day on which the next page of times begins."""
    if len(found) < SHOWN_MAX:
        return None
    last: datetime = found[-1].starts_at
    return (last.astimezone(zone).date() + timedelta(days=1)).isoformat()
