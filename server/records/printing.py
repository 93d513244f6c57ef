"""One signed version as a file to keep: PDF/UA-1 and PDF/A-2a set by typst, else the same words as plain text.

Pure: everything comes as `Sheet`, nothing is read here. Who may have it is for the pages.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import typst

PDF, PLAIN = "application/pdf", "text/plain"
BOX = "\u25a1"
SIGNLESS = frozenset({"Co", "Cs"})
"""Categories of code points that are in no font: for private use, and half of a pair."""
OFFICE = {0xF0B7: "\u2022", 0xF0A7: "\u25aa", 0xF0D8: "\u27a2", 0xF0E0: "\u2192", 0xF0FC: "\u2713"}
"""Bullets, arrow and tick as they come pasted from Word, in the private use of its symbol fonts."""
TRIES = 20
"""The setter names one sign at a time that no font holds."""
UNSET = re.compile(r'the text `"(.+?)"` could not be displayed')
HEX = re.compile(r"\\u\{([0-9a-f]+)\}")
FONTS = (
    "Noto Sans",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Sans Georgian",
    "Noto Sans Armenian",
    "Noto Sans Ethiopic",
    "Noto Sans CJK SC",
    "DejaVu Sans",
)
SOURCE = """
#let sheet = json(bytes(sys.inputs.sheet))
#set document(title: sheet.title, author: sheet.author)
#set page(
  paper: "a4",
  margin: (x: 22mm, top: 20mm, bottom: 24mm),
  footer: context [
    #set text(size: 8pt)
    #sheet.fingerprint #h(1fr) #counter(page).display()
  ],
)
#set text(font: json(bytes(sys.inputs.fonts)), fallback: true, size: 11pt, lang: sheet.language, dir: auto)
#set par(leading: 0.7em, spacing: 1.1em)
#show heading: set block(above: 1.4em, below: 0.8em)
#let lines(words) = words.split("\\n").map(one => [#one]).join(linebreak())
#let prose(words) = for part in words.split("\\n\\n") { par(lines(part)) }
#text(size: 13pt, weight: "bold", sheet.clinic)
#if sheet.letterhead != "" { par(lines(sheet.letterhead)) }
#line(length: 100%, stroke: 0.5pt)
= #sheet.title
#for fact in sheet.facts [#par[#strong(fact.at(0) + ":") #fact.at(1)]]
#for section in sheet.sections {
  heading(level: 2, section.at(0))
  prose(section.at(1))
}
#line(length: 100%, stroke: 0.5pt)
#text(size: 9pt, par(sheet.disclaimer))
"""


@dataclass(frozen=True, slots=True, repr=False)
class Sheet:
    """What is printed; every sentence is already in the reader's language."""

    title: str
    author: str
    language: str
    clinic: str
    letterhead: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[tuple[str, str]]
    fingerprint: str
    """The version's number and hash."""
    disclaimer: str


def as_pdf(sheet: Sheet, written_at_s: int) -> bytes:
    """Raises typst.TypstError for what can't be set. `written_at_s` makes the same version the same bytes."""
    content = asdict(sheet) | {"language": sheet.language.split("-")[0]}
    inputs = {"sheet": json.dumps(content), "fonts": json.dumps(FONTS)}
    return typst.compile(
        SOURCE.encode(), format="pdf", pdf_standards=["ua-1", "a-2a"], sys_inputs=inputs, timestamp=written_at_s
    )


def as_text(sheet: Sheet) -> bytes:
    """The same words without any setting."""
    facts = [f"{label}: {value}" for label, value in sheet.facts]
    sections = [f"{heading}\n\n{words}" for heading, words in sheet.sections]
    parts = [sheet.clinic, sheet.letterhead, sheet.title, "\n".join(facts), *sections, sheet.disclaimer]
    return "\n\n".join([*filter(None, parts), sheet.fingerprint]).encode()


def print_sheet(sheet: Sheet, written_at_s: int) -> tuple[bytes, str]:
    """The file and its kind. A sign that no font holds stands as a box; plain text is for what can't be set at all."""
    sheet = _changed(sheet, _plain)
    for _ in range(TRIES):
        try:
            return as_pdf(sheet, written_at_s), PDF
        except typst.TypstError as error:
            unset = _unset(str(error))
            if not unset:
                break
            sheet = _changed(sheet, partial(_boxed, unset=unset))
    return as_text(sheet), PLAIN


def _plain(words: str) -> str:
    """Office programs write bullets with signs of their own; what else is for private use is in no font."""
    words = words.translate(OFFICE)
    return "".join(BOX if unicodedata.category(one) in SIGNLESS else one for one in words)


def _boxed(words: str, unset: str) -> str:
    return words.translate(dict.fromkeys(map(ord, unset), BOX))


def _unset(message: str) -> str:
    """The signs that the setter says no font has; empty when it stumbles over something else."""
    found = UNSET.search(message)
    return HEX.sub(lambda code: chr(int(code[1], 16)), found[1]) if found else ""


def _changed(sheet: Sheet, change: Callable[[str], str]) -> Sheet:
    """The same sheet with every text of it changed."""
    return replace(
        sheet,
        title=change(sheet.title),
        author=change(sheet.author),
        clinic=change(sheet.clinic),
        letterhead=change(sheet.letterhead),
        facts=[(change(label), change(value)) for label, value in sheet.facts],
        sections=[(change(heading), change(words)) for heading, words in sheet.sections],
    )
