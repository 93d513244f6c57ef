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

from media.compose.glyphs import HEIGHT, drawn
from media.compose.layout import Tile

Plane = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

BLACK: Colour = (16, 128, 128)
CARD: Colour = (44, 134, 122)
PLACEHOLDER: Colour = (60, 133, 124)
PLACEHOLDER_DISC: Colour = (96, 133, 124)
TEXT_LUMA = 220


@dataclass(slots=True)
class _Painted:
    """What stands in a tile now, so that a picture that did not change is not scaled again."""

    shown: object = None
    inner: tuple[int, int, int, int] | None = None
    scaler: VideoReformatter = field(default_factory=VideoReformatter)


class Canvas:
    """Planar 4:2:0, even sizes."""

    def __init__(self, width: int, height: int, labels: Mapping[str, str]) -> None:
        self.width, self.height = width, height
        self._labels = labels
        self._luma = np.empty((height, width), np.uint8)
        self._chroma = (np.empty((height // 2, width // 2), np.uint8), np.empty((height // 2, width // 2), np.uint8))
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
        scale = max(2, self.width // 320)
        top = self.height // 2 - len(lines) * HEIGHT * scale
        for number, line in enumerate(lines):
            mask = drawn(line, scale)
            if mask is not None:
                self._write(mask, (self.width - mask.shape[1]) // 2, top + number * 2 * HEIGHT * scale)

    def write_clock(self, text: str) -> None:
        """The wall-clock time, at the top right, on a bar of its own."""
        mask = drawn(text, max(1, self.width // 640))
        if mask is not None:
            self._write_on_bar(mask, self.width - mask.shape[1] - 8, 4)

    def to_frame(self) -> av.VideoFrame:
        """A frame of its own: the encoder keeps it while the canvas goes on."""
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        for plane, source in zip(frame.planes, (self._luma, *self._chroma), strict=True):
            rows, columns = source.shape
            _view(plane, rows)[:, :columns] = source
        return frame

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
        name = self._labels.get(tile.participant_id, "")
        mask = drawn(name, max(1, self.width // 640)) if name and tile.source == "camera" else None
        if mask is not None:
            self._write_on_bar(mask[:, : tile.width - 12], tile.x + 6, tile.y + tile.height - mask.shape[0] - 8)

    def _write_on_bar(self, mask: npt.NDArray[np.bool_], x: int, y: int) -> None:
        rows, columns = mask.shape
        self._fill((x - 4) // 2 * 2, (y - 4) // 2 * 2, (columns + 9) // 2 * 2, (rows + 9) // 2 * 2, BLACK)
        self._write(mask, x, y)

    def _write(self, mask: npt.NDArray[np.bool_], x: int, y: int) -> None:
        x, y = max(0, x), max(0, y)
        part = self._luma[y : y + mask.shape[0], x : x + mask.shape[1]]
        part[mask[: part.shape[0], : part.shape[1]]] = TEXT_LUMA

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
