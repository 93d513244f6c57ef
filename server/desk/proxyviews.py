"""Pages of proxies: staff note the authority they saw, a patient ends it at any time, the proxy sees their own part.

Whatever a proxy may not know of is the same 404 as what isn't there, and nobody tells them why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context
from server.accounts import links, pagecodes, proxies, rules
from server.accounts.links import LinkKind
from server.accounts.models import Patient
from server.accounts.proxies import NewProxy
from server.accounts.service import get_patient, person_names
from server.accounts.trust_models import Proxy
from server.audit import AuditAction
from server.desk import day, told
from server.desk.day import Line
from server.desk.mine import KIND_WORDS, before
from server.desk.rules import Standing
from server.encounters import films, proxyplaces
from server.encounters.models import Encounter
from server.errors import FormError, not_found
from server.forms import parse_form
from server.names import Name
from server.pages import language_of, render
from server.permissions import Actor, ProxyScope, acts_for, is_patient, is_proxy, is_scheduler, may_book
from server.records import attachments, exports
from server.records.reading import PAGE, load_released_notes
from server.routing import Route, see_other
from server.scheduling import kinds as offering
from server.scheduling import service
from server.scheduling.models import VisitType
from server.scheduling.reach import load_reach
from server.scheduling.wording import when
from signaling.words import N_, RoomId

SCOPE_WORDS: Mapping[ProxyScope, str] = {
    ProxyScope.BOOK: N_("Book and change appointments"),
    ProxyScope.ATTEND: N_("Be in the visit"),
    ProxyScope.READ_NOTES: N_("Read notes"),
    ProxyScope.WATCH_FILMS: N_("Watch recordings"),
    ProxyScope.CONSENT: N_("Agree to a recording for the patient"),
}
AUTHORITY_WORDS: Mapping[str, str] = {
    "parent": N_("A parent of a child"),
    "guardian": N_("A guardian, by court order"),
    "power_of_attorney": N_("A power of attorney"),
    "patient_said_so": N_("The patient said so themself"),
}
PROXY_DONE = {
    "moved": N_("The appointment has a new time. The link stays the same."),
    "cancelled": N_("The appointment is cancelled."),
    "booked": N_("The appointment is booked. The patient gets a message with the link."),
    "booked_untold": N_("The appointment is booked. No message is sent to the patient."),
}
CLOSED = (Standing.OVER, Standing.NO_SHOW, Standing.CANCELLED)


class ProxyForm(BaseModel):
    name: Name = Field(title=N_("the name"))
    relation: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(title=N_("the relation"))
    phone: Annotated[str, StringConstraints(max_length=32)] | None = Field(None, title=N_("the phone number"))
    authority: Literal["parent", "guardian", "power_of_attorney", "patient_said_so"] = Field(
        title=N_("the authority you saw")
    )
    scopes: list[ProxyScope] = Field(min_length=1, title=N_("what they may do"))
    ends_on: date | None = Field(None, title=N_("the last day"))


# ── Staff ──


async def show_proxies(request: web.Request) -> web.Response:
    return await _staff_page(request, {})


async def add_proxy(request: web.Request) -> web.Response:
    """Shows the proxy's own link, this once; a code for it is sent to their phone or read out here."""
    scope, actor, now = context.clinic(request), context.actor(request), context.now(request)
    try:
        form = await parse_form(request, ProxyForm)
        phone = _phone(form.phone, scope.country)
    except FormError as error:
        return await _staff_page(request, error.fields, status=422)
    async with context.database(request).writing() as session:
        patient = await get_patient(session, scope.id, request.match_info["patient"])
        new = NewProxy(form.name, form.relation, form.authority, frozenset(form.scopes), phone, form.ends_on)
        proxy = await proxies.add(session, scope, patient, new, by=str(actor.person_id), now=now)
        token = await proxies.new_page_link(session, proxy, now)
    url = f"{context.settings(request).origin}/p/{token}"
    return render(request, "desk/proxy_link.html", {"patient": patient, "proxy": proxy, "url": url}, status=201)


async def stop_proxy(request: web.Request) -> web.Response:
    await _stop(request, by=context.actor(request).person_id)
    return see_other(_staff_url(request))


async def read_out(request: web.Request) -> web.Response:
    """A code for the proxy's page, to be said to them."""
    scope = context.clinic(request)
    async with context.database(request).writing() as session:
        patient = await get_patient(session, scope.id, request.match_info["patient"])
        proxy = await _get(session, patient, request.match_info["proxy"])
        code = await pagecodes.code_to_read_out(
            session,
            scope.id,
            proxy.id,
            by_person_id=context.actor(request).person_id,
            now=context.now(request),
            kind=LinkKind.PROXY,
        )
        locked = await links.load_locked(session, scope.id, [proxy.id])
    unlock = f"/c/{scope.slug}/patients/{patient.id}/page-link/unlock"
    may_unlock = bool(locked) and is_scheduler(context.actor(request))
    values = {"patient": proxy, "code": code, "unlock": unlock if may_unlock else None, "unlocked": False}
    return render(request, "accounts/read_out.html", values)


