"""The composing process itself: what it is told, and what it says on its pipe. Loads nothing but what composing needs.

Starting it, and listening to it, is the server's (`server/encounters/composing.py`).
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from media.compose.film import compose_film
from media.compose.redact import redact_film
from media.compose.remux import remux_tracks
from media.compose.report import FilmOptions, FilmReport, Part
from media.logformat import LogDamagedError

NICENESS = 10
LOG_DAMAGED = "log_damaged"


@dataclass(frozen=True, slots=True)
class Work:
    """What the composing process is told; the keys live in memory alone, by the SHA-256 of their wrapped form."""

    logs: tuple[Path, ...]
    output: Path
    keys: Mapping[bytes, bytes]
    names: Mapping[str, str]
    options: FilmOptions = field(default_factory=FilmOptions)
    parts: tuple[Part, ...] = ()
    """Of the picture, from an earlier run."""
    wants_tracks: bool = False
    """The originals, copied; not a film."""
    taken_out: tuple[tuple[float, float], ...] = ()
    """Seconds, from and until: then `logs` is one finished film, and it is written again without these."""


def compose_in_process(work: Work, pipe: Connection) -> None:
    """Behind everybody else for the processor; ends when nobody listens any more.

    Says how far it is (a float), each part that is done, and last how it came out: a report, how many tracks were
    copied or frames taken out, or the code of what went wrong.
    """
    os.nice(NICENESS)
    # Ctrl-C reaches the whole group; the job's own process decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def unwrap(participant_id: str, wrapped: bytes) -> bytes:
        return work.keys[hashlib.sha256(wrapped).digest()]

    report: FilmReport | int
    try:
        if work.taken_out:
            report = redact_film(work.logs[0], work.output, work.taken_out, progress=pipe.send, options=work.options)
        elif work.wants_tracks:
            report = remux_tracks(work.logs, work.output, unwrap=unwrap, names=work.names)
        else:
            report = compose_film(
                work.logs,
                work.output,
                unwrap=unwrap,
                names=work.names,
                progress=pipe.send,
                options=work.options,
                parts=work.parts,
                part_done=pipe.send,
            )
    except LogDamagedError:
        pipe.send(LOG_DAMAGED)
    except BrokenPipeError:
        return
    except Exception as error:  # told by its kind alone: its words could hold what was recorded
        pipe.send(f"composing_failed_{type(error).__name__}"[:64])
    else:
        pipe.send(report)
