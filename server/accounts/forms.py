"""The forms of accounts: what each field may hold, in the words its page uses."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import BaseModel, Field, StringConstraints, field_validator

from server.audit import AuditAction
from server.names import Name
from server.permissions import StaffRole
from signaling.words import N_

ShortText = Annotated[str, StringConstraints(max_length=320)]


Password = Annotated[str, StringConstraints(max_length=1000)]


class JoinForm(BaseModel):
    password: Password = Field(title=N_("the password"))
    password_again: Password = Field("", title=N_("the password again"))
    code: Annotated[str, StringConstraints(max_length=40)] = Field(title=N_("the code from your app"))


class PasswordForm(BaseModel):
    password: Password = Field(title=N_("your password"))
    new_password: Password = Field(title=N_("the new password"))


class RolesForm(BaseModel):
    """Nothing chosen takes every role away."""

    roles: list[StaffRole] = Field(default_factory=list, title=N_("the roles"))


class MemberForm(BaseModel):
    name: Name = Field(title=N_("the name"))
    email: Annotated[str, StringConstraints(max_length=320, to_lower=True)] = Field(title=N_("the e-mail address"))
    roles: list[StaffRole] = Field(min_length=1, title=N_("a role"))

    @field_validator("email")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            return validate_email(value, check_deliverability=False).normalized.lower()
        except EmailNotValidError:
            raise ValueError("Enter an e-mail address, such as ada@clinic.example") from None


class AuditForm(BaseModel):
    since: date | None = Field(None, title=N_("the first day"))
    until: date | None = Field(None, title=N_("the last day"))
    person: Annotated[str, StringConstraints(max_length=36)] = ""
    action: AuditAction | None = Field(None, title=N_("what was done"))
    subject: Annotated[str, StringConstraints(max_length=64)] = ""


class OwnerForm(BaseModel):
    owner: Annotated[str, StringConstraints(max_length=36)] = Field(title=N_("the owner"))


class IdentityForm(BaseModel):
    check: Literal["in_person", "video", "called_back", "other_administrator"] = Field(
        title=N_("how you know who asked")
    )


class SignInForm(BaseModel):
    email: ShortText = Field(title=N_("your e-mail address"))
    password: Password = Field(title=N_("your password"))
    code: Annotated[str, StringConstraints(max_length=40)] = Field("", title=N_("the code from your app"))
    next: ShortText = ""


class MySignInForm(BaseModel):
    email: ShortText = Field(title=N_("your e-mail address"))
    password: Password = Field(title=N_("your password"))


class NewPasswordForm(BaseModel):
    new_password: Password = Field(title=N_("the new password"))
    password_again: Password = Field("", title=N_("the password again"))


class MyPasswordForm(NewPasswordForm):
    password: Password = Field(title=N_("your password"))


class PageForm(BaseModel):
    birth_date: date = Field(title=N_("the date of birth"))
    code: Annotated[str, StringConstraints(max_length=20)] = Field(title=N_("the code"))

    @field_validator("code")
    @classmethod
    def _digits(cls, value: str) -> str:
        return "".join(character for character in value if character.isdigit())
