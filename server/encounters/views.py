"""Pages of the visit: its doors, the room, the closing page, a guest's invitation, the films.

The room beside the note is the doctor's page of `records/`; what a link opens is decided in `doors.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts import sessions
from server.accounts.models import Patient
from server.accounts.service import get_clinic
from server.encounters import (
    doors,
    filmviews,
    guests,
    handoverviews,
    keepingviews,
    room_page,
    rules,
    seats,
    visits,
    withdrawviews,
)
from server.encounters.bodies import parse_json
from server.encounters.doors import Opening
from server.encounters.forms import CardForm, GuestForm
from server.encounters.models import ClinicText
from server.encounters.rules import Card, Door
from server.encounters.visits import Visit
from server.error_pages import wants_json
from server.errors import DomainError, FormError, not_found
from server.forms import parse_form
from server.pages import language_of, render, translate
from server.permissions import anybody, holds_visit, is_doctor, is_visitor, may_book
from server.routing import Route, see_other
from server.scheduling.service import Act
from server.scheduling.wording import when
from signaling.words import N_, Code, Role, RoomId

REFRESH_MAX_S = 6 * 3600
WITH_ANY = N_("A doctor of the clinic")
"""Who holds the visit of a walk-in whom nobody has taken yet."""


# ── Doors ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def show_door(request: web.Request) -> web.Response:
    """What lies behind the link. Changes nothing, however often mail scanners open it."""
    return _door(request, await _look(request), {})


async def enter(request: web.Request) -> web.Response:
    """The card's one press: in, or, after a "no", out again with the desk told."""
    opening = await _look(request)
    if opening.state not in (Door.OPEN, Door.LATE):
        return see_other(request.path)
    try:
        form = await parse_form(request, CardForm)
    except FormError as error:
        return _door(request, opening, error.fields, typed={k: str(v) for k, v in (await request.post()).items()})
    token, now = request.match_info["token"], context.now(request)
    if form.identity == "no" and not opening.is_guest:
        async with context.database(request).writing() as session:
            opening = await doors.look(session, token, request.cookies, now)
            await doors.deny(session, opening, context.events(request), now)
        return see_other(f"/v/{token}/not-me")
    async with context.database(request).writing() as session:
        opening = await doors.look(session, token, request.cookies, now)
        language = language_of(request)
        has_card = opening.is_proxy or not opening.is_guest
        card = _card(form, opening.text(language)) if has_card else None
        if card is not None and opening.is_proxy:
            card = replace(card, identity="helping")
        participation, opened = await doors.enter(session, opening, card, request.cookies, language=language, now=now)
    # A room that was made before this card was filled in learns who opened the link.
    await context.signaling(request).refresh_room(RoomId(opening.visit.encounter.id))
    response = see_other(f"/visits/{participation}")
    sessions.set_cookie(response, opened)
    return response


async def show_not_me(request: web.Request) -> web.Response:
    """After a "no": the clinic's number and nothing of the visit."""
    await _look(request)
    return render(request, "encounters/not_me.html")


async def mark_denied_seen(request: web.Request) -> web.Response:
    """Somebody at the desk rang the patient: the "no" leaves the board."""
    clinic = context.clinic(request)
    async with context.database(request).writing() as session:
        await doors.mark_denied_seen(session, clinic, request.match_info["card"], context.now(request))
    return see_other(f"/c/{clinic.slug}/board")


async def show_countdown(request: web.Request) -> web.Response:
    """The line that counts down; once the door is open it says so and the page loads itself anew."""
    opening = await _look(request)
    headers = {} if opening.state is Door.EARLY else {"HX-Refresh": "true"}
    return render(request, "encounters/countdown.html", _door_values(request, opening), headers=headers)


async def _look(request: web.Request) -> Opening:
    token, now = request.match_info["token"], context.now(request)
    async with context.database(request).reading() as session:
        clinic = await doors.load_clinic(session, token)
        if clinic is not None:
            request[context.CLINIC] = clinic
        opening = await doors.look(session, token, request.cookies, now)
    if not opening.is_guest:
        request[context.LANGUAGE_ON_FILE] = opening.patient.language
    return opening


