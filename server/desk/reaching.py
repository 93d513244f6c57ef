"""Reaching a patient whose link doesn't arrive: another address for this once, or a code that is read out.

The page behind the short address says the same for every wrong answer; opening it changes nothing.
"""

from __future__ import annotations

from aiohttp import web
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts.rules import clean_phone
from server.desk import acts, tries
from server.desk.forms import AddressForm, DigitsForm
from server.errors import DomainError, FormError
from server.forms import parse_form
from server.pages import render
from server.permissions import anybody, may_book
from server.routing import Route, see_other
from server.scheduling import doorcodes, finding, history, messages, service
from server.scheduling.acting import act_of
from server.scheduling.messages import News
from server.scheduling.ticks import in_transaction
from server.scheduling.wording import when
from signaling.words import N_, Code

WRONG = N_("That isn’t right, or the code is too old. Check the digits, or ring the clinic for a new code.")


async def send_to(request: web.Request) -> web.Response:
    """The link to an address that isn't on file; the file stays as it is."""
    act, wanted = act_of(request), request.match_info["appointment"]
    try:
        form = await parse_form(request, AddressForm)
        address = _checked(form, act.clinic.country)
    except FormError as error:
        return await acts.show_again(request, error.fields)

    async def send(session: AsyncSession) -> None:
        appointment = await service.get_appointment(session, act.clinic, wanted)
        if appointment.status not in ("booked", "arrived"):
            raise DomainError(Code.WRONG_PHASE, "This visit is over or cancelled. Nothing was sent.")
        patient = await service.get_patient(session, act.clinic, appointment.patient_id)
        visit_type = await finding.load_any_visit_type(session, appointment)
        news = News(act.clinic, appointment, patient, visit_type, act.now)
        await messages.send_again(session, news, to=(form.channel, address))

    await in_transaction(context.database(request), send)
    return see_other(f"/c/{act.clinic.slug}/appointments/{wanted}?done=sent")


async def read_out(request: web.Request) -> web.Response:
    """Makes a code and shows it this once."""
    act, wanted = act_of(request), request.match_info["appointment"]
    made = await in_transaction(context.database(request), lambda session: doorcodes.make(session, act, wanted))
    host = context.settings(request).origin.partition("://")[2]
    values = {
        "address": f"{host}/k/{made.address}",
        "digits": f"{made.digits[:4]} {made.digits[4:]}",
        "until": when(made.expires_at, act.clinic.zone, act.clinic.language)["clock"],
        "appointment_id": wanted,
    }
    return render(request, "desk/door_code.html", values)


async def note_rung(request: web.Request) -> web.Response:
    """Somebody rang and nobody answered: written down, and shown before "did not come"."""
    act, wanted = act_of(request), request.match_info["appointment"]

    async def note(session: AsyncSession) -> None:
        appointment = await service.get_appointment(session, act.clinic, wanted)
        if appointment.status not in ("booked", "arrived"):
            raise DomainError(Code.WRONG_PHASE, "This visit is over or cancelled. Nothing was written down.")
        await history.remember(session, act, appointment, action=tries.RUNG)

    await in_transaction(context.database(request), note)
    return see_other(f"/c/{act.clinic.slug}/appointments/{wanted}?done=rung")


async def show_digits(request: web.Request) -> web.Response:
    return render(request, "desk/digits.html", {"errors": {}})


async def open_digits(request: web.Request) -> web.Response:
    """The right digits lead to the visit's own door."""
    form, address = await parse_form(request, DigitsForm), request.match_info["address"]
    async with context.database(request).writing() as session:
        token = await doorcodes.redeem(session, address, form.digits, context.now(request))
    if token is None:
        return render(request, "desk/digits.html", {"errors": {"digits": WRONG}}, status=422)
    return see_other(f"/v/{token}")


_ONE = "/c/{clinic}/appointments/{appointment}"
ROUTES = [
    Route("POST", f"{_ONE}/send-to", send_to, may_book, "appointment.send_to"),
    Route("POST", f"{_ONE}/door-code", read_out, may_book, "appointment.door_code"),
    Route("POST", f"{_ONE}/rung", note_rung, may_book, "appointment.rung"),
    Route("GET", "/k/{address}", show_digits, anybody, "door_code.show"),
    Route("POST", "/k/{address}", open_digits, anybody, "door_code.open"),
]


def _checked(form: AddressForm, country: str) -> str:
    try:
        if form.channel == "sms":
            return clean_phone(form.address, country)
        return validate_email(form.address, check_deliverability=False).normalized
    except EmailNotValidError:
        raise FormError({"address": "Enter an e-mail address such as anna@example.org"}) from None
    except ValueError as error:
        raise FormError({"address": str(error)}) from None
