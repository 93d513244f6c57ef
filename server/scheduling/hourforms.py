"""The forms of hours and kinds of visit: what each field may hold, in the words its page uses."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, field_validator

from server.errors import DomainError, FormError
from server.scheduling.models import Schedule, ScheduleException
from server.scheduling.rules import zone_of
from server.scheduling.weekly import DAYS

Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LONGEST_RANGE = timedelta(days=366)
ENDS_EARLY = "The hours end before they start. If they end after midnight, tick “They end on the next day”"
FARTHEST_YEAR = 2200


class _Clock(BaseModel):
    opens: time | None = Field(None, title="from when")
    closes: time | None = Field(None, title="until when")
    next_day: Literal["yes"] | None = None
    zone: Annotated[str, StringConstraints(max_length=64)] | None = Field(None, title="the time zone")

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        try:
            return value and zone_of(value).key
        except DomainError as error:
            raise ValueError(error.message) from None

    @field_validator("opens", "closes")
    @classmethod
    def _fives(cls, value: time | None) -> time | None:
        if value is not None and (value.minute % 5 or value.second):
            raise ValueError("Choose a multiple of five minutes, such as 9:05")
        return value

    def minutes(self) -> tuple[int, int]:
        """(opens, closes) from local midnight. Raises FormError for hours that end before they start."""
        if self.opens is None or self.closes is None:
            raise FormError({"opens" if self.opens is None else "closes": "Enter from when until when"})
        opens, closes = (moment.hour * 60 + moment.minute for moment in (self.opens, self.closes))
        if self.next_day:
            closes += 1440
            if closes - opens > 1440:
                raise FormError({"closes": "These are more than 24 hours"})
        if closes <= opens:
            raise FormError({"closes": ENDS_EARLY})
        return opens, closes


class BlockForm(_Clock):
    days: list[str] = Field(title="the weekdays")
    weeks: int = Field(1, ge=1, le=52, title="how many weeks apart")
    valid_from: date = Field(title="the first day")
    valid_until: date | None = Field(None, title="the last day")

    def block(self, clinic_id: str, person_id: str, zone: str) -> Schedule:
        """Raises FormError."""
        opens, closes = self.minutes()
        chosen = [day for day in DAYS if day in self.days]
        if not chosen or len(chosen) != len(set(self.days)):
            raise FormError({"days": "Choose at least one day of the week"})
        _check_range(self.valid_from, self.valid_until, "valid_until")
        every = f";INTERVAL={self.weeks}" if self.weeks > 1 else ""
        return Schedule(
            clinic_id=clinic_id,
            person_id=person_id,
            role="doctor",
            zone=self.zone or zone,
            rule=f"FREQ=WEEKLY{every};BYDAY={','.join(chosen)}",
            opens_min=opens,
            closes_min=closes,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
        )


class EndForm(BaseModel):
    valid_until: date | None = Field(None, title="the last day")
    remove: Literal["yes"] | None = None


class ExceptionForm(_Clock):
    kind: Literal["closed", "extra"] = Field(title="what is different")
    on_date: date = Field(title="the day")
    until_date: date | None = Field(None, title="the last day")

    def rows(self, clinic_id: str, person_id: str, zone: str) -> list[ScheduleException]:
        """One a day. Raises FormError."""
        is_whole = self.kind == "closed" and self.opens is None and self.closes is None
        opens, closes = (0, 1440) if is_whole else self.minutes()
        last = self.until_date or self.on_date
        _check_range(self.on_date, last, "until_date")
        if last - self.on_date > LONGEST_RANGE:
            raise FormError({"until_date": "A year at most"})
        return [
            ScheduleException(
                clinic_id=clinic_id,
                person_id=person_id,
                role="doctor",
                zone=self.zone or zone,
                on_date=self.on_date + timedelta(days=n),
                kind=self.kind,
                opens_min=opens,
                closes_min=closes,
            )
            for n in range((last - self.on_date).days + 1)
        ]


class KindForm(BaseModel):
    name: Label = Field(title="the name")
    length_min: int = Field(ge=5, le=480, title="the length")
    buffer_before_min: int = Field(0, ge=0, le=240, title="the pause before")
    buffer_after_min: int = Field(0, ge=0, le=240, title="the pause after")
    grid_min: int | None = Field(None, ge=5, le=480, title="the distance between starts")
    lead_time_min: int = Field(0, ge=0, le=60 * 24 * 60, title="the notice")
    cutoff_min: int = Field(0, ge=0, le=60 * 24 * 60, title="the cutoff")
    horizon_days: int = Field(180, ge=1, le=730, title="how far ahead")
    reminder_min: int | None = Field(None, ge=15, le=14 * 24 * 60, title="the reminder")
    audience: Literal["any", "new", "follow_up"] = Field(title="for whom it is")
    for_patients: Literal["yes"] | None = None
    is_active: Literal["yes"] | None = None
    offering: list[str] = Field(default_factory=list)

    @field_validator("length_min", "buffer_before_min", "buffer_after_min", "grid_min")
    @classmethod
    def _fives(cls, value: int | None) -> int | None:
        if value is not None and value % 5:
            raise ValueError("Choose a multiple of five minutes")
        return value

    def values(self) -> dict[str, Any]:
        """The columns of the kind."""
        plain = self.model_dump(exclude={"offering"})
        return {**plain, "for_patients": self.for_patients == "yes", "is_active": self.is_active == "yes"}


def _check_range(first: date, last: date | None, name: str) -> None:
    if last is not None and last < first:
        raise FormError({name: "The last day lies before the first"})
    if first.year > FARTHEST_YEAR or (last or first).year > FARTHEST_YEAR or first.year < 2000:
        raise FormError({name: "Choose days of this century"})
