"""A patient signs in to their own page, and sees there how: the account, its password, where the page is open.

What the page itself shows is the desk's `mine.py`; a link's own door is `views.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context
from server.accounts import known, links, pagecodes, patientaccounts, rules, sessions
from server.accounts.forms import MyPasswordForm, MySignInForm, NewPasswordForm
from server.accounts.links import LinkKind
from server.accounts.models import Patient
from server.accounts.passwords import PASSWORDS
from server.accounts.service import get_patient
from server.accounts.throttle import THROTTLE
from server.accounts.trust_models import PatientAccount
from server.audit import AuditAction
from server.errors import DomainError, FormError, not_found
from server.forms import parse_form
from server.middleware import client_address
from server.pages import render
from server.permissions import anybody, is_patient
from server.routing import Route, see_other
from signaling.words import N_, Code

WRONG_SIGN_IN = N_("E-mail address and password don't go together. Check both and try again.")
WRONG_PASSWORD = N_("That isn't your password.")
NOT_TWICE = N_("The two passwords differ. Type the same one twice.")
TOO_WEAK = N_(
    "Take twelve characters or more that nobody guesses: several words that have nothing to do with each other."
)
DONE = {
    "made": N_("From now on you can sign in with your e-mail address and this password."),
    "changed": N_("Your password is changed. Your page is closed everywhere else."),
    "closed": N_("The account is closed. Links that the clinic sends you go on working."),
    "ended": N_("Your page is closed there."),
}


async def show_sign_in(request: web.Request) -> web.Response:
    return _sign_in_page(request, {})


async def sign_in(request: web.Request) -> web.Response:
    """Opens the page in a browser that is known; leads to the code otherwise. One answer for whatever is wrong."""
    try:
        form = await parse_form(request, MySignInForm)
    except FormError as error:
        return _sign_in_page(request, error.fields, status=422)
    clinic, email = context.clinic(request), form.email.strip().lower()
    browser = known.knows(request, email, cookie=known.PATIENTS_COOKIE)
    hold_s = await request.app[THROTTLE].check("my sign-in", client_address(request), f"{clinic.id} {email}", browser)
    await asyncio.sleep(hold_s)
    async with context.database(request).reading() as session:
        found = await patientaccounts.load_of_mailbox(session, clinic.id, email)
    right = await patientaccounts.fitting(found, request.app[PASSWORDS], form.password)
    if not right:
        await _note_refused(request, found)
        return _sign_in_page(request, {"email": WRONG_SIGN_IN}, email=form.email, status=422)
    mine = [account for account in right if _is_known(request, account)]
    return await _open(request, mine) if mine else await _ask_for_code(request, right[0])


async def show_account(request: web.Request) -> web.Response:
    return await _page(request, {})


async def make_account(request: web.Request) -> web.Response:
    now, events = context.now(request), context.events(request)
    try:
        form = await parse_form(request, NewPasswordForm)
        hashed = await _hash(request, form.new_password, form.password_again)
    except FormError as error:
        return await _page(request, error.fields, status=422)
    async with context.database(request).writing() as session:
        patient = await _patient(request, session)
        await patientaccounts.make(session, events, patient, hashed, now)
        email = patient.email or ""
    response = see_other(f"{_url(request)}?done=made")
    # Whoever is here has shown birth date and code to open the page: this browser needs none at its first sign-in.
    remember(request, response, email.strip().lower())
    return response


async def change_password(request: web.Request) -> web.Response:
    """Asks for the one on file; the page closes everywhere else, and other browsers are asked for a code again."""
    now, events = context.now(request), context.events(request)
    try:
        form = await parse_form(request, MyPasswordForm)
        await request.app[THROTTLE].check("my password", client_address(request), request.match_info["patient"])
        async with context.database(request).reading() as session:
            account = await patientaccounts.get(session, await _patient(request, session))
        if not await request.app[PASSWORDS].is_right(account.password_hash, form.password):
            raise FormError({"password": WRONG_PASSWORD})
        hashed = await _hash(request, form.new_password, form.password_again)
    except FormError as error:
        return await _page(request, error.fields, status=422)
    async with context.database(request).writing() as session:
        patient = await _patient(request, session)
        await patientaccounts.change_password(session, events, patient, hashed, now)
        await _end_pages(request, session, patient, "others")
    response = see_other(f"{_url(request)}?done=changed")
    remember(request, response, account.email)
    return response


async def close_account(request: web.Request) -> web.Response:
    """For whoever forgot the password, too: another one can be made then. The patient is told of each."""
    async with context.database(request).writing() as session:
        patient = await _patient(request, session)
        await patientaccounts.close(session, context.events(request), patient, context.now(request))
    return see_other(f"{_url(request)}?done=closed")


async def end_session(request: web.Request) -> web.Response:
    """One browser's open page, or all others'; those are asked for a code again."""
    now, account = context.now(request), None
    async with context.database(request).writing() as session:
        patient = await _patient(request, session)
        ended = await _end_pages(request, session, patient, request.match_info["session"])
        if request.match_info["session"] == "others":
            account = await patientaccounts.load(session, patient.clinic_id, patient.id)
            is_known = account is not None and _is_known(request, account)
            await patientaccounts.forget_browsers(session, patient, now)
        elif not ended:
            raise not_found()
    response = see_other(f"{_url(request)}?done=ended")
    if account is not None and is_known:
        remember(request, response, account.email)
    return response


_SIGN_IN, _MINE = "/c/{clinic}/my/sign-in", "/c/{clinic}/patients/{patient}/home/account"
ROUTES = [
    Route("GET", _SIGN_IN, show_sign_in, anybody, "my_sign_in.show"),
    Route("POST", _SIGN_IN, sign_in, anybody, "my_sign_in"),
    Route("GET", _MINE, show_account, is_patient, "mine.account"),
    Route("POST", _MINE, make_account, is_patient, "mine.account_make"),
    Route("POST", _MINE + "/password", change_password, is_patient, "mine.account_password"),
    Route("POST", _MINE + "/close", close_account, is_patient, "mine.account_close"),
    Route("POST", _MINE + "/sessions/{session}/end", end_session, is_patient, "mine.end_session"),
]


async def needs_remembering(request: web.Request, session: AsyncSession, patient: Patient) -> PatientAccount | None:
    """The account whose password this browser gave before the code that was right just now, if it did."""
    account = await patientaccounts.load(session, patient.clinic_id, patient.id)
    return account if account is not None and _is_known(request, account, is_half=True) else None


def remember(request: web.Request, response: web.StreamResponse, email: str, *, is_half: bool = False) -> None:
    """Lets this browser count as known for accounts of this address."""
    vault, now = context.vault(request).installation(), context.now(request)
    known.remember(response, vault, email, now, cookie=known.PATIENTS_COOKIE, is_half=is_half)


def _is_known(request: web.Request, account: PatientAccount, *, is_half: bool = False) -> bool:
    since = known.known_since(request, account.email, cookie=known.PATIENTS_COOKIE, is_half=is_half)
    return since is not None and since >= account.known_after


async def _open(request: web.Request, accounts: list[PatientAccount]) -> web.Response:
    """Every page whose password this is: a parent may use one for several."""
    clinic, now = context.clinic(request), context.now(request)
    device = rules.device_words(request.headers.get("User-Agent"))
    cookies = dict(request.cookies)
    async with context.database(request).writing() as session:
        for account in accounts:
            patient = await get_patient(session, clinic.id, account.patient_id)
            opened = await sessions.open_page(
                session, cookies, clinic_id=clinic.id, patient_id=patient.id, now=now, device=device
            )
            cookies[sessions.COOKIES[opened.kind]] = str(opened.token)
            await _enter(request, session, patient, AuditAction.SIGNED_IN, ("session", opened.id))
    response = see_other(f"/c/{clinic.slug}/my")
    sessions.set_cookie(response, opened)
    remember(request, response, accounts[0].email)
    return response


async def _ask_for_code(request: web.Request, account: PatientAccount) -> web.Response:
    """The password is right, the browser new: on to a link's own door, with a code on its way to the phone on file."""
    now = context.now(request)
    await request.app[THROTTLE].check("page-code", client_address(request), account.patient_id)
    async with context.database(request).writing() as session:
        token = await links.new_link(
            session, clinic_id=account.clinic_id, kind=LinkKind.PAGE, subject_id=account.patient_id, now=now
        )
        await pagecodes.ask_for_code(session, context.events(request), token, now)
    response = see_other(f"/p/{token}?sent")
    remember(request, response, account.email, is_half=True)
    return response


