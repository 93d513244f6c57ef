"""Words and calendar files: nothing but what is allowed, same UID, rising SEQUENCE, hostile text kept as text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default

import pytest
from ical.calendar_stream import IcsCalendarStream
from ical.event import Event
from icalendar import Calendar

from server.scheduling.delivery import letter_of, parse_gateway
from server.scheduling.wording import KINDS, Facts, Words, write

START = datetime(2026, 3, 17, 8, 0, tzinfo=UTC)
FACTS = Facts(
    kind="confirmation",
    language="en",
    clinic_name="North Practice",
    clinic_phone="+49 30 1234",
    first_name="Anna",
    recipient="anna@example.org",
    sender="no-reply@visits.example.org",
    written_at=START - timedelta(days=1),
    link="https://visits.example.org/v/abc",
    uid="a1@visits.example.org",
    starts_at=START,
    ends_at=START + timedelta(minutes=30),
    zone="Europe/Berlin",
)


def event_of(words: Words):  # type: ignore[no-untyped-def]
    """As the library that wrote it reads it."""
    assert words.ics is not None
    calendar = Calendar.from_ical(words.ics)
    (event,) = calendar.walk("VEVENT")
    return calendar, event


def read_by_another(words: Words) -> tuple[str | None, Event]:
    """The method and the one event, as a second library reads them, which shares no code with the first."""
    assert words.ics is not None
    calendar = IcsCalendarStream.calendar_from_ics(words.ics.decode())
    assert [*calendar.todos, *calendar.journal, *calendar.timezones] == []
    (event,) = calendar.events
    return calendar.method, event


@pytest.mark.parametrize("channel", ["mail", "sms"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_clinic_without_a_phone_number_leaves_the_sentence_out(kind: str, channel: str) -> None:
    facts = replace(FACTS, kind=kind, channel=channel, code="123456", delay_min=10, answer_until=START, clinic_phone="")
    words = write(facts)
    texts = [words.text, words.html or "", (words.ics or b"").decode()]
    assert "+49 30 1234" in write(replace(facts, clinic_phone="+49 30 1234")).text
    for text in texts:
        assert "Questions?" not in text
        assert "Tel." not in text
        assert text == text.strip() or text.endswith("\r\n")


def test_a_confirmation_says_who_when_where_and_how() -> None:
    words = write(FACTS)
    assert words.subject == "Video appointment on Tuesday 17 March 2026 at 09:00"
    for part in (
        "Hello Anna,",
        "North Practice",
        "Tuesday 17 March 2026, 09:00",
        "Europe/Berlin",
        FACTS.link,
        "+49 30 1234",
    ):
        assert part is not None
        assert part in words.text
        assert part in (words.html or "")


def test_both_zones_are_shown_when_their_clocks_differ() -> None:
    assert "03:00" in write(replace(FACTS, patient_zone="America/Lima")).text
    assert write(replace(FACTS, patient_zone="Europe/Paris")).text == write(FACTS).text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channel", ["mail", "sms"])
def test_every_kind_is_written_for_both_channels(kind: str, channel: str) -> None:
    facts = replace(FACTS, kind=kind, channel=channel, code="123456", answer_until=START - timedelta(hours=3))
    words = write(facts)
    assert words.subject
    assert "Anna" in words.text
    assert "+49 30 1234" in words.text
    assert ("123456" in words.text) == (kind == "code")
    assert "\n" not in words.subject
    assert (words.html is None) == (channel == "sms")
    assert (words.ics is not None) == (channel == "mail" and kind in ("confirmation", "change", "cancellation"))


def test_c95_one_entry_lives_and_dies_in_the_calendar() -> None:
    mails = [
        write(replace(FACTS, kind=kind, sequence=n, written_at=FACTS.written_at + timedelta(hours=n)))
        for n, kind in enumerate(("confirmation", "change", "cancellation"))
    ]
    read = [event_of(words) for words in mails]
    assert [str(calendar["METHOD"]) for calendar, _ in read] == ["REQUEST", "REQUEST", "CANCEL"]
    assert [int(event["SEQUENCE"]) for _, event in read] == [0, 1, 2]
    assert {str(event["UID"]) for _, event in read} == {"a1@visits.example.org"}
    assert len({str(event["ORGANIZER"]) for _, event in read}) == 1
    stamps = [event["DTSTAMP"].dt for _, event in read]
    assert stamps == sorted(set(stamps))
    assert [str(event["STATUS"]) for _, event in read] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert all("METHOD" not in event for _, event in read)
    others = [read_by_another(words) for words in mails]
    assert [method for method, _ in others] == ["REQUEST", "REQUEST", "CANCEL"]
    assert [event.sequence for _, event in others] == [0, 1, 2]
    assert {event.uid for _, event in others} == {"a1@visits.example.org"}
    assert [event.status for _, event in others] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    for _, event in others:
        assert (event.start, event.end) == (START, START + timedelta(minutes=30))
        assert (event.classification, event.url) == ("PRIVATE", FACTS.link)
    _, first = read[0]
    assert (first["DTSTART"].dt, first["DTEND"].dt) == (START, START + timedelta(minutes=30))
    assert str(first["CLASS"]) == "PRIVATE"


def test_c97_hostile_names_stay_text_and_add_nothing() -> None:
    evil = 'Ann "Q";X=1\r\nATTENDEE:mailto:x@evil.example\r\nBEGIN:VALARM'
    words = write(replace(FACTS, first_name=evil, clinic_name="a,b;c\\d\rX-EVIL:1\u2028z"))
    calendar, event = event_of(words)
    assert str(event["ATTENDEE"]) == "mailto:anna@example.org"
    assert event["ATTENDEE"].params["CN"].startswith("Ann 'Q';X=1")
    assert not calendar.walk("VALARM")
    assert not [name for name in event if name.startswith("X-")]
    assert "a,b;c\\d" in str(event["DESCRIPTION"])
    assert "\n" not in str(event["SUMMARY"])
    _, other = read_by_another(words)
    assert [one.uri for one in other.attendees] == ["mailto:anna@example.org"]
    assert (other.alarm, other.extras) == ([], [])
    for part in ('Ann "Q";X=1\nATTENDEE:mailto:x@evil.example\nBEGIN:VALARM', "a,b;c\\d\nX-EVIL:1 z"):
        assert part in (other.description or "")
    assert (other.summary, other.description) == (str(event["SUMMARY"]), str(event["DESCRIPTION"]))
    for line in words.ics.split(b"\r\n") if words.ics else []:
        assert len(line) <= 75
        assert not line.startswith((b"X-EVIL", b"BEGIN:VALARM"))
    letter = letter_of(words, replace(FACTS, first_name=evil), "m1")
    assert message_from_bytes(letter.as_bytes(), policy=default)["To"].addresses[0].addr_spec == "anna@example.org"


def test_markup_in_a_name_is_escaped_in_the_html_alone() -> None:
    words = write(replace(FACTS, first_name="<img src=x>", clinic_name="<b>N</b>"))
    assert "<img" not in (words.html or "")
    assert "<b>" not in (words.html or "")
    assert "<img src=x>" in words.text


@pytest.mark.parametrize("name", ["陈" * 30, "Z\u0308oe \U0001f9d1\u200d\u2695\ufe0f " * 9, "لَيْلَى" * 12])
def test_long_names_of_many_bytes_are_folded_by_bytes_and_both_libraries_read_them(name: str) -> None:
    words = write(replace(FACTS, first_name=name, clinic_name=name))
    assert words.ics is not None
    assert max(map(len, words.ics.split(b"\r\n"))) <= 75
    for line in words.ics.split(b"\r\n"):
        line.decode()  # no sign is torn apart
    (_, one), (_, other) = event_of(words), read_by_another(words)
    assert name.strip() in (other.description or "")
    assert (other.summary, other.description) == (str(one["SUMMARY"]), str(one["DESCRIPTION"]))
    assert other.attendees[0].common_name == name.strip()


def test_a_link_with_control_characters_is_refused() -> None:
    with pytest.raises(ValueError):
        write(replace(FACTS, link="https://bedside.example/v/1\r\nX-EVIL:1"))


def test_the_letter_carries_the_method_in_its_type_and_round_trips() -> None:
    words = write(replace(FACTS, first_name="陈"))
    letter = message_from_bytes(letter_of(words, FACTS, "m1").as_bytes(), policy=default)
    types = [part.get_content_type() for part in letter.walk()]
    assert types.count("text/plain") == 1
    assert types.count("text/html") == 1
    calendars = [part for part in letter.walk() if part.get_content_type() == "text/calendar"]
    assert [part.get_param("method") for part in calendars] == ["REQUEST", "REQUEST"]
    assert all(part.get_content_charset() == "utf-8" for part in calendars)
    for part in calendars:
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        assert len(Calendar.from_ical(content).walk("VEVENT")) == 1
    assert letter["Message-ID"] == "<m1@visits.example.org>"
    assert {part.get_filename() for part in letter.walk()} == {None, "appointment.ics"}
    assert letter["From"].addresses[0].display_name == FACTS.clinic_name


@pytest.mark.parametrize("address", ["", "mail.example.org", "http://mail.example.org", "smtp://", "smtp:///x"])
def test_a_gateway_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError):
        parse_gateway(address)


def test_a_gateway_s_password_is_not_in_its_words() -> None:
    gateway = parse_gateway("smtps://me:p%40ss@mail.example.org")
    assert (gateway.password, gateway.port, gateway.is_tls) == ("p@ss", 465, True)
    assert "p@ss" not in repr(gateway)


def test_a_message_is_written_in_the_patient_s_language() -> None:
    said = write(replace(FACTS, language="de-AT"))
    assert said.subject.startswith("Videotermin am ")
    assert "Der Link ist nur für Sie." in said.text
    assert said.html is not None
    assert '<html lang="de" dir="ltr">' in said.html
    assert "Video appointment" in write(replace(FACTS, language="tlh")).subject
