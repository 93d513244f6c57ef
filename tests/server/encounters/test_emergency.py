"""Which number brings help, and in which country a person says they are."""

from __future__ import annotations

import pytest
from phonenumbers import SUPPORTED_SHORT_REGIONS, shortnumberinfo

from server.encounters.emergency import AMBULANCE, country_of, number_of


@pytest.mark.parametrize("region", sorted(AMBULANCE))
def test_each_number_we_name_is_an_emergency_number_there(region: str) -> None:
    assert shortnumberinfo.is_emergency_number(AMBULANCE[region], region)


@pytest.mark.parametrize("region", [*sorted(SUPPORTED_SHORT_REGIONS), "XX", "", "de", "zz"])
def test_there_is_a_number_everywhere(region: str) -> None:
    assert number_of(region).isdigit()


@pytest.mark.parametrize(
    ("region", "number"), [("DE", "112"), ("GB", "999"), ("US", "911"), ("AU", "000"), ("SE", "112")]
)
def test_the_number_people_know(region: str, number: str) -> None:
    assert number_of(region) == number


@pytest.mark.parametrize(
    ("place", "country"),
    [
        (None, "GB"),
        ("", "GB"),
        ("12 High Street, Leeds", "GB"),
        ("4 Rue du Lac, Lyon, France", "FR"),
        ("Lyon, FRANCE.", "FR"),
        ("Lindenallee 4\nBerlin\nGermany", "DE"),
        ("France Street 9, Leeds", "GB"),
        ("on the bus", "GB"),
        (", , ,", "GB"),
        ("x" * 300, "GB"),
    ],
)
def test_the_country_is_what_the_place_ends_with(place: str | None, country: str) -> None:
    assert country_of(place, None, otherwise="GB", language="en") == country


def test_the_clinics_own_language_is_understood_too() -> None:
    assert country_of("Lyon, Frankreich", None, otherwise="DE", language="de") == "FR"
    assert country_of("Lyon, France", None, otherwise="DE", language="de") == "FR"
    assert country_of("Lyon, France", None, otherwise="DE", language="no such language") == "FR"


@pytest.mark.parametrize(
    ("place", "phone", "country"),
    [
        ("12 Mill Lane, Leeds", "+44 20 7946 0000", "GB"),
        (None, "+33 1 42 68 53 00", "FR"),
        ("Lyon, France", "+44 20 7946 0000", "FR"),
        ("12 Mill Lane, Leeds", "020 7946 0000", "DE"),
        ("12 Mill Lane, Leeds", "ring the neighbour", "DE"),
        ("12 Mill Lane, Leeds", "+800 1234 5678", "DE"),
    ],
)
def test_a_phone_with_its_country_code_tells_the_country_where_the_place_does_not(
    place: str | None, phone: str, country: str
) -> None:
    assert country_of(place, phone, otherwise="DE", language="en") == country
