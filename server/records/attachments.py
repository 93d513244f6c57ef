"""Files that belong to a note: what is attached to which, and chat lines taken over as one.

The door they come through is `server/uploads.py`; who may add and remove them is asked by the pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from obstore.store import ObjectStore
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import uploads
from server.records.reading import ReleasedNote
from server.records.service import ATTACHED_TO
from server.uploads import Received, Stored, Upload
from server.vault import ClinicVault
from signaling.ports import StoredChat

ATTACHMENTS_MAX = 20


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that belongs to a signed note."""

    upload: Upload
    name: str
    note_id: str
    encounter_id: str


async def load_of_notes(
    session: AsyncSession, vault: ClinicVault, clinic_id: str, notes: Sequence[ReleasedNote]
) -> list[Attached]:
    """What was signed with these notes; files of an entry made in error, or of an erased one, are not among them."""
    shown = {note.encounter_id: note.note_id for note in notes if note.versions and note.versions[0].n == 1}
    query = select(Upload).where(
        Upload.clinic_id == clinic_id,
        Upload.subject_kind == ATTACHED_TO,
        Upload.subject_id.in_(sorted(shown)),
        Upload.erased_at.is_(None),
    )
    rows = await session.scalars(query.order_by(Upload.at, Upload.id))
    return [Attached(row, uploads.name_of(vault, row), shown[row.subject_id], row.subject_id) for row in rows]


async def copy(place: ObjectStore, vault: ClinicVault, rows: Sequence[Upload]) -> list[Stored]:
    """The same files sealed anew, for another visit's note; outside any transaction."""
    copies = []
    for row in rows:
        received = Received(uploads.name_of(vault, row), row.kind, await uploads.read(place, vault, row), {})
        copies.append(await uploads.store(place, vault, row.clinic_id, received))
    return copies


def from_chat(lines: Sequence[StoredChat], name: str, clock: Sequence[str]) -> Received:
    """Lines of the visit's chat as a text file, each with its time and who wrote it."""
    told = [f"{at} {line.name.reveal()}: {line.text.reveal()}" for at, line in zip(clock, lines, strict=True)]
    return Received(name, "text/plain", ("\n".join(told) + "\n").encode(), {})
