"""Small letters for the film: five by seven dots, drawn here so that composing needs no font.

Capitals, digits and a little punctuation; other letters lose their accents, and what then remains is left out.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

Dots = npt.NDArray[np.bool_]

HEIGHT, ADVANCE = 7, 6

_ROWS = {
    "0": "0E 11 13 15 19 11 0E", "1": "04 0C 04 04 04 04 0E", "2": "0E 11 01 02 04 08 1F", "3": "0E 11 01 06 01 11 0E",
    "4": "02 06 0A 12 1F 02 02", "5": "1F 10 1E 01 01 11 0E", "6": "06 08 10 1E 11 11 0E", "7": "1F 01 02 04 08 08 08",
    "8": "0E 11 11 0E 11 11 0E", "9": "0E 11 11 0F 01 02 0C", "A": "0E 11 11 1F 11 11 11", "B": "1E 11 11 1E 11 11 1E",
    "C": "0E 11 10 10 10 11 0E", "D": "1E 11 11 11 11 11 1E", "E": "1F 10 10 1E 10 10 1F", "F": "1F 10 10 1E 10 10 10",
    "G": "0E 11 10 17 11 11 0F", "H": "11 11 11 1F 11 11 11", "I": "0E 04 04 04 04 04 0E", "J": "07 02 02 02 02 12 0C",
    "K": "11 12 14 18 14 12 11", "L": "10 10 10 10 10 10 1F", "M": "11 1B 15 15 11 11 11", "N": "11 19 15 13 11 11 11",
    "O": "0E 11 11 11 11 11 0E", "P": "1E 11 11 1E 10 10 10", "Q": "0E 11 11 11 15 12 0D", "R": "1E 11 11 1E 14 12 11",
    "S": "0F 10 10 0E 01 01 1E", "T": "1F 04 04 04 04 04 04", "U": "11 11 11 11 11 11 0E", "V": "11 11 11 11 11 0A 04",
    "W": "11 11 11 15 15 1B 11", "X": "11 11 0A 04 0A 11 11", "Y": "11 11 0A 04 04 04 04", "Z": "1F 01 02 04 08 10 1F",
    "-": "00 00 00 0E 00 00 00", ":": "00 0C 0C 00 0C 0C 00", ".": "00 00 00 00 00 0C 0C", "/": "01 01 02 04 08 10 10",
    "+": "00 04 04 1F 04 04 00", "'": "04 04 00 00 00 00 00", ",": "00 00 00 00 0C 04 08", "(": "02 04 08 08 08 04 02",
    ")": "08 04 02 02 02 04 08", "_": "00 00 00 00 00 00 1F", " ": "00 00 00 00 00 00 00",
}  # fmt: skip


@cache
def _glyph(letter: str) -> Dots:
    rows = [int(row, 16) for row in _ROWS[letter].split()]
    return np.array([[bool(row >> (4 - column) & 1) for column in range(5)] + [False] for row in rows])


def drawn(text: str, scale: int) -> Dots | None:
    """The text as a mask of dots, `scale` pixels each; None when nothing of it can be drawn."""
    letters = [letter for letter in unicodedata.normalize("NFKD", text).upper() if letter in _ROWS]
    if not any(letter != " " for letter in letters):
        return None
    return np.hstack([_glyph(letter) for letter in letters]).repeat(scale, axis=0).repeat(scale, axis=1)
