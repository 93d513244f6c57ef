"""The languages a visit may be held in, for the booking form: by name, in the language of whoever reads the form."""

from __future__ import annotations

import re
from collections.abc import Sequence

from server.scheduling.wording import locale_of

CODES = re.findall(
    r"\w+",
    """ar bg bn cs da de el en es et fa fi fr ha he hi hr hu hy id it ja ka ko ku lt lv mk ml my ne nl no pa pl ps pt ro
    ru sk sl so sq sr sv sw ta te th ti tr uk ur uz vi yo zh zu""",
)


def names(language: str) -> Sequence[tuple[str, str]]:
    """(code, name), by name."""
    return sorted(((code, name_of(code, language)) for code in CODES), key=lambda each: each[1].casefold())


def name_of(code: str, language: str) -> str:
    """The language's name; its code where there is none."""
    return str(locale_of(language).languages.get(code.partition("-")[0], code))
