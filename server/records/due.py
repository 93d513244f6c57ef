"""Which visits wait for their doctor's signature: the one rule for every list of notes to sign. Reads nothing."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_

from server.encounters.models import Encounter
from server.records.models import Note
from server.records.rules import NOTED


def is_unsigned() -> ColumnElement[bool]:
    """Over visits with their notes joined, or none: a note is due, or something was written and stands unsigned.

    However the visit ended: what was written of one that nobody came to, or that was cancelled, must be found too.
    """
    is_due = and_(Encounter.status == "finished", or_(Encounter.outcome.in_(NOTED), Note.draft != ""))
    is_left_over = and_(Encounter.status == "cancelled", Note.draft != "")
    return and_(Note.signed_at.is_(None), or_(is_due, is_left_over))
