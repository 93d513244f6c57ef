"""Pages of accounts: the front door, staff sign-in and sign-out, a patient-page link, incidents."""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts import (
    administration,
    auditviews,
    joining,
    links,
    mypages,
    pagecodes,
    proxies,
    rules,
    sessions,
    signin,
)
from server.accounts.demo import patient_home
from server.accounts.forms import PageForm
from server.accounts.models import Clinic, Membership
from server.accounts.pagecodes import Opener
from server.accounts.service import get_clinic, get_patient
from server.accounts.sessions import Opened
from server.accounts.throttle import THROTTLE
from server.errors import FormError
from server.forms import parse_form
from server.middleware import client_address
from server.pages import render
from server.permissions import anybody, is_scheduler
from server.routing import Route, see_other
from signaling.words import N_

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
        opener = await pagecodes.check(session, token, form.birth_date, form.code, now)
        if opener is not None:
            scope = await get_clinic(session, opener.patient.clinic_id)
            opened = await _open_page(request, session, opener)
            account = None if opener.proxy else await mypages.needs_remembering(request, session, opener.patient)
    if opener is None:
        return _page_link(request, {"code": WRONG_PAGE}, sent=True, status=422)
    home = patient_home(scope.slug, opener.patient.id)
    response = see_other(home.replace("/home", "/proxy") if opener.proxy else home)
    sessions.set_cookie(response, opened)
    if account is not None:
        mypages.remember(request, response, account.email)
    return response


async def read_out_code(request: web.Request) -> web.Response:
    """A code for the desk to say to a patient whom it knows by their voice and answers; shown this once."""
    scope, actor, now = context.clinic(request), context.actor(request), context.now(request)
    async with context.database(request).writing() as session:
        patient = await get_patient(session, scope.id, request.match_info["patient"])
        code = await pagecodes.code_to_read_out(session, scope.id, patient.id, by_person_id=actor.person_id, now=now)
        locked = await links.load_locked(session, scope.id, await proxies.load_page_subjects(session, patient))
    values = {"patient": patient, "code": code, "unlock": _unlock_url(request) if locked else None, "unlocked": False}
    return render(request, "accounts/read_out.html", values)


async def unlock(request: web.Request) -> web.Response:
    """After five wrong tries somebody rang: the links to this patient's page work again."""
    scope, actor, now = context.clinic(request), context.actor(request), context.now(request)
    async with context.database(request).writing() as session:
        patient = await get_patient(session, scope.id, request.match_info["patient"])
        subjects = await proxies.load_page_subjects(session, patient)
        await links.unlock(session, scope.id, subjects, by_person_id=actor.person_id, now=now)
    values = {"patient": patient, "code": None, "unlock": None, "unlocked": True}
    return render(request, "accounts/read_out.html", values)


ROUTES = [
    Route("GET", "/", front, anybody, "front"),
    *signin.ROUTES,
    *joining.ROUTES,
    Route("GET", "/p/{token}", show_page_link, anybody, "page_link.show"),
    Route("POST", "/p/{token}/code", send_page_code, anybody, "page_link.code"),
    Route("POST", "/p/{token}", open_page, anybody, "page_link.open"),
    Route("POST", "/c/{clinic}/patients/{patient}/page-code", read_out_code, is_scheduler, "page_link.read_out"),
    Route("POST", "/c/{clinic}/patients/{patient}/page-link/unlock", unlock, is_scheduler, "page_link.unlock"),
    *auditviews.ROUTES,
    *administration.ROUTES,
    *mypages.ROUTES,
]


async def _open_page(request: web.Request, session: AsyncSession, opener: Opener) -> Opened:
    patient, now = opener.patient, context.now(request)
    if opener.proxy is not None:
        return await sessions.open_proxy_page(
            session, request.cookies, clinic_id=patient.clinic_id, proxy_id=opener.proxy.id, now=now
        )
    device = rules.device_words(request.headers.get("User-Agent"))
    return await sessions.open_page(
        session, request.cookies, clinic_id=patient.clinic_id, patient_id=patient.id, now=now, device=device
    )


def _unlock_url(request: web.Request) -> str:
    return f"/c/{context.clinic(request).slug}/patients/{request.match_info['patient']}/page-link/unlock"


def _page_link(request: web.Request, errors: dict[str, str], *, sent: bool, status: int = 200) -> web.Response:
    values = {"errors": errors, "sent": sent, "token": request.match_info["token"]}
    return render(request, "accounts/page_link.html", values, status=status)
