"""What the desk keeps of a patient: how they are reached and by which ways not, their language, and two marks.

Also a doctor's own wish that their visits always go through the clinic's server, and the patient's own choice of ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from aiohttp import web
from email_validator import EmailNotValidError, validate_email
from pydantic import BaseModel, Field, StringConstraints, field_validator
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts import service as accounts
from server.accounts.models import Patient
from server.accounts.rules import clean_phone
from server.desk.mine_acts import do_for_patient
from server.errors import DomainError, FormError, not_found
from server.forms import parse_form, read_fields
from server.pages import render
from server.permissions import is_doctor, is_patient, may_book
from server.routing import Route, see_other
from server.scheduling import messages, patients, service, spoken
from server.scheduling.acting import act_of
from server.scheduling.rules import zone_of
from server.scheduling.ticks import in_transaction
from signaling.words import N_, Code

CHANNELS = {"mail": N_("E-mail"), "sms": N_("Text message")}


class ChannelsForm(BaseModel):
    allowed: list[str] = Field(default_factory=list)

    def refused(self) -> set[str]:
        return set(CHANNELS) - set(self.allowed)


class FileForm(ChannelsForm):
    phone: Annotated[str, StringConstraints(max_length=32)] | None = Field(None, title="the phone number")
    email: Annotated[str, StringConstraints(max_length=320)] | None = Field(None, title="the e-mail address")
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] = Field(title="the language")
    zone: Annotated[str, StringConstraints(max_length=64)] | None = Field(None, title="the time zone")
    always_relay: Literal["yes"] | None = None
    picture_first: Literal["yes"] | None = None

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        try:
            return value and zone_of(value).key
        except DomainError as error:
            raise ValueError(error.message) from None

    def changes(self, country: str) -> dict[str, Any]:
        """The columns of the patient. Raises FormError for what is no phone number or address."""
        try:
            phone = clean_phone(self.phone, country) if self.phone else None
        except ValueError as error:
            raise FormError({"phone": str(error)}) from None
        try:
            email = validate_email(self.email, check_deliverability=False).normalized if self.email else None
        except EmailNotValidError:
            raise FormError({"email": "Enter an e-mail address such as anna@example.org"}) from None
        return {
            "phone": phone,
            "email": email,
            "language": self.language,
            "zone": self.zone,
            "always_relay": self.always_relay == "yes",
            "picture_first": self.picture_first == "yes",
        }


class RelayForm(BaseModel):
    always_relay: Literal["yes"] | None = None


async def show_file(request: web.Request) -> web.Response:
    return await _page(request)


async def save_file(request: web.Request) -> web.Response:
    """Messages that wait go to the new address or not at all; links that were sent go on working."""
    act, patient_id = act_of(request), request.match_info["patient"]
    try:
        form = await parse_form(request, FileForm)
        changes = form.changes(act.clinic.country)
    except FormError as error:
        return await _page(request, await read_fields(request), error.fields, status=422)

    async def save(session: AsyncSession) -> None:
        patient = await service.get_patient(session, act.clinic, patient_id)
        await accounts.change_patient(session, patient, changes, by_person_id=act.by, now=act.now)
        await messages.refuse(session, patient, form.refused(), act.now)

    await in_transaction(context.database(request), save)
    return see_other(f"/c/{act.clinic.slug}/patients/{patient_id}/file?done=saved")


async def save_channels(request: web.Request) -> web.Response:
    """By the patient, on their own page."""
    wanted = request.match_info["patient"]
    if wanted not in context.actor(request).patients:
        raise not_found()
    async with context.database(request).reading() as session:
        patient = await service.get_patient(session, context.clinic(request), wanted)
    form = await parse_form(request, ChannelsForm)

    async def save(session: AsyncSession, act: Any) -> None:
        found = await service.get_patient(session, act.clinic, patient.id)
        await messages.refuse(session, found, form.refused(), act.now)

    await do_for_patient(request, patient, save)
    return see_other(f"/c/{context.clinic(request).slug}/patients/{patient.id}/home?done=channels")


async def always_relay(request: web.Request) -> web.Response:
    """A doctor's own setting, for every visit of theirs from the next one on."""
    act = act_of(request)
    form = await parse_form(request, RelayForm)
    async with context.database(request).writing() as session:
        await accounts.set_always_relay(session, act.clinic, act.by or "", form.always_relay == "yes", act.now)
    return see_other(f"/c/{act.clinic.slug}/clinic?done=relay")


_ONE = "/c/{clinic}/patients/{patient}"
ROUTES = [
    Route("GET", f"{_ONE}/file", show_file, may_book, "patient.file"),
    Route("POST", f"{_ONE}/file", save_file, may_book, "patient.file_save"),
    Route("POST", f"{_ONE}/home/channels", save_channels, is_patient, "mine.channels"),
    Route("POST", "/c/{clinic}/clinic/relay", always_relay, is_doctor, "clinic.relay"),
]


async def _page(
    request: web.Request,
    typed: Mapping[str, list[str]] | None = None,
    errors: Mapping[str, str] | None = None,
    *,
    status: int = 200,
) -> web.Response:
    if request.get(context.NAMES_HIDDEN, False):
        raise DomainError(Code.NOT_ALLOWED, "Names are hidden while a screen is shared.")
    clinic = context.clinic(request)
    async with context.database(request).reading() as session:
        patient = await service.get_patient(session, clinic, request.match_info["patient"])
        refused = await messages.load_refused(session, patient)
        sharing = await patients.sharing_contact(session, patient)
    languages = dict(spoken.names(clinic.language))
    languages.setdefault(patient.language, spoken.name_of(patient.language, clinic.language))
    values = {
        "patient": patient,
        "shown": _shown(patient, typed),
        "allowed": (typed or {}).get("allowed", []) if typed is not None else sorted(set(CHANNELS) - refused),
        "sharing": sharing,
        "channels": CHANNELS,
        "languages": sorted(languages.items(), key=lambda each: each[1].casefold()),
        "clinic_zone_name": clinic.zone,
        "done": request.query.get("done") == "saved",
        "errors": dict(errors or {}),
    }
    return render(request, "desk/file.html", values, status=status)


def _shown(patient: Patient, typed: Mapping[str, list[str]] | None) -> dict[str, Any]:
    names = ("phone", "email", "language", "zone", "always_relay", "picture_first")
    if typed is None:
        return {name: getattr(patient, name) or "" for name in names}
    return {name: (typed.get(name) or [""])[-1] for name in names}
