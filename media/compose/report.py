"""What composing says of its film: the figures of the self-check, kept beside the film and shown to people.

How they are found is in `selfcheck.py`; what follows from a failed check is the server's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

CARD_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "paused": "Recording paused",
        "examination": "Paused for an examination",
        "newcomer": "Paused until everybody had answered",
        "between": "Recording interrupted",
        "removed": "This person's part was removed",
    }
)
"""What the film says of itself, by the code of a pause; the server gives them in the clinic's language."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the film, in seconds of film time; `participant_id` is None where it concerns all of it."""

    start_s: float
    end_s: float
    kind: str
    participant_id: str | None = None


@dataclass(frozen=True, slots=True)
class FilmReport:
    """`empty`: nothing was recorded and there is no film. `incomplete`: why the end is missing, or None.

    `passed` is False when any of `problems` (codes) stands: the film may still be worth watching, but somebody must
    look, and the log is to be kept.
    """

    empty: bool
    passed: bool
    duration_s: float = 0.0
    wall_clock_s: float = 0.0
    started_at_utc_s: float = 0.0
    placement_within_s: float = 0.0
    placement_between_s: float = 0.0
    gaps: tuple[Stretch, ...] = ()
    silent: tuple[Stretch, ...] = ()
    black: tuple[Stretch, ...] = ()
    participants: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    bytes: int = 0
    sha256: str = ""
    incomplete: str | None = None
    problems: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FilmOptions:
    """Times on cards are in the IANA zone `zone`; `show_clock` writes the wall-clock time into every picture too."""

    width: int = 1280
    height: int = 720
    frame_rate: int = 25
    video_bitrate_bps: int = 1_500_000
    audio_bitrate_bps: int = 96_000
    preset: str = "superfast"
    threads: int = 1
    part_s: int = 30
    """How much of the film is lost at most when composing is broken off and goes on later."""
    zone: str = "UTC"
    show_clock: bool = False
    words: Mapping[str, str] = field(default_factory=lambda: dict(CARD_WORDS))


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the film's picture that is done: its frames in a file, and all that was watched until its end.

    `delay` and `watched` are for whoever goes on behind it (`encode.py`, `selfcheck.py`); both are plain JSON.
    """

    path: Path
    first: int
    frames: int
    delay: int
    watched: Mapping[str, Any]


class CancelledError(Exception):
    """Composing was told to stop; nothing is left behind."""
