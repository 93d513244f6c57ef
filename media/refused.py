"""Saying no: raised wherever a call cannot be done, turned into the coded answer by `control` alone."""

from __future__ import annotations

from media.api import NodeRefusal


class Refused(Exception):  # noqa: N818 — named with the API's word
    def __init__(self, code: NodeRefusal, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
