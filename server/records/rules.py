"""A note's text, when a draft may replace what is held, and the arithmetic of the chain. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

NOTE_LIMIT_CHARACTERS = 100_000
NOTED = ("seen", "finished_by_phone", "sent_elsewhere")
"""Outcomes of a visit that a note is due for."""
FIRST = bytes(32)
"""What the first version of a note follows."""


class Kind(StrEnum):
    SIGNED = "signed"
    ADDENDUM = "addendum"
    LATE_ENTRY = "late_entry"
    CORRECTION = "correction"


class Save(StrEnum):
    """What becomes of a draft that was sent."""

    SAVE = "save"
    SAME = "same"
    CONFLICT = "conflict"


def clean_text(text: str) -> str:
    """The text as it is kept: one kind of line end, no control characters but tab; nothing visible is changed."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(one for one in text if one in "\n\t" or (one >= " " and not "\x7f" <= one <= "\x9f"))


def judge(*, held: str, revision: int, sent: str, based_on: int) -> Save:
    """A draft replaces the one it was written on. One on an older revision may too, where no held word goes missing:

    after a lost answer the writer sends on from a revision the server has already passed. One on a revision that the
    server never came to was written in another note: it went with the stranger it is about, or a backup was restored.
    """
    if sent == held:
        return Save.SAME
    goes_on = based_on == revision or (based_on < revision and held in sent)
    return Save.SAVE if goes_on else Save.CONFLICT


class Ground(StrEnum):
    """On what the law lets a signed note be erased."""

    PERIOD_OVER = "period_over"
    ENTERED_IN_ERROR = "entered_in_error"
    ORDERED = "ordered"


class Obstacle(StrEnum):
    """Why nothing is erased."""

    HELD = "held"
    KEPT_BY_LAW = "kept_by_law"
    NOT_IN_ERROR = "not_in_error"
    NOTHING_LEFT = "nothing_left"


@dataclass(frozen=True, slots=True)
class Erasable:
    """What decides whether a signed note may be erased, and how much of it."""

    left: tuple[int, ...]
    """Numbers of the versions that still hold text."""
    withdrawn_upto: int
    """0: nothing was entered in error."""
    kept_until: date
    is_held: bool


def which_erased(of: Erasable, ground: Ground, today: date) -> tuple[int, ...] | Obstacle:
    """The versions that go: all of them, or what was entered in error; or what stands against it."""
    if of.is_held:
        return Obstacle.HELD
    if ground is Ground.PERIOD_OVER and today < of.kept_until:
        return Obstacle.KEPT_BY_LAW
    if ground is Ground.ENTERED_IN_ERROR and not of.withdrawn_upto:
        return Obstacle.NOT_IN_ERROR
    last = of.withdrawn_upto if ground is Ground.ENTERED_IN_ERROR else max(of.left, default=0)
    return tuple(n for n in of.left if n <= last) or Obstacle.NOTHING_LEFT


def years_after(day: date, years: int) -> date:
    """The same day so many years later; 29 February is followed by 1 March."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


@dataclass(frozen=True, slots=True)
class Link:
    """All that a version's hash covers."""

    clinic_id: str
    note_id: str
    n: int
    kind: str
    revision: int
    author_id: str
    author_name: str
    signed_at: datetime
    commitment: bytes
    previous: bytes


def commitment(key: bytes, text: str, reason: str | None, summary: str | None = None) -> bytes:
    """Binds the content without telling it: of erased content the chain keeps this alone."""
    content = {"text": text, "reason": reason}
    if summary is not None:
        content["summary"] = summary
    return hmac.new(key, _canonical(content), hashlib.sha256).digest()


def link_hash(link: Link) -> bytes:
    return hashlib.sha256(
        _canonical(
            {
                "clinic_id": link.clinic_id,
                "note_id": link.note_id,
                "n": link.n,
                "kind": link.kind,
                "revision": link.revision,
                "author_id": link.author_id,
                "author_name": link.author_name,
                "signed_at": link.signed_at.astimezone(UTC).isoformat(timespec="microseconds"),
                "commitment": link.commitment.hex(),
                "previous": link.previous.hex(),
            }
        )
    ).digest()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
