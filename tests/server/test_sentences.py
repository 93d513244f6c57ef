"""What `make messages` gives to translators holds every sentence, and German has all that a patient reads."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages import Message
from babel.messages.pofile import read_po

from server.accounts import demo
from server.desk import acts, mine, rules
from server.error_pages import BENEATH, TITLES
from server.error_pages import FOR_STAFF as INSTEAD_FOR_STAFF
from server.forms import OTHERWISE, SENTENCES
from server.pages import ROLE_WORDS
from signaling.words import TEXT

ROOT = Path(__file__).parents[2]
TABLES = (
    TEXT,
    TITLES,
    BENEATH,
    INSTEAD_FOR_STAFF,
    ROLE_WORDS,
    SENTENCES,
    rules.WORDS,
    mine.KIND_WORDS,
    acts.DONE,
    acts.ACTION_WORDS,
    acts.MESSAGE_WORDS,
    acts.STATE_WORDS,
)
SAID = re.compile(r"""\btn?\("((?:[^"\\]|\\.)+)\"""")
REFUSED = re.compile(r"""(?:DomainError|Refused)\(Code\.[A-Z_]+, "([^"]+)\"""")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}")
FOR_PATIENTS = (
    "signaling/",
    "server/encounters/",
    "server/error_pages.py",
    "server/forms.py",
    "server/desk/access.py",
    "server/desk/mine",
    "web/client/",
    "web/templates/layout.html",
    "web/templates/accounts/front.html",
    "web/templates/accounts/page_link.html",
    "web/templates/desk/access.html",
    "web/templates/desk/mine",
    "web/templates/desk/my_",
    "web/templates/desk/whose.html",
    "web/templates/encounters/",
    "web/templates/errors/",
    "server/records/export_sheets.py",
    "web/templates/records/copy",
    "web/templates/macros/",
    "web/templates/mail/",
    "web/templates/visit/",
)
FOR_STAFF = (
    "web/templates/encounters/guest_link.html",
    "web/templates/encounters/film_check",
    "web/templates/encounters/keeping",
    "server/encounters/keeping",
    *(f"web/client/{name}.ts" for name in ("arrivals", "attached", "clinic", "left", "note", "release", "urgent")),
)
OF_STAFF_FORMS = {"their name", "the relation", "the reason"}
OF_PATIENTS_FORMS = {"the date of birth", "the code"}


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The templates, and copies of the catalogues with whatever is new in the tree added, empty."""
    folder = tmp_path_factory.mktemp("messages")
    shutil.copytree(ROOT / "web" / "words", folder / "words")
    subprocess.run(
        ["make", "--silent", "messages", f"POTS={folder}", f"WORDS={folder / 'words'}"], cwd=ROOT, check=True
    )
    return folder


@pytest.fixture(scope="module")
def template(gathered: Path) -> set[str]:
    return {
        said for name in ("bedside", "client") for one in _read(gathered / f"{name}.pot") for said in _forms(one.id)
    }


@pytest.fixture(scope="module")
def german(gathered: Path) -> list[Message]:
    folder = gathered / "words" / "de" / "LC_MESSAGES"
    return [one for name in ("bedside", "client") for one in _read(folder / f"{name}.po", "de")]


def test_the_sentences_of_every_table_are_found(template: set[str]) -> None:
    wanted = {sentence for table in TABLES for sentence in table.values()} | {OTHERWISE, demo.PATIENT_WORDS}
    assert wanted - template == set()


def test_the_sentences_of_every_refusal_are_found(template: set[str]) -> None:
    code = [*(ROOT / "server").rglob("*.py"), *(ROOT / "signaling").glob("*.py")]
    wanted = {said for path in code for said in REFUSED.findall(path.read_text("utf-8"))}
    assert len(wanted) > 10
    assert wanted - template == set()


def test_the_sentences_of_the_page_s_script_are_found(template: set[str]) -> None:
    scripts = (ROOT / "web" / "client").glob("*.ts")
    wanted = {said for path in scripts for said in SAID.findall(path.read_text("utf-8"))}
    assert len(wanted) > 100
    assert wanted - template == set()


def test_german_has_every_sentence_that_a_patient_reads(german: list[Message]) -> None:
    read = [one for one in german if _is_for_patients(one)]
    assert len(read) > 400
    assert [one.id for one in read if not all(_forms(one.string)) or one.fuzzy] == []


def test_a_translation_fills_in_the_same_parts_in_every_plural_form(german: list[Message]) -> None:
    translated = [one for one in german if all(_forms(one.string))]
    for one in translated:
        wanted = {frozenset(PLACEHOLDER.findall(said)) for said in _forms(one.id)}
        assert {frozenset(PLACEHOLDER.findall(said)) for said in _forms(one.string)} <= wanted, one.id
        assert list(one.check()) == []
    assert {len(one.string) for one in translated if one.pluralizable} == {2}


def _read(path: Path, locale: str | None = None) -> Iterator[Message]:
    with path.open("rb") as file:
        return iter([one for one in read_po(file, locale=locale) if one.id])


def _is_for_patients(one: Message) -> bool:
    found = [path for path, _ in one.locations if path.startswith(FOR_PATIENTS) and not path.startswith(FOR_STAFF)]
    return one.id in OF_PATIENTS_FORMS or (bool(found) and one.id not in OF_STAFF_FORMS)


def _forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)
