"""An administrator's pages of people: who works here, their roles, invitations, lost phones, sessions."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context
from server.accounts import invitations, sessions, staff
from server.accounts.forms import IdentityForm, MemberForm, RolesForm
from server.accounts.invitations import CHECK_WORDS, IdentityCheck, Purpose
from server.accounts.staff import Member
from server.audit import AuditAction
from server.errors import DomainError, FormError
from server.forms import parse_form
from server.pages import ROLE_WORDS, render
from server.permissions import is_administrator
from server.routing import Route, see_other
from signaling.words import N_, Code


async def show_people(request: web.Request) -> web.Response:
    return await _people(request, {}, {})


async def invite(request: web.Request) -> web.Response:
    """A new member of staff and their link, shown this once, to be handed on."""
    scope, actor, now = context.clinic(request), context.actor(request), context.now(request)
    try:
        form = await parse_form(request, MemberForm)
    except FormError as error:
        return await _people(request, error.fields, await _typed(request), status=422)
    async with context.database(request).writing() as session:
        person_id = await staff.add_member(
            session,
            scope.id,
            name=form.name,
            email=form.email,
            roles=frozenset(form.roles),
            by_person_id=actor.person_id,
            now=now,
        )
        member = await staff.get_member(session, scope.id, person_id, now)
        if member.is_set_up:
            return see_other(_url(request, person_id))
        token = await _invite(request, session, person_id, Purpose.JOIN)
    return _link(request, member, token, Purpose.JOIN)


async def show_person(request: web.Request) -> web.Response:
    return await _person(request, {})


async def change_roles(request: web.Request) -> web.Response:
    """Their roles from now on; whoever loses one is signed out everywhere."""
    actor, now = context.actor(request), context.now(request)
    try:
        form = await parse_form(request, RolesForm)
        async with context.database(request).writing() as session:
            member = await _member(request, session)
            ended = await staff.set_roles(
                session,
                context.clinic(request).id,
                member.person_id,
                frozenset(form.roles),
                by_person_id=actor.person_id,
                now=now,
            )
    except FormError as error:
        return await _person(request, error.fields, status=422)
    await _disconnect(request, ended)
    return see_other(_url(request, member.person_id) + "?done")


async def invite_again(request: web.Request) -> web.Response:
    """Another link to join, for whoever hasn't yet; the earlier one is void."""
    async with context.database(request).writing() as session:
        member = await _member(request, session)
        if member.is_set_up:
            raise DomainError(Code.CONFLICT)
        token = await _invite(request, session, member.person_id, Purpose.JOIN)
    return _link(request, member, token, Purpose.JOIN)


async def replace_factor(request: web.Request) -> web.Response:
    """For a lost phone: another administrator says how they knew who asked, and hands on a link that lives an hour."""
    actor = context.actor(request)
    if request.match_info["person"] == actor.person_id:
        raise DomainError(Code.NOT_ALLOWED)
    try:
        form = await parse_form(request, IdentityForm)
    except FormError as error:
        return await _person(request, error.fields, status=422)
    async with context.database(request).writing() as session:
        member = await _member(request, session)
        if not member.is_set_up:
            raise DomainError(Code.CONFLICT)
        token = await _invite(request, session, member.person_id, Purpose.SECOND_FACTOR, form)
    return _link(request, member, token, Purpose.SECOND_FACTOR)


async def sign_out_everywhere(request: web.Request) -> web.Response:
    """Ends all sessions of this person, on every server at once."""
    now = context.now(request)
    async with context.database(request).writing() as session:
        member = await _member(request, session)
        ended = await sessions.revoke_all(session, member.person_id, now)
        await audit.enter(
            session,
            clinic_id=context.clinic(request).id,
            actor_person_id=context.actor(request).person_id,
            action=AuditAction.SESSION_REVOKED,
            subject=("person", member.person_id),
            detail={"sessions": len(ended)},
            now=now,
        )
    await _disconnect(request, ended)
    return see_other(_url(request, member.person_id) + "?done")


_PEOPLE, _PERSON = "/c/{clinic}/people", "/c/{clinic}/people/{person}"
ROUTES = [
    Route("GET", _PEOPLE, show_people, is_administrator, "people", nav=N_("People")),
    Route("POST", _PEOPLE, invite, is_administrator, "people.invite"),
    Route("GET", _PERSON, show_person, is_administrator, "people.person"),
    Route("POST", _PERSON + "/roles", change_roles, is_administrator, "people.roles"),
    Route("POST", _PERSON + "/invitation", invite_again, is_administrator, "people.invite_again"),
    Route("POST", _PERSON + "/second-factor", replace_factor, is_administrator, "people.second_factor"),
    Route("POST", _PERSON + "/sign-out", sign_out_everywhere, is_administrator, "people.sign_out"),
]


async def _member(request: web.Request, session: AsyncSession) -> Member:
    person_id = request.match_info["person"]
    return await staff.get_member(session, context.clinic(request).id, person_id, context.now(request))


async def _invite(
    request: web.Request, session: AsyncSession, person_id: str, purpose: Purpose, form: IdentityForm | None = None
) -> str:
    return await invitations.invite(
        session,
        context.vault(request).installation(),
        clinic_id=context.clinic(request).id,
        person_id=person_id,
        purpose=purpose,
        by_person_id=context.actor(request).person_id,
        check=IdentityCheck(form.check) if form else None,
        now=context.now(request),
    )


async def _disconnect(request: web.Request, session_ids: list[str]) -> None:
    for session_id in session_ids:
        await context.signaling(request).revoke_session(sessions.as_signaling(session_id))


def _link(request: web.Request, member: Member, token: str, purpose: Purpose) -> web.Response:
    url = f"{context.settings(request).origin}/join/{token}"
    values = {"member": member, "url": url, "is_joining": purpose is Purpose.JOIN}
    return render(request, "accounts/invitation.html", values, status=201)


async def _people(
    request: web.Request, errors: Mapping[str, str], typed: Mapping[str, str], *, status: int = 200
) -> web.Response:
    async with context.database(request).reading() as session:
        members = await staff.load_members(session, context.clinic(request).id, context.now(request))
    values = {"members": members, "role_words": ROLE_WORDS, "errors": errors, "typed": typed}
    return render(request, "accounts/people.html", values, status=status)


async def _person(request: web.Request, errors: Mapping[str, str], *, status: int = 200) -> web.Response:
    async with context.database(request).reading() as session:
        member = await _member(request, session)
        open_sessions = await sessions.load_open(session, member.person_id, context.now(request))
    values = {
        "member": member,
        "role_words": ROLE_WORDS,
        "check_words": CHECK_WORDS,
        "count": len(open_sessions),
        "is_me": member.person_id == context.actor(request).person_id,
        "done": "done" in request.query,
        "errors": errors,
    }
    return render(request, "accounts/person.html", values, status=status)


async def _typed(request: web.Request) -> dict[str, str]:
    posted = await request.post()
    return {name: value for name, value in posted.items() if isinstance(value, str)}


def _url(request: web.Request, person_id: str) -> str:
    return f"/c/{context.clinic(request).slug}/people/{person_id}"