async def _note_refused(request: web.Request, accounts: Sequence[PatientAccount]) -> None:
    clinic = context.clinic(request)
    async with context.database(request).writing() as session:
        await audit.enter(
            session,
            clinic_id=clinic.id,
            actor_person_id=None,
            action=AuditAction.SIGN_IN_REFUSED,
            subject=("patient", accounts[0].patient_id if accounts else "unknown"),
            now=context.now(request),
        )


async def _end_pages(request: web.Request, session: AsyncSession, patient: Patient, wanted: str) -> list[str]:
    actor, now = context.actor(request), context.now(request)
    open_ones = [row.id for row in await sessions.load_open_pages(session, patient.clinic_id, patient.id, now)]
    ended = [one for one in open_ones if wanted in (one, "others") and one != actor.page_session_id]
    for session_id in ended:
        await sessions.revoke(session, session_id, now)
        await _enter(request, session, patient, AuditAction.SESSION_REVOKED, ("session", session_id))
    return ended


async def _hash(request: web.Request, password: str, again: str) -> str:
    if password != again:
        raise FormError({"password_again": NOT_TWICE})
    async with context.database(request).reading() as session:
        patient = await _patient(request, session)
    try:
        guessed = (patient.name, patient.email or "", patient.birth_date.isoformat(), context.clinic(request).name)
        await asyncio.to_thread(rules.check_password, password, guessed)
    except ValueError:
        raise FormError({"new_password": TOO_WEAK}) from None
    return await request.app[PASSWORDS].hash(password)


