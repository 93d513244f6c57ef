"""The form by which a doctor gives a visit of theirs to a colleague; what it means is `handover.py`."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.encounters import handover, visits
from server.errors import not_found
from server.forms import parse_form
from server.permissions import holds_visit, is_doctor
from server.routing import Route, see_other
from server.scheduling.service import Act
from server.scheduling.ticks import in_transaction
from signaling.words import N_, RoomId


class HandOverForm(BaseModel):
    colleague: Annotated[str, StringConstraints(max_length=36)] = Field(title=N_("a colleague"))


async def hand_over(request: web.Request) -> web.Response:
    """Commits, then tells the room: the first doctor's place closes, the colleague's opens."""
    clinic, actor, wanted = context.clinic(request), context.actor(request), request.match_info["encounter_id"]
    act = Act(clinic, actor.person_id, context.now(request), context.events(request))
    async with context.database(request).reading() as session:
        _check(request, await visits.get_visit(session, clinic, wanted))
    form = await parse_form(request, HandOverForm)

    async def give(session: AsyncSession) -> str:
        await visits.get_encounter(session, wanted, lock=True)
        visit = await visits.get_visit(session, clinic, wanted)
        _check(request, visit)
        await handover.hand_over(session, act, visit, form.colleague)
        return visit.encounter.status

    if await in_transaction(context.database(request), give) != "planned":
        await context.signaling(request).refresh_room(RoomId(wanted))
    return see_other(f"/c/{clinic.slug}/visits/{wanted}/summary?done=handed_over")


ROUTES = [
    Route("POST", "/c/{clinic}/visits/{encounter_id}/hand-over", hand_over, is_doctor, "visit_hand_over"),
]


def _check(request: web.Request, visit: visits.Visit) -> None:
    if not holds_visit(context.actor(request), visit.facts):
        raise not_found()
