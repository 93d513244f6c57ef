"""The log of every process: one JSON object a line, event names from enums, ids and codes, never personal data.

What happened is said by those it happens to; other libraries' warnings pass with their words, without their values.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from enum import StrEnum
from typing import Any, TextIO

import structlog

FIELDS = ("at", "level", "event", "process", "request_id", "room_id", "participant_id", "code")


class Event(StrEnum):
    """What server, jobs and supervisor log; signaling and media have enums of their own."""

    STARTED = "started"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    CHILD_STARTED = "child_started"
    CHILD_CRASHED = "child_crashed"
    CHILD_KILLED = "child_killed"
    REQUEST = "request"
    REQUEST_FAILED = "request_failed"
    REFUSED = "refused"
    CROSS_SITE_REFUSED = "cross_site_refused"
    JOB_DONE = "job_done"
    JOB_FAILED = "job_failed"
    JOB_GIVEN_UP = "job_given_up"
    FILM_RESUMED = "film_resumed"
    LEASE_LOST = "lease_lost"
    JOBS_LOOP_FAILED = "jobs_loop_failed"
    CHAIN_BROKEN = "chain_broken"
    MIGRATED = "migrated"
    SEEDED = "seeded"
    TASK_FAILED = "task_failed"
    LIBRARY = "library"


def configure_logs(process: str, stream: TextIO | None = None) -> None:
    """Makes this process's log: structlog and the standard library's logging, both as JSON lines."""
    target = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _Framed(process),
            structlog.processors.JSONRenderer(default=_text_of),
        ],
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    handler = _Libraries()
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)


def log_info(event: Event, **ids: Any) -> None:
    structlog.get_logger().info(event.value, **ids)


def log_warning(event: Event, **ids: Any) -> None:
    structlog.get_logger().warning(event.value, **ids)


def log_error(event: Event, error: BaseException | None = None, **ids: Any) -> None:
    """An error by its kind and the places it passed; its words may hold data and stay out."""
    if error is not None:
        ids |= {"error": type(error).__name__, "where": where(error)}
    structlog.get_logger().error(event.value, **ids)


def where(error: BaseException) -> list[str]:
    """The innermost places an error passed, file and line, without source lines or values."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


class _Framed:
    """Puts the agreed fields first and names the process."""

    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, logger: Any, name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["process"] = self._process
        first = {field: line.pop(field) for field in FIELDS if field in line}
        return {**first, **line}


class _Libraries(logging.Handler):
    """Other people's records: the logger's name and the message's template; its values may hold anything."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._pass_on(record)
        except (ValueError, OSError, TypeError):
            self.handleError(record)

    def _pass_on(self, record: logging.LogRecord) -> None:
        ids: dict[str, Any] = {"logger": record.name, "words": str(record.msg)[:200]}
        if record.exc_info and record.exc_info[1] is not None:
            ids |= {"error": type(record.exc_info[1]).__name__, "where": where(record.exc_info[1])}
        level = "error" if record.levelno >= logging.ERROR else "warning"
        getattr(structlog.get_logger(), level)(Event.LIBRARY.value, **ids)


def _short(filename: str) -> str:
    for mark in ("/site-packages/", "/lib/python3"):
        if mark in filename:
            return filename.split(mark, 1)[1]
    for part in ("tests", "server", "signaling", "media"):
        if f"/{part}/" in filename:
            return part + "/" + filename.rsplit(f"/{part}/", 1)[1]
    return filename.rsplit("/", 1)[-1]


def _text_of(value: object) -> str:
    """Anything that isn't plain JSON prints itself; `Redacted` prints as redacted."""
    return json.dumps(str(value))[1:-1]