def _door(
    request: web.Request, opening: Opening, errors: dict[str, str], *, typed: dict[str, str] | None = None
) -> web.Response:
    values = {
        **_door_values(request, opening),
        "errors": errors,
        "typed": typed or _remembered(opening, language_of(request)),
    }
    if opening.state is Door.EARLY:
        left = (rules.opens_at(opening.visit.appointment.starts_at) - context.now(request)).total_seconds()
        headers = {"Refresh": str(int(min(left, REFRESH_MAX_S)) + 1)}
        return render(request, "encounters/door_early.html", values, headers=headers)
    if opening.state is Door.CLOSING:
        return render(request, "encounters/closing.html", {**values, "is_over": True, "back_url": None, "offers": []})
    if opening.state is Door.CANCELLED and opening.visit.encounter.status == "cancelled":
        raise seats.cancelled()
    if opening.state in (Door.OVER, Door.CANCELLED):
        raise DomainError(Code.VISIT_OVER if opening.state is Door.OVER else Code.LINK_CLOSED)
    is_plain_guest = opening.is_guest and not opening.is_proxy
    template = "encounters/door_guest.html" if is_plain_guest else "encounters/door.html"
    return render(request, template, values, status=422 if errors else 200)


def _door_values(request: web.Request, opening: Opening) -> dict[str, Any]:
    starts_at = opening.visit.appointment.starts_at
    opens, language = rules.opens_at(starts_at), language_of(request)
    return {
        "token": request.match_info["token"],
        "doctor_name": opening.visit.doctor_name,
        "first_name": opening.patient.first_name,
        "guest": opening.place if opening.is_guest else None,
        "is_proxy": opening.is_proxy,
        "interpreters": [one.name for one in opening.visit.participants if one.is_arranged and not one.is_closed],
        "times": _times(opening.visit, language, starts_at, opening.patient.zone),
        "opens": when(opens, opening.visit.appointment.zone, language),
        "left": rules.time_left(opens, context.now(request)),
        "is_open": opening.state is not Door.EARLY,
        "is_late": opening.state is Door.LATE,
        "emergency_text": opening.clinic.emergency_text,
        "consent": opening.text(language),
    }


def _times(visit: Visit, language: str, moment: datetime, patient_zone: str | None) -> list[dict[str, str]]:
    """The clinic's time, and the patient's own where their clocks differ."""
    times = [when(moment, visit.appointment.zone, language)]
    if patient_zone:
        own = when(moment, patient_zone, language)
        if (own["date"], own["clock"]) != (times[0]["date"], times[0]["clock"]):
            times.append(own)
    return times


def _remembered(opening: Opening, language: str) -> dict[str, str]:
    """The card as this browser filled it in last time."""
    card, text = opening.last_card, opening.text(language)
    if card is None:
        return {}
    agreed = text is not None and card.agreed_text_id == text.id
    said = {"identity": card.identity, "place": card.place, "phone": card.phone, "others": card.others}
    return {key: value for key, value in {**said, "agrees": "yes" if agreed else None}.items() if value}


def _card(form: CardForm, asked: ClinicText | None) -> Card:
    agreed = asked.id if asked is not None and form.agrees == "yes" else None
    return Card(form.identity, form.place, form.phone, form.others, agreed)


# ── The room of those who came by a link ─────────────────────────────────────────────────────────────────────────


async def show_room(request: web.Request) -> web.Response:
    """Device check, waiting room and visit in one page, for the place that this browser holds."""
    participation, now = request.match_info["participation_id"], context.now(request)
    async with context.database(request).reading() as session:
        seat = await seats.get_seat(session, request.cookies, participation, now)
        if seat.role is Role.DOCTOR:
            raise not_found()
        visit, clinic = await _visit_of(session, seat.room_id)
        await _note_language(request, session, visit, seat.role)
    request[context.CLINIC] = clinic
    title = visit.doctor_name or translate(request, WITH_ANY)
    if rules.is_over_for_good(visit.encounter.status, visit.encounter.outcome, visit.encounter.ended_at, now):
        return see_other(f"/visits/{participation}/closing")
    config = room_page.config(
        visit,
        participation=participation,
        role=seat.role,
        title=title,
        now=now,
        env=context.settings(request).env,
        clinic_phone=clinic.phone,
        back_url=f"/visits/{participation}/closing",
        closing_url=f"/visits/{participation}/closing",
    )
    return render(request, "visit/room.html", {"config": config, "visit_title": title})


