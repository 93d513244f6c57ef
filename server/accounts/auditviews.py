"""The privacy officer's pages of the audit, and incidents with their owners."""

from __future__ import annotations

from functools import partial

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context
from server.accounts import auditsearch, notices, rules, staff
from server.accounts.auditsearch import EXPORTED_MAX, SHOWN_MAX, Wanted
from server.accounts.forms import AuditForm, OwnerForm
from server.accounts.notices import Notice
from server.accounts.service import person_names
from server.audit import AuditAction
from server.errors import FormError, not_found
from server.forms import check_form, parse_form
from server.pages import render
from server.permissions import StaffRole, is_privacy_officer, may_handle_incidents
from server.routing import Route, see_other
from signaling.words import N_

OWNERS = frozenset({StaffRole.ADMINISTRATOR, StaffRole.PRIVACY_OFFICER})


async def show_audit(request: web.Request) -> web.Response:
    """The newest entries, or those asked for; looking is an entry too."""
    scope = context.clinic(request)
    typed = {name: value.strip()[:100] for name, value in request.query.items()}
    try:
        wanted, errors = _wanted(check_form(AuditForm, {name: [value] for name, value in typed.items()})), {}
    except FormError as error:
        wanted, errors = None, error.fields
    async with context.database(request).writing() as session:
        lines = await auditsearch.find(session, scope.id, scope.zone, wanted) if wanted else []
        members = await staff.load_members(session, scope.id, context.now(request))
        if typed and wanted:
            await _enter(request, session, AuditAction.AUDIT_SEARCHED, len(lines))
    values = {
        "lines": lines,
        "is_cut": len(lines) == SHOWN_MAX,
        "members": [("", N_("Everybody")), *((one.person_id, one.name) for one in members)],
        "actions": [("", N_("Everything")), *((one.value, one.value.replace("_", " ")) for one in AuditAction)],
        "typed": typed,
        "errors": errors,
        "clock": partial(rules.local_words, zone=scope.zone),
    }
    return render(request, "accounts/audit.html", values, status=422 if errors else 200)


async def export_audit(request: web.Request) -> web.Response:
    """The same as a file; asked for by a button, since it leaves the house."""
    scope, wanted = context.clinic(request), _wanted(await parse_form(request, AuditForm))
    async with context.database(request).writing() as session:
        lines = await auditsearch.find(session, scope.id, scope.zone, wanted, EXPORTED_MAX)
        await _enter(request, session, AuditAction.AUDIT_EXPORTED, len(lines))
    headers = {
        "Content-Disposition": f'attachment; filename="audit-{scope.slug}.csv"',
        "Content-Security-Policy": "sandbox",
        "Cache-Control": "private, no-store",
    }
    return web.Response(text=auditsearch.as_csv(lines), content_type="text/csv", headers=headers)


async def show_incidents(request: web.Request) -> web.Response:
    scope = context.clinic(request)
    async with context.database(request).reading() as session:
        incidents = await audit.open_incidents(session, scope.id)
        names = await person_names(session, {one.owner_person_id for one in incidents if one.owner_person_id})
        members = await staff.load_members(session, scope.id, context.now(request))
        subjects = await request.app[context.INCIDENT_SUBJECTS](session, scope, incidents)
    owners = [one for one in members if OWNERS & frozenset(one.roles)]
    values = {
        "incidents": incidents,
        "subjects": subjects,
        "names": names,
        "owners": owners,
        "owner_rows": lambda incident: [
            {"value": one.person_id, "text": one.name, "selected": one.person_id == incident.owner_person_id}
            for one in owners
        ],
        "clock": partial(rules.local_words, zone=scope.zone),
    }
    return render(request, "accounts/incidents.html", values)


async def assign_incident(request: web.Request) -> web.Response:
    """Makes an administrator or privacy officer its owner."""
    scope, form = context.clinic(request), await parse_form(request, OwnerForm)
    async with context.database(request).writing() as session:
        member = await staff.get_member(session, scope.id, form.owner, context.now(request))
        if not OWNERS & frozenset(member.roles):
            raise not_found()
        await audit.assign_incident(
            session,
            scope.id,
            request.match_info["incident"],
            owner_person_id=member.person_id,
            by_person_id=context.actor(request).person_id,
            now=context.now(request),
        )
        told = Notice("incident_yours", context.actor(request).person_id)
        await notices.tell(session, scope.id, [member.person_id], told, context.now(request))
    return see_other(f"/c/{scope.slug}/incidents")


async def close_incident(request: web.Request) -> web.Response:
    scope, actor, now = context.clinic(request), context.actor(request), context.now(request)
    async with context.database(request).writing() as session:
        await audit.close_incident(
            session, scope.id, request.match_info["incident"], by_person_id=actor.person_id, now=now
        )
    return see_other(f"/c/{scope.slug}/incidents")


_INCIDENT = "/c/{clinic}/incidents/{incident}"
ROUTES = [
    Route("GET", "/c/{clinic}/incidents", show_incidents, may_handle_incidents, "incidents", nav=N_("Incidents")),
    Route("POST", _INCIDENT + "/close", close_incident, may_handle_incidents, "incidents.close"),
    Route("POST", _INCIDENT + "/owner", assign_incident, may_handle_incidents, "incidents.assign"),
    Route("GET", "/c/{clinic}/audit", show_audit, is_privacy_officer, "audit", nav=N_("Audit")),
    Route("POST", "/c/{clinic}/audit/export", export_audit, is_privacy_officer, "audit.export"),
]


def _wanted(form: AuditForm) -> Wanted:
    return Wanted(
        since=form.since,
        until=form.until,
        person_id=form.person or None,
        action=form.action.value if form.action else None,
        subject_id=form.subject or None,
    )


async def _enter(request: web.Request, session: AsyncSession, action: AuditAction, count: int) -> None:
    scope = context.clinic(request)
    await audit.enter(
        session,
        clinic_id=scope.id,
        actor_person_id=context.actor(request).person_id,
        action=action,
        subject=("clinic", scope.id),
        detail={"entries": count},
        now=context.now(request),
    )
