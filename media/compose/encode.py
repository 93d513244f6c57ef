"""Writes the film: H.264 and AAC in an MP4 whose index comes first, so that it plays and seeks at once.

The picture is encoded in parts of some length, each a file of its own that opens with a key frame: work that was broken
off goes on behind the last whole one. What is in it comes from the others; whether it came out right is asked by
`selfcheck.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np

from media.compose.report import FilmOptions, Part
from media.compose.sound import RATE, Samples

KEY_FRAME_EVERY_S = 2


class _Writer(ABC):
    """A context: left without an error the file is whole, left with one it is gone."""

    def __init__(self, path: Path, **how: Any) -> None:
        self._path = path
        self._container = av.open(str(path), "w", format="mp4", **how)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._container.close()
            if kind is not None:
                self._path.unlink(missing_ok=True)

    @abstractmethod
    def _finish(self) -> None:
        """Writes what the encoder still holds back."""


class PartWriter(_Writer):
    """The picture of a stretch of the film."""

    def __init__(self, path: Path, options: FilmOptions) -> None:
        super().__init__(path)
        self._video = self._container.add_stream(
            "libx264",
            rate=options.frame_rate,
            options={"preset": options.preset, "crf": "23", "maxrate": str(options.video_bitrate_bps)}
            | {"bufsize": str(2 * options.video_bitrate_bps)},
        )
        context = self._video.codec_context
        context.width, context.height, context.pix_fmt = options.width, options.height, "yuv420p"
        context.gop_size = KEY_FRAME_EVERY_S * options.frame_rate
        context.thread_count = options.threads
        context.colorspace, context.color_range = 6, 1  # BT.601, limited: what browsers send in VP8
        context.color_primaries, context.color_trc = 6, 6
        self._frame = Fraction(1, options.frame_rate)
        self._frames = 0
        self._packets = 0
        self.delay = 0
        """How many frames the order of decoding is ahead of that of showing, at most."""

    def picture(self, frame: av.VideoFrame) -> None:
        """The next frame; its moment is its number over the frame rate."""
        frame.pts = self._frames
        frame.time_base = self._frame
        self._frames += 1
        self._mux(self._video.encode(frame))

    def _finish(self) -> None:
        self._mux(self._video.encode(None))

    def _mux(self, packets: list[av.Packet[Any]]) -> None:
        for packet in packets:
            if packet.pts is not None and packet.time_base is not None:
                shown = round(packet.pts * packet.time_base / self._frame)
                self.delay = max(self.delay, self._packets - shown)
            self._packets += 1
            self._container.mux(packet)


class FilmWriter(_Writer):
    """Copies the picture's parts behind each other and encodes the sound beside them."""

    def __init__(self, path: Path, options: FilmOptions, parts: Sequence[Part]) -> None:
        super().__init__(path, options={"movflags": "+faststart"})
        with av.open(str(parts[0].path)) as first:
            self._video = self._container.add_stream_from_template(first.streams.video[0])
        self._frame = Fraction(1, options.frame_rate)
        self._video.time_base = self._frame
        self._audio = self._container.add_stream("aac", rate=RATE, layout="mono")
        self._audio.codec_context.bit_rate = options.audio_bitrate_bps
        self._pictures = self._copies(parts)
        self._waiting = next(self._pictures, None)
        self._samples = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pictures.close()
        super().__exit__(kind, error, trace)

    def pictures(self, before: int) -> None:
        """Those that are to be decoded before the frame of this number."""
        while self._waiting is not None and self._waiting.dts is not None and self._waiting.dts < before:
            self._container.mux(self._waiting)
            self._waiting = next(self._pictures, None)

    def sound(self, samples: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="fltp", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._samples
        self._samples += len(samples)
        self._container.mux(self._audio.encode(frame))

    def _finish(self) -> None:
        self._container.mux(self._audio.encode(None))

    def _copies(self, parts: Sequence[Part]) -> Generator[av.Packet[Any], None, None]:
        """In decoding order, numbered by the film's frames; each part as far ahead as the one that needs it most."""
        delay = max(part.delay for part in parts)
        for part in parts:
            with av.open(str(part.path)) as container:
                packets = [one for one in container.demux(video=0) if one.pts is not None]
            shown = {
                pts: number for number, pts in enumerate(sorted(one.pts for one in packets if one.pts is not None))
            }
            for number, packet in enumerate(packets):
                packet.pts, packet.dts = part.first + shown[packet.pts or 0], part.first + number - delay
                packet.time_base, packet.duration = self._frame, 1
                packet.stream = self._video
                yield packet
