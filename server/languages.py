"""The languages that sentences are shipped in, and which of them a person reads.

Catalogues are compiled by the web build from `web/words/`; whose wish counts for a page is said in `pages.py`.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from babel.messages.mofile import read_mo

SOURCE = "en"
"""What the sentences are written in; it needs no catalogue."""
RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})
ACCEPT_MAX_CHARACTERS = 1000

_RANGE = re.compile(r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)(?:;q=([01](?:\.\d{0,3})?))?")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One language's sentences: the server's, and those of the visit's page with every plural form."""

    sentences: gettext.NullTranslations = field(default_factory=gettext.NullTranslations)
    client: Mapping[str, str | list[str]] = field(default_factory=dict)


def load_catalogues(dist: Path) -> dict[str, Catalogue]:
    """Every language whose compiled catalogues lie under `dist`, and the one without a catalogue."""
    found = {SOURCE: Catalogue()}
    for path in sorted((dist / "words").glob("*/LC_MESSAGES/bedside.mo")):
        with path.open("rb") as file:
            sentences = gettext.GNUTranslations(file)
        found[path.parent.parent.name] = Catalogue(sentences, _client_words(path.with_name("client.mo")))
    return found


@cache
def shipped() -> Mapping[str, Catalogue]:
    """The catalogues of the installed package, read once a process."""
    return load_catalogues(Path(str(files("web"))) / "dist")


def choose(wanted: Iterable[str | None], offered: Iterable[str]) -> str | None:
    """The first wish that is offered; `de-AT` is content with `de`."""
    known = {language.lower(): language for language in offered}
    for wish in wanted:
        parts = (wish or "").lower().split("-")
        for length in range(len(parts), 0, -1):
            if (language := known.get("-".join(parts[:length]))) is not None:
                return language
    return None


def accepted(header: str) -> list[str]:
    """The languages of an Accept-Language header, the dearest first, without what can't be read (RFC 9110 12.5.4)."""
    ranges = []
    for part in header[:ACCEPT_MAX_CHARACTERS].split(","):
        found = _RANGE.fullmatch(part.replace(" ", ""))
        if found is not None and (weight := float(found[2] or 1)) > 0:
            ranges.append((weight, found[1]))
    return [language for _, language in sorted(ranges, key=lambda each: -each[0])]


def direction(language: str) -> str:
    """The HTML `dir` of a language."""
    return "rtl" if language.partition("-")[0] in RIGHT_TO_LEFT else "ltr"


def _client_words(path: Path) -> dict[str, str | list[str]]:
    """What the page's script reads: a sentence as it is, one with plural forms under its singular."""
    with path.open("rb") as file:
        catalogue = read_mo(file)
    words: dict[str, str | list[str]] = {}
    for message in catalogue:
        if isinstance(message.id, str) and isinstance(message.string, str) and message.id:
            words[message.id] = message.string
        elif isinstance(message.id, tuple | list) and isinstance(message.string, tuple | list):
            words[message.id[0]] = list(message.string)
    return words
