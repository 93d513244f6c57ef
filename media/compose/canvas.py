"""The picture that is encoded: paints pictures into tiles, placeholders, labels and cards onto one constant canvas.

What goes where is `layout.py`'s; nothing here knows time beyond what it is told to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from media.compose.layout import REMOVED, Tile
from media.compose.lettering import Lettering, Planes, Rgb

Plane = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

BLACK: Colour = (16, 128, 128)
CARD: Colour = (44, 134, 122)
PLACEHOLDER: Colour = (60, 133, 124)
PLACEHOLDER_DISC: Colour = (96, 133, 124)
BLACK_GROUND: Rgb = (0, 0, 0)
CARD_GROUND: Rgb = (23, 36, 45)
LABEL_GAP = 4


@dataclass(slots=True)
class _Painted:
    """What stands in a tile now, so that a picture that did not change is not scaled again."""

    shown: object = None
    inner: tuple[int, int, int, int] | None = None
    scaler: VideoReformatter = field(default_factory=VideoReformatter)


class Canvas:
    """Planar 4:2:0, even sizes."""

    def __init__(
        self, width: int, height: int, labels: Mapping[str, str], removed: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self.width, self.height = width, height
        self._labels, self._removed = labels, removed or {}
        self._small, self._large = Lettering(max(8, height // 36)), Lettering(max(10, height // 20))
        self._frame = av.VideoFrame(width, height, "yuv420p")
        luma, blue, red = self._frame.planes
        self._luma = _view(luma, height)[:, :width]
        self._chroma = (_view(blue, height // 2)[:, : width // 2], _view(red, height // 2)[:, : width // 2])
        self._tiles: dict[Tile, _Painted] = {}
        self.clear(BLACK)

    def clear(self, colour: Colour) -> None:
        """Forget all tiles: a new scene begins."""
        self._fill(0, 0, self.width, self.height, colour)
        self._tiles = {}

    def show(self, tile: Tile, frame: av.VideoFrame | None) -> None:
        """Put this picture into the tile, or the placeholder."""
        painted = self._tiles.setdefault(tile, _Painted())
        shown = frame if frame is not None else PLACEHOLDER
        if painted.shown is shown:
            return
        painted.shown = shown
        if frame is None:
            painted.inner = None
            self._placeholder(tile)
        else:
            self._picture(tile, painted, frame)
        self._label(tile)

    def card(self, lines: list[str]) -> None:
        """A plain card with a few lines of text in the middle."""
        self.clear(CARD)
        words = self._large.label(tuple(lines), self.width - 2 * LABEL_GAP, CARD_GROUND)
        if words is not None:
            rows, columns = words[0].shape
            self._paste(words, (self.width - columns) // 2, (self.height - rows) // 2)

    def write_clock(self, text: str) -> None:
        """The wall-clock time, at the top right, on a bar of its own."""
        words = self._small.clock(text, BLACK_GROUND)
        if words is not None:
            self._paste(words, self.width - words[0].shape[1] - 2 * LABEL_GAP, LABEL_GAP)

    def to_frame(self) -> av.VideoFrame:
        """The canvas itself, as it is now: the encoder takes its picture before it returns."""
        return self._frame

    def mean_luma(self) -> float:
        return float(self._luma[::16, ::16].mean())

    # ---- inside

    def _picture(self, tile: Tile, painted: _Painted, frame: av.VideoFrame) -> None:
        width, height = fitted(frame.width, frame.height, tile.width, tile.height)
        x = tile.x + (tile.width - width) // 4 * 2
        y = tile.y + (tile.height - height) // 4 * 2
        if painted.inner != (x, y, width, height):
            self._fill(tile.x, tile.y, tile.width, tile.height, BLACK)
            painted.inner = (x, y, width, height)
        scaled = painted.scaler.reformat(frame, width, height, "yuv420p", interpolation="BILINEAR", threads=1)
        for number, plane in enumerate(scaled.planes):
            half = 1 if number == 0 else 2
            target = self._luma if number == 0 else self._chroma[number - 1]
            rows, columns = height // half, width // half
            target[y // half : y // half + rows, x // half : x // half + columns] = _view(plane, rows)[:, :columns]

    def _placeholder(self, tile: Tile) -> None:
        self._fill(tile.x, tile.y, tile.width, tile.height, BLACK)
        self._fill(tile.x + 2, tile.y + 2, tile.width - 4, tile.height - 4, PLACEHOLDER)
        side = min(tile.width, tile.height) // 6 * 2
        x, y = tile.x + (tile.width - side) // 4 * 2, tile.y + (tile.height - side) // 4 * 2
        self._fill(x, y, side, side, PLACEHOLDER_DISC)

    def _label(self, tile: Tile) -> None:
        if tile.source == REMOVED:
            lines = self._removed.get(tile.participant_id, ())
            words = self._small.label(lines, tile.width - 2 * LABEL_GAP, BLACK_GROUND)
            if words is not None:
                rows, columns = words[0].shape
                self._paste(words, tile.x + (tile.width - columns) // 2, tile.y + (tile.height - rows) // 2)
            return
        name = self._labels.get(tile.participant_id, "")
        if not name or tile.source != "camera":
            return
        words = self._small.label((name,), tile.width - 2 * LABEL_GAP, BLACK_GROUND)
        if words is not None:
            self._paste(words, tile.x + LABEL_GAP, tile.y + tile.height - words[0].shape[0] - LABEL_GAP)

    def _paste(self, words: Planes, x: int, y: int) -> None:
        """At an even place; what would stand outside is cut off."""
        x, y = max(0, x // 2 * 2), max(0, y // 2 * 2)
        for half, target, source in zip((1, 2, 2), (self._luma, *self._chroma), words, strict=True):
            part = target[y // half : y // half + source.shape[0], x // half : x // half + source.shape[1]]
            part[:] = source[: part.shape[0], : part.shape[1]]

    def _fill(self, x: int, y: int, width: int, height: int, colour: Colour) -> None:
        x, y = max(0, x), max(0, y)
        self._luma[y : y + height, x : x + width] = colour[0]
        for plane, value in zip(self._chroma, colour[1:], strict=True):
            plane[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2] = value


def fitted(width: int, height: int, into_width: int, into_height: int) -> tuple[int, int]:
    """The largest even size with this aspect that fits."""
    scale = min(into_width / max(1, width), into_height / max(1, height))
    wide, high = int(width * scale + 0.5) // 2 * 2, int(height * scale + 0.5) // 2 * 2
    return min(max(2, wide), into_width), min(max(2, high), into_height)


def _view(plane: av.video.plane.VideoPlane, rows: int) -> Plane:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:rows]