async def _patient(request: web.Request, session: AsyncSession) -> Patient:
    """The patient of the address, if this session opened their page; else it isn't there."""
    wanted = request.match_info["patient"]
    if wanted not in context.actor(request).patients:
        raise DomainError(Code.NOT_FOUND)
    patient = await get_patient(session, context.clinic(request).id, wanted)
    request[context.LANGUAGE_ON_FILE] = patient.language
    return patient


async def _page(request: web.Request, errors: Mapping[str, str], *, status: int = 200) -> web.Response:
    clinic, now = context.clinic(request), context.now(request)
    async with context.database(request).reading() as session:
        patient = await _patient(request, session)
        values = {
            "patient": patient,
            "account": await patientaccounts.load(session, clinic.id, patient.id),
            "sessions": await sessions.load_open_pages(session, clinic.id, patient.id, now),
            "here": context.actor(request).page_session_id,
            "clock": partial(rules.local_words, zone=patient.zone or clinic.zone),
            "done": DONE.get(request.query.get("done", "")),
            "errors": errors,
        }
    return render(request, "accounts/my_account.html", values, status=status)


def _sign_in_page(
    request: web.Request, errors: Mapping[str, str], *, email: str = "", status: int = 200
) -> web.Response:
    return render(request, "accounts/my_sign_in.html", {"errors": errors, "email": email}, status=status)


async def _enter(
    request: web.Request, session: AsyncSession, patient: Patient, action: AuditAction, subject: tuple[str, str]
) -> None:
    await audit.enter(
        session,
        clinic_id=patient.clinic_id,
        actor_person_id=patient.person_id,
        action=action,
        subject=subject,
        now=context.now(request),
    )


def _url(request: web.Request) -> str:
    return f"/c/{context.clinic(request).slug}/patients/{request.match_info['patient']}/home/account"