# ── The patient ──


async def show_mine(request: web.Request) -> web.Response:
    """Who acts for me, and what is mine alone."""
    scope, now = context.clinic(request), context.now(request)
    patient_id = _own(context.actor(request), request.match_info["patient"])
    async with context.database(request).reading() as session:
        patient = await get_patient(session, scope.id, patient_id)
        request[context.LANGUAGE_ON_FILE] = patient.language
        rows = await proxies.load_of_patient(session, patient, scope.zone, now)
        alone = await proxies.load_patient_only(session, patient)
        lines = await day.load_of_patient(session, replace(scope, language=language_of(request)), patient_id, now)
    values = {
        "patient": patient,
        "proxies": [(row, [SCOPE_WORDS[one] for one in sorted(proxies.scopes_of(row))]) for row in rows],
        "lines": [line for line in lines if line.standing is not Standing.CANCELLED],
        "alone": alone,
    }
    return render(request, "desk/my_proxies.html", values)


async def stop_mine(request: web.Request) -> web.Response:
    patient_id = _own(context.actor(request), request.match_info["patient"])
    await _stop(request, by=None)
    return see_other(f"/c/{context.clinic(request).slug}/patients/{patient_id}/home/proxies")


async def keep_alone(request: web.Request) -> web.Response:
    """From now on proxies know nothing of this appointment, its visit and its note."""
    scope, now = context.clinic(request), context.now(request)
    patient_id = _own(context.actor(request), request.match_info["patient"])
    async with context.database(request).writing() as session:
        patient = await get_patient(session, scope.id, patient_id)
        appointment = await service.get_appointment(session, scope, request.match_info["appointment"])
        if appointment.patient_id != patient.id:
            raise not_found()
        subjects = [("appointment", appointment.id)]
        visits = select(Encounter.id).where(Encounter.clinic_id == scope.id, Encounter.appointment_id == appointment.id)
        subjects += [("encounter", one) for one in await session.scalars(visits)]
        shut: list[str] = []
        for kind, subject_id in subjects:
            await proxies.mark_patient_only(session, patient, (kind, subject_id), by=patient.person_id, now=now)
            if kind == "encounter":
                shut += await proxyplaces.close_places(session, scope.id, now, encounter_id=subject_id)
        await exports.discard(session, scope.id, patient.id, of_proxies=True)
    await _refresh(request, shut)
    return see_other(f"/c/{scope.slug}/patients/{patient_id}/home/proxies")


# ── The proxy ──


async def show_home(request: web.Request) -> web.Response:
    """The proxy's part of the patient's page: what their scopes open, without what is the patient's alone."""
    scope, now, actor = context.clinic(request), context.now(request), context.actor(request)
    patient_id = _acted_for(actor, request.match_info["patient"])
    async with context.database(request).writing() as session:
        patient = await get_patient(session, scope.id, patient_id)
        language = language_of(request)
        alone = await proxies.load_patient_only(session, patient)
        lines, notes, attached, granted = [], [], [], []
        if acts_for(actor, patient_id, ProxyScope.BOOK, ProxyScope.ATTEND):
            lines = await day.load_of_patient(session, replace(scope, language=language), patient_id, now)
        if acts_for(actor, patient_id, ProxyScope.READ_NOTES):
            vault = context.vault(request).clinic(scope.id)
            notes = await load_released_notes(
                session, vault, scope, patient_id, for_proxy=True, before=before(request), limit=PAGE
            )
            attached = await attachments.load_of_notes(session, vault, scope.id, notes)
            for note in notes:
                await _note_read(request, session, note.note_id)
        if acts_for(actor, patient_id, ProxyScope.WATCH_FILMS):
            granted = await films.load_granted_films(session, scope.id, patient_id)
        kinds = {kind.id: kind for kind in await offering.load_all(session, scope)}
        reach = await load_reach(session, patient)
    may_act = acts_for(actor, patient_id, ProxyScope.BOOK)
    values = {
        "patient": patient,
        "lines": [line for line in lines if line.standing not in CLOSED and line.appointment.id not in alone],
        "may_attend": acts_for(actor, patient_id, ProxyScope.ATTEND),
        "may_book": may_act and any(kind.is_active and kind.for_patients for kind in kinds.values()),
        "changeable": {line.appointment.id for line in lines if may_act and _may_change(line, kinds, now)},
        "done": told.variant(PROXY_DONE, request.query.get("done", ""), reach),
        "notes": [(note, when(note.starts_at, note.zone, language)) for note in notes],
        "earlier_notes": notes[-1].released_at.isoformat() if len(notes) == PAGE else None,
        "signed_at": partial(when, language=language),
        "kind_words": KIND_WORDS,
        "files": attached,
        "films": [film for film in granted if film.encounter_id not in alone],
    }
    return render(request, "desk/proxy.html", values)


