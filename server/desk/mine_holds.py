"""Keeping a time on the patient's own booking page while they make up their mind: for ten minutes, one at a time.

Booking it is `mine_acts.py`; without script the same form books what was picked, unkept.
"""

from __future__ import annotations

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.desk.forms import MineHoldForm
from server.desk.mine_acts import act_for, check_meant, load_patient
from server.errors import DomainError, FormError, status_of
from server.forms import parse_form
from server.pages import render
from server.permissions import is_patient
from server.routing import Route
from server.scheduling import freeviews, holding, picker
from server.scheduling.holding import Held
from server.scheduling.ticks import in_transaction
from signaling.words import Code


async def hold(request: web.Request) -> web.Response:
    """A time was picked: it is kept, and the page shows how long. A refusal says why in the same place."""
    async with context.database(request).reading() as session:
        patient = await load_patient(session, request)
    request[context.LANGUAGE_ON_FILE] = patient.language
    act = act_for(request, patient)
    try:
        form = await parse_form(request, MineHoldForm)
        doctor_id, starts_at = picker.read_value(form.slot)

        async def keep(session: AsyncSession) -> Held:
            await check_meant(session, act, patient.id, form.visit_type)
            return await holding.keep_one(session, act, form.visit_type, (doctor_id,), starts_at)

        held = await in_transaction(context.database(request), keep)
    except (DomainError, FormError) as refused:
        if refused.code is Code.NOT_FOUND:
            raise
        said = next(iter(refused.fields.values())) if isinstance(refused, FormError) else refused.message
        status = 422 if isinstance(refused, FormError) else status_of(refused)
        return render(request, "desk/mine_hold.html", {"held": None, "said": said}, status=status)
    shown = freeviews.held_values(request, held, patient)
    return render(request, "desk/mine_hold.html", {"held": shown, "said": None})


ROUTES = [Route("POST", "/c/{clinic}/patients/{patient}/home/hold", hold, is_patient, "mine.hold")]
