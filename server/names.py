"""What counts as a person's name on our pages: invisible and reversing characters out, length in what eyes count.

Escaping is for the templates (`<bdi>`), badges come from roles: no name can look like staff.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated

import regex  # type: ignore[import-untyped]
from pydantic import AfterValidator

CLUSTERS_MAX = 64
MARKS_MAX = 4
"""Combining marks a cluster; Vietnamese, Hebrew and Thai need three, stacks of more hide the neighbours."""
JOINERS = frozenset("\u200c\u200d")
"""Emoji, Persian and Indic scripts need the zero-width joiners; alone they are nothing."""


def clean_name(text: str) -> str:
    """The name as it is stored. Raises ValueError, in plain words, when nothing visible is left or it is too long."""
    kept = "".join(character for character in unicodedata.normalize("NFC", text) if _is_kept(character))
    clusters = [_capped(cluster) for cluster in regex.findall(r"\X", " ".join(kept.split()))]
    name = "".join(clusters).strip()
    if not any(_is_visible(character) for character in name):
        raise ValueError("Enter a name that can be read")
    if len(clusters) > CLUSTERS_MAX:
        raise ValueError(f"The name is too long: {CLUSTERS_MAX} characters at most")
    return name


Name = Annotated[str, AfterValidator(clean_name)]
"""A form's field that holds a person's name."""


def search_key(text: str) -> str:
    """A name as it is searched: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())


def _is_kept(character: str) -> bool:
    if character in JOINERS or character.isspace():
        return True
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def _is_visible(character: str) -> bool:
    return character not in JOINERS and unicodedata.category(character)[0] in "LNPS"


def _capped(cluster: str) -> str:
    marks = 0
    kept = []
    for character in cluster:
        marks += unicodedata.combining(character) != 0
        if marks <= MARKS_MAX or not unicodedata.combining(character):
            kept.append(character)
    return "".join(kept)
