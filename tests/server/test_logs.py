"""One JSON object a line, agreed fields first, nothing personal whatever is thrown at it."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import structlog

from server import logs
from server.logs import Event
from signaling.words import Redacted

NAME = "Anna Müller"


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_begins_with_the_agreed_fields(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logs.log_info(Event.REQUEST, route="front", room_id="room", code="ok")
    (line,) = lines(stream)
    assert list(line)[:6] == ["at", "level", "event", "process", "request_id", "room_id"]
    assert line["at"].endswith("Z")


def test_redacted_values_print_as_redacted(stream: io.StringIO) -> None:
    logs.log_info(Event.REQUEST, who=Redacted(NAME), nested={"who": [Redacted(NAME)]})
    assert NAME not in stream.getvalue()
    assert lines(stream)[0]["who"] == "[redacted]"


def test_an_error_is_told_by_kind_and_place_never_by_its_words(stream: io.StringIO) -> None:
    try:
        raise ValueError(NAME)
    except ValueError as error:
        logs.log_error(Event.REQUEST_FAILED, error)
    (line,) = lines(stream)
    assert line["error"] == "ValueError"
    assert line["where"][-1].startswith("tests/server/test_logs.py:")
    assert NAME not in stream.getvalue()


def test_other_libraries_warnings_pass_without_their_values(stream: io.StringIO) -> None:
    logging.getLogger("aiohttp.server").warning("cannot serve %s", NAME)
    try:
        raise KeyError(NAME)
    except KeyError:
        logging.getLogger("asyncio").exception("task failed for %s", NAME)
    logging.getLogger("sqlalchemy").info("not of interest")
    found = lines(stream)
    assert [(line["level"], line["words"]) for line in found] == [
        ("warning", "cannot serve %s"),
        ("error", "task failed for %s"),
    ]
    assert NAME not in stream.getvalue()


def test_a_hostile_value_stays_on_its_line(stream: io.StringIO) -> None:
    logs.log_info(Event.REQUEST, route='x\n{"event": "forged"}\u2028\x00')
    assert len(lines(stream)) == 1
