"""Languages: which is wanted, which of those is there, and what is shipped of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.languages import accepted, choose, direction, shipped


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        ("de", ["de"]),
        ("en;q=0.4, de-AT", ["de-AT", "en"]),
        ("fr;q=0, de;q=0.1", ["de"]),
        ("*, de;q=x, \x00, ;q=1, de;q=2", []),
        ("", []),
    ],
)
def test_a_browser_says_its_languages_in_their_order(header: str, languages: list[str]) -> None:
    assert accepted(header) == languages


@given(st.text())
def test_no_header_breaks_a_page(header: str) -> None:
    assert choose(accepted(header), ("en", "de")) in ("en", "de", None)


def test_a_region_is_content_with_its_language_and_nobody_gets_what_is_not_there() -> None:
    assert choose(["pt-BR", None, "DE-at"], ("en", "de")) == "de"
    assert choose(["deutsch", "tlh", ""], ("en", "de")) is None
    assert [direction(language) for language in ("ar-EG", "de")] == ["rtl", "ltr"]


def test_every_language_has_the_server_s_and_the_page_s_sentences() -> None:
    assert {"en", "de"} <= set(shipped())
    for language, catalogue in shipped().items():
        assert language == "en" or catalogue.client
