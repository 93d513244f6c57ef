"""Writes the film: H.264 and AAC in an MP4 whose index comes first, so that it plays and seeks at once.

What is in it comes from the others; whether it came out right is asked by `selfcheck.py`.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import av
import numpy as np

from media.compose.report import FilmOptions
from media.compose.sound import RATE, Samples

KEY_FRAME_EVERY_S = 2


class FilmWriter:
    """A context: left without an error the file is whole, left with one it is gone."""

    def __init__(self, path: Path, options: FilmOptions) -> None:
        self._path = path
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
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
        self._audio = self._container.add_stream("aac", rate=RATE, layout="mono")
        self._audio.codec_context.bit_rate = options.audio_bitrate_bps
        self._frames = 0
        self._samples = 0

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._video.encode(None))
                self._container.mux(self._audio.encode(None))
        finally:
            self._container.close()
            if kind is not None:
                self._path.unlink(missing_ok=True)

    def picture(self, frame: av.VideoFrame) -> None:
        """The next frame; its moment is its number over the frame rate."""
        frame.pts = self._frames
        frame.time_base = 1 / self._video.codec_context.framerate
        self._frames += 1
        self._container.mux(self._video.encode(frame))

    def sound(self, samples: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="fltp", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._samples
        self._samples += len(samples)
        self._container.mux(self._audio.encode(frame))
