"""Losses by chance and losses that mean something."""

from __future__ import annotations

import random

import pytest

from media.feedback import MS
from media.losses import Losses

SECOND = 1_000 * MS


def lost_of(packets: int, share: float, dice: random.Random) -> int:
    return sum(dice.random() < share for _ in range(packets))


@pytest.mark.parametrize("packets", [8, 40, 150])
def test_five_of_a_hundred_by_chance_are_never_more_than_ten(packets: int) -> None:
    dice, losses = random.Random(5), Losses()
    for second in range(1200):
        assert not losses.surely_above(0.1, lost_of(packets, 0.05, dice), packets, second * SECOND)


@pytest.mark.parametrize(("packets", "within"), [(40, 8), (150, 4)])
def test_twenty_of_a_hundred_are_noticed_soon(packets: int, within: int) -> None:
    for seed in range(20):
        dice, losses = random.Random(seed), Losses()
        for second in range(60):
            assert not losses.surely_above(0.1, 0, packets, second * SECOND)
        shares = [
            losses.surely_above(0.1, lost_of(packets, 0.2, dice), packets, (60 + second) * SECOND)
            for second in range(within)
        ]
        assert 0.1 < max(shares) < 0.45


def test_a_second_that_loses_half_is_noticed_at_once_and_counts_once() -> None:
    losses = Losses()
    assert not losses.surely_above(0.1, 0, 40, 0)
    assert losses.surely_above(0.1, 20, 40, SECOND) == 0.5
    assert not losses.surely_above(0.1, 0, 40, 2 * SECOND)


def test_what_was_reported_long_ago_no_longer_counts() -> None:
    for apart, counts in ((1, True), (60, False)):
        losses = Losses()
        assert not losses.surely_above(0.1, 7, 40, 0)
        assert bool(losses.surely_above(0.1, 10, 40, apart * SECOND)) is counts


def test_nothing_sent_is_nothing_lost() -> None:
    losses = Losses()
    assert not any(losses.surely_above(0.1, 0, 0, second) for second in range(5))
