"""What a patient does with appointments on their own page: move, cancel until the cutoff, book, add to a calendar.

What may be had is scheduling's, judged as for anybody with the kind's notice and cutoff; the page itself is `mine.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context
from server.accounts import proxies
from server.accounts.models import Patient
from server.audit import AuditAction
from server.context import ClinicScope
from server.db import new_id
from server.desk.forms import MineBookForm, MineMoveForm
from server.encounters.visits import load_live_encounter
from server.errors import DomainError, FormError, not_found, status_of
from server.forms import parse_form
from server.pages import language_of, render
from server.permissions import ProxyScope, acts_for, is_patient, is_proxy
from server.routing import Route, see_other
from server.scheduling import finding, freeviews, holding, outbox, picker, service
from server.scheduling import kinds as offering
from server.scheduling.calendar import Entry, calendar_file
from server.scheduling.finding import Search
from server.scheduling.models import Appointment, AppointmentPractitioner
from server.scheduling.service import Act, Booking, Move
from server.scheduling.ticks import in_transaction
from server.scheduling.views import STALE
from server.scheduling.wording import event_words, when
from signaling.words import Code, RoomId

SHOWN_MAX = 60
BY_PATIENT = "On the patient’s own page"
BY_PROXY = "On the page of somebody who acts for the patient"
LOOK_AHEAD = timedelta(days=31)


async def show_move(request: web.Request) -> web.Response:
    async with context.database(request).reading() as session:
        appointment, patient = await load_own(session, request)
    return await _times(request, patient, appointment)


async def move(request: web.Request) -> web.Response:
    """To an offered time; one that is gone says so and offers the next ones."""
    async with context.database(request).reading() as session:
        appointment, patient = await load_own(session, request)
    try:
        form = await parse_form(request, MineMoveForm)
        doctor_ids, starts_at = picker.read_doctors(form.slot)
    except FormError as error:
        return await _times(request, patient, appointment, errors=error.fields, status=422)
    asked = Move(appointment.id, starts_at, doctor_ids, form.sequence, _why(request))
    try:
        await do_for_patient(request, patient, lambda session, act: _move(session, act, asked))
    except DomainError as refused:
        if refused.code not in STALE:
            raise
        return await _times(request, patient, appointment, gone=refused.message, status=status_of(refused))
    return see_other(f"{_home(request)}?done=moved")


async def cancel(request: web.Request) -> web.Response:
    async with context.database(request).reading() as session:
        appointment, patient = await load_own(session, request)
    wanted, why = appointment.id, _why(request)
    await do_for_patient(request, patient, lambda session, act: service.cancel(session, act, wanted, why))
    async with context.database(request).reading() as session:
        encounter = await load_live_encounter(session, context.clinic(request).id, appointment.id)
    if encounter is not None and encounter.status != "planned":
        await context.signaling(request).refresh_room(RoomId(encounter.id))
    return see_other(f"{_home(request)}?done=cancelled")


async def show_book(request: web.Request) -> web.Response:
    async with context.database(request).reading() as session:
        patient = await load_patient(session, request)
    return await _times(request, patient, None)


async def book(request: web.Request) -> web.Response:
    """A kind of visit that the clinic lets patients book, with the notice it asks for."""
    async with context.database(request).reading() as session:
        patient = await load_patient(session, request)
    try:
        form = await parse_form(request, MineBookForm)
        doctor_id, starts_at = picker.read_value(form.slot)
    except FormError as error:
        return await _times(request, patient, None, errors=error.fields, status=422)
    asked = Booking(patient.id, form.visit_type, (doctor_id,), starts_at, idempotency_key=form.key, hold_id=form.hold)
    try:
        await do_for_patient(request, patient, lambda session, act: _book(session, act, asked))
    except DomainError as refused:
        if refused.code not in STALE:
            raise
        return await _times(request, patient, None, gone=refused.message, status=status_of(refused))
    return see_other(f"{_home(request)}?done=booked")


async def download_calendar(request: web.Request) -> web.Response:
    """A file for the patient's own calendar; looking at it changes nothing, so it holds no link of its own."""
    async with context.database(request).reading() as session:
        appointment, patient = await load_own(session, request)
    settings, clinic = context.settings(request), context.clinic(request)
    title, text = event_words(patient.language, clinic.neutral_name, clinic.phone, patient.first_name)
    entry = Entry(
        uid=f"{appointment.id}@{urlsplit(settings.origin).hostname or 'localhost'}",
        sequence=appointment.sequence,
        method="PUBLISH",
        written_at=context.now(request),
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
        summary=title,
        description=text,
        link=None,
        organizer_name=clinic.neutral_name,
        organizer_email=outbox.sender_of(settings),
        attendee_name=patient.first_name,
        attendee_email=None,
    )
    headers = {
        "Content-Type": "text/calendar; charset=utf-8; method=PUBLISH",
        "Content-Disposition": 'attachment; filename="appointment.ics"',
        "Cache-Control": "no-store",
    }
    return web.Response(body=calendar_file(entry), headers=headers)


