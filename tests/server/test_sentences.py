"""What `make messages` gives to translators holds every sentence, also those of tables and refusals."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from server.accounts import demo
from server.desk import acts, mine, rules
from server.error_pages import TITLES
from server.forms import OTHERWISE, SENTENCES
from server.pages import ROLE_WORDS
from signaling.words import TEXT

ROOT = Path(__file__).parents[2]
TABLES = (
    TEXT,
    TITLES,
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


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    pot = tmp_path_factory.mktemp("messages") / "bedside.pot"
    subprocess.run(["make", "--silent", "messages", f"POT={pot}"], cwd=ROOT, check=True)
    with pot.open("rb") as file:
        found = read_po(file)
    return {sentence for message in found for sentence in _forms(message.id)}


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


def _forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text
