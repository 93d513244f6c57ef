"""What is printed of a note: a file that a screen reader can read, of one version, in every script."""

from __future__ import annotations

from pathlib import Path

import pdfua
import pikepdf
import pytest

from server.records import printing
from server.records.printing import PDF, PLAIN, Sheet

NAMES = [
    "Anna Adler",
    "Łukasz Żółć",
    "Nguyễn Thị Ánh",
    "יעל כהן",
    "أحمد محمود",
    "王小明",
    "Ελένη",
    "สมชาย",
    "देवी",
    "Σ👍",
]


def sheet(text: str = "Cough for a week.\n\nRest.", **changed: object) -> Sheet:
    values = {
        "title": "Note of your visit",
        "author": "Dr Ida Weiss",
        "language": "en",
        "clinic": "Northside Clinic",
        "letterhead": "1 Road\nTown",
        "facts": [("Patient", "Anna Adler"), ("Date", "27 May 2031")],
        "sections": [("Note", text)],
        "fingerprint": "Version 1 · 00ff",
        "disclaimer": "This is a note of a visit. It is not a prescription and not a referral.",
    }
    return Sheet(**{**values, **changed})  # type: ignore[arg-type]


def test_a_note_becomes_a_pdf_that_a_screen_reader_can_read(tmp_path: Path) -> None:
    content, kind = printing.print_sheet(sheet(facts=[("Patient", name) for name in NAMES]), 1_900_000_000)
    assert kind == PDF
    path = tmp_path / "note.pdf"
    path.write_bytes(content)
    report = pdfua.validate(str(path))
    worst = [found for one in report.outcomes for found in one.findings if found.severity is pdfua.Severity.ERROR]
    assert worst == []
    with pikepdf.open(path) as document:
        metadata = document.open_metadata()
        assert (metadata["pdfuaid:part"], metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("1", "2", "A")
        assert metadata["dc:title"] == "Note of your visit"
        assert str(document.Root.Lang) == "en"


@pytest.mark.parametrize("text", ["#panic(1) $x$ *b* @ref <tag> \\ `c`", "x" * 3000, "\t", "a\n\n\n\nb", "\u202eabc"])
def test_what_looks_like_markup_is_printed_as_it_stands(text: str) -> None:
    content, kind = printing.print_sheet(sheet(text), 1_900_000_000)
    assert (content[:5], kind) == (b"%PDF-", PDF)


def test_a_version_is_the_same_file_each_time() -> None:
    assert printing.as_pdf(sheet(), 1_900_000_000) == printing.as_pdf(sheet(), 1_900_000_000)


@pytest.mark.parametrize(
    "text",
    [
        "\uf0b7 Aspirin, pasted from Word",
        "\ue000 \U0010fffd",
        "a\ufffeb\u0378",
        "\ud83d alone",
        "\U00010380 \U00012000",
    ],
)
def test_a_sign_that_no_font_holds_costs_nobody_the_pdf(text: str) -> None:
    """Bullets from Word, signs for private use or given to nobody, half a pair, scripts that no font here has."""
    content, kind = printing.print_sheet(sheet(text, letterhead=text, facts=[(text, text)]), 1_900_000_000)
    assert (content[:5], kind) == (b"%PDF-", PDF)


def test_what_cannot_be_set_is_given_as_plain_text() -> None:
    content, kind = printing.print_sheet(sheet(language="x" * 40), 1_900_000_000)
    assert kind == PLAIN
    assert "Cough for a week." in content.decode()
    assert "not a prescription" in content.decode()


def test_the_plain_text_holds_all_that_the_pdf_does() -> None:
    words = printing.as_text(sheet()).decode()
    for expected in ("Northside Clinic", "1 Road", "Anna Adler", "Cough for a week.", "Version 1 · 00ff"):
        assert expected in words
