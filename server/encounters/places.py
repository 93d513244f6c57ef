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
US_ZIP = re.compile(r"\b([A-Z]{2}) (\d{3})\d{2}(-\d{4})?$")
US_ZIPS = {
    "AL": "350-369", "AK": "995-999", "AZ": "850-865", "AR": "716-729", "CA": "900-961", "CO": "800-816",
    "CT": "060-069", "DE": "197-199", "DC": "200-205", "FL": "320-349", "GA": "300-319", "HI": "967-968",
    "ID": "832-838", "IL": "600-629", "IN": "460-479", "IA": "500-528", "KS": "660-679", "KY": "400-427",
    "LA": "700-714", "ME": "039-049", "MD": "206-219", "MA": "010-027", "MI": "480-499", "MN": "550-567",
    "MS": "386-397", "MO": "630-658", "MT": "590-599", "NE": "680-693", "NV": "889-898", "NH": "030-038",
    "NJ": "070-089", "NM": "870-884", "NY": "100-149", "NC": "270-289", "ND": "580-588", "OH": "430-459",
    "OK": "730-749", "OR": "970-979", "PA": "150-196", "RI": "028-029", "SC": "290-299", "SD": "570-577",
    "TN": "370-379", "TX": "750-799", "UT": "840-847", "VT": "050-059", "VA": "220-246", "WA": "980-994",
    "WV": "247-268", "WI": "530-549", "WY": "820-831",
}  # fmt: skip
"""Which codes a state's begin with: others write two letters and five digits, too ("Milano MI 20121").

Tennessee's 380 to 385 are left out: they are the Trentino's as well.
"""
POSTCODES = (
    (re.compile(r"\b[ABCEGHJ-NPRSTVXY]\d[A-CEGHJ-NPR-TV-Z] ?\d[A-CEGHJ-NPR-TV-Z]\d$"), "CA"),
    (re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}$"), "GB"),
)
"""The other codes that tell their country by their shape, with the letters that are used in them."""
WITHIN = {"in", "en", "em", "au", "aux", "w", "v", "na", "i", "в", "на", "у"}
"""A country's name after one of these, with or without an article, is where they are."""
ARTICLES = {"the", "der", "den", "dem", "la", "le", "les", "los", "las", "o", "os"}
LINKING = ARTICLES | {
    "de", "du", "des", "d", "of", "del", "della", "von", "da", "do", "dos", "das", "zur", "zum", "zu", "nach", "bei",
    "beim", "am", "an", "with", "mit", "avec", "chez", "con", "my", "son", "daughter",
}  # fmt: skip
"""A country's name after one of these is a street's, an inn's or somebody's."""
LONGEST_NAME_WORDS = 5
MAX_CHARACTERS = 300

Source = Literal["place", "phone", "clinic"]


class Guess(NamedTuple):
    """A country (ISO 3166) and what told it: the page says so, since it may be wrong."""

    country: str
    source: Source


class Named(NamedTuple):
    country: str
    is_certain: bool
    """Not where a name merely stands last: an inn is called after a country, and so are hills and children."""


def guess_countries(place: str | None, phones: Iterable[str | None], clinic: str) -> list[Guess]:
    """Where they are most likely, then, if the place and a "+…" phone (else the clinic) disagree, the other."""
    of_phone = next(filter(None, (_country_of_phone(phone or "") for phone in phones)), None)
    known = Guess(of_phone, "phone") if of_phone else Guess(clinic, "clinic")
    named = _country_of_place((place or "")[:MAX_CHARACTERS], (of_phone, clinic))
    if named is None:
        return [known]
    at = Guess(named.country, "place")
    if at.country == known.country:
        return [at]
    return [at, known] if named.is_certain else [known, at]


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


def _country_of_place(place: str, likely: tuple[str | None, ...]) -> Named | None:
    ending = re.split(r"[,;\n()/،、，]", place.strip(" .\n)"))[-1].strip(" .")
    if of_code := _country_of_code(ending.upper()):
        return Named(of_code, is_certain=True)
    for name, is_certain in _endings(_folded(ending)):
        if country := _country_called(name, likely):
            return Named(country, is_certain)
    return None


def _country_of_code(ending: str) -> str | None:
    if code := US_ZIP.search(ending):
        first, _, last = US_ZIPS.get(code[1], "").partition("-")
        return "US" if first and first <= code[2] <= last else None
    return next((country for shape, country in POSTCODES if shape.search(ending)), None)


def _country_called(name: str, likely: tuple[str | None, ...]) -> str | None:
    if name in AMBIGUOUS:
        return next((each for each in likely if each in AMBIGUOUS[name]), AMBIGUOUS[name][-1])
    return "US" if name in STATES else country_names().get(name)


def _endings(words: str) -> Iterator[tuple[str, bool]]:
    """The whole, then its last words, the longest first; of an address with a house number the whole alone.

    With each whether it certainly says where they are, if it is a country's name.
    """
    yield words, True
    parts = words.split()
    if any(letter.isdigit() for letter in words):
        return
    for length in range(min(LONGEST_NAME_WORDS, len(parts) - 1), 0, -1):
        before, name = parts[:-length], " ".join(parts[-length:])
        is_within = before[-1] in WITHIN or (before[-1] in ARTICLES and before[-2:-1] and before[-2] in WITHIN)
        if is_within or before[-1] not in LINKING:
            yield name, bool(is_within)


def _folded(words: str) -> str:
    return " ".join(words.replace(".", "").replace("’", "'").casefold().split())
