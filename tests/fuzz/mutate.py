"""Inputs made of sound ones: bits turned, bytes cut, doubled, set to edges, spliced with another; and pure noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

EDGES = (0x00, 0x01, 0x0F, 0x10, 0x7F, 0x80, 0xBE, 0xDE, 0xF0, 0xFF)
LONGEST = 4096
STEPS_MAX = 4

Step = Callable[[Random, bytearray, Sequence[bytes]], None]


def mutate(dice: Random, sound: Sequence[bytes], longest: int = LONGEST) -> bytes:
    """One input; the same dice give the same one."""
    if dice.random() < 0.03:
        return dice.randbytes(dice.randrange(200))
    data = bytearray(dice.choice(sound))
    for _ in range(dice.randint(0, STEPS_MAX)):
        if data:
            dice.choice(STEPS)(dice, data, sound)
    return bytes(data[:longest])


def _turn(dice: Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[_place(dice, data)] ^= 1 << dice.randrange(8)


def _edge(dice: Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[_place(dice, data)] = dice.choice(EDGES)


def _cut(dice: Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[dice.randrange(len(data)) :]


def _drop(dice: Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.randint(1, 8)]


def _double(dice: Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    data[at:at] = data[at : at + dice.randint(1, 64)] * dice.randint(1, 4)


def _splice(dice: Random, data: bytearray, sound: Sequence[bytes]) -> None:
    other = dice.choice(sound)
    data[dice.randrange(len(data)) :] = other[dice.randrange(len(other)) :] if other else b""


def _noise(dice: Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    data[at:at] = dice.randbytes(dice.randint(1, 16))


def _place(dice: Random, data: bytearray) -> int:
    """Rather at the front, where headers are."""
    return dice.randrange(min(len(data), 32)) if dice.random() < 0.7 else dice.randrange(len(data))


STEPS: tuple[Step, ...] = (_turn, _turn, _edge, _edge, _cut, _drop, _double, _splice, _noise)
