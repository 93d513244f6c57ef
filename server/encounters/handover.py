"""A visit is handed to a colleague: from then on theirs; the first doctor reads what there is, and writes no more.

The appointment follows in `scheduling/handing.py`; the page's part is `handoverviews.py`.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import notices
from server.accounts.notices import Notice
from server.audit import AuditAction
from server.db import new_id
from server.encounters import recordings, rules
from server.encounters.models import HandOver
from server.encounters.visits import Visit
from server.errors import DomainError
from server.scheduling import handing
from server.scheduling.service import Act
from signaling.words import Code

GONE = ("cancelled", "entered-in-error")


async def hand_over(session: AsyncSession, act: Act, visit: Visit, to_person_id: str) -> None:
    """`act.by` holds the visit. Raises visit_over, conflict, wrong_phase (it is being recorded), as `handing` does."""
    encounter, giver = visit.encounter, act.by or ""
    if encounter.status in GONE:
        raise DomainError(Code.VISIT_OVER)
    if to_person_id in visit.facts.doctor_ids:
        raise DomainError(Code.CONFLICT, "This doctor holds the visit already. Nothing was changed.")
    recording = await recordings.load_newest(session, encounter)
    if recording is not None and recording.phase not in rules.FINAL_PHASES:
        raise DomainError(
            Code.WRONG_PHASE, "The visit is being recorded. Stop the recording, then hand the visit over."
        )
    await handing.hand_over(session, act, encounter.appointment_id, giver, to_person_id)
    session.add(
        HandOver(
            clinic_id=encounter.clinic_id,
            id=new_id(),
            encounter_id=encounter.id,
            from_person_id=giver,
            to_person_id=to_person_id,
            at=act.now,
        )
    )
    await session.flush()
    await audit.enter(
        session,
        clinic_id=encounter.clinic_id,
        actor_person_id=giver,
        action=AuditAction.VISIT_HANDED_OVER,
        subject=("encounter", encounter.id),
        detail={"to": to_person_id},
        now=act.now,
    )
    told = Notice("visit_handed_over", about_person_id=giver, detail=f"visits/{encounter.id}")
    await notices.tell(session, encounter.clinic_id, [to_person_id], told, act.now)
