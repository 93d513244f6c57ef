"""Takes stretches out of a finished film: black and silent where they were, as long as before, all else as it was.

Which stretches, and who watches what is left, are the server's. Meant for a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from media.compose.encode import FilmWriter, PartWriter
from media.compose.report import FilmOptions, Part
from media.compose.sound import RATE, Samples
from media.compose.timeline import Span

MARGIN_S = 0.25
"""Taken out on either side too: nobody names a moment more exactly than that."""
PICTURE_SHARE = 0.9
LIMITED_BLACK, NO_COLOUR = 16, 128
EVERY_FRAMES = 25


def redact_film(
    source: Path,
    output: Path,
    spans: Sequence[tuple[float, float]],
    *,
    progress: Callable[[float], None] = lambda _: None,
    options: FilmOptions | None = None,
) -> int:
    """Writes `output` from a film that was composed with these options; answers how many frames are black by it.

    `spans` are seconds of the film, from and until. Raises OSError, av's errors for what is no film.
    """
    options = options or FilmOptions()
    gone = [Span(start - MARGIN_S, end + MARGIN_S) for start, end in spans]
    picture, whole = output.with_name(output.name + ".picture"), output.with_name(output.name + ".part")
    try:
        part, blanked = _redact_picture(source, picture, gone, options, progress)
        with FilmWriter(whole, options, [part]) as writer:
            for start, block in _sound(source, gone):
                writer.pictures(start * options.frame_rate // RATE)
                writer.sound(block)
            writer.pictures(part.frames)
        whole.replace(output)
    finally:
        for path in (picture, whole):
            path.unlink(missing_ok=True)
    progress(1.0)
    return blanked


def _redact_picture(
    source: Path, target: Path, gone: Sequence[Span], options: FilmOptions, progress: Callable[[float], None]
) -> tuple[Part, int]:
    number = blanked = 0
    with av.open(str(source)) as container, PartWriter(target, options) as writer:
        total = max(1, container.streams.video[0].frames)
        for frame in container.decode(video=0):
            frame_s = Fraction(1, options.frame_rate)
            here = Span(float(number * frame_s), float((number + 1) * frame_s))
            is_gone = any(span.overlaps(here) for span in gone)
            writer.picture(_black(frame) if is_gone else _plain(frame))
            blanked += is_gone
            number += 1
            if number % EVERY_FRAMES == 0:
                progress(PICTURE_SHARE * min(1.0, number / total))
    return Part(target, 0, number, writer.delay, {}), blanked


def _sound(source: Path, gone: Sequence[Span]) -> Iterator[tuple[int, Samples]]:
    """Block by block, each with its first sample's number."""
    start = 0
    with av.open(str(source)) as container:
        for frame in container.decode(audio=0):
            block = frame.to_ndarray()[0].astype(np.float32)
            for span in gone:
                first, last = round(span.start_s * RATE) - start, round(span.end_s * RATE) - start
                block[max(0, first) : max(0, last)] = 0.0
            yield start, block
            start += len(block)


def _plain(frame: av.VideoFrame) -> av.VideoFrame:
    """Free of how it was encoded before: the encoder decides anew which frames are key frames."""
    return av.VideoFrame.from_ndarray(frame.to_ndarray(format="yuv420p"), format="yuv420p")


def _black(frame: av.VideoFrame) -> av.VideoFrame:
    picture = np.full((frame.height * 3 // 2, frame.width), NO_COLOUR, np.uint8)
    picture[: frame.height] = LIMITED_BLACK
    return av.VideoFrame.from_ndarray(picture, format="yuv420p")
