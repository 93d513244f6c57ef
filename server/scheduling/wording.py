"""Writes a message from the appointment as it then is: subject, text, HTML, calendar part.

`Facts` is all that a message may hold: neutral name and phone of the clinic, a first name, date, time, zone,
the link. Loading them and sending is `jobs.py` and `delivery.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_day_names, get_timezone_location
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from server.languages import SOURCE, choose, direction, shipped
from server.scheduling.calendar import Entry, Method, calendar_file, one_line

KINDS = ("confirmation", "change", "cancellation", "reminder", "late", "cover", "offer", "page_link", "account", "code")
WITH_CALENDAR: dict[str, Method] = {"confirmation": "REQUEST", "change": "REQUEST", "cancellation": "CANCEL"}


@dataclass(frozen=True, slots=True, repr=False)
class Facts:
    """What a message is written from. `link` opens the visit (or the patient's page); `code` is for that page."""

    kind: str
    language: str
    clinic_name: str
    clinic_phone: str
    first_name: str
    recipient: str
    sender: str
    written_at: datetime
    channel: str = "mail"
    link: str | None = None
    code: str | None = None
    uid: str = ""
    sequence: int = 0
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    zone: str = "UTC"
    patient_zone: str | None = None
    delay_min: int | None = None
    delay_said: str | None = None
    """Running late, in the staff's own words."""
    answer_until: datetime | None = None
    """Of a freed time on offer: until when a yes counts."""


@dataclass(frozen=True, slots=True, repr=False)
class Words:
    """A written message."""

    subject: str
    text: str
    html: str | None = None
    ics: bytes | None = None
    ics_method: Method | None = None


def write(facts: Facts) -> Words:
    """The message; a text message has text alone. Raises ValueError for a kind that doesn't exist."""
    if facts.kind not in KINDS:
        raise ValueError("no such message")
    language = choose([facts.language], shipped()) or SOURCE
    values: dict[str, Any] = {
        "facts": facts,
        "times": _times(facts),
        "until": _until(facts),
        "lang": language,
        "dir": direction(language),
    }
    values["lead"] = _render("lead.txt", values)
    subject = one_line(_render("subject.txt", values))
    if facts.channel == "sms":
        return Words(subject, one_line(_render("sms.txt", values)))
    text = _render("message.txt", values)
    html = _render("message.html", {**values, "subject": subject})
    method = WITH_CALENDAR.get(facts.kind)
    if method is None or facts.starts_at is None or facts.ends_at is None:
        return Words(subject, text, html)
    entry = Entry(
        uid=facts.uid,
        sequence=facts.sequence,
        method=method,
        written_at=facts.written_at,
        starts_at=facts.starts_at,
        ends_at=facts.ends_at,
        summary=_render("event_title.txt", values),
        description=_render("event.txt", values),
        link=facts.link,
        organizer_name=facts.clinic_name,
        organizer_email=facts.sender,
        attendee_name=facts.first_name,
        attendee_email=facts.recipient,
    )
    return Words(subject, text, html, calendar_file(entry), method)


def event_words(language: str, clinic_name: str, clinic_phone: str, first_name: str) -> tuple[str, str]:
    """Title and text of a calendar entry that a patient fetches themselves; it holds no link."""
    chosen = choose([language], shipped()) or SOURCE
    facts = {"clinic_name": clinic_name, "clinic_phone": clinic_phone, "first_name": first_name, "link": None}
    values: dict[str, Any] = {"facts": facts, "lang": chosen}
    return _render("event_title.txt", values), _render("event.txt", values)


def when(moment: datetime, zone: str, language: str) -> dict[str, str]:
    """Date, clock and place of a moment, in the words of a language."""
    locale = locale_of(language)
    local = moment.astimezone(ZoneInfo(zone))
    return {
        # English as it is read outside America, too; elsewhere as the language is used to.
        "date": format_date(local.date(), "EEEE d MMMM y" if locale.language == SOURCE else "full", locale=locale),
        "clock": format_time(local.time(), "HH:mm", locale=locale),
        "place": get_timezone_location(zone, locale=locale, return_city=True),
        "zone": zone,
    }


def day_words(day: date, language: str) -> str:
    """A local date in the words of a language."""
    locale = locale_of(language)
    return str(format_date(day, "EEEE d MMMM y" if locale.language == SOURCE else "full", locale=locale))


def weekday_words(language: str) -> list[str]:
    """The short names of Monday to Sunday."""
    names = get_day_names("abbreviated", locale=locale_of(language))
    return [str(names[day]) for day in range(7)]


def locale_of(language: str) -> Locale:
    """The nearest locale babel knows; English where it knows none."""
    try:
        return Locale.parse(language, sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale("en")


def _times(facts: Facts) -> list[dict[str, str]]:
    """The clinic's time first; the patient's own beside it when their clocks differ at that moment."""
    if facts.starts_at is None:
        return []
    zones = [facts.zone]
    if facts.patient_zone and _offset(facts.starts_at, facts.patient_zone) != _offset(facts.starts_at, facts.zone):
        zones.append(facts.patient_zone)
    return [when(facts.starts_at, zone, facts.language) for zone in zones]


def _until(facts: Facts) -> dict[str, str] | None:
    """The deadline by the clock of whoever is to answer."""
    zone = facts.patient_zone or facts.zone
    return when(facts.answer_until, zone, facts.language) if facts.answer_until else None


def _offset(moment: datetime, zone: str) -> Any:
    return moment.astimezone(ZoneInfo(zone)).utcoffset()


def _render(name: str, values: dict[str, Any]) -> str:
    return _environment(values["lang"]).get_template(name).render(values).strip()


@cache
def _environment(language: str) -> Environment:
    """HTML is escaped, plain text is not; the templates lie with the pages'."""
    environment = Environment(
        loader=FileSystemLoader(Path(str(files("web"))) / "templates" / "mail"),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(shipped()[language].sentences, newstyle=True)  # type: ignore[attr-defined]
    return environment
