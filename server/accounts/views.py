"""Pages of accounts: the front door, staff sign-in and sign-out, a patient-page link, incidents."""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import select

from server import audit, context
from server.accounts import pagecodes, rules, sessions
from server.accounts.demo import patient_home
from server.accounts.forms import PageForm, SignInForm
from server.accounts.models import Clinic, Membership, Person
from server.accounts.passwords import PASSWORDS
from server.accounts.service import get_clinic, get_patient, note_sign_in, person_names
from server.accounts.sessions import SessionKind
from server.accounts.throttle import THROTTLE
from server.audit import AuditAction
from server.errors import FormError
from server.forms import parse_form
from server.middleware import client_address
from server.pages import render
from server.permissions import anybody, is_scheduler, may_handle_incidents
from server.routing import Route, see_other
from signaling.words import N_

WRONG_SIGN_IN = N_("That e-mail address and password don't go together. Check both and try again.")
WRONG_PAGE = N_("That doesn't match. Check the date of birth and the code. After five wrong tries the link closes.")


async def front(request: web.Request) -> web.Response:
    """The installation's front door: staff go on to their clinic, everybody else is told to use their link."""
    actor = context.actor(request)
    if actor.person_id is not None:
        query = select(Clinic.slug).join(Membership, Membership.clinic_id == Clinic.id)
        async with context.database(request).reading() as session:
            slug = await session.scalar(
                query.where(Membership.person_id == actor.person_id, Membership.is_active).limit(1)
            )
        if slug:
            return see_other(f"/c/{slug}/")
    return render(request, "accounts/front.html")


async def show_sign_in(request: web.Request) -> web.Response:
    return _sign_in_page(request, {}, next_path=request.query.get("next", ""))


async def sign_in(request: web.Request) -> web.Response:
    """Signs staff in under a new session; whatever is wrong, the answer is the same."""
    try:
        form = await parse_form(request, SignInForm)
    except FormError as error:
        return _sign_in_page(request, error.fields, status=422)
    email = form.email.strip().lower()
    await request.app[THROTTLE].check("sign-in", client_address(request), email)
    scope, now = context.clinic(request), context.now(request)
    async with context.database(request).reading() as session:
        person = (await session.scalars(select(Person).where(Person.email == email))).first()
        roles = await sessions.load_roles(session, scope.id, person.id if person else None)
    fits = await request.app[PASSWORDS].is_right(person.password_hash if person else None, form.password)
    async with context.database(request).writing() as session:
        if person is None or not fits or not roles:
            await audit.enter(
                session,
                clinic_id=scope.id,
                actor_person_id=None,
                action=AuditAction.SIGN_IN_REFUSED,
                subject=("person", person.id if person else "unknown"),
                now=now,
            )
            opened = None
        else:
            opened = await sessions.open_session(session, SessionKind.STAFF, now, person_id=person.id)
            await note_sign_in(session, scope.id, person.id, opened, now)
    if opened is None:
        return _sign_in_page(request, {"email": WRONG_SIGN_IN}, email=form.email, next_path=form.next, status=422)
    response = see_other(rules.way_back(form.next, scope.slug))
    sessions.set_cookie(response, opened)
    return response


async def sign_out(request: web.Request) -> web.Response:
    """Ends this browser's staff and page sessions; its sockets go at once, on every server."""
    scope, actor, now = context.clinic(request), context.actor(request), context.now(request)
    ended = [found for found in (actor.session_id, actor.page_session_id) if found]
    async with context.database(request).writing() as session:
        for session_id in ended:
            await sessions.revoke(session, session_id, now)
            await audit.enter(
                session,
                clinic_id=scope.id,
                actor_person_id=actor.person_id,
                action=AuditAction.SIGNED_OUT,
                subject=("session", session_id),
                now=now,
            )
    for session_id in ended:
        await context.signaling(request).revoke_session(sessions.as_signaling(session_id))
    response = see_other(f"/c/{scope.slug}/sign-in")
    sessions.clear_cookie(response, SessionKind.STAFF)
    sessions.clear_cookie(response, SessionKind.PAGE)
    return response


