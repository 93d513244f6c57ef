"""Runs the composing process of a film or of its originals, and hands on what it says.

What is composed of what, and what becomes of it, is `jobs.py`'s and `filmparts.py`'s.
"""

from __future__ import annotations

import asyncio
import errno
import multiprocessing
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

from media.compose import FilmReport, Part
from media.compose.process import LOG_DAMAGED, Work, compose_in_process
from server.jobs import JobContext, JobFailed

POLL_S = 0.1
STOP_WITHIN_S = 5.0
NO_SPACE = "no_space"


async def _throw_away(_: Part) -> None:
    return None


async def compose(
    job: JobContext, work: Work, keep: Callable[[Part], Awaitable[None]] = _throw_away
) -> FilmReport | int | None:
    """Runs the composing process to its end; None once the work is no longer wanted here.

    Answers how the film came out, or how many tracks were copied or frames taken out. `keep` is given each part of a
    film as it is done.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=compose_in_process, args=(work, theirs), daemon=True)
    await asyncio.to_thread(process.start)
    theirs.close()
    try:
        while not job.cancelled():
            told = await asyncio.to_thread(_next_word, ours)
            if isinstance(told, float):
                await job.progress(told)
            elif isinstance(told, Part):
                await keep(told)
            elif isinstance(told, FilmReport | int):
                return told
            elif isinstance(told, str):
                raise JobFailed(told, for_good=told == LOG_DAMAGED)
        return None
    except (EOFError, OSError):
        raise JobFailed("composing_died") from None
    finally:
        await asyncio.to_thread(_end, process)
        ours.close()


def failure_of(error: Exception) -> JobFailed:
    """What is said of work that broke off, whatever broke it: the disk it works on may be full."""
    if isinstance(error, JobFailed):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return JobFailed(NO_SPACE)
    return JobFailed(type(error).__name__[:64])


def _next_word(pipe: Connection) -> object:
    return pipe.recv() if pipe.poll(POLL_S) else None


def _end(process: Any) -> None:
    process.terminate()
    process.join(STOP_WITHIN_S)
    if process.is_alive():
        process.kill()
        process.join()
