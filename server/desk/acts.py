"""An appointment's page and what staff do there: move, cancel, no-show, put back, send the link again.

Each act is scheduling's; afterwards the room, where there is one, is told to look at the clinic's facts again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts import links, proxies
from server.accounts.service import person_names
from server.desk import day, told, tries
from server.desk.day import Line
from server.encounters import underway
from server.encounters.visits import load_live_encounter
from server.errors import DomainError, FormError, not_found, status_of
from server.forms import parse_form
from server.pages import render, translate
from server.permissions import is_doctor, is_scheduler, may_book
from server.routing import Route, see_other
from server.scheduling import finding, messages, patients, picker, rules, service, spoken
from server.scheduling.acting import act_of
from server.scheduling.finding import Search
from server.scheduling.forms import CancelForm, MoveForm
from server.scheduling.messages import News
from server.scheduling.models import AppointmentHistory, Message
from server.scheduling.picker import Choice
from server.scheduling.reach import Reach, reach_of
from server.scheduling.rules import Kind, Status
from server.scheduling.service import Act, Move
from server.scheduling.ticks import in_transaction
from server.scheduling.views import STALE
from server.scheduling.wording import when
from signaling.words import N_, Code, RoomId

DONE = {
    "booked": N_("Booked. The patient gets a message with the link."),
    "moved": N_("Moved. The patient gets a message; the link stays the same."),
    "cancelled": N_("Cancelled. The patient gets a message."),
    "noshow": N_("Marked: the patient did not come."),
    "back": N_("Booked again."),
    "sent": N_("The link is sent again. Earlier links still work."),
    "rung": N_("Written down: rung, and nobody answered."),
    "interpreter_not": N_("Their link opens nothing any more."),
}
ACTION_WORDS = {
    "booked": N_("Booked"),
    "moved": N_("Moved"),
    "cancelled": N_("Cancelled"),
    "noshow": N_("Did not come"),
    "put_back": N_("Booked again"),
    "arrived": N_("Arrived"),
    "fulfilled": N_("Visit over"),
    "taken": N_("Taken by a doctor"),
    "handed_over": N_("Handed to a colleague"),
    "urgent": N_("Marked urgent"),
    "in_turn": N_("Not urgent any more"),
    "late": N_("Told of a delay"),
    "covered": N_("A colleague took it over"),
    "cover_undone": N_("Back with its doctor"),
    "unsqueezed": N_("Not squeezed in any more"),
    "interpreter": N_("Interpreter invited"),
    "rung": N_("Rung: no answer"),
}
MESSAGE_WORDS = {
    "confirmation": N_("Confirmation"),
    "change": N_("New time"),
    "cancellation": N_("Cancellation"),
    "reminder": N_("Reminder"),
    "late": N_("Running late"),
    "offer": N_("An earlier time"),
    "cover": N_("Another doctor"),
    "page_link": N_("Link of the patient’s own page"),
    "account": N_("Changed sign-in"),
    "code": N_("Code for the patient’s own page"),
}
CHANNEL_WORDS = {"mail": N_("E-mail"), "sms": N_("Text message")}
STATE_WORDS = {
    "waiting": N_("waits"),
    "sending": N_("being sent"),
    "sent": N_("sent"),
    "failed": N_("failed"),
    "dropped": N_("not needed any more"),
}
Doing = Callable[[AsyncSession, Act], Awaitable[object]]


async def show(request: web.Request) -> web.Response:
    return await _page(request)


async def show_again(request: web.Request, errors: Mapping[str, str]) -> web.Response:
    """The page with what was wrong in one of its forms."""
    return await _page(request, errors=errors, status=422)


async def show_move(request: web.Request) -> web.Response:
    return await _move_page(request)


async def move(request: web.Request) -> web.Response:
    """To an offered time; one that is gone meanwhile says so and offers the next three."""
    try:
        form = await parse_form(request, MoveForm)
        doctor_ids, starts_at = picker.read_doctors(form.slot)
    except FormError as error:
        return await _move_page(request, errors=error.fields, status=422)
    asked = Move(_id(request), starts_at, doctor_ids, form.sequence, form.why or None)
    try:
        await _do(request, lambda session, act: service.move(session, act, asked))
    except DomainError as refused:
        if refused.code is Code.WRONG_PHASE:
            return await _refused(request, refused)
        if refused.code not in STALE:
            raise
        return await _move_page(request, gone=(refused, asked), status=status_of(refused))
    return _done(request, "moved")


async def cancel(request: web.Request) -> web.Response:
    try:
        form = await parse_form(request, CancelForm)
    except FormError as error:
        return await _page(request, errors=error.fields, status=422)
    try:
        await _do(request, lambda session, act: service.cancel(session, act, _id(request), form.why))
    except DomainError as refused:
        return await _refused(request, refused)
    return _done(request, "cancelled")


async def mark_no_show(request: web.Request) -> web.Response:
    try:
        await _do(request, lambda session, act: service.mark_no_show(session, act, _id(request)))
    except DomainError as refused:
        return await _refused(request, refused)
    return _done(request, "noshow")


async def put_back(request: web.Request) -> web.Response:
    await _do(request, lambda session, act: service.put_back(session, act, _id(request)), tells_room=True)
    return _done(request, "back")


async def send_again(request: web.Request) -> web.Response:
    async def send(session: AsyncSession, act: Act) -> None:
        appointment = await service.get_appointment(session, act.clinic, _id(request))
        patient = await service.get_patient(session, act.clinic, appointment.patient_id)
        visit_type = await finding.load_any_visit_type(session, appointment)
        await messages.send_again(session, News(act.clinic, appointment, patient, visit_type, act.now))

    try:
        await _do(request, send)
    except DomainError as refused:
        return await _refused(request, refused)
    return _done(request, "sent")


_ONE = "/c/{clinic}/appointments/{appointment}"
ROUTES = [
    Route("GET", _ONE, show, may_book, "appointment"),
    Route("GET", f"{_ONE}/move", show_move, may_book, "appointment.show_move"),
    Route("POST", f"{_ONE}/move", move, may_book, "appointment.move"),
    Route("POST", f"{_ONE}/cancel", cancel, may_book, "appointment.cancel"),
    Route("POST", f"{_ONE}/no-show", mark_no_show, may_book, "appointment.no_show"),
    Route("POST", f"{_ONE}/put-back", put_back, may_book, "appointment.put_back"),
    Route("POST", f"{_ONE}/send-again", send_again, may_book, "appointment.send_again"),
]


async def _do(request: web.Request, doing: Doing, *, tells_room: bool = False) -> None:
    """Commits, then tells the room: a cancelled visit closes, a moved one shows its new time.

    A visit that nobody came to has no room; one that was put back may still have.
    """
    act, database = act_of(request), context.database(request)
    await in_transaction(database, lambda session: doing(session, act))
    async with database.reading() as session:
        encounter = await load_live_encounter(session, act.clinic.id, _id(request))
    if encounter is not None and (tells_room or encounter.status != "planned"):
        await context.signaling(request).refresh_room(RoomId(encounter.id))


async def _refused(request: web.Request, refused: DomainError) -> web.Response:
    """The page as it is by now, with why not: it may have stood open since before the patient came."""
    if refused.code is not Code.WRONG_PHASE:
        raise refused
    return await _page(request, errors={"": translate(request, refused.message)}, status=status_of(refused))


async def _page(request: web.Request, *, errors: Mapping[str, str] | None = None, status: int = 200) -> web.Response:
    clinic, now = context.clinic(request), context.now(request)
    async with context.database(request).reading() as session:
        line = await _line(session, request)
        history, sent = await _load_history(session, clinic, _id(request))
        sharing = await patients.sharing_contact(session, line.patient)
        refused = await messages.load_refused(session, line.patient)
        names = await person_names(session, {row.by_person_id for row in history if row.by_person_id})
        subjects = await proxies.load_page_subjects(session, line.patient)
        is_locked = bool(await links.load_locked(session, clinic.id, subjects))
        colleagues = await _colleagues(request, session, line)
        tried = await tries.load(session, clinic, line, now)
        going_on = await underway.load(session, clinic.id, _id(request))
    state = Status(line.appointment.status)
    values = {
        "line": line,
        "sharing": sharing,
        "refused": ", ".join(translate(request, CHANNEL_WORDS[channel]) for channel in sorted(refused)),
        "spoken_in": spoken.name_of(line.appointment.language, clinic.language) if line.appointment.language else "",
        "history": [_history_words(request, row, names) for row in history],
        "messages": [_message_words(request, row) for row in sent],
        "done": _done_words(request, line, sent, reach_of(line.patient, refused)),
        "may_move": state in rules.MOVABLE and not going_on.is_open,
        "may_send": state in rules.MOVABLE,
        "may_cancel": Status.CANCELLED in rules.MAY_BECOME[state] and not going_on.is_open,
        "may_be_no_show": state in rules.OPEN
        and now >= line.appointment.starts_at
        and not (going_on.is_open or going_on.is_patient_here),
        "tried": [(when(at, clinic.zone, clinic.language)["clock"], words) for at, words in tried],
        "may_put_back": state is Status.NOSHOW,
        "may_rebook": state in (Status.CANCELLED, Status.NOSHOW),
        "may_be_urgent": line.appointment.kind == "walk_in" and state in rules.OPEN and not line.doctors,
        "may_reach": state in rules.OPEN,
        "may_wait": state is Status.BOOKED and line.appointment.starts_at > now and len(line.doctors) == 1,
        "may_read_out_code": is_scheduler(context.actor(request)),
        "is_page_locked": is_locked,
        "colleagues": colleagues,
        "errors": dict(errors or {}),
        "last_digits": patients.last_digits,
    }
    return render(request, "desk/appointment.html", values, status=status)


async def _load_history(
    session: AsyncSession, clinic: context.ClinicScope, appointment_id: str
) -> tuple[list[AppointmentHistory], list[Message]]:
    """What was done with it and what was written of it, each in its order."""
    history = select(AppointmentHistory).where(
        AppointmentHistory.clinic_id == clinic.id, AppointmentHistory.appointment_id == appointment_id
    )
    sent = select(Message).where(Message.clinic_id == clinic.id, Message.appointment_id == appointment_id)
    return (
        list(await session.scalars(history.order_by(AppointmentHistory.at))),
        list(await session.scalars(sent.order_by(Message.created_at, Message.due_at))),
    )


def _done_words(request: web.Request, line: Line, sent: Sequence[Message], reach: Reach) -> dict[str, Any] | None:
    """What was done, and whether the patient hears of it: a promise only where something goes out."""
    done = request.query.get("done", "")
    if done not in DONE:
        return None
    found = told.after(done, DONE[done], sent, reach, is_walk_in=line.appointment.kind == Kind.WALK_IN)
    said = " ".join(translate(request, sentence) for sentence in found.sentences)
    return {"text": said, "is_untold": found.is_untold}


async def _colleagues(request: web.Request, session: AsyncSession, line: Line) -> list[tuple[str, str]]:
    """To whom this doctor may hand the visit; nobody, where it isn't theirs or is over."""
    actor, holders = context.actor(request), dict(line.doctors)
    is_theirs = is_doctor(actor) and actor.person_id in holders and line.encounter_id is not None
    if not is_theirs or Status(line.appointment.status) not in rules.OPEN:
        return []
    doctors = await finding.load_practitioners(session, context.clinic(request))
    return [(one.person_id, one.name) for one in doctors if one.person_id not in holders]


