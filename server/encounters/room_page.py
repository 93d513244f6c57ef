"""The configuration of the room's page, as `web/client/wire.ts` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from server.encounters import rules
from server.encounters.recording_models import RecordingPurpose
from server.encounters.visits import Visit
from signaling.words import Role


def config(
    visit: Visit,
    *,
    participation: str,
    role: Role,
    title: str,
    now: datetime,
    env: str,
    clinic_phone: str,
    back_url: str,
    closing_url: str | None,
    clinic: str | None = None,
    note: dict[str, Any] | None = None,
    purposes: Sequence[RecordingPurpose] = (),
    guest_link_url: str | None = None,
    film_url: str | None = None,
) -> dict[str, Any]:
    """Addresses and ids only, and to the doctor the note; nothing that a waiting person may not know.

    `sent_at` tells a browser whose clock is wrong how wrong it is.
    """
    is_to_come = visit.encounter.status == "planned"  # once somebody came, a moved visit shuts nobody out
    values = {
        "participation": participation,
        "room_id": visit.encounter.id,
        "role": role.value,
        "env": env,
        "back_url": back_url,
        "note": note,
        "closing_url": closing_url,
        "purposes": [{"code": one.code, "words": one.words} for one in purposes],
        "guest_link_url": guest_link_url,
        "film_url": film_url,
        "clinic_phone": clinic_phone,
        "title": title,
        "sent_at": now.isoformat(),
        "opens_at": rules.opens_at(visit.appointment.starts_at).isoformat() if is_to_come else None,
    }
    return values if clinic is None else {**values, "clinic": clinic}
