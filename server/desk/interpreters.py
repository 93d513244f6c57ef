"""The interpreter of a visit, invited beforehand at the desk: a link of their own, and who was invited.

They wait at the door like everybody and are let in together with the patient; the link is shown once, to be sent.
"""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.desk import acts
from server.desk.forms import InterpreterForm
from server.encounters import guests, visits
from server.encounters.forms import GuestForm
from server.encounters.visits import Visit
from server.errors import FormError, not_found
from server.forms import parse_form
from server.pages import render
from server.permissions import may_book
from server.routing import Route, see_other
from server.scheduling import history, rules, service
from server.scheduling.acting import act_of
from server.scheduling.history import Act
from server.scheduling.rules import Status
from server.scheduling.ticks import in_transaction
from server.scheduling.wording import when
from signaling.words import RoomId


async def invite(request: web.Request) -> web.Response:
    """Makes the interpreter's place and shows its link this once. What the booking says is needed is put right too."""
    act, wanted = act_of(request), request.match_info["appointment"]
    try:
        form = await parse_form(request, InterpreterForm)
    except FormError as error:
        return await acts.show_again(request, error.fields)

    async def do(session: AsyncSession) -> tuple[Visit, str]:
        visit = await _visit(session, act, wanted)
        appointment = await service.get_appointment(session, act.clinic, wanted, lock=True)
        appointment.interpreter, appointment.changed_at = form.need, act.now
        asked = GuestForm(name=form.name, role="interpreter")
        _, token = await guests.invite(session, act, visit, asked, is_arranged=True)
        await history.remember(session, act, appointment, action="interpreter")
        return visit, token

    visit, token = await in_transaction(context.database(request), do)
    await _tell_room(request, visit)
    url = f"{context.settings(request).origin}/v/{token}"
    at = when(visit.appointment.starts_at, visit.appointment.zone, act.clinic.language)
    said = f"{at['date']}, {at['clock']} ({at['zone']})\n{url}\n" + ", ".join(
        part for part in (act.clinic.neutral_name, act.clinic.phone) if part
    )
    values = {
        "name": form.name,
        "url": url,
        "mail": f"mailto:?subject={quote(act.clinic.neutral_name)}&body={quote(said)}",
        "appointment_id": wanted,
    }
    return render(request, "desk/interpreter_link.html", values, status=201)


async def withdraw(request: web.Request) -> web.Response:
    """Somebody else comes, or nobody: this link opens nothing any more."""
    act, wanted = act_of(request), request.match_info["appointment"]

    async def do(session: AsyncSession) -> Visit:
        visit = await _visit(session, act, wanted)
        await guests.withdraw(session, visit, request.match_info["place"], act.now)
        return visit

    await _tell_room(request, await in_transaction(context.database(request), do))
    return see_other(f"/c/{act.clinic.slug}/appointments/{wanted}?done=interpreter_not")


_ONE = "/c/{clinic}/appointments/{appointment}/interpreter"
ROUTES = [
    Route("POST", _ONE, invite, may_book, "appointment.interpreter"),
    Route("POST", f"{_ONE}/{{place}}/withdraw", withdraw, may_book, "appointment.interpreter_not"),
]


async def _visit(session: AsyncSession, act: Act, appointment_id: str) -> Visit:
    appointment = await service.get_appointment(session, act.clinic, appointment_id)
    encounter = await visits.load_live_encounter(session, act.clinic.id, appointment_id)
    if encounter is None or Status(appointment.status) not in rules.OPEN:
        raise not_found()
    return await visits.visit_of(session, encounter)


async def _tell_room(request: web.Request, visit: Visit) -> None:
    if visit.encounter.status != "planned":
        await context.signaling(request).refresh_room(RoomId(visit.encounter.id))
