"""Pages of looking at a record without a visit: finding it, the reason, the record read only, and the reviews."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from functools import partial
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from aiohttp import web
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context, searches
from server.accounts import breakglass, rules
from server.accounts.models import Patient
from server.accounts.service import get_patient, person_names
from server.accounts.trust_models import BreakGlass
from server.audit import AuditAction
from server.errors import FormError
from server.forms import parse_form
from server.pages import render
from server.permissions import is_doctor, is_privacy_officer, may_review_looks
from server.records.models import Note
from server.records.reading import load_readable
from server.routing import Route, see_other
from server.scheduling import patients
from server.scheduling.forms import SearchForm
from signaling.words import N_

REASON_MIN = 15
Reason = Annotated[str, StringConstraints(min_length=REASON_MIN, max_length=1000)]


class ReasonForm(BaseModel):
    reason: Reason = Field(title=N_("the reason, in a sentence"))


class ReviewForm(BaseModel):
    verdict: Literal["justified", "not_justified"] = Field(title=N_("what you found"))


class HideForm(BaseModel):
    until: date = Field(title=N_("the day"))
    reason: Reason = Field(title=N_("the reason, in a sentence"))


async def find(request: web.Request) -> web.Response:
    """Whose record? Names and birth dates alone."""
    wanted = searches.asked(request)
    async with context.database(request).reading() as session:
        found = await patients.search(session, context.clinic(request), wanted) if wanted else []
    return render(request, "desk/glass_find.html", {"search": wanted, "found": found})


async def search(request: web.Request) -> web.Response:
    """Leads to what was found, by an address that names nobody."""
    form = await parse_form(request, SearchForm)
    slug = context.clinic(request).slug
    return see_other(f"/c/{slug}/records?{searches.QUERY}={searches.seal(request, form.search)}")


async def show(request: web.Request) -> web.Response:
    """The record while one's look lasts; else the question why."""
    return await _record(request, {})


async def open_record(request: web.Request) -> web.Response:
    scope, actor = context.clinic(request), context.actor(request)
    try:
        form = await parse_form(request, ReasonForm)
    except FormError as error:
        return await _record(request, error.fields, status=422)
    vault = context.vault(request).clinic(scope.id)
    async with context.database(request).writing() as session:
        patient = await get_patient(session, scope.id, request.match_info["patient"])
        await breakglass.open_record(
            session,
            vault,
            scope.id,
            patient.id,
            person_id=str(actor.person_id),
            reason=form.reason,
            now=context.now(request),
        )
    return see_other(f"/c/{scope.slug}/patients/{patient.id}/record")


async def show_looks(request: web.Request) -> web.Response:
    """Looks that nobody has reviewed yet, with their reasons."""
    scope, vault = context.clinic(request), context.vault(request).clinic(context.clinic(request).id)
    async with context.database(request).reading() as session:
        looks = await breakglass.load_unreviewed(session, scope.id)
        names = await person_names(session, {look.person_id for look in looks})
        people = {look.patient_id: await get_patient(session, scope.id, look.patient_id) for look in looks}
    values = {
        "looks": [(look, breakglass.reason_of(vault, look), people[look.patient_id]) for look in looks],
        "names": names,
        "me": context.actor(request).person_id,
        "may_hide": is_privacy_officer(context.actor(request)),
        "clock": partial(rules.local_words, zone=scope.zone),
    }
    return render(request, "desk/glass_looks.html", values)


async def review(request: web.Request) -> web.Response:
    scope, form = context.clinic(request), await parse_form(request, ReviewForm)
    async with context.database(request).writing() as session:
        await breakglass.review(
            session,
            scope.id,
            request.match_info["look"],
            by=str(context.actor(request).person_id),
            verdict=form.verdict,
            now=context.now(request),
        )
    return see_other(f"/c/{scope.slug}/looks")


async def hide(request: web.Request) -> web.Response:
    """The patient reads of this look only from that day on."""
    scope, form = context.clinic(request), await parse_form(request, HideForm)
    vault = context.vault(request).clinic(scope.id)
    async with context.database(request).writing() as session:
        await breakglass.hide(
            session,
            vault,
            scope.id,
            request.match_info["look"],
            by=str(context.actor(request).person_id),
            until=datetime.combine(form.until, time(), ZoneInfo(scope.zone)),
            reason=form.reason,
            now=context.now(request),
        )
    return see_other(f"/c/{scope.slug}/looks")


_RECORD, _LOOK = "/c/{clinic}/patients/{patient}/record", "/c/{clinic}/looks/{look}"
ROUTES = [
    Route("GET", "/c/{clinic}/records", find, is_doctor, "record.find", nav=N_("Records")),
    Route("POST", "/c/{clinic}/records", search, is_doctor, "record.search"),
    Route("GET", _RECORD, show, is_doctor, "record"),
    Route("POST", _RECORD, open_record, is_doctor, "record.open"),
    Route("GET", "/c/{clinic}/looks", show_looks, may_review_looks, "looks", nav=N_("Reviews")),
    Route("POST", _LOOK + "/review", review, may_review_looks, "looks.review"),
    Route("POST", _LOOK + "/hide", hide, is_privacy_officer, "looks.hide"),
]


async def _record(request: web.Request, errors: Mapping[str, str], *, status: int = 200) -> web.Response:
    scope, actor, now = context.clinic(request), context.actor(request), context.now(request)
    async with context.database(request).writing() as session:
        patient = await get_patient(session, scope.id, request.match_info["patient"])
        look = await breakglass.load_standing(session, scope.id, patient.id, actor.person_id, now)
        notes = await _notes(request, session, patient, look) if look else []
    values = {
        "patient": patient,
        "look": look,
        "notes": notes,
        "errors": errors,
        "clock": partial(rules.local_words, zone=scope.zone),
    }
    return render(request, "desk/glass_record.html", values, status=status)


async def _notes(request: web.Request, session: AsyncSession, patient: Patient, look: BreakGlass) -> list[object]:
    """Every signed note, the newest first, each look at each an entry."""
    query = select(Note).where(
        Note.clinic_id == patient.clinic_id, Note.patient_id == patient.id, Note.signed_at.is_not(None)
    )
    found: list[object] = []
    vault = context.vault(request).clinic(patient.clinic_id)
    for note in await session.scalars(query.order_by(Note.signed_at.desc())):
        found.append((note, await load_readable(session, vault, note)))
        await audit.enter(
            session,
            clinic_id=patient.clinic_id,
            actor_person_id=look.person_id,
            action=AuditAction.NOTE_READ,
            subject=("note", note.id),
            detail={"look": look.id},
            now=context.now(request),
        )
    return found
