"""Which visits wait for their doctor's signature: the one rule for every list of notes to sign. Reads nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_

from server.encounters.models import Encounter
from server.records.models import Note
from server.records.rules import NOTED

LEFT_OPEN = timedelta(days=1)
"""A visit that nobody ended is over so long after the last word was written."""


def is_unsigned(now: datetime) -> ColumnElement[bool]:
    """Over visits with their notes joined, or none: a note is due, or something was written and stands unsigned.

    However the visit ended: what was written of one that nobody came to, that was cancelled, or that its doctor never
    ended, must be found too.
    """
    is_due = and_(Encounter.status == "finished", or_(Encounter.outcome.in_(NOTED), Note.draft != ""))
    is_left_over = and_(Encounter.status == "cancelled", Note.draft != "")
    is_left_open = and_(
        Encounter.status.in_(["arrived", "in-progress"]), Note.draft != "", Note.drafted_at <= now - LEFT_OPEN
    )
    return and_(Note.signed_at.is_(None), or_(is_due, is_left_over, is_left_open))