async def attend(request: web.Request) -> web.Response:
    """To the visit's door, for a place of their own name and role."""
    scope, now, actor = context.clinic(request), context.now(request), context.actor(request)
    patient_id = _acted_for(actor, request.match_info["patient"])
    if not acts_for(actor, patient_id, ProxyScope.ATTEND):
        raise not_found()
    async with context.database(request).writing() as session:
        patient = await get_patient(session, scope.id, patient_id)
        appointment = await service.get_appointment(session, scope, request.match_info["appointment"])
        alone = await proxies.load_patient_only(session, patient)
        if appointment.patient_id != patient_id or appointment.id in alone:
            raise not_found()
        if appointment.status not in ("booked", "arrived"):
            raise not_found()
        acting = [one for one in actor.acts_for if one.patient_id == patient_id and ProxyScope.ATTEND in one.scopes]
        proxy = await session.get_one(Proxy, (scope.id, min(one.proxy_id for one in acting)))
        token = await proxyplaces.open_door(session, proxy, appointment.id, now)
    return see_other(f"/v/{token}")


_PATIENT = "/c/{clinic}/patients/{patient}"
ROUTES = [
    Route("GET", _PATIENT + "/proxies", show_proxies, may_book, "proxies"),
    Route("POST", _PATIENT + "/proxies", add_proxy, may_book, "proxies.add"),
    Route("POST", _PATIENT + "/proxies/{proxy}/stop", stop_proxy, may_book, "proxies.stop"),
    Route("POST", _PATIENT + "/proxies/{proxy}/code", read_out, may_book, "proxies.read_out"),
    Route("GET", _PATIENT + "/home/proxies", show_mine, is_patient, "mine.proxies"),
    Route("POST", _PATIENT + "/home/proxies/{proxy}/stop", stop_mine, is_patient, "mine.stop_proxy"),
    Route("POST", _PATIENT + "/home/alone/{appointment}", keep_alone, is_patient, "mine.keep_alone"),
    Route("GET", _PATIENT + "/proxy", show_home, is_proxy, "proxy"),
    Route("POST", _PATIENT + "/proxy/visits/{appointment}", attend, is_proxy, "proxy.attend"),
]


def _may_change(line: Line, kinds: Mapping[str, VisitType], now: datetime) -> bool:
    kind = kinds.get(line.appointment.visit_type_id)
    return kind is not None and service.may_change(line.appointment, kind, now)


def _own(actor: Actor, patient_id: str) -> str:
    if patient_id not in actor.patients:
        raise not_found()
    return patient_id


def _acted_for(actor: Actor, patient_id: str) -> str:
    if not acts_for(actor, patient_id):
        raise not_found()
    return patient_id


def _phone(text: str | None, country: str) -> str | None:
    try:
        return rules.clean_phone(text, country) if text else None
    except ValueError as error:
        raise FormError({"phone": str(error)}) from None


async def _get(session: AsyncSession, patient: Patient, proxy_id: str) -> Proxy:
    row = await session.get(Proxy, (patient.clinic_id, proxy_id))
    if row is None or row.patient_id != patient.id or row.stopped_at is not None:
        raise not_found()
    return row


async def _stop(request: web.Request, *, by: str | None) -> None:
    """Their pages are gone and so are their places in visits, in the middle of one too."""
    clinic_id, proxy_id, now = context.clinic(request).id, request.match_info["proxy"], context.now(request)
    async with context.database(request).writing() as session:
        await proxies.stop(session, clinic_id, request.match_info["patient"], proxy_id, by=by, now=now)
        shut = await proxyplaces.close_places(session, clinic_id, now, proxy_id=proxy_id)
    await _refresh(request, shut)


async def _refresh(request: web.Request, encounter_ids: list[str]) -> None:
    for encounter_id in encounter_ids:
        await context.signaling(request).refresh_room(RoomId(encounter_id))


async def _note_read(request: web.Request, session: AsyncSession, note_id: str) -> None:
    proxy_id = next(iter(sorted(one.proxy_id for one in context.actor(request).acts_for)))
    await audit.enter(
        session,
        clinic_id=context.clinic(request).id,
        actor_person_id=None,
        action=AuditAction.NOTE_READ,
        subject=("note", note_id),
        detail={"proxy": proxy_id},
        now=context.now(request),
    )


async def _staff_page(request: web.Request, errors: Mapping[str, str], *, status: int = 200) -> web.Response:
    scope, now = context.clinic(request), context.now(request)
    typed: dict[str, Any] = dict(await request.post()) if errors else {}
    async with context.database(request).reading() as session:
        patient = await get_patient(session, scope.id, request.match_info["patient"])
        rows = await proxies.load_of_patient(session, patient, scope.zone, now)
        names = await person_names(session, {row.seen_by for row in rows})
    values = {
        "patient": patient,
        "proxies": [(row, [SCOPE_WORDS[one] for one in sorted(proxies.scopes_of(row))]) for row in rows],
        "names": names,
        "scope_words": SCOPE_WORDS,
        "authority_words": AUTHORITY_WORDS,
        "typed": typed,
        "errors": errors,
    }
    return render(request, "desk/proxies.html", values, status=status)


def _staff_url(request: web.Request) -> str:
    return f"/c/{context.clinic(request).slug}/patients/{request.match_info['patient']}/proxies"
