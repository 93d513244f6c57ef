"""The desk's way to an appointment: find the patient or register them, pick a time, Book.

What may be booked is `service.py`; the board and the appointment's page are the desk's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web
from email_validator import EmailNotValidError, validate_email

from server import context, searches
from server.accounts.models import Patient
from server.accounts.rules import clean_phone
from server.accounts.service import NewPatient, create_patient
from server.context import ClinicScope
from server.db import new_id
from server.errors import DomainError, FormError, status_of
from server.forms import parse_form, read_fields
from server.pages import render
from server.permissions import may_book
from server.routing import Route, see_other
from server.scheduling import booking, freeviews, holding, hoursviews, kinds, patients, picker, service, spoken
from server.scheduling.acting import act_of
from server.scheduling.finding import Search
from server.scheduling.forms import BookForm, NewPatientForm, SearchForm, SqueezeForm, WalkInForm
from server.scheduling.models import Appointment
from server.scheduling.picker import Choice
from server.scheduling.reach import load_reach
from server.scheduling.rules import Kind
from server.scheduling.service import Booking
from signaling.words import N_, Code

UNFIXABLE = frozenset({Code.NOT_FOUND, Code.TOO_LONG, Code.TOO_MANY, Code.CONFLICT})
"""What no other answer in the form would mend."""
STALE = frozenset({Code.SLOT_TAKEN, Code.SLOT_NOT_OFFERED, Code.IN_THE_PAST})


async def find_patient(request: web.Request) -> web.Response:
    """Step one: whom is it for? What is looked for stands sealed in the address."""
    text = searches.asked(request)
    async with context.database(request).reading() as session:
        found = await patients.search(session, context.clinic(request), text)
        held = await holding.load(session, act_of(request), request.query.get("hold"))
    values = {
        "search": text,
        "sealed": request.query.get(searches.QUERY, "") if text else "",
        "patients": found,
        "held": freeviews.held_values(request, held),
        "last_digits": patients.last_digits,
    }
    return render(request, "scheduling/find.html", values)


async def search_patient(request: web.Request) -> web.Response:
    """Leads to what was found, by an address that names nobody."""
    form = await parse_form(request, SearchForm)
    rest = _with_hold(f"?{searches.QUERY}={searches.seal(request, form.search)}", form.hold)
    return see_other(f"/c/{context.clinic(request).slug}/book{rest}")


async def show_new_patient(request: web.Request) -> web.Response:
    return _new_patient(request, {"name": searches.asked(request), "hold": request.query.get("hold", "")[:36]}, {})


async def add_patient(request: web.Request) -> web.Response:
    """Registers a patient, unless one on file resembles them: then it asks first."""
    try:
        form = await parse_form(request, NewPatientForm)
        new = _read_patient(form, context.clinic(request), request)
    except FormError as error:
        return _new_patient(request, await _typed(request), error.fields, status=422)
    act = act_of(request)
    async with context.database(request).writing() as session:
        alike = await patients.resembling(session, act.clinic, new.name, new.birth_date, new.phone)
        if not alike or form.is_somebody_else:
            patient = await create_patient(session, act.clinic, new, by_person_id=act.by, now=act.now)
            return see_other(f"/c/{act.clinic.slug}/book/{patient.id}{_with_hold('', form.hold)}")
    return _new_patient(request, await _typed(request), {}, alike=alike, status=409)


async def pick_slot(request: web.Request) -> web.Response:
    """Step two: when, with whom?"""
    async with context.database(request).reading() as session:
        patient = await service.get_patient(session, context.clinic(request), request.match_info["patient"])
    return await _pick(request, patient, _choice(request.query, request.query.getall("doctor", [])))


async def book(request: web.Request) -> web.Response:
    """Books what was picked; a time that is gone meanwhile says so and offers the next three."""
    patient = await _patient(request)
    try:
        form = await parse_form(request, BookForm)
        doctor_ids, starts_at = picker.read_doctors(form.slot)
    except FormError as error:
        typed = await _typed(request)
        return await _pick(
            request, patient, await _posted_choice(request), errors=error.fields, status=422, key=typed.get("key")
        )
    asked = Booking(
        patient_id=patient.id,
        visit_type_id=form.visit_type,
        practitioner_ids=doctor_ids,
        starts_at=starts_at,
        idempotency_key=form.key,
        hold_id=form.hold,
        language=form.language if form.language != patient.language else None,
        interpreter=form.interpreter,
    )
    try:
        appointment = await _book(request, asked)
    except DomainError as refused:
        if refused.code not in STALE:
            raise
        choice = Choice(form.visit_type, day=starts_at.astimezone(_zone(request)).date().isoformat())
        return await _pick(request, patient, choice, gone=(refused, asked), status=status_of(refused), key=form.key)
    return _to_appointment(request, appointment)


async def squeeze_in(request: web.Request) -> web.Response:
    """Between the others, with a reason; marked on the board."""
    patient = await _patient(request)
    try:
        form = await parse_form(request, SqueezeForm)
        starts_at = form.starts_at(_zone(request))
        asked = Booking(
            patient_id=patient.id,
            visit_type_id=form.visit_type,
            practitioner_ids=(form.doctor,),
            starts_at=starts_at,
            idempotency_key=form.key,
            kind=Kind.SQUEEZED_IN,
            reason=form.reason,
        )
        return _to_appointment(request, await _book(request, asked))
    except (FormError, DomainError) as error:
        if error.code in UNFIXABLE:
            raise
        is_form = isinstance(error, FormError)
        values = {
            "squeeze": await _typed(request),
            "squeeze_errors": error.fields if isinstance(error, FormError) else {"clock": error.message},
        }
        choice = _choice(values["squeeze"], [values["squeeze"].get("doctor", "")])
        return await _pick(request, patient, choice, status=422 if is_form else status_of(error), more=values)


async def walk_in(request: web.Request) -> web.Response:
    """The patient is here now, without a doctor yet."""
    patient = await _patient(request)
    form = await parse_form(request, WalkInForm)
    asked = Booking(patient.id, form.visit_type, (), context.now(request), idempotency_key=form.key, kind=Kind.WALK_IN)
    return _to_appointment(request, await _book(request, asked))


ROUTES = [
    Route("GET", "/c/{clinic}/book", find_patient, may_book, "book.find", nav=N_("Book")),
    Route("POST", "/c/{clinic}/book", search_patient, may_book, "book.search"),
    Route("GET", "/c/{clinic}/book/new", show_new_patient, may_book, "book.new_patient"),
    Route("POST", "/c/{clinic}/book/new", add_patient, may_book, "book.add_patient"),
    Route("GET", "/c/{clinic}/book/{patient}", pick_slot, may_book, "book.pick"),
    Route("POST", "/c/{clinic}/book/{patient}", book, may_book, "book"),
    Route("POST", "/c/{clinic}/book/{patient}/squeeze-in", squeeze_in, may_book, "book.squeeze_in"),
    Route("POST", "/c/{clinic}/book/{patient}/walk-in", walk_in, may_book, "book.walk_in"),
    *hoursviews.ROUTES,
    *freeviews.ROUTES,
]


async def _book(request: web.Request, asked: Booking) -> Appointment:
    return await booking.book(context.database(request), act_of(request), asked)


async def _patient(request: web.Request) -> Patient:
    async with context.database(request).reading() as session:
        return await service.get_patient(session, context.clinic(request), request.match_info["patient"])


async def _pick(
    request: web.Request,
    patient: Patient,
    choice: Choice,
    *,
    errors: Mapping[str, str] | None = None,
    gone: tuple[DomainError, Booking] | None = None,
    status: int = 200,
    key: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> web.Response:
    clinic, now = context.clinic(request), context.now(request)
    hold_id = (await _typed(request)).get("hold") or request.query.get("hold")
    async with context.database(request).reading() as session:
        held = await holding.load(session, act_of(request), hold_id)
        if held is not None and not choice.day:
            day = held.starts_at.astimezone(_zone(request)).date().isoformat()
            choice = replace(choice, visit_type_id=held.visit_type.id, day=day)
        sharing = await patients.sharing_contact(session, patient)
        reach = await load_reach(session, patient)
        is_new = await kinds.is_new_here(session, clinic, patient.id)
        shown = await picker.load_picker(session, clinic, replace(choice, is_new=is_new, patient_id=patient.id), now)
        nearest = []
        if gone is not None and shown.visit_type is not None:
            doctors = [doctor.person_id for doctor in shown.doctors]
            search = Search(shown.visit_type, doctors, now, patient_id=patient.id)
            nearest = list(await picker.load_next(session, clinic, search, gone[1].starts_at, gone[1].practitioner_ids))
    values = {
        "patient": patient,
        "picker": shown,
        "key": key or new_id(),
        "held": freeviews.held_values(request, held),
        "sharing": sharing,
        "reach": reach.value,
        "languages": spoken.names(clinic.language),
        "audiences": hoursviews.AUDIENCES,
        "gone": gone[0].message if gone else None,
        "nearest": nearest,
        "errors": dict(errors or {}),
        "squeeze": {},
        "squeeze_errors": {},
        "last_digits": patients.last_digits,
    }
    return render(request, "scheduling/pick.html", {**values, **(more or {})}, status=status)


def _new_patient(
    request: web.Request, values: Mapping[str, str], errors: Mapping[str, str], *, alike: Any = (), status: int = 200
) -> web.Response:
    shown = {"values": values, "errors": dict(errors), "alike": alike, "last_digits": patients.last_digits}
    return render(request, "scheduling/new_patient.html", shown, status=status)


def _read_patient(form: NewPatientForm, clinic: ClinicScope, request: web.Request) -> NewPatient:
    form.check(context.now(request).astimezone(_zone(request)).date())
    try:
        phone = clean_phone(form.phone, clinic.country) if form.phone else None
    except ValueError as error:
        raise FormError({"phone": str(error)}) from None
    return NewPatient(
        name=form.name,
        first_name=form.first_name or form.name.split()[0],
        birth_date=form.birth_date,
        phone=phone,
        email=_email(form.email),
        language=clinic.language,
    )


def _email(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        raise FormError({"email": "Enter an e-mail address such as anna@example.org"}) from None


def _choice(values: Mapping[str, str], doctors: Sequence[str]) -> Choice:
    return Choice(
        visit_type_id=values.get("visit_type", ""),
        doctor_ids=tuple(doctors),
        day=values.get("day", ""),
        together=values.get("together") == "yes",
    )


async def _posted_choice(request: web.Request) -> Choice:
    """The search behind a form that was posted."""
    fields = await read_fields(request)
    return _choice({name: values[-1] for name, values in fields.items()}, fields.get("doctor", []))


async def _typed(request: web.Request) -> dict[str, str]:
    """The text fields as they came, to show them again."""
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _with_hold(query: str, hold_id: str | None) -> str:
    """The same address, with the time that is kept meanwhile."""
    if not hold_id:
        return query
    return f"{query}{'&' if query else '?'}{urlencode({'hold': hold_id})}"


def _zone(request: web.Request) -> ZoneInfo:
    return ZoneInfo(context.clinic(request).zone)


def _to_appointment(request: web.Request, appointment: Appointment) -> web.Response:
    return see_other(f"/c/{context.clinic(request).slug}/appointments/{appointment.id}?done=booked")
