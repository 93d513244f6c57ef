"""Which number brings help, and in which country a person says they are."""

from __future__ import annotations

import pytest
from phonenumbers import SUPPORTED_SHORT_REGIONS, shortnumberinfo

from server.encounters.emergency import AMBULANCE, number_of


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
