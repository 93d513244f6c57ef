"""The forms of the desk's own pages: what each field may hold, in the words its page uses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from server.forms import CHOSEN
from server.names import Name
from server.scheduling.delays import MINUTES_MAX, Delay
from server.scheduling.forms import Slots

Id = Annotated[str, StringConstraints(max_length=36)]
Short = Annotated[str, StringConstraints(max_length=200)]


class LateForm(BaseModel):
    minutes: int | None = Field(None, ge=5, le=MINUTES_MAX, title="the minutes")
    said: Short = Field("", title="the words")

    def delay(self) -> Delay:
        return Delay(self.minutes, self.said or None)


class UrgentForm(BaseModel):
    is_urgent: bool = False


class AddressForm(BaseModel):
    channel: Literal["mail", "sms"] = Field(title="the way")
    address: Annotated[str, StringConstraints(max_length=320)] = Field(title="the address")


class InterpreterForm(BaseModel):
    name: Annotated[Name, Field(max_length=200)] = Field(title="their name")
    need: Literal["spoken", "signed"] = Field(title="the interpreter")


class DigitsForm(BaseModel):
    digits: Annotated[str, StringConstraints(max_length=40)] = Field(title="the digits")


class MineMoveForm(BaseModel):
    slot: Slots = Field(title="a time", json_schema_extra=CHOSEN)
    sequence: int = Field(ge=0, le=1_000_000)


class MineHoldForm(BaseModel):
    visit_type: Id = Field(title="the kind of visit", json_schema_extra=CHOSEN)
    slot: Annotated[str, StringConstraints(max_length=100)] = Field(title="a time", json_schema_extra=CHOSEN)
    hold: Id | None = None


class MineBookForm(MineHoldForm):
    key: Annotated[str, StringConstraints(max_length=64)] = Field(title="the form's key")
