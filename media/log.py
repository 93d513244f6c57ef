"""The node's log: one JSON object a line on standard output, ids and codes only.

What is worth a line is decided where it happens; how it gets out without anybody waiting for it, in `lines`.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
from enum import StrEnum
from typing import Any, TextIO, cast

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from media.lines import LineWriter


class LogEvent(StrEnum):
    LISTENING = "listening"
    CANNOT_START = "cannot_start"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"
    TASK_FAILED = "task_failed"
    TICK_FAILED = "tick_failed"
    LOGS_RECOVERED = "logs_recovered"
    ROOM_OPENED = "room_opened"
    ROOM_CLOSED = "room_closed"
    DISK = "disk"
    LINES_DROPPED = "lines_dropped"


def configure() -> LineWriter:
    """Standard library loggers (aiohttp, aiortc) come out in the same form, warnings and above.

    What is queued when the process ends is still written.
    """
    writer = LineWriter(sys.stdout.fileno(), _dropped_line)
    atexit.register(writer.close)
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", key="at", utc=True),
        # Without local variables: they hold keys, addresses and the secret.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        _add_process,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, writer)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    return writer


def write(event: LogEvent, **fields: Any) -> None:
    structlog.get_logger().info(event.value, **fields)


def write_warning(event: LogEvent, **fields: Any) -> None:
    structlog.get_logger().warning(event.value, **fields)


def write_error(event: LogEvent, error: BaseException) -> None:
    """The traceback without the values in it."""
    structlog.get_logger().error(
        event.value, code=type(error).__name__, exc_info=(type(error), error, error.__traceback__)
    )


def _add_process(_: Any, __: str, fields: dict[str, Any]) -> dict[str, Any]:
    fields["process"] = f"media:{os.getpid()}"
    return fields


def _dropped_line(count: int) -> str:
    """Lines that nobody could read in time."""
    fields = {"lines": count, "event": LogEvent.LINES_DROPPED.value, "level": "warning"}
    at = structlog.processors.TimeStamper(fmt="iso", key="at", utc=True)
    return json.dumps(_add_process(None, "", dict(at(None, "", fields)))) + "\n"
