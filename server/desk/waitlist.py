"""The desk's list of those who wait for an earlier time, and putting somebody on it.

Offering a freed time is scheduling's; what a patient answers is `mine_offers.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.errors import DomainError, FormError
from server.forms import parse_form
from server.pages import render
from server.permissions import may_book
from server.routing import Route, see_other
from server.scheduling import patients, service, waiting
from server.scheduling.acting import act_of
from server.scheduling.forms import WaitForm
from server.scheduling.reach import Reach, load_reach
from server.scheduling.ticks import in_transaction
from server.scheduling.waiting import Row, Wish
from server.scheduling.waiting_models import WaitlistEntry
from server.scheduling.wording import day_words, when
from signaling.words import N_, Code

DONE = {
    "added": N_("On the list. When a time becomes free, the patient is asked by message."),
    "added_untold": N_("On the list, but no message reaches this patient: when a time becomes free, nobody asks them."),
    "removed": N_("Taken off the list."),
    "how": N_("Nobody was put on the list: the last day or the notice wasn’t right."),
}


async def show(request: web.Request) -> web.Response:
    if request.get(context.NAMES_HIDDEN, False):
        raise DomainError(Code.NOT_ALLOWED, "Names are hidden while a screen is shared.")
    clinic, now = context.clinic(request), context.now(request)
    async with context.database(request).reading() as session:
        rows = await waiting.load_rows(session, clinic, now)
    values = {
        "rows": [(row, _words(request, row)) for row in rows],
        "done": DONE.get(request.query.get("done", "")),
        "last_digits": patients.last_digits,
    }
    return render(request, "desk/waitlist.html", values)


async def add(request: web.Request) -> web.Response:
    """A patient who has no appointment yet, or would take another one."""
    act, patient_id = act_of(request), request.match_info["patient"]
    try:
        form = await parse_form(request, WaitForm)
    except FormError:
        return _back(request, "how")
    wish = Wish(patient_id, form.visit_type, form.doctor, form.until_on, form.notice_min)
    return await _add(request, lambda session: waiting.add(session, act, wish))


async def add_for_appointment(request: web.Request) -> web.Response:
    """Earlier than the appointment they have, which they keep until they say yes."""
    act, wanted = act_of(request), request.match_info["appointment"]
    return await _add(request, lambda session: waiting.add_for_appointment(session, act, wanted))


async def remove(request: web.Request) -> web.Response:
    act, wanted = act_of(request), request.match_info["entry"]
    await in_transaction(context.database(request), lambda session: waiting.remove(session, act, wanted))
    return _back(request, "removed")


ROUTES = [
    Route("GET", "/c/{clinic}/waitlist", show, may_book, "waitlist", nav=N_("Waiting list")),
    Route("POST", "/c/{clinic}/waitlist/{entry}/remove", remove, may_book, "waitlist.remove"),
    Route("POST", "/c/{clinic}/book/{patient}/wait", add, may_book, "waitlist.add"),
    Route("POST", "/c/{clinic}/appointments/{appointment}/wait", add_for_appointment, may_book, "appointment.wait"),
]


def _words(request: web.Request, row: Row) -> dict[str, str | None]:
    clinic = context.clinic(request)
    has = when(row.has_at, clinic.zone, clinic.language) if row.has_at else None
    since = when(row.entry.created_at, clinic.zone, clinic.language)
    offer = row.offer
    offered = when(offer.starts_at, clinic.zone, clinic.language) if offer else None
    until = when(offer.expires_at, clinic.zone, clinic.language) if offer else None
    return {
        "has": f"{has['date']}, {has['clock']}" if has else None,
        "since": since["date"],
        "until_on": day_words(row.entry.until_on, clinic.language) if row.entry.until_on else None,
        "offered": f"{offered['date']}, {offered['clock']}" if offered else None,
        "answer": f"{until['date']}, {until['clock']}" if until else None,
    }


async def _add(request: web.Request, adding: Callable[[AsyncSession], Awaitable[WaitlistEntry]]) -> web.Response:
    """Says what comes of it: nobody is asked whom no message reaches."""
    clinic, database = context.clinic(request), context.database(request)
    entry = await in_transaction(database, adding)
    async with database.reading() as session:
        reach = await load_reach(session, await service.get_patient(session, clinic, entry.patient_id))
    return _back(request, "added" if reach is Reach.REACHED else "added_untold")


def _back(request: web.Request, done: str) -> web.Response:
    return see_other(f"/c/{context.clinic(request).slug}/waitlist?done={done}")
