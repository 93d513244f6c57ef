"""Which country somebody is in, from what they wrote about where they are, in their own words.

Which number is rung there, and what is done with a press of Emergency, is `emergency.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal, NamedTuple

import phonenumbers
from babel import Locale

LANGUAGES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sk", "sv", "da", "nb", "fi", "et", "lv", "lt", "el", "tr",
    "ar", "he", "fa", "ur", "ru", "uk", "bg", "ro", "hu", "hr", "sr", "sl", "zh", "ja", "ko", "hi", "vi", "th", "id",
)  # fmt: skip
ALIASES = {
    "usa": "US", "us": "US", "america": "US", "united states of america": "US", "etats-unis": "US",
    "uk": "GB", "gb": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
    "northern ireland": "GB", "holland": "NL", "the netherlands": "NL", "brd": "DE", "uae": "AE", "south korea": "KR",
    "czech republic": "CZ", "turkey": "TR", "republic of ireland": "IE", "eire": "IE", "cote d'ivoire": "CI",
}  # fmt: skip
"""What people write and CLDR does not list."""
STATES = {
    "alabama", "alaska", "arizona", "arkansas", "california", "colorado", "connecticut", "delaware", "florida",
    "hawaii", "idaho", "illinois", "indiana", "iowa", "kansas", "kentucky", "louisiana", "maine", "maryland",
    "massachusetts", "michigan", "minnesota", "mississippi", "missouri", "montana", "nebraska", "nevada", "ohio",
    "oklahoma", "oregon", "pennsylvania", "tennessee", "texas", "utah", "vermont", "virginia", "wisconsin", "wyoming",
    "new hampshire", "new jersey", "new mexico", "new york", "north carolina", "north dakota", "rhode island",
    "south carolina", "south dakota", "west virginia", "washington dc", "district of columbia",
}  # fmt: skip
AMBIGUOUS = {"georgia": ("US", "GE"), "jersey": ("US", "JE")}
"""Of these the phone, or the clinic's own country, says which is meant; else the last."""
POSTCODES = (
    (re.compile(r"\b[A-Z]{2} \d{5}(-\d{4})?$"), "US"),
    (re.compile(r"\b[A-Z]\d[A-Z] ?\d[A-Z]\d$"), "CA"),
    (re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}$"), "GB"),
)
"""The only codes that tell their country by their shape."""
LINKING = {"de", "du", "des", "d", "of", "la", "le", "del", "della", "von", "der", "the"}
"""A country's name after one of these is a street's or a square's."""
LONGEST_NAME_WORDS = 5
MAX_CHARACTERS = 300

Source = Literal["place", "phone", "clinic"]


class Guess(NamedTuple):
    """A country (ISO 3166) and what told it: the page says so, since it may be wrong."""

    country: str
    source: Source


def guess_country(place: str | None, phones: Iterable[str | None], clinic: str) -> Guess:
    """The country that a place ends with ("…, Lyon, France"), else a "+…" phone's, else the clinic's own."""
    of_phone = next(filter(None, (_country_of_phone(phone or "") for phone in phones)), None)
    of_place = _country_of_place((place or "")[:MAX_CHARACTERS], (of_phone, clinic))
    if of_place:
        return Guess(of_place, "place")
    return Guess(of_phone, "phone") if of_phone else Guess(clinic, "clinic")


@cache
def country_names() -> dict[str, str]:
    """Every name of every country in `LANGUAGES`, casefolded. Reads files the first time."""
    names: dict[str, str] = {}
    for language in LANGUAGES:
        for code, name in Locale.parse(language).territories.items():
            if len(code) == 2 and code.isalpha():
                names.setdefault(_folded(str(name)), code)
    return {**names, **ALIASES}


def _country_of_phone(phone: str) -> str | None:
    """Only of a number written with its country code: any other could be anywhere."""
    try:
        region = str(phonenumbers.region_code_for_number(phonenumbers.parse(phone)))
    except phonenumbers.NumberParseException:
        return None
    return region if region.isalpha() and len(region) == 2 else None


def _country_of_place(place: str, likely: tuple[str | None, ...]) -> str | None:
    ending = re.split(r"[,;\n()/،、，]", place.strip(" .\n)"))[-1].strip(" .")
    for shape, country in POSTCODES:
        if shape.search(ending.upper()):
            return country
    for name in _endings(_folded(ending)):
        if name in AMBIGUOUS:
            return next((each for each in likely if each in AMBIGUOUS[name]), AMBIGUOUS[name][-1])
        if name in STATES:
            return "US"
        if name in country_names():
            return country_names()[name]
    return None


def _endings(words: str) -> Iterator[str]:
    """The whole, then its last words, the longest first; of an address with a house number the whole alone."""
    yield words
    parts = words.split()
    if any(letter.isdigit() for letter in words):
        return
    for length in range(min(LONGEST_NAME_WORDS, len(parts) - 1), 0, -1):
        if parts[-length - 1] not in LINKING:
            yield " ".join(parts[-length:])


def _folded(words: str) -> str:
    return " ".join(words.replace(".", "").replace("’", "'").casefold().split())
