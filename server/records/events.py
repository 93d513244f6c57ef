"""What the record tells later areas, in the same transaction (`server/events.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NoteReleased:
    """The patient may read something new on their page: a signed note, or what was added to one."""

    clinic_id: str
    patient_id: str
    encounter_id: str
    note_id: str
    n: int
    at: datetime