_HOME = "/c/{clinic}/patients/{patient}/home"
_ONE = f"{_HOME}/visits/{{appointment}}"
_PROXY = "/c/{clinic}/patients/{patient}/proxy"
ROUTES = [
    Route("GET", f"{_ONE}/move", show_move, is_patient, "mine.show_move"),
    Route("POST", f"{_ONE}/move", move, is_patient, "mine.move"),
    Route("POST", f"{_ONE}/cancel", cancel, is_patient, "mine.cancel"),
    Route("GET", f"{_ONE}/appointment.ics", download_calendar, is_patient, "mine.calendar"),
    Route("GET", f"{_HOME}/book", show_book, is_patient, "mine.show_book"),
    Route("POST", f"{_HOME}/book", book, is_patient, "mine.book"),
    Route("GET", f"{_PROXY}/visits/{{appointment}}/move", show_move, is_proxy, "proxy.show_move"),
    Route("POST", f"{_PROXY}/visits/{{appointment}}/move", move, is_proxy, "proxy.move"),
    Route("POST", f"{_PROXY}/visits/{{appointment}}/cancel", cancel, is_proxy, "proxy.cancel"),
    Route("GET", f"{_PROXY}/book", show_book, is_proxy, "proxy.show_book"),
    Route("POST", f"{_PROXY}/book", book, is_proxy, "proxy.book"),
]


async def _move(session: AsyncSession, act: Act, asked: Move) -> None:
    """To the doctors of this visit, as the page offers."""
    own = await service.load_practitioner_ids(session, act.clinic, asked.appointment_id)
    if not set(asked.practitioner_ids) <= set(own):
        raise DomainError(Code.NOT_ALLOWED)
    kept = Move(asked.appointment_id, asked.starts_at, own, asked.sequence, asked.why)
    await service.move(session, act, kept)


async def _book(session: AsyncSession, act: Act, asked: Booking) -> None:
    await check_meant(session, act, asked.patient_id, asked.visit_type_id)
    await service.book(session, act, asked)


async def check_meant(session: AsyncSession, act: Act, patient_id: str, visit_type_id: str) -> None:
    """Raises not_found for a kind of visit that this patient may not book for themselves."""
    visit_type = await finding.get_visit_type(session, act.clinic, visit_type_id)
    meant = await offering.load_for_patient(session, act.clinic, patient_id)
    if visit_type.id not in {kind.id for kind in meant}:
        raise not_found()


async def do_for_patient(
    request: web.Request, patient: Patient, doing: Callable[[AsyncSession, Act], Awaitable[object]]
) -> None:
    """In the patient's name; what somebody does who acts for them has an entry of its own."""
    act = act_for(request, patient)

    async def do(session: AsyncSession) -> None:
        await doing(session, act)
        if _is_by_proxy(request):
            await _enter_proxy(request, session, patient)

    await in_transaction(context.database(request), do)


def act_for(request: web.Request, patient: Patient) -> Act:
    by = None if _is_by_proxy(request) else patient.person_id
    return Act(context.clinic(request), by, context.now(request), context.events(request), is_staff=False)


def _is_by_proxy(request: web.Request) -> bool:
    """The same pages lie below `/proxy` for whoever acts for the patient."""
    resource = request.match_info.route.resource
    return resource is not None and "/{patient}/proxy" in resource.canonical


def _why(request: web.Request) -> str:
    return BY_PROXY if _is_by_proxy(request) else BY_PATIENT


async def _enter_proxy(request: web.Request, session: AsyncSession, patient: Patient) -> None:
    acting = [one for one in context.actor(request).acts_for if one.patient_id == patient.id]
    mine = [one.proxy_id for one in acting if ProxyScope.BOOK in one.scopes]
    await audit.enter(
        session,
        clinic_id=patient.clinic_id,
        actor_person_id=None,
        action=AuditAction.PROXY_ACTED,
        subject=("patient", patient.id),
        detail={"proxy": min(mine), "appointment": request.match_info.get("appointment")},
        now=context.now(request),
    )


