"""An earlier time as a patient is offered it: one press says yes or no. Opening the page changes nothing.

Also the button on a patient's own page that asks for an earlier time. Who has the time first is scheduling's.
"""

from __future__ import annotations

from typing import Literal

from aiohttp import web
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts import links
from server.accounts.links import LinkKind
from server.accounts.service import get_clinic
from server.desk import told
from server.desk.mine_acts import do_for_patient, load_own
from server.errors import DomainError, FormError
from server.forms import parse_form
from server.pages import language_of, render
from server.permissions import anybody, is_patient
from server.routing import Route, see_other
from server.scheduling import offers, waiting
from server.scheduling.history import Act
from server.scheduling.offers import Offered
from server.scheduling.reach import Reach, load_reach
from server.scheduling.ticks import in_transaction
from server.scheduling.wording import when
from signaling.words import N_, Code

WORDS = {
    "accepted": N_("The earlier appointment is yours. You get a message about it."),
    "accepted_untold": N_("The earlier appointment is yours. No message is sent to you about it."),
    "declined": N_("You said no. What you have stays as it is."),
    "left": N_("You said no, and you are not asked again. What you have stays as it is."),
    "elsewhere": N_("You have another visit at this time. What you have stays as it is."),
    "over": N_("This offer is over: the time was offered to somebody else. What you have stays as it is."),
}
REACH = web.RequestKey("reach", Reach)
"""Whether a message about what they answer reaches whoever was asked."""
GONE = frozenset({Code.SLOT_TAKEN, Code.SLOT_NOT_OFFERED, Code.IN_THE_PAST, Code.CONFLICT, Code.WRONG_PHASE})


class AnswerForm(BaseModel):
    answer: Literal["yes", "no", "never"]


async def show_offer(request: web.Request) -> web.Response:
    act, offered = await _load(request)
    return _page(request, act, offered)


async def answer_offer(request: web.Request) -> web.Response:
    """The first yes has the time; a second press of the same person says so again."""
    act, offered = await _load(request)
    try:
        form = await parse_form(request, AnswerForm)
    except FormError:
        return _page(request, act, offered, status=422)
    offer_id = offered.offer.id

    async def answer(session: AsyncSession) -> None:
        if form.answer == "yes":
            await offers.accept(session, act, offer_id)
        else:
            await offers.decline(session, act, offer_id, leaves=form.answer == "never")

    try:
        await in_transaction(context.database(request), answer)
    except DomainError as refused:
        if refused.code not in GONE:
            raise
        # The doctor's time is kept for them: only their own can be taken.
        said = "elsewhere" if refused.code is Code.SLOT_TAKEN else "over"
        return _page(request, act, offered, said=said, status=409)
    return see_other(request.path)


async def wait(request: web.Request) -> web.Response:
    """From the own page: tell me when an earlier time is free."""
    async with context.database(request).reading() as session:
        appointment, patient = await load_own(session, request)
    await do_for_patient(
        request, patient, lambda session, act: waiting.add_for_appointment(session, act, appointment.id)
    )
    return see_other(f"{_home(request)}?done=waits")


async def stop_waiting(request: web.Request) -> web.Response:
    async with context.database(request).reading() as session:
        appointment, patient = await load_own(session, request)
        entry = (await waiting.load_entries(session, patient.clinic_id, patient.id)).get(appointment.id)
    if entry is not None:
        await do_for_patient(request, patient, lambda session, act: waiting.remove(session, act, entry))
    return see_other(f"{_home(request)}?done=waits_not")


_ONE = "/c/{clinic}/patients/{patient}/home/visits/{appointment}"
ROUTES = [
    Route("GET", "/o/{token}", show_offer, anybody, "offer.show"),
    Route("POST", "/o/{token}", answer_offer, anybody, "offer.answer"),
    Route("POST", f"{_ONE}/wait", wait, is_patient, "mine.wait"),
    Route("POST", f"{_ONE}/wait/stop", stop_waiting, is_patient, "mine.wait_not"),
]


async def _load(request: web.Request) -> tuple[Act, Offered]:
    """Raises not_found for whatever we never made."""
    async with context.database(request).reading() as session:
        link = await links.resolve(session, request.match_info["token"], LinkKind.OFFER)
        clinic = await get_clinic(session, link.clinic_id)
        request[context.CLINIC] = clinic
        act = Act(clinic, None, context.now(request), context.events(request))
        offered = await offers.load(session, act, link.subject_id)
        request[REACH] = await load_reach(session, offered.patient)
    request[context.LANGUAGE_ON_FILE] = offered.patient.language
    return act, offered


def _page(
    request: web.Request, act: Act, offered: Offered, *, said: str | None = None, status: int = 200
) -> web.Response:
    offer, language = offered.offer, language_of(request)
    zones = list(dict.fromkeys((act.clinic.zone, offered.patient.zone or act.clinic.zone)))
    state = said or _state(offered, act)
    values = {
        "first_name": offered.patient.first_name,
        "times": [when(offer.starts_at, zone, language) for zone in zones],
        "until": when(offer.expires_at, zones[-1], language),
        "has": when(offered.has_at, zones[-1], language) if offered.has_at else None,
        "said": told.variant(WORDS, state, request[REACH]) if state else None,
        "is_yes": state == "accepted",
    }
    return render(request, "desk/mine_offer.html", values, status=status)


def _state(offered: Offered, act: Act) -> str | None:
    """None while it can be answered."""
    offer, entry = offered.offer, offered.entry
    if offer.state == offers.OPEN:
        is_open = act.now < offer.expires_at and entry.state == waiting.WAITING
        return None if is_open else "over"
    if offer.state == offers.DECLINED:
        return "left" if entry.state == waiting.REMOVED else "declined"
    return "accepted" if offer.state == offers.ACCEPTED else "over"


def _home(request: web.Request) -> str:
    return f"/c/{context.clinic(request).slug}/patients/{request.match_info['patient']}/home"
