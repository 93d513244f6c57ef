"""Which country people are in, as they write it: in many languages, with and without a comma, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.encounters.places import guess_countries


@pytest.mark.parametrize(
    ("place", "country"),
    [
        ("4 Rue du Lac, Lyon, France", "FR"), ("Lyon, FRANCE.", "FR"), ("Lyon (France)", "FR"),
        ("at home in France", "FR"), ("Lyon, Frankreich", "FR"), ("bei meiner Tochter in der Schweiz", "CH"),
        ("Lindenallee 4\nBerlin\nGermany", "DE"),
        ("Zürich, Schweiz", "CH"), ("القاهرة، مصر", "EG"), ("上海, 中国", "CN"),
        ("Boston, USA", "US"), ("Boston, U.S.A.", "US"), ("USA", "US"), ("Boston, Massachusetts", "US"),
        ("Trenton, New Jersey", "US"), ("9 Elm St, Boston, MA 02110", "US"),
        ("London, UK", "GB"), ("London, England", "GB"), ("10 Downing Street, London SW1A 2AA", "GB"),
        ("Toronto ON M5V 2T6", "CA"), ("Amsterdam, the Netherlands", "NL"), ("Tbilisi, Georgia", "GE"),
    ],
)  # fmt: skip
def test_the_country_is_what_the_place_ends_with(place: str, country: str) -> None:
    assert guess_countries(place, [None], "SE") == [(country, "place"), ("SE", "clinic")]


@pytest.mark.parametrize(
    ("place", "country"),
    [
        ("Wien Österreich", "AT"), ("Santa Fe New Mexico", "US"), ("Bad Schandau, Sächsische Schweiz", "CH"),
        ("Ebermannstadt, Fränkische Schweiz", "CH"), ("Camping Norwegen", "NO"), ("Café Brasil", "BR"),
        ("Kinderheim Kanada", "CA"), ("Haus Niger", "NE"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("phone", "known"), [("+49 30 23125107", ("DE", "phone")), (None, ("SE", "clinic"))])
def test_a_country_that_merely_stands_last_is_said_after_what_is_known(
    place: str, country: str, phone: str | None, known: tuple[str, str]
) -> None:
    assert guess_countries(place, [phone], "SE") == [known, (country, "place")]


def test_place_and_phone_that_agree_are_one_answer() -> None:
    assert guess_countries("Wien Österreich", ["+43 1 5880 0"], "DE") == [("AT", "place")]
    assert guess_countries("Wien, Österreich", ["+49 30 23125107"], "DE") == [("AT", "place"), ("DE", "phone")]


@pytest.mark.parametrize(
    "place",
    [None, "", "12 High Street, Leeds", "France Street 9, Leeds", "12 Avenue de France", "Place de France",
     "on the bus", ", , ,", "x" * 300, "Boston, MA", "Lindenallee 4, 12345 Berlin", "Gasthof zur Schweiz",
     "with my son Jordan", "Berlin, DE 10115", "Roma, RM 00184", "Milano MI 20121", "Trento, TN 38122",
     "Zimmer B1 2OG"],
)  # fmt: skip
def test_what_names_no_country_is_no_answer(place: str | None) -> None:
    assert guess_countries(place, [None], "SE") == [("SE", "clinic")]


@pytest.mark.parametrize(
    ("place", "phone", "guess"),
    [
        ("12 Mill Lane, Leeds", "+44 20 7946 0000", ("GB", "phone")),
        (None, "+33 1 42 68 53 00", ("FR", "phone")),
        ("Lyon, France", "+44 20 7946 0000", ("FR", "place")),
        ("12 Mill Lane, Leeds", "020 7946 0000", ("DE", "clinic")),
        ("12 Mill Lane, Leeds", "ring the neighbour", ("DE", "clinic")),
        ("12 Mill Lane, Leeds", "+800 1234 5678", ("DE", "clinic")),
        ("12 Peachtree St, Atlanta, Georgia", "+1 404 555 0100", ("US", "place")),
    ],
)
def test_a_phone_with_its_country_code_tells_where_the_place_does_not(
    place: str | None, phone: str, guess: tuple[str, str]
) -> None:
    assert guess_countries(place, [phone], "DE")[0] == guess


def test_the_number_on_file_tells_what_the_one_given_does_not() -> None:
    assert guess_countries(None, ["the usual one", "+33 1 42 68 53 00"], "DE") == [("FR", "phone")]


@given(st.text(max_size=400), st.text(max_size=40))
def test_whatever_is_written_gives_a_country(place: str, phone: str) -> None:
    for country, source in guess_countries(place, [phone], "DE"):
        assert len(country) == 2
        assert source in ("place", "phone", "clinic")
