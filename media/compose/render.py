"""Everything that moves while a film is made, in one place: what is read, what is painted, what is watched.

What is done with it is `film.py`'s; what is said of it afterwards, `verdict.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from media.compose.canvas import Canvas
from media.compose.layout import Scene
from media.compose.pictures import SourcePictures
from media.compose.report import CancelledError, FilmOptions
from media.compose.selfcheck import Watch
from media.compose.sound import Mixer
from media.compose.timeline import Span, Timeline

ASK_EVERY_FRAMES = 10


@dataclass(slots=True)
class Render:
    """One film in the making."""

    timeline: Timeline
    scenes: list[Scene]
    pictures: dict[tuple[str, str], SourcePictures]
    mixer: Mixer
    canvas: Canvas
    watch: Watch
    options: FilmOptions
    zone: ZoneInfo
    progress: Callable[[float], None]
    cancelled: Callable[[], bool]
    holes: set[tuple[int, Span]] = field(default_factory=set)
    """Of pictures, by track: also those that were found before the work was broken off."""

    @property
    def frames(self) -> int:
        return max(1, round(self.timeline.length_s * self.options.frame_rate))

    def ask(self, number: int, done: float) -> None:
        """Says how far it is, every few frames. Raises CancelledError."""
        if number % ASK_EVERY_FRAMES == 0:
            if self.cancelled():
                raise CancelledError
            self.progress(done)


def by_track(hole: tuple[int, Span]) -> tuple[int, float]:
    """For sorting holes: by track, then by when."""
    return hole[0], hole[1].start_s