async def _move_page(
    request: web.Request,
    *,
    errors: Mapping[str, str] | None = None,
    gone: tuple[DomainError, Move] | None = None,
    status: int = 200,
) -> web.Response:
    clinic, now = context.clinic(request), context.now(request)
    async with context.database(request).reading() as session:
        line = await _line(session, request)
        own = tuple(person_id for person_id, _ in line.doctors)
        asked = tuple(request.query.getall("doctor", own))
        together = "doctor" not in request.query or request.query.get("together") == "yes"
        choice = Choice(doctor_ids=asked, day=request.query.get("day", ""), together=together)
        shown = await picker.load_picker(session, clinic, choice, now, moving=line.appointment)
        nearest: list[Any] = []
        if gone is not None and shown.visit_type is not None:
            search = Search(shown.visit_type, [doctor.person_id for doctor in shown.doctors], now, line.appointment)
            wanted = shown.doctor_ids if shown.together else ()
            nearest = list(await picker.load_next(session, clinic, search, gone[1].starts_at, wanted))
    values = {
        "line": line,
        "picker": shown,
        "gone": gone[0].message if gone else None,
        "nearest": nearest,
        "errors": dict(errors or {}),
    }
    return render(request, "desk/move.html", values, status=status)


async def _line(session: AsyncSession, request: web.Request) -> Line:
    line = await day.load_one(session, context.clinic(request), _id(request), context.now(request))
    if line is None:
        raise not_found()
    return line


