"""What a person in a test can be told apart by: a colour, a tone and a beep, drawn at random for each run.

The pages that show and play them are `page/source.js`; those that recognise them `people.py` and `film.py`.
"""

from __future__ import annotations

import colorsys
import random
from dataclasses import dataclass

Rgb = tuple[int, int, int]

COLOUR_DISTANCE = 60
"""Two colours further apart than this (summed over channels, 0–765) are different people."""
LEVELS = (0.32, 0.62)
"""How light colours are, in turns: eighteen of one lightness would be no further apart than codecs change them."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One camera with one microphone. Tones are whole Hz, so that a one-second loop is seamless."""

    name: str
    rgb: Rgb
    tone_hz: int
    beep_hz: int

    @property
    def colour(self) -> str:
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)


def draw_marks(names: list[str], chance: random.Random) -> dict[str, Mark]:
    """A mark for each name; hues and tones are spread evenly from a random start, in random order.

    Any two of eighteen colours are 90 or more apart, which leaves room for what encoding does to them.
    """
    count = len(names)
    first_hue = chance.random()
    hues = -(-count // len(LEVELS))
    places = list(range(count))
    chance.shuffle(places)
    marks = {}
    for name, place in zip(names, places, strict=True):
        hue = (first_hue + place // len(LEVELS) / hues) % 1
        red, green, blue = colorsys.hls_to_rgb(hue, LEVELS[place % len(LEVELS)], 0.9)
        tone = 420 + place * (1000 // count) + chance.randrange(0, 1000 // count // 2)
        beep = 2200 + place * (1400 // count) + chance.randrange(0, 1400 // count // 2)
        marks[name] = Mark(name, (round(red * 255), round(green * 255), round(blue * 255)), tone, beep)
    return marks


def distance(one: Rgb, other: Rgb) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def is_near(one: Rgb, other: Rgb) -> bool:
    return distance(one, other) < COLOUR_DISTANCE
