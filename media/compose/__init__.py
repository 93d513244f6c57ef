"""Makes one film out of a recording's packet logs, in a process of its own.

Claiming the work, wrapping keys and keeping the film are the server's (`server/encounters/jobs.py`).
"""

from media.compose.film import compose_film
from media.compose.remux import remux_tracks
from media.compose.report import CancelledError, FilmOptions, FilmReport, Part, Stretch
from media.logformat import LogDamagedError

__all__ = [
    "CancelledError",
    "FilmOptions",
    "FilmReport",
    "LogDamagedError",
    "Part",
    "Stretch",
    "compose_film",
    "remux_tracks",
]
