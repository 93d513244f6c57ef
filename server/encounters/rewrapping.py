"""Wraps the keys of recordings anew, under the keyset's newest key, after it was rotated.

Rotating is the vault's; what was sealed under these keys is not touched.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.encounters import films, rules
from server.encounters.recording_models import Film, FilmRedaction, Recording, SegmentKey
from server.encounters.recordings import key_name
from server.vault import ClinicVault


async def rewrap(session: AsyncSession, clinic_id: str, vault: ClinicVault) -> int:
    """How many were wrapped anew. Those of a recording that still runs wait: its node was given their old form."""
    ended = (
        select(SegmentKey)
        .join(Recording, (Recording.clinic_id == SegmentKey.clinic_id) & (Recording.id == SegmentKey.recording_id))
        .where(SegmentKey.clinic_id == clinic_id, Recording.phase.in_(rules.FINAL_PHASES))
    )
    count = 0
    for key in await session.scalars(ended):
        name = key_name(key.recording_id, key.segment, key.participant_id)
        key.label, key.wrapped = films.label_of(key), vault.wrap_key(name, vault.unwrap_key(name, key.wrapped))
        count += 1
    made = select(Film).where(Film.clinic_id == clinic_id, Film.wrapped_key.is_not(None))
    for film in await session.scalars(made):
        if film.path is not None and film.wrapped_key is not None:
            name = films.key_name(film.path)
            film.wrapped_key = vault.wrap_key(name, vault.unwrap_key(name, film.wrapped_key))
            count += 1
        if film.tracks_path is not None and film.tracks_key is not None:
            name = films.key_name(film.tracks_path)
            film.tracks_key = vault.wrap_key(name, vault.unwrap_key(name, film.tracks_key))
            count += 1
    redacted = select(FilmRedaction).where(FilmRedaction.clinic_id == clinic_id, FilmRedaction.wrapped_key.is_not(None))
    for row in await session.scalars(redacted):
        name = films.key_name(row.path or "")
        row.wrapped_key = vault.wrap_key(name, vault.unwrap_key(name, row.wrapped_key or b""))
        count += 1
    return count
