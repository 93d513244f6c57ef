"""Reads a posted form into a pydantic model; what doesn't fit becomes one plain sentence a field.

The rules of what may be said are the model's; showing the sentences beside the fields is the view's.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from server.errors import DomainError, FormError
from signaling.words import N_, Code

FORM_LIMIT_BYTES = 64 * 1024
BYTES_A_CHARACTER = 12
"""A picture letter is four bytes, each of them written as %F0."""
FIELDS_MAX = 200
FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})

M = TypeVar("M", bound=BaseModel)


class Sentence(str):
    """A finished English sentence that remembers its parts, so that a page can say it in its own language."""

    __slots__ = ("label", "parts", "words")

    words: str
    label: str
    parts: Mapping[str, Any]

    def __new__(cls, words: str, label: str, parts: Mapping[str, Any]) -> Sentence:
        made = super().__new__(cls, _say(words, label, parts))
        made.words, made.label, made.parts = words, label, parts
        return made


def in_language(said: str, translate: Callable[[str], str]) -> str:
    """A sentence about a field in the language of `translate`: whole, or from its translated parts."""
    if isinstance(said, Sentence):
        return _say(translate(said.words), translate(said.label), said.parts)
    return translate(said) if said else said


SENTENCES = {
    "missing": N_("Enter {label}"),
    "string_too_short": N_("Enter {label}"),
    "string_too_long": N_("{Label} is too long: {max_length} characters at most"),
    "too_long": N_("{Label}: {max_length} at most"),
    "date_from_datetime_parsing": N_("{Label} must be a date, such as 2031-05-27"),
    "date_parsing": N_("{Label} must be a date, such as 2031-05-27"),
    "date_from_datetime_inexact": N_("{Label} must be a date, such as 2031-05-27"),
    "time_parsing": N_("{Label} must be a time, such as 14:30"),
    "datetime_parsing": N_("{Label} must be a date and a time"),
    "datetime_from_date_parsing": N_("{Label} must be a date and a time"),
    "int_parsing": N_("{Label} must be a whole number"),
    "enum": N_("Choose one of the answers for {label}"),
    "literal_error": N_("Choose one of the answers for {label}"),
    "bool_parsing": N_("Choose one of the answers for {label}"),
    "string_pattern_mismatch": N_("{Label} is not written as expected"),
    "greater_than_equal": N_("{Label} must be {ge} or more"),
    "less_than_equal": N_("{Label} must be {le} or less"),
}
NOT_CHOSEN = N_("Choose {label}")
CHOSEN: JsonDict = {"chosen": True}
"""`json_schema_extra` of a field that is picked from a list and not typed."""
OTHERWISE = N_("{Label} is not written as expected")


def limit_for(*characters: int) -> int:
    """How many bytes a form may have whose fields may hold so many characters: a form writes some as twelve bytes."""
    return FORM_LIMIT_BYTES + BYTES_A_CHARACTER * sum(characters)


async def parse_form(request: web.Request, model: type[M], *, limit_bytes: int = FORM_LIMIT_BYTES) -> M:
    """The form as `model`. Raises FormError with a sentence a field, or DomainError too_long or malformed."""
    return check_form(model, await read_fields(request, limit_bytes=limit_bytes))


async def read_fields(request: web.Request, *, limit_bytes: int = FORM_LIMIT_BYTES) -> dict[str, list[str]]:
    """The text fields as they came, several values kept; files are no part of a plain form."""
    if request.content_length is not None and request.content_length > limit_bytes:
        raise DomainError(Code.TOO_LONG, limit=limit_bytes)
    if request.content_type not in FORM_TYPES and request.can_read_body:
        raise DomainError(Code.MALFORMED)
    try:
        posted = await request.post()
    except web.HTTPRequestEntityTooLarge:
        raise DomainError(Code.TOO_LONG, limit=limit_bytes) from None
    except (ValueError, AssertionError, LookupError, RuntimeError, HttpProcessingError):
        raise DomainError(Code.MALFORMED) from None
    if len(posted) > FIELDS_MAX:
        raise DomainError(Code.TOO_MANY, limit=FIELDS_MAX)
    fields: dict[str, list[str]] = {}
    for name, value in posted.items():
        if not isinstance(value, str):
            raise DomainError(Code.MALFORMED)
        fields.setdefault(name, []).append(_clean(value))
    return fields


def check_form(model: type[M], fields: Mapping[str, list[str]]) -> M:
    """The model from named texts: an empty text counts as left out. Raises FormError."""
    given: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        values = [value for value in fields.get(info.alias or name, []) if value]
        if _is_list(info.annotation):
            given[info.alias or name] = values
        elif values:
            given[info.alias or name] = values[-1]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise FormError(_sentences(model, error)) from None


def _clean(text: str) -> str:
    """Line ends as one character; NUL has no place in any text (PostgreSQL refuses it)."""
    return text.replace("\r\n", "\n").replace("\x00", "").strip()


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_list(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return any(_is_list(part) for part in get_args(annotation))
    return origin in (list, tuple, set, frozenset) or annotation in (list, tuple, set, frozenset)


def _sentences(model: type[BaseModel], error: ValidationError) -> dict[str, str]:
    sentences: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        sentences.setdefault(name, _sentence(name, model.model_fields.get(name), item))
    return sentences


def _sentence(name: str, info: FieldInfo | None, item: Mapping[str, Any]) -> str:
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    label = (info.title if info else None) or name.replace("_", " ")
    is_empty = item["type"] in {"missing", "string_too_short"}
    is_chosen = info is not None and info.json_schema_extra == CHOSEN
    words = NOT_CHOSEN if is_empty and is_chosen else SENTENCES.get(item["type"], OTHERWISE)
    return Sentence(words, label, item.get("ctx", {}))


def _say(words: str, label: str, parts: Mapping[str, Any]) -> str:
    return words.format(label=label, Label=label[:1].upper() + label[1:], **parts)
