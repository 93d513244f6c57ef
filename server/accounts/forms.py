"""The forms of accounts: what each field may hold, in the words its page uses."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, field_validator

from signaling.words import N_

ShortText = Annotated[str, StringConstraints(max_length=320)]


class SignInForm(BaseModel):
    email: ShortText = Field(title=N_("your e-mail address"))
    password: Annotated[str, StringConstraints(max_length=1000)] = Field(title=N_("your password"))
    next: ShortText = ""


class PageForm(BaseModel):
    birth_date: date = Field(title=N_("the date of birth"))
    code: Annotated[str, StringConstraints(max_length=20)] = Field(title=N_("the code"))

    @field_validator("code")
    @classmethod
    def _digits(cls, value: str) -> str:
        return "".join(character for character in value if character.isdigit())
