"""The administrator's page of the clinic's settings: names, clocks, emergency words, consent texts, purposes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from aiohttp import web
from babel import Locale
from pydantic import BaseModel, Field, StringConstraints, ValidationInfo, field_validator

from server import context
from server.accounts import policies
from server.accounts.policies import Decided
from server.context import ClinicScope
from server.encounters import rules, texts, wordings
from server.encounters.models import ClinicText
from server.encounters.wordings import Promise
from server.errors import DomainError, FormError
from server.forms import check_form, parse_form, read_fields
from server.languages import shipped
from server.names import Name
from server.pages import render
from server.permissions import is_administrator
from server.routing import Route, see_other
from signaling.words import N_, Code

Words = Annotated[str, StringConstraints(min_length=1, max_length=300)]
LongWords = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class SettingsForm(BaseModel):
    name: Name = Field(title=N_("the clinic's name"))
    neutral_name: Name = Field(title=N_("the name for messages"))
    phone: Annotated[str, StringConstraints(max_length=32)] = Field(title=N_("the phone number"))
    zone: Annotated[str, StringConstraints(max_length=64)] = Field(title=N_("the time zone"))
    country: Annotated[str, StringConstraints(pattern="^[A-Za-z]{2}$", to_upper=True)] = Field(title=N_("the country"))
    emergency_text: LongWords = Field(title=N_("the words for emergencies"))
    always_relay: Literal["yes"] | None = None
    letterhead: Annotated[str, StringConstraints(max_length=2000)] = ""
    idle_min: int = Field(ge=5, le=240, title=N_("the minutes before signing off"))
    proxy_ends_age: int = Field(ge=0, le=30, title=N_("the age"))
    notes_kept_years: int = Field(ge=1, le=100, title=N_("the years notes are kept"))

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("Enter a time zone, such as Europe/Berlin")
        return value

    def decided(self) -> Decided:
        return Decided(**{**self.model_dump(), "always_relay": self.always_relay == "yes"})


class TextForm(BaseModel):
    kind: Literal["video_consent", "recording_consent"]
    text: LongWords = Field(title=N_("the words"))
    language: Annotated[str, StringConstraints(max_length=16)] | None = None


class PurposeForm(BaseModel):
    words: Words = Field(title=N_("the purpose"))
    who_may_watch: Words = Field(title=N_("who may watch"))
    kind: Literal["record", "teaching", "other"] = Field(title=N_("what kind of purpose it is"))
    kept_days: int = Field(ge=1, le=36_500, title=N_("the days it is kept"))

    @field_validator("kept_days")
    @classmethod
    def _short_enough(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("kind") == "teaching" and value > rules.TEACHING_DAYS_MAX:
            raise ValueError(N_("For teaching, a recording is kept six months at most: enter 184 or less"))
        return value


class SwitchForm(BaseModel):
    is_active: Literal["yes", "no"]


async def show(request: web.Request) -> web.Response:
    return await _page(request, {}, {})


async def save(request: web.Request) -> web.Response:
    actor = context.actor(request)
    try:
        form = await parse_form(request, SettingsForm)
    except FormError as error:
        return await _page(request, error.fields, await _typed(request), status=422)
    async with context.database(request).writing() as session:
        await policies.decide(
            session,
            context.clinic(request).id,
            form.decided(),
            by_person_id=actor.person_id,
            now=context.now(request),
        )
    return see_other(_url(request))


async def save_text(request: web.Request) -> web.Response:
    """A new version of a consent's words in one language; who was asked before agreed to the old one."""
    scope = context.clinic(request)
    try:
        form = await parse_form(request, TextForm)
    except FormError as error:
        return await _page(request, {"text": next(iter(error.fields.values()))}, {}, status=422)
    language = form.language or scope.language
    if language not in _languages(scope):
        raise DomainError(Code.MALFORMED)
    async with context.database(request).writing() as session:
        by, now = context.actor(request).person_id, context.now(request)
        await wordings.add_version(session, scope, form.kind, language, form.text, by=by, now=now)
    return see_other(_url(request))