async def _times(
    request: web.Request,
    patient: Patient,
    moving: Appointment | None,
    *,
    errors: Mapping[str, str] | None = None,
    gone: str | None = None,
    status: int = 200,
) -> web.Response:
    clinic, now = context.clinic(request), context.now(request)
    request[context.LANGUAGE_ON_FILE] = patient.language
    keeps = moving is None and not _is_by_proxy(request)
    hold_id = str((await request.post()).get("hold", "")) if keeps else None
    async with context.database(request).reading() as session:
        held = await holding.load(session, act_for(request, patient), hold_id)
        kinds = await offering.load_for_patient(session, clinic, patient.id)
        kind = kinds[0] if kinds else None
        doctors = await _doctors_of(session, clinic, patient, moving)
        if moving is not None:
            kind = await finding.load_any_visit_type(session, moving)
            if not service.may_change(moving, kind, now):
                raise DomainError(Code.WRONG_PHASE, "It is too late to change this here. Please ring the clinic.")
        elif request.query.get("visit_type"):
            kind = next((each for each in kinds if each.id == request.query["visit_type"]), kind)
        search = Search(kind, list(doctors), now, moving, patient.id) if kind and doctors else None
        places = await _places(session, clinic, search, doctors) if search is not None else []
    language = language_of(request)
    values: dict[str, Any] = {
        "patient": patient,
        "moving": moving,
        "now_at": when(moving.starts_at, patient.zone or clinic.zone, language) if moving else None,
        "kinds": kinds,
        "kind": kind,
        "key": new_id(),
        "zone": patient.zone or clinic.zone,
        "days": picker.by_day(places, patient.zone or clinic.zone, language),
        "errors": dict(errors or {}),
        "gone": gone,
        "home": _home(request),
        "hold_at": f"{_home(request)}/hold" if keeps else None,
        "held": freeviews.held_values(request, held, patient),
    }
    return render(request, "desk/mine_times.html", values, status=status)


async def _places(
    session: AsyncSession, clinic: ClinicScope, search: Search, doctors: Mapping[str, str]
) -> list[picker.Place]:
    """The first free times that the kind's notice and horizon leave to a patient; a visit with several doctors moves
    with all of them."""
    kind = search.visit_type
    since = search.now + timedelta(minutes=kind.lead_time_min)
    until = search.now + min(LOOK_AHEAD, timedelta(days=kind.horizon_days))
    offers = await finding.find_offers(session, clinic, search, since, until)
    people = [finding.Practitioner(person_id, name) for person_id, name in doctors.items()]
    return picker.places(offers, people, together=search.moving is not None and len(people) > 1)[:SHOWN_MAX]


async def _doctors_of(
    session: AsyncSession, clinic: ClinicScope, patient: Patient, moving: Appointment | None
) -> dict[str, str]:
    """Names by id: the doctors of this visit, else those whom the patient has had; nobody yet: every one.

    A visit moves with all its doctors or not at all: nobody, when one of them sees no patients here any more.
    """
    everybody = {doctor.person_id: doctor.name for doctor in await finding.load_practitioners(session, clinic)}
    query = select(AppointmentPractitioner.person_id).join(
        Appointment,
        (Appointment.clinic_id == AppointmentPractitioner.clinic_id)
        & (Appointment.id == AppointmentPractitioner.appointment_id),
    )
    query = query.where(Appointment.clinic_id == clinic.id, Appointment.patient_id == patient.id)
    known = set(await session.scalars(query.where(Appointment.id == moving.id) if moving is not None else query))
    found = {person: name for person, name in everybody.items() if person in known}
    if moving is not None:
        return found if len(found) == len(known) else {}
    return found or everybody


async def load_patient(session: AsyncSession, request: web.Request) -> Patient:
    """The patient of the address, if this session opened their page or may book for them; else it isn't there."""
    wanted, actor = request.match_info["patient"], context.actor(request)
    is_open = acts_for(actor, wanted, ProxyScope.BOOK) if _is_by_proxy(request) else wanted in actor.patients
    if not is_open:
        raise not_found()
    return await service.get_patient(session, context.clinic(request), wanted)


async def load_own(session: AsyncSession, request: web.Request) -> tuple[Appointment, Patient]:
    """The appointment of the address, if it is of the patient whose page this session opened; else it isn't there."""
    patient = await load_patient(session, request)
    appointment = await service.get_appointment(session, context.clinic(request), request.match_info["appointment"])
    is_hidden = _is_by_proxy(request) and appointment.id in await proxies.load_patient_only(session, patient)
    if appointment.patient_id != patient.id or is_hidden:
        raise not_found()
    return appointment, patient


def _home(request: web.Request) -> str:
    page = "proxy" if _is_by_proxy(request) else "home"
    return f"/c/{context.clinic(request).slug}/patients/{request.match_info['patient']}/{page}"
