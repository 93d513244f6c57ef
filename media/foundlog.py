"""Closes a log that lies in the captures folder: after its session, or after the crash that left it open.

No key is needed, and none is asked for. Where the log goes then is `capture.py`'s.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from media.logformat import (
    EndRecord,
    FrameKind,
    LogDamagedError,
    LogHeader,
    json_frame,
    parse_end,
    parse_header,
    read_frames,
)


@dataclass(frozen=True, slots=True)
class FoundLog:
    """A log as it lies in the captures folder. `packets` is known only where the log has its end."""

    header: LogHeader
    size: int
    packets: int
    complete: bool
    ended: bool


def close_found_log(path: Path, reason: str = "found_after_crash") -> FoundLog | None:
    """Cut off a torn tail and write the end that is missing. None when the log is in use, unreadable or holds nothing.

    A log without one chunk is deleted; a file that is no log is left where it lies.
    """
    try:
        with path.open("r+b") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = _survey(file)
            if found is None:
                path.unlink()
            elif not found.ended:
                found = _end_for(file, found, reason)
            return found
    except (OSError, LogDamagedError):
        return None


def _survey(file: BinaryIO) -> FoundLog | None:
    header, end, chunks, size = None, None, 0, 0
    for part in read_frames(file):
        size = part.offset + part.size
        if part.kind == FrameKind.HEADER and header is None:
            header = parse_header(part.body)
        elif part.kind == FrameKind.END:
            end = parse_end(part.body)
        chunks += part.kind == FrameKind.CHUNK
    if header is None or chunks == 0:
        return None
    if end is None:
        return FoundLog(header, size, packets=0, complete=False, ended=False)
    return FoundLog(header, size, end.packets, end.complete, ended=True)


def _end_for(file: BinaryIO, found: FoundLog, reason: str) -> FoundLog:
    """On a disk without room even for that, the log stays without an end: its readers know what that means."""
    file.truncate(found.size)
    file.seek(found.size)
    end = json_frame(FrameKind.END, EndRecord(at_ns=0, reason=reason, packets=0, complete=False))
    with contextlib.suppress(OSError):
        file.write(end)
        file.flush()
        os.fsync(file.fileno())
    return replace(found, size=os.fstat(file.fileno()).st_size)
