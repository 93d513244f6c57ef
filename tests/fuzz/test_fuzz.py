"""Twenty thousand inputs for each entry point, the same ones in every run; `make fuzz` has a million others."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.run import Unbearable, feed
from tests.fuzz.targets import Target, targets

INPUTS = 20_000
# Descriptions are read once a connection, not once a packet, and are two hundred times as long.
INPUTS_OF = {"sdp": 2_000}


@pytest.mark.parametrize("target", [pytest.param(one, id=one.name) for one in targets()])
def test_nothing_that_strangers_send_raises_grows_or_takes_long(target: Target) -> None:
    feed(target, Random(target.name), INPUTS_OF.get(target.name, INPUTS))


@pytest.mark.parametrize("fault", ["raise", "grow"])
def test_a_fault_is_found_and_its_input_shown(fault: str) -> None:
    kept: list[bytes] = []

    def take(data: bytes) -> None:
        kept.append(data)
        if fault == "raise" and len(data) > 12:
            raise IndexError(len(data))

    target = Target("faulty", [b"a sound input"], take, lambda: len(kept), 100)
    with pytest.raises(Unbearable) as found:
        feed(target, Random(1), 2_000)
    assert found.value.data
    assert ("IndexError" in str(found.value)) == (fault == "raise")
