"""Folders in which a recording lies in the clear while a job works on it: for us alone, and gone when the job is.

Killed, a job leaves its folder behind; whoever opens one next, and the standing job that keeps recordings, clears away
those that no living process holds. What is in them is the jobs' own.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

KINDS = ("film-", "tracks-", "redact-", "erase-")
"""How their names begin; other folders of `run` are not ours."""


@asynccontextmanager
async def work_folder(var: Path, name: str) -> AsyncIterator[Path]:
    """An empty folder for this job on this machine. Raises ValueError for a name of no known kind."""
    if not name.startswith(KINDS):
        raise ValueError(name)
    await asyncio.to_thread(sweep, var)
    folder = var / "run" / name
    held = await asyncio.to_thread(_hold, folder)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)
        os.close(held)


def sweep(var: Path) -> int:
    """Removes the folders of jobs that are gone; how many."""
    count = 0
    for folder in (var / "run").glob("*-*"):
        if folder.name.startswith(KINDS) and folder.is_dir() and (held := _try_hold(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)
            count += 1
    return count


def _hold(folder: Path) -> int:
    """Makes it anew and locks it, until what is locked is what lies there: a sweep may have come between."""
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = _try_hold(folder)
        if held is not None:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(held), folder.stat()):
                    return held
            os.close(held)


def _try_hold(folder: Path) -> int | None:
    """Locked for as long as this process lives, or None: somebody else holds it, or it is gone."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held
