"""The clinic's own refusals; `middleware.py` alone maps them to HTTP, signaling maps them to acknowledgements.

Codes, texts and statuses live in `signaling.words`, so pages, JSON and sockets speak one language.
"""

from __future__ import annotations

from collections.abc import Mapping

from signaling.words import STATUS, Code, Refused


class DomainError(Refused):
    """A rule of the clinic said no."""


class FormError(DomainError):
    """A form that can't be taken: `fields` holds one plain sentence a field, by field name."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(Code.MALFORMED)
        self.fields = dict(fields)


def not_found() -> DomainError:
    """The same answer for what is absent and for what this actor may not know of."""
    return DomainError(Code.NOT_FOUND)


def status_of(error: Refused) -> int:
    return STATUS[error.code]