async def show_page_link(request: web.Request) -> web.Response:
    """The door of a patient's page; unknown, closed and open links look alike."""
    return _page_link(request, {}, sent="sent" in request.query)


async def send_page_code(request: web.Request) -> web.Response:
    token, now = request.match_info["token"], context.now(request)
    await request.app[THROTTLE].check("page-code", client_address(request), token)
    async with context.database(request).writing() as session:
        await pagecodes.ask_for_code(session, context.events(request), token, now)
    return see_other(f"/p/{token}?sent")


async def open_page(request: web.Request) -> web.Response:
    token, now = request.match_info["token"], context.now(request)
    try:
        form = await parse_form(request, PageForm)
    except FormError as error:
        return _page_link(request, error.fields, sent=True, status=422)
    await request.app[THROTTLE].check("page", client_address(request), token)
    async with context.database(request).writing() as session:
        patient = await pagecodes.check(session, token, form.birth_date, form.code, now)
        if patient is not None:
            scope = await get_clinic(session, patient.clinic_id)
            opened = await sessions.open_page(
                session, request.cookies, clinic_id=patient.clinic_id, patient_id=patient.id, now=now
            )
    if patient is None:
        return _page_link(request, {"code": WRONG_PAGE}, sent=True, status=422)
    response = see_other(patient_home(scope.slug, patient.id))
    sessions.set_cookie(response, opened)
    return response


async def read_out_code(request: web.Request) -> web.Response:
    """A code for the desk to say to a patient whom it knows by their voice and answers; shown this once."""
    scope, actor, now = context.clinic(request), context.actor(request), context.now(request)
    async with context.database(request).writing() as session:
        patient = await get_patient(session, scope.id, request.match_info["patient"])
        code = await pagecodes.code_to_read_out(session, scope.id, patient.id, by_person_id=actor.person_id, now=now)
    return render(request, "accounts/read_out.html", {"patient": patient, "code": code})


async def show_incidents(request: web.Request) -> web.Response:
    scope = context.clinic(request)
    async with context.database(request).reading() as session:
        incidents = await audit.open_incidents(session, scope.id)
        owners = {incident.owner_person_id for incident in incidents if incident.owner_person_id}
        names = await person_names(session, owners)
    return render(request, "accounts/incidents.html", {"incidents": incidents, "names": names})


async def close_incident(request: web.Request) -> web.Response:
    scope, actor, now = context.clinic(request), context.actor(request), context.now(request)
    async with context.database(request).writing() as session:
        await audit.close_incident(
            session, scope.id, request.match_info["incident"], by_person_id=actor.person_id, now=now
        )
    return see_other(f"/c/{scope.slug}/incidents")


ROUTES = [
    Route("GET", "/", front, anybody, "front"),
    Route("GET", "/c/{clinic}/sign-in", show_sign_in, anybody, "sign_in.show"),
    Route("POST", "/c/{clinic}/sign-in", sign_in, anybody, "sign_in"),
    Route("POST", "/c/{clinic}/sign-out", sign_out, anybody, "sign_out"),
    Route("GET", "/p/{token}", show_page_link, anybody, "page_link.show"),
    Route("POST", "/p/{token}/code", send_page_code, anybody, "page_link.code"),
    Route("POST", "/p/{token}", open_page, anybody, "page_link.open"),
    Route("POST", "/c/{clinic}/patients/{patient}/page-code", read_out_code, is_scheduler, "page_link.read_out"),
    Route("GET", "/c/{clinic}/incidents", show_incidents, may_handle_incidents, "incidents", nav=N_("Incidents")),
    Route("POST", "/c/{clinic}/incidents/{incident}/close", close_incident, may_handle_incidents, "incidents.close"),
]


def _sign_in_page(
    request: web.Request, errors: dict[str, str], *, email: str = "", next_path: str = "", status: int = 200
) -> web.Response:
    values = {"errors": errors, "email": email, "next_path": next_path}
    return render(request, "accounts/sign_in.html", values, status=status)


def _page_link(request: web.Request, errors: dict[str, str], *, sent: bool, status: int = 200) -> web.Response:
    values = {"errors": errors, "sent": sent, "token": request.match_info["token"]}
    return render(request, "accounts/page_link.html", values, status=status)
