"""The forms of scheduling: what each field may hold, in the words its page uses."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, StringConstraints

from server.errors import FormError
from server.forms import CHOSEN
from server.names import Name
from server.scheduling.slots import local_instant

Id = Annotated[str, StringConstraints(max_length=36)]
Reason = Annotated[str, StringConstraints(max_length=500)]
Slots = Annotated[str, StringConstraints(max_length=400)]
"""A start with the doctors who have it, of whom several may be wanted together."""


class SearchForm(BaseModel):
    hold: Id | None = None
    search: Annotated[str, StringConstraints(max_length=4096)] = Field("", title="what you look for")


class BookForm(BaseModel):
    visit_type: Id = Field(title="the kind of visit", json_schema_extra=CHOSEN)
    slot: Slots = Field(title="a time", json_schema_extra=CHOSEN)
    key: Annotated[str, StringConstraints(max_length=64)] = Field(title="the form's key")
    hold: Id | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] | None = Field(None, title="the language")
    interpreter: Literal["spoken", "signed"] | None = Field(None, title="the interpreter")


class HoldForm(BaseModel):
    visit_type: Id = Field(title="the kind of visit", json_schema_extra=CHOSEN)
    slot: Slots = Field(title="a time", json_schema_extra=CHOSEN)
    hold: Id | None = None


class SqueezeForm(BaseModel):
    visit_type: Id = Field(title="the kind of visit", json_schema_extra=CHOSEN)
    doctor: Id = Field(title="the doctor", json_schema_extra=CHOSEN)
    day: date = Field(title="the day")
    clock: time = Field(title="the time")
    reason: Reason = Field(title="why it is squeezed in")
    key: Annotated[str, StringConstraints(max_length=64)] = Field(title="the form's key")

    def starts_at(self, zone: ZoneInfo) -> datetime:
        """The instant of this wall clock. Raises FormError for a time that the change of clocks skips."""
        minutes = self.clock.hour * 60 + self.clock.minute
        try:
            moment = local_instant(self.day, minutes, zone)
        except OverflowError:
            raise FormError({"day": "Choose a day of this or the next year"}) from None
        face = moment.astimezone(zone)
        if (face.hour, face.minute) != (self.clock.hour, self.clock.minute):
            raise FormError({"clock": "This time doesn’t exist on that day: the clocks go forward. Choose another"})
        if face.replace(fold=0).utcoffset() != face.replace(fold=1).utcoffset():
            raise FormError({"clock": "This time comes twice on that day: the clocks go back. Choose another"})
        return moment


class MoveForm(BaseModel):
    slot: Slots = Field(title="a time", json_schema_extra=CHOSEN)
    sequence: int = Field(ge=0, le=1_000_000)
    why: Reason = ""


class CancelForm(BaseModel):
    why: Reason = Field(title="why it is cancelled")


class WaitForm(BaseModel):
    visit_type: Id = Field(title="the kind of visit")
    doctor: Id | None = Field(None, title="the doctor")
    until_on: date | None = Field(None, title="the last day")
    notice_min: int = Field(120, ge=30, le=14 * 24 * 60, title="the notice")


class WalkInForm(BaseModel):
    visit_type: Id = Field(title="the kind of visit", json_schema_extra=CHOSEN)
    key: Annotated[str, StringConstraints(max_length=64)] = Field(title="the form's key")


class NewPatientForm(BaseModel):
    name: Name = Field(title="the whole name")
    first_name: Name | None = Field(None, title="the first name")
    birth_date: date = Field(title="the date of birth")
    phone: Annotated[str, StringConstraints(max_length=32)] | None = Field(None, title="the phone number")
    email: Annotated[str, StringConstraints(max_length=320)] | None = Field(None, title="the e-mail address")
    is_somebody_else: bool = False
    hold: Id | None = None

    def check(self, today: date) -> None:
        """Raises FormError for a birth date that can't be, or when there is no way to reach the patient."""
        problems = {}
        if not timedelta(0) <= today - self.birth_date <= timedelta(days=366 * 130):
            problems["birth_date"] = "The date of birth must lie in the past"
        if not self.phone and not self.email:
            problems["phone"] = "Enter a phone number or an e-mail address: the link goes there"
        if problems:
            raise FormError(problems)
