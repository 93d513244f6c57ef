"""Notes that nobody signed: their doctors are told by mail and on their own page, again and again, never by a name.

The list of them is `clinic_views.py`; when this is looked for is `jobs.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import notices
from server.accounts.models import Membership
from server.accounts.notices import Notice
from server.accounts.trust_models import StaffNotice
from server.encounters.models import Encounter, Participant
from server.records import due
from server.records.models import Note
from signaling.words import Role

KIND = "note_unsigned"
AFTER = timedelta(days=1)
"""So long after the visit's end its note is still on time."""
AGAIN_AFTER = timedelta(days=3)


async def chase(session: AsyncSession, now: datetime) -> int:
    """Tells each doctor once for all of their notes; answers how many doctors were told."""
    told = exists().where(
        StaffNotice.clinic_id == Participant.clinic_id,
        StaffNotice.person_id == Participant.person_id,
        StaffNotice.kind == KIND,
        StaffNotice.at > now - AGAIN_AFTER,
    )
    working = exists().where(
        Membership.clinic_id == Participant.clinic_id,
        Membership.person_id == Participant.person_id,
        Membership.is_active,
    )
    late = (
        select(Participant.clinic_id, Participant.person_id)
        .join(
            Encounter,
            and_(Encounter.clinic_id == Participant.clinic_id, Encounter.id == Participant.encounter_id),
        )
        .outerjoin(Note, and_(Note.clinic_id == Encounter.clinic_id, Note.encounter_id == Encounter.id))
        .where(
            Participant.role == Role.DOCTOR.value,
            Participant.is_closed.is_(False),
            Participant.person_id.is_not(None),
            due.is_unsigned(now),
            func.coalesce(Encounter.ended_at, Note.drafted_at) <= now - AFTER,
        )
    )
    found = list(await session.execute(late.where(~told, working).distinct()))
    for clinic_id, person_id in found:
        await notices.tell(session, clinic_id, [str(person_id)], Notice(KIND), now)
    return len(found)
