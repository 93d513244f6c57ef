"""Feeds one entry point with many inputs and says which one it could not bear."""

from __future__ import annotations

import time
from random import Random

from tests.fuzz.mutate import mutate
from tests.fuzz.targets import Target

LOOK_EVERY = 256
# Linear, with room for a slow machine: CPU time of this thread alone, so neighbours don't count.
BASE_NS = 60_000_000
NS_A_BYTE = 20_000


class Unbearable(Exception):  # noqa: N818 - what it says is the finding
    """An input that a target could not bear, and how that showed."""

    def __init__(self, target: str, what: str, data: bytes) -> None:
        super().__init__(f"{target}: {what}: {data.hex()}")
        self.data = data


def feed(target: Target, dice: Random, inputs: int) -> None:
    """Raises Unbearable with the input at fault."""
    for number in range(inputs):
        data = mutate(dice, target.sound, target.longest)
        # What is slow must be so again: the first time it may have been a collection of somebody else's garbage.
        if _takes_long(target, data) and _takes_long(target, data) and _takes_long(target, data):
            raise Unbearable(target.name, "took more than linear time", data)
        if number % LOOK_EVERY == 0 and target.state() > target.bound:
            raise Unbearable(target.name, f"keeps {target.state()}, above {target.bound}", data)


def _takes_long(target: Target, data: bytes) -> bool:
    began_ns = time.thread_time_ns()
    try:
        target.feed(data)
    except Exception as error:
        raise Unbearable(target.name, repr(error), data) from error
    return time.thread_time_ns() - began_ns > BASE_NS + NS_A_BYTE * len(data)
