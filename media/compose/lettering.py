"""Writes words into the film: any script, shaped and in its own direction, as small opaque pictures on a plain ground.

Typst does the shaping with the system's fonts; where it cannot, the dots of `glyphs.py` stand in. Words come in as
data, so no name can be read as markup. Where a picture goes is `canvas.py`'s.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import av
import numpy as np
import numpy.typing as npt
import typst

from media.compose.glyphs import drawn

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
Rgb = tuple[int, int, int]

LONGEST = 200
CLOCK_LETTERS = "0123456789-: "
INK: Rgb = (236, 239, 241)
PLAIN_BELOW = 0x2000
"""Letters below are in DejaVu, which is found faster than every font of the system."""
PLAIN_SCRIPTS = frozenset({"LATIN", "GREEK", "CYRILLIC"})
DEJAVU = (Path("/usr/share/fonts/truetype/dejavu"), Path("/usr/share/fonts/dejavu-sans-fonts"))

_PAGE = rb"""
#let d = json(bytes(sys.inputs.at("words")))
#set page(width: auto, height: auto, margin: (x: d.margin * 1pt, y: d.margin * 1pt), fill: rgb(d.ground))
#let pictures = regex("[\u{200D}\u{2600}-\u{27BF}\u{FE0F}\u{1F000}-\u{1FAFF}]")
#let fonts = ((name: "noto color emoji", covers: pictures), "dejavu sans", "noto sans", "noto sans cjk sc")
#set text(font: fonts, size: d.size * 1pt, fill: rgb(d.ink), top-edge: 0.95em, bottom-edge: -0.3em)
#set par(leading: 0.35em)
#let shortened(words, room) = context {
  if measure(text(words)).width <= room { return text(words) }
  let parts = words.clusters()
  let (low, high) = (0, parts.len())
  while low < high {
    let middle = calc.ceil((low + high) / 2)
    let fits = measure(text(parts.slice(0, middle).join("") + "\u{2026}")).width <= room
    if fits { low = middle } else { high = middle - 1 }
  }
  text(parts.slice(0, low).join(default: "") + "\u{2026}")
}
#align(center, stack(dir: ttb, spacing: 0.4em, ..d.lines.map(one => {
  set text(dir: if one.rtl { rtl } else { ltr })
  box(shortened(one.words, d.room * 1pt))
})))
"""


class Lettering:
    """The words of one film, each drawn once. `size` is the height of a letter in pixels."""

    def __init__(self, size: int, *, with_fonts: bool = True) -> None:
        self._size = size
        self._with_fonts = with_fonts
        self._fonts: dict[bool, typst.Fonts] = {}
        self._made: dict[tuple[tuple[str, ...], int, Rgb], Planes | None] = {}
        self._clock: Mapping[str, Planes] = MappingProxyType({})

    def label(self, lines: tuple[str, ...], room: int, ground: Rgb) -> Planes | None:
        """A picture of even size, at most `room` wide; what does not fit ends in an ellipsis. None for no words."""
        shown = tuple(line for line in map(printable, lines) if line)
        if not shown or room < 2 * self._size:
            return None
        wanted = (shown, room, ground)
        if wanted not in self._made:
            self._made[wanted] = self._draw(shown, room, ground, margin=max(2, self._size // 4))
        return self._made[wanted]

    def clock(self, text: str, ground: Rgb) -> Planes | None:
        """Digits of one width each, put together anew each second from pictures drawn once."""
        if not self._clock:
            parts = {one: self._draw((one,), self._size * 4, ground, margin=0) for one in CLOCK_LETTERS if one != " "}
            drawn_parts = {one: part for one, part in parts.items() if part is not None}
            self._clock = MappingProxyType(_same_size(drawn_parts, ground))
        pieces = [self._clock[letter] for letter in text if letter in self._clock]
        if not pieces:
            return None
        luma, blue, red = (np.hstack(planes) for planes in zip(*pieces, strict=True))
        return luma, blue, red

    # ---- inside

    def _draw(self, lines: tuple[str, ...], room: int, ground: Rgb, *, margin: int) -> Planes | None:
        if self._with_fonts:
            with suppress(typst.TypstError, av.error.FFmpegError, RuntimeError, OSError):
                return self._typeset(lines, room, ground, margin)
        return _dotted(lines, room, ground, self._size)

    def _typeset(self, lines: tuple[str, ...], room: int, ground: Rgb, margin: int) -> Planes:
        words = {
            "lines": [{"words": line, "rtl": is_right_to_left(line)} for line in lines],
            "size": self._size,
            "room": room - 2 * margin,
            "margin": margin,
            "ground": _hex(ground),
            "ink": _hex(INK),
        }
        compiler = typst.Compiler(_PAGE, font_paths=self._fonts_for(lines), sys_inputs={"words": json.dumps(words)})
        made = compiler.compile(format="png", ppi=72)
        if not isinstance(made, bytes):
            raise RuntimeError("the words came out on more than one page")
        return _planes(_decoded(made), ground)

    def _fonts_for(self, lines: tuple[str, ...]) -> typst.Fonts:
        """Looking through every font of the system takes a good part of a second: only where a script asks for it."""
        is_plain = all(is_plainly_written(line) for line in lines)
        if is_plain not in self._fonts:
            folders = [folder for folder in DEJAVU if folder.is_dir()]
            self._fonts[is_plain] = typst.Fonts(
                include_system_fonts=not (is_plain and folders), include_embedded_fonts=True, font_paths=list(folders)
            )
        return self._fonts[is_plain]


def printable(text: str) -> str:
    """On one line, without controls and without marks that would turn the words around them over."""
    kept = [
        " " if letter.isspace() else letter
        for letter in text[:LONGEST]
        if letter in "\u200c\u200d" or letter.isspace() or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co")
    ]
    return " ".join("".join(kept).split())


def is_right_to_left(text: str) -> bool:
    """By the first letter that has a direction (Unicode UAX #9, rules P2 and P3)."""
    strong = (unicodedata.bidirectional(letter) for letter in text)
    return next((one for one in strong if one in ("L", "R", "AL")), "L") != "L"


def is_plainly_written(text: str) -> bool:
    return all(
        ord(letter) < PLAIN_BELOW and (not letter.isalpha() or unicodedata.name(letter, "").split()[0] in PLAIN_SCRIPTS)
        for letter in text
    )


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _decoded(png: bytes) -> Plane:
    decoder = av.CodecContext.create("png", "r")
    frames = [*decoder.decode(av.Packet(png)), *decoder.decode(None)]
    return np.asarray(frames[0].to_ndarray(format="rgb24"), np.uint8)


def _planes(image: Plane, ground: Rgb) -> Planes:
    """Planar 4:2:0 of even size."""
    rows, columns = image.shape[:2]
    even = np.full((rows + rows % 2, columns + columns % 2, 3), ground, np.uint8)
    even[:rows, :columns] = image
    frame = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(format="yuv420p")
    luma, blue, red = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:high, :wide].copy()
        for plane, high, wide in zip(
            frame.planes,
            (even.shape[0], even.shape[0] // 2, even.shape[0] // 2),
            (even.shape[1], even.shape[1] // 2, even.shape[1] // 2),
            strict=True,
        )
    )
    return luma, blue, red


def _dotted(lines: tuple[str, ...], room: int, ground: Rgb, size: int) -> Planes | None:
    scale = max(1, size // 10)
    masks = [mask for mask in (drawn(line, scale) for line in lines) if mask is not None]
    if not masks:
        return None
    wide = min(room, max(mask.shape[1] for mask in masks) + 4 * scale)
    step = masks[0].shape[0] + 4 * scale
    image = np.full((step * len(masks), wide, 3), ground, np.uint8)
    for number, mask in enumerate(masks):
        cut = mask[:, : wide - 4 * scale]
        left = (wide - cut.shape[1]) // 2
        image[number * step + 2 * scale :, left:][: cut.shape[0], : cut.shape[1]][cut] = INK
    return _planes(image, ground)


def _same_size(parts: Mapping[str, Planes], ground: Rgb) -> dict[str, Planes]:
    """Each letter in the middle of a box as wide as the widest, and a blank of half that width."""
    if not parts:
        return {}
    high = max(luma.shape[0] for luma, _, _ in parts.values())
    wide = max(luma.shape[1] for luma, _, _ in parts.values())
    plain = _planes(np.full((high, wide, 3), ground, np.uint8), ground)
    made = {}
    for letter, planes in {**parts, " ": (plain[0][:0], plain[1][:0], plain[2][:0])}.items():
        box: Planes = (plain[0].copy(), plain[1].copy(), plain[2].copy())
        left = (wide - planes[0].shape[1]) // 4 * 2
        for target, source, half in zip(box, planes, (1, 2, 2), strict=True):
            target[: source.shape[0], left // half : left // half + source.shape[1]] = source
        made[letter] = box
    return made