async def show_closing(request: web.Request) -> web.Response:
    """After leaving, or after the end: what happens now, and the way back while the visit lasts."""
    participation, now = request.match_info["participation_id"], context.now(request)
    async with context.database(request).reading() as session:
        seat = await seats.get_seat(session, request.cookies, participation, now)
        if seat.role is Role.DOCTOR:
            raise not_found()
        visit, clinic = await _visit_of(session, seat.room_id)
        request[context.CLINIC] = clinic
        await _note_language(request, session, visit, seat.role)
        offers = await withdrawviews.load_offers(request, session, participation)
    is_over = rules.room_phase(visit.encounter.status) == "ended"
    values = {
        "is_over": is_over,
        "back_url": None if is_over else f"/visits/{participation}",
        "doctor_name": visit.doctor_name,
        "guest": seat.role is not Role.PATIENT or None,
        "emergency_text": clinic.emergency_text,
        "offers": offers,
        "wish_url": f"/visits/{participation}/recordings",
    }
    return render(request, "encounters/closing.html", values)


async def _visit_of(session: AsyncSession, room_id: str) -> tuple[Visit, context.ClinicScope]:
    encounter = await visits.get_encounter(session, room_id)
    return await visits.visit_of(session, encounter), await get_clinic(session, encounter.clinic_id)


async def _note_language(request: web.Request, session: AsyncSession, visit: Visit, role: Role) -> None:
    """The patient's page is in the language on file; a guest's browser says theirs."""
    patient = await session.get(Patient, (visit.encounter.clinic_id, visit.encounter.patient_id))
    if patient is not None and role is Role.PATIENT:
        request[context.LANGUAGE_ON_FILE] = patient.language


# ── Guests ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def invite_guest(request: web.Request) -> web.Response:
    """A link for one more person, shown to be copied or sent; as JSON to the room's own script."""
    act = Act(context.clinic(request), context.actor(request).person_id, context.now(request), context.events(request))
    async with context.database(request).reading() as session:
        await _get_own_visit(request, session)
    is_json = request.content_type == "application/json"
    form = await (parse_json(request, GuestForm) if is_json else parse_form(request, GuestForm))
    async with context.database(request).writing() as session:
        visit = await _get_own_visit(request, session)
        guest, token = await guests.invite(session, act, visit, form)
    url = f"{context.settings(request).origin}/v/{token}"
    if wants_json(request):
        body = {"url": url, "participant_id": guest.id, "name": guest.name, "role": guest.role}
        return web.json_response(body, status=201, headers={"Cache-Control": "no-store"})
    return render(request, "encounters/guest_link.html", {"url": url, "guest": guest, "visit": visit}, status=201)


async def _get_own_visit(request: web.Request, session: AsyncSession) -> Visit:
    visit = await visits.get_visit(session, context.clinic(request), request.match_info["encounter_id"])
    if not holds_visit(context.actor(request), visit.facts):
        raise not_found()
    return visit


ROUTES = [
    Route("GET", "/v/{token}", show_door, anybody, "door"),
    Route("POST", "/v/{token}", enter, anybody, "door_enter"),
    Route("GET", "/v/{token}/countdown", show_countdown, anybody, "door_countdown"),
    Route("GET", "/v/{token}/not-me", show_not_me, anybody, "door_not_me"),
    Route("GET", "/visits/{participation_id}", show_room, is_visitor, "visitor_room", uses_camera=True),
    Route("GET", "/visits/{participation_id}/closing", show_closing, is_visitor, "visit_closing"),
    Route("POST", "/c/{clinic}/denied/{card}/seen", mark_denied_seen, may_book, "door_denied_seen"),
    Route("POST", "/c/{clinic}/visits/{encounter_id}/guests", invite_guest, is_doctor, "guest_invite"),
    *handoverviews.ROUTES,
    *filmviews.ROUTES,
    *keepingviews.ROUTES,
    *withdrawviews.ROUTES,
]
