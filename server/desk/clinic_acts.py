"""What a doctor's session needs in one press: take the next walk-in, say that one runs late; the desk marks urgent.

Each act is scheduling's; the lists are `views.py`.
"""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import select

from server import context
from server.desk.forms import LateForm, UrgentForm
from server.encounters.models import Encounter
from server.encounters.service import mark_seen
from server.encounters.visits import load_live_encounter, load_participants
from server.errors import DomainError, FormError
from server.forms import parse_form
from server.permissions import is_doctor, may_book
from server.routing import Route, see_other
from server.scheduling import delays, finding, walkins
from server.scheduling.acting import act_of
from server.scheduling.ticks import in_transaction
from signaling.words import Code, RoomId


async def take(request: web.Request) -> web.Response:
    """The first doctor to press has the patient and goes to the visit; whoever comes second is told so."""
    act, database = act_of(request), context.database(request)
    wanted, doctor = request.match_info["appointment"], context.actor(request).person_id or ""
    try:
        await in_transaction(database, lambda session: walkins.take(session, act, wanted, doctor))
    except DomainError as refused:
        if refused.code is not Code.CONFLICT:
            raise
        return see_other(f"/c/{act.clinic.slug}/clinic?done=taken_by_other")
    async with database.writing() as session:
        encounter = await load_live_encounter(session, act.clinic.id, wanted)
        if encounter is None:
            return see_other(f"/c/{act.clinic.slug}/clinic")
        waiting = [one.id for one in await load_participants(session, encounter) if one.state == "waiting"]
        await mark_seen(session, act.clinic.id, waiting, act.now)
    await context.signaling(request).refresh_room(RoomId(encounter.id))
    return see_other(f"/c/{act.clinic.slug}/visits/{encounter.id}")


async def mark_urgent(request: web.Request) -> web.Response:
    form = await parse_form(request, UrgentForm)
    act, wanted = act_of(request), request.match_info["appointment"]
    await in_transaction(
        context.database(request),
        lambda session: walkins.mark_urgent(session, act, wanted, is_urgent=form.is_urgent),
    )
    return see_other(f"/c/{act.clinic.slug}/appointments/{wanted}")


async def run_late(request: web.Request) -> web.Response:
    """Everybody of the doctor's own session who isn't in the visit yet is told."""
    try:
        form = await parse_form(request, LateForm)
    except FormError:
        return see_other(f"/c/{context.clinic(request).slug}/clinic?done=late_how")
    act, doctor = act_of(request), context.actor(request).person_id or ""
    if form.minutes is None and not form.said:
        return see_other(f"/c/{act.clinic.slug}/clinic?done=late_how")
    async with context.database(request).writing() as session:
        begun = select(Encounter.appointment_id).where(
            Encounter.clinic_id == act.clinic.id, Encounter.status.in_(("in-progress", "finished"))
        )
        seen = set(await session.scalars(begun.where(Encounter.started_at > act.now - delays.LONGEST_DAY)))
        _, until = await finding.load_working_day(session, act.clinic, doctor, act.now)
        hearers = await delays.run_late(session, act, doctor, until, form.delay(), seen=seen)
    done = "late_unreached" if hearers.unreached else "late" if hearers.told else "late_nobody"
    return see_other(f"/c/{act.clinic.slug}/clinic?done={done}")


ROUTES = [
    Route("POST", "/c/{clinic}/clinic/late", run_late, is_doctor, "clinic.late"),
    Route("POST", "/c/{clinic}/appointments/{appointment}/take", take, is_doctor, "clinic.take"),
    Route("POST", "/c/{clinic}/appointments/{appointment}/urgent", mark_urgent, may_book, "appointment.urgent"),
]
