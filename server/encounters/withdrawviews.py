"""Where somebody decides about a recording after the visit: the closing page, and the patient's own page.

What may be decided, and what follows from it, is `withdrawing.py`'s and `keeping.py`'s.
"""

from __future__ import annotations

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts.service import get_clinic, get_patient
from server.encounters import keeping, recordings, seats, visits, withdrawing
from server.encounters.forms import WishForm
from server.encounters.withdrawing import Offer
from server.errors import not_found
from server.forms import parse_form
from server.pages import language_of, render
from server.permissions import is_patient, is_visitor
from server.routing import Route, see_other
from signaling.words import Role

_MINE = "/c/{clinic}/patients/{patient}/home/recordings"


async def choose_after_visit(request: web.Request) -> web.Response:
    """By whoever holds a place of the visit, while its closing page is there. Nothing chosen changes nothing."""
    form = await parse_form(request, WishForm)
    participation, now = request.match_info["participation_id"], context.now(request)
    async with context.database(request).writing() as session:
        seat = await seats.get_seat(session, request.cookies, participation, now)
        if seat.role is Role.DOCTOR:
            raise not_found()
        encounter = await visits.get_encounter(session, seat.room_id, lock=True)
        request[context.CLINIC] = await get_clinic(session, encounter.clinic_id)
        person = await visits.get_participant(session, encounter, participation)
        if form.choice is not None:
            recording = await recordings.get_recording(session, request.match_info["recording"], encounter=encounter)
            await withdrawing.choose(session, recording, person, form.choice, now)
    return see_other(f"/visits/{participation}/closing")


async def show_mine(request: web.Request) -> web.Response:
    """Every recording that a patient said yes to, what becomes of it, and how the clinic answered a wish."""
    clinic, patient_id = context.clinic(request), _patient_id(request)
    async with context.database(request).reading() as session:
        await _note_language(request, session)
        offers = await withdrawing.load_offers_of_patient(session, clinic.id, patient_id, language_of(request))
    values = {"offers": offers, "home": f"/c/{clinic.slug}/patients/{patient_id}/home"}
    return render(request, "encounters/my_recordings.html", values)


async def choose_on_own_page(request: web.Request) -> web.Response:
    form = await parse_form(request, WishForm)
    clinic, patient_id, now = context.clinic(request), _patient_id(request), context.now(request)
    async with context.database(request).writing() as session:
        await _note_language(request, session)
        recording = await keeping.get_recording(session, clinic.id, request.match_info["recording"])
        person = await withdrawing.get_own_place(session, clinic.id, patient_id, recording)
        if form.choice is not None:
            await withdrawing.choose(session, recording, person, form.choice, now)
    return see_other(f"/c/{clinic.slug}/patients/{patient_id}/home/recordings")


async def load_offers(request: web.Request, session: AsyncSession, participation: str) -> list[Offer]:
    """For the closing page, in its language."""
    seat = await seats.get_seat(session, request.cookies, participation, context.now(request))
    encounter = await visits.get_encounter(session, seat.room_id)
    person = await visits.get_participant(session, encounter, participation)
    return await withdrawing.load_offers(session, encounter, person, language_of(request))


def _patient_id(request: web.Request) -> str:
    """The patient of the address, if this session opened their page; else it isn't there."""
    wanted = request.match_info["patient"]
    if wanted not in context.actor(request).patients:
        raise not_found()
    return wanted


async def _note_language(request: web.Request, session: AsyncSession) -> None:
    patient = await get_patient(session, context.clinic(request).id, request.match_info["patient"])
    request[context.LANGUAGE_ON_FILE] = patient.language


ROUTES = [
    Route("POST", "/visits/{participation_id}/recordings/{recording}", choose_after_visit, is_visitor, "visit_wish"),
    Route("GET", _MINE, show_mine, is_patient, "mine.recordings"),
    Route("POST", _MINE + "/{recording}", choose_on_own_page, is_patient, "mine.wish"),
]
