"""The visit's page for a doctor who handed the visit to a colleague: all of it to read, nothing to write."""

from __future__ import annotations

from aiohttp import web

from server import context
from server.audit import AuditAction
from server.encounters import visits
from server.errors import not_found
from server.pages import render
from server.permissions import holds_visit, reads_visit
from server.records import service, visit_page
from server.records.after_views import writing_of


async def show(request: web.Request) -> web.Response | None:
    """None for whoever holds the visit: they get the page on which one writes. Raises not_found for everybody else."""
    writing, wanted = writing_of(request), request.match_info["encounter_id"]
    async with context.database(request).writing() as session:
        visit = await visits.get_visit(session, writing.clinic, wanted)
        if holds_visit(writing.actor, visit.facts):
            return None
        if not reads_visit(writing.actor, visit.facts):
            raise not_found()
        values = await visit_page.load_values(session, writing, visit, writing.vault)
        if values["note"] is not None:
            await service.enter(session, writing, AuditAction.NOTE_OPENED, values["note"].id)
        if values["chat"]:
            await service.enter(session, writing, AuditAction.CHAT_READ, visit.encounter.id)
    base = f"/c/{writing.clinic.slug}/visits/{visit.encounter.id}"
    films = [{**film, "may_grant": False} for film in values["films"]]
    values |= {
        "films": films,
        "base": base,
        "holders": visit.doctor_name,
        "done": request.query.get("done") == "handed_over",
    }
    return render(request, "records/handed.html", values)
