"""Forms: what doesn't fit becomes one plain sentence a field, never an error of ours."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, StringConstraints

from server.errors import FormError
from server.forms import CHOSEN, check_form
from server.names import Name


class Booking(BaseModel):
    who: Name = Field(title="the patient's name")
    day: date = Field(title="the day")
    at: time | None = None
    minutes: int = Field(30, ge=5, le=120, title="the length")
    kind: Literal["video", "phone"] = "video"
    rooms: list[str] = Field(default_factory=list, max_length=2)
    note: Annotated[str, StringConstraints(max_length=10)] = Field("", title="the note")
    slot: Annotated[str, StringConstraints(max_length=10)] = Field(title="a time", json_schema_extra=CHOSEN)


GOOD = {"who": ["Anna"], "day": ["2031-05-27"], "slot": ["8:30"]}


def sentences(**fields: str | list[str]) -> dict[str, str]:
    given_fields = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    with pytest.raises(FormError) as caught:
        check_form(Booking, {**GOOD, **given_fields})
    return caught.value.fields


def test_a_form_that_fits_is_the_model() -> None:
    form = check_form(Booking, {**GOOD, "rooms": ["a", "b"], "minutes": ["45"], "unknown": ["x"]})
    assert (form.day, form.minutes, form.rooms) == (date(2031, 5, 27), 45, ["a", "b"])


def test_an_empty_field_counts_as_left_out() -> None:
    assert check_form(Booking, {**GOOD, "at": [""], "note": [""]}).at is None


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("who", "", "Enter the patient's name"),
        ("who", "\u200b", "Enter a name that can be read"),
        ("slot", "", "Choose a time"),
        ("day", "tomorrow", "The day must be a date, such as 2031-05-27"),
        ("day", "2031-02-30", "The day must be a date, such as 2031-05-27"),
        ("at", "25:00", "At must be a time, such as 14:30"),
        ("minutes", "many", "The length must be a whole number"),
        ("minutes", "1", "The length must be 5 or more"),
        ("minutes", "1000", "The length must be 120 or less"),
        ("kind", "fax", "Choose one of the answers for kind"),
        ("note", "x" * 11, "The note is too long: 10 characters at most"),
    ],
)
def test_what_does_not_fit_is_said_plainly(field: str, value: str, sentence: str) -> None:
    assert sentences(**{field: value}) == {field: sentence}


def test_every_wrong_field_is_named_at_once() -> None:
    assert set(sentences(who="", day="x", kind="y")) == {"who", "day", "kind"}


def test_too_many_answers_are_refused() -> None:
    assert sentences(rooms=["a", "b", "c"]) == {"rooms": "Rooms: 2 at most"}


@given(st.dictionaries(st.sampled_from(sorted(Booking.model_fields)), st.lists(st.text(max_size=30), max_size=4)))
def test_any_texts_give_a_model_or_sentences(fields: dict[str, list[str]]) -> None:
    try:
        said = {"": check_form(Booking, fields).who}
    except FormError as error:
        said = error.fields
    assert said
    assert all(sentence and "{label}" not in sentence.lower() for sentence in said.values())
