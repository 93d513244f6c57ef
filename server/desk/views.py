"""What people look at across areas: the day board, the doctor's clinic, an appointment, a patient's own page.

Every act goes through the service of the area it belongs to; the pages' first step of booking is scheduling's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from server import context
from server.accounts import service as accounts
from server.desk import (
    acts,
    clinic_acts,
    coverviews,
    day,
    failures,
    interpreters,
    mine,
    mine_acts,
    mine_holds,
    mine_offers,
    mynotes,
    patientfile,
    reaching,
    sheets,
    waitlist,
)
from server.desk.day import Line
from server.desk.rules import TROUBLES, Standing
from server.encounters import doors
from server.pages import render
from server.permissions import anybody, is_doctor, is_patient, is_scheduler, is_staff, may_book
from server.routing import Route, see_other
from server.scheduling import finding, patients, picker
from server.scheduling.finding import Practitioner
from server.scheduling.slots import local_instant
from server.scheduling.walkins import TAKEN_WITHIN
from server.scheduling.wording import when
from signaling.words import N_, RoomId

DONE = {
    "relay": N_("Saved. It holds from your next visit on."),
    "late": N_("Everybody who isn’t in their visit yet is told."),
    "late_unreached": N_(
        "Not everybody can be told by message. Please ring those who have no address or want no messages."
    ),
    "late_nobody": N_("Nobody is waiting for a visit with you today, so nobody was told."),
    "late_how": N_("Nobody was told. Say how late you run: 5 to 240 minutes, or a few words."),
    "taken_by_other": N_("A colleague was faster and has taken this patient."),
}

_PRESENT = (Standing.WAITING, Standing.IN_VISIT)


async def home(request: web.Request) -> web.Response:
    """Each to their own first page; who has no session here is asked to sign in."""
    actor, slug = context.actor(request), context.clinic(request).slug
    if is_doctor(actor):
        return see_other(f"/c/{slug}/clinic")
    if is_scheduler(actor):
        return see_other(f"/c/{slug}/board")
    if is_staff(actor):
        return see_other(f"/c/{slug}/incidents")
    return see_other(f"/c/{slug}/my" if is_patient(actor) else f"/c/{slug}/sign-in")


async def show_board(request: web.Request) -> web.Response:
    return await _board(request, "desk/board.html")


async def show_board_list(request: web.Request) -> web.Response:
    """The part of the board that changes by itself, asked for every few seconds."""
    return await _board(request, "desk/board_list.html")


async def show_clinic(request: web.Request) -> web.Response:
    return await _clinic(request, "desk/clinic.html")


async def show_clinic_list(request: web.Request) -> web.Response:
    return await _clinic(request, "desk/clinic_list.html")


async def _board(request: web.Request, template: str) -> web.Response:
    clinic, now = context.clinic(request), context.now(request)
    today = now.astimezone(ZoneInfo(clinic.zone)).date()
    shown = picker.read_day(request.query.get("day", ""), today) or today
    async with context.database(request).reading() as session:
        lines = await day.load_day(session, clinic, shown, now)
        doctors = await finding.load_practitioners(session, clinic)
        in_visit = await day.load_open_visit(session, clinic, context.actor(request).person_id)
        denied = await doors.load_denied(session, clinic, now - timedelta(days=1)) if shown == today else []
        walk_ins = await day.load_walk_ins(session, clinic, now) if shown == today else []
        by_appointment = {line.encounter_id: line for line in lines}
        failed = await failures.load(session, clinic, now) if shown == today else []
        told = [(card, by_appointment[card.encounter_id]) for card in denied if card.encounter_id in by_appointment]
    values = {
        **_day_values(request, shown, today, in_visit),
        "failed": failed,
        "message_words": acts.MESSAGE_WORDS,
        "channel_words": acts.CHANNEL_WORDS,
        "troubles": await _troubles(request, lines),
        "columns": _columns(doctors, lines),
        "count": len(lines),
        "denied": told,
        "untaken": [line for line in walk_ins if now - line.appointment.created_at >= TAKEN_WITHIN],
        "may_export": is_scheduler(context.actor(request)),
        "now": now,
        "minutes_between": day.minutes_between,
        "last_digits": patients.last_digits,
    }
    return render(request, template, values)


async def _clinic(request: web.Request, template: str) -> web.Response:
    clinic, now, actor = context.clinic(request), context.now(request), context.actor(request)
    today = now.astimezone(ZoneInfo(clinic.zone)).date()
    async with context.database(request).reading() as session:
        lines = await day.load_session(session, clinic, actor.person_id or "", now)
        walk_ins = await day.load_walk_ins(session, clinic, now)
        unsigned = await day.load_unsigned(session, clinic, actor.person_id or "", now)
        in_visit = await day.load_open_visit(session, clinic, actor.person_id)
        always_relay = await accounts.load_always_relay(session, clinic, actor.person_id or "")
    waiting = sorted(
        (line for line in lines if line.waiting_since is not None),
        key=lambda line: (line.appointment.starts_at, line.waiting_since),
    )
    values = {
        **_day_values(request, today, today, in_visit),
        "troubles": await _troubles(request, [*lines, *walk_ins]),
        "lines": [line for line in lines if line.standing is not Standing.CANCELLED],
        "next": waiting[0] if waiting else None,
        "walk_ins": walk_ins,
        "own_id": actor.person_id,
        "always_relay": always_relay,
        "late_by": day.late_by(lines, now),
        "done": DONE.get(request.query.get("done", "")),
        "unsigned": unsigned,
        "now": now,
        "minutes_between": day.minutes_between,
    }
    return render(request, template, values)


ROUTES = [
    Route("GET", "/c/{clinic}/", home, anybody, "home"),
    Route("GET", "/c/{clinic}/clinic", show_clinic, is_doctor, "clinic", nav=N_("Today")),
    Route("GET", "/c/{clinic}/clinic/list", show_clinic_list, is_doctor, "clinic.list"),
    Route("GET", "/c/{clinic}/board", show_board, may_book, "board", nav=N_("Board")),
    Route("GET", "/c/{clinic}/board/list", show_board_list, may_book, "board.list"),
    *acts.ROUTES,
    *clinic_acts.ROUTES,
    *reaching.ROUTES,
    *interpreters.ROUTES,
    *sheets.ROUTES,
    *mine.ROUTES,
    *mynotes.ROUTES,
    *mine_acts.ROUTES,
    *mine_holds.ROUTES,
    *mine_offers.ROUTES,
    *waitlist.ROUTES,
    *coverviews.ROUTES,
    *patientfile.ROUTES,
]


async def _troubles(request: web.Request, lines: Sequence[Line]) -> dict[str, str]:
    """In words, by visit: who was cut off, or allows no camera."""
    here = [RoomId(line.encounter_id) for line in lines if line.encounter_id and line.standing in _PRESENT]
    found = await context.signaling(request).load_troubles(here) if here else {}
    return {room_id: TROUBLES[trouble] for room_id, trouble in found.items()}


def _columns(doctors: list[Practitioner], lines: list[Line]) -> list[tuple[Practitioner | None, list[Line]]]:
    """A list a doctor; what has no doctor yet (walk-ins) stands first."""
    columns: list[tuple[Practitioner | None, list[Line]]] = [
        (doctor, [line for line in lines if doctor.person_id in dict(line.doctors)]) for doctor in doctors
    ]
    known = {doctor.person_id for doctor in doctors}
    others = [line for line in lines if not known & set(dict(line.doctors))]
    return ([(None, others)] if others else []) + columns


def _day_values(request: web.Request, shown: date, today: date, in_visit: str | None) -> Mapping[str, Any]:
    """`hushed`: the visit beside which no other patient's name is shown, until the doctor asks for them.

    While a screen is shared nobody can ask.
    """
    clinic = context.clinic(request)
    is_shared = request.get(context.NAMES_HIDDEN, False)
    wants_names = request.query.get("names") == "shown" and not is_shared
    noon = local_instant(shown, 720, ZoneInfo(clinic.zone))
    return {
        "day": shown,
        "is_today": shown == today,
        "day_words": when(noon, clinic.zone, clinic.language)["date"],
        "before": shown - timedelta(days=1),
        "after": shown + timedelta(days=1),
        "zone": clinic.zone,
        "in_visit": in_visit,
        "hushed": None if wants_names else in_visit,
        "names": "&names=shown" if wants_names else "",
    }
