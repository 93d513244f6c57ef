"""HTTP byte ranges (RFC 9110 §14): which parts of a film a player asks for. Pure; sending them is `filmviews.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass

PARTS_MAX = 8
"""More parts in one request are answered with the whole: no player asks so."""

_SPEC = re.compile(r"(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes [start, end)."""

    start: int
    end: int

    def content_range(self, size: int) -> str:
        return f"bytes {self.start}-{self.end - 1}/{size}"


class Unsatisfiable(Exception):  # noqa: N818 — an answer of the protocol, not a defect
    """None of the parts asked for exists: 416."""


def parse_range(header: str | None, size: int) -> list[Span] | None:
    """The parts asked for, in their order; None means the whole (no range, or one we need not understand).

    Raises Unsatisfiable.
    """
    if header is None:
        return None
    unit, _, rest = header.partition("=")
    specs = [spec.strip() for spec in rest.split(",")]
    if unit.strip().lower() != "bytes" or len(specs) > PARTS_MAX:
        return None
    spans = []
    for spec in specs:
        matched = _SPEC.fullmatch(spec)
        if matched is None or spec == "-":
            return None
        first, last = matched.groups()
        if first and last and int(first) > int(last):
            return None
        spans.append(_span(first, last, size))
    found = [span for span in spans if span.start < span.end]
    if not found:
        raise Unsatisfiable
    return found


def _span(first: str, last: str, size: int) -> Span:
    if not first:
        return Span(max(0, size - int(last)), size)
    return Span(int(first), min(int(last) + 1, size) if last else size)