async def add_purpose(request: web.Request) -> web.Response:
    """What is promised, and for how long: there is no "for ever"."""
    scope = context.clinic(request)
    fields = await read_fields(request)
    try:
        form = check_form(PurposeForm, fields)
        further = _further(fields, _languages(scope)[1:])
    except FormError as error:
        return await _page(request, error.fields, await _typed(request), status=422)
    promise = Promise(
        words=form.words,
        who_may_watch=form.who_may_watch,
        kept_days=form.kept_days,
        is_record=form.kind == "record",
        is_teaching=form.kind == "teaching",
        further=further,
    )
    async with context.database(request).writing() as session:
        by, now = context.actor(request).person_id, context.now(request)
        await wordings.add_purpose(session, scope, promise, by=by, now=now)
    return see_other(_url(request))


class FurtherForm(BaseModel):
    words: Words = Field(title=N_("the purpose"))
    who_may_watch: Words = Field(title=N_("who may watch"))


def _further(fields: Mapping[str, list[str]], languages: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The purpose in other languages; one left out is read in the clinic's. Raises FormError for half of one."""
    said = {}
    for language in languages:
        given = {name: fields.get(f"{name}-{language}", []) for name in FurtherForm.model_fields}
        if any(any(values) for values in given.values()):
            try:
                form = check_form(FurtherForm, given)
            except FormError as error:
                raise FormError({f"{name}-{language}": why for name, why in error.fields.items()}) from None
            said[language] = (form.words, form.who_may_watch)
    return said


def _languages(scope: ClinicScope) -> list[str]:
    """The clinic's own, then every other that patients read here."""
    return [scope.language, *sorted(set(shipped()) - {scope.language})]


async def switch_purpose(request: web.Request) -> web.Response:
    form = await parse_form(request, SwitchForm)
    async with context.database(request).writing() as session:
        await wordings.switch_purpose(
            session,
            context.clinic(request),
            request.match_info["code"],
            is_active=form.is_active == "yes",
            by=context.actor(request).person_id,
            now=context.now(request),
        )
    return see_other(_url(request))


_SETTINGS = "/c/{clinic}/settings"
ROUTES = [
    Route("GET", _SETTINGS, show, is_administrator, "settings", nav=N_("Settings")),
    Route("POST", _SETTINGS, save, is_administrator, "settings.save"),
    Route("POST", _SETTINGS + "/texts", save_text, is_administrator, "settings.text"),
    Route("POST", _SETTINGS + "/purposes", add_purpose, is_administrator, "settings.purpose"),
    Route("POST", _SETTINGS + "/purposes/{code}", switch_purpose, is_administrator, "settings.switch_purpose"),
]


async def _page(
    request: web.Request, errors: Mapping[str, str], typed: Mapping[str, Any], *, status: int = 200
) -> web.Response:
    scope = context.clinic(request)
    async with context.database(request).reading() as session:
        decided = await policies.load(session, scope.id)
        asked = {
            kind: _newest(await texts.load_texts(session, scope.id, kind))
            for kind in (texts.VIDEO_CONSENT, texts.RECORDING_CONSENT)
        }
        purposes = await wordings.load_purposes(session, scope.id)
        further = await wordings.load_further(session, scope.id)
    shown = {name: getattr(decided, name) for name in Decided.__slots__} | dict(typed)
    values = {
        "shown": shown,
        "asked": asked,
        "purposes": purposes,
        "further": further,
        "languages": [(one, Locale.parse(one, sep="-").get_display_name() or one) for one in _languages(scope)],
        "typed": typed,
        "errors": errors,
    }
    return render(request, "desk/settings.html", values, status=status)


def _newest(wordings: Sequence[ClinicText]) -> dict[str, ClinicText]:
    """By language; they come the newest first."""
    return {one.language: one for one in reversed(wordings)}


async def _typed(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _url(request: web.Request) -> str:
    return f"/c/{context.clinic(request).slug}/settings"