def _history_words(request: web.Request, row: AppointmentHistory, names: Mapping[str, str]) -> dict[str, str | None]:
    clinic = context.clinic(request)
    at = when(row.at, clinic.zone, clinic.language)
    to = when(row.to_starts_at, clinic.zone, clinic.language)
    is_moved = row.from_starts_at is not None and row.from_starts_at != row.to_starts_at
    before = when(row.from_starts_at, clinic.zone, clinic.language) if is_moved and row.from_starts_at else None
    return {
        "at": f"{at['date']}, {at['clock']}",
        "action": ACTION_WORDS.get(row.action, row.action),
        "by": names.get(row.by_person_id or "", None),
        "from": f"{before['date']}, {before['clock']}" if before else None,
        "to": f"{to['date']}, {to['clock']}" if is_moved else None,
        "why": row.why,
    }


def _message_words(request: web.Request, row: Message) -> dict[str, str]:
    clinic = context.clinic(request)
    at = when(row.sent_at or row.due_at, clinic.zone, clinic.language)
    return {
        "kind": MESSAGE_WORDS.get(row.kind, row.kind),
        "channel": CHANNEL_WORDS[row.channel],
        "state": STATE_WORDS[row.state],
        "at": f"{at['date']}, {at['clock']}",
        "tone": {"sent": "green", "failed": "red", "waiting": "blue", "sending": "blue"}.get(row.state, "grey"),
    }


def _id(request: web.Request) -> str:
    return request.match_info["appointment"]


def _done(request: web.Request, what: str) -> web.Response:
    return see_other(f"/c/{context.clinic(request).slug}/appointments/{_id(request)}?done={what}")
