"""What was tried today to reach a patient, and what they tried: shown beside "did not come", before anybody says so.

Only reads. Messages, codes and doors are the areas' own; that somebody rang is written down by a person.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.context import ClinicScope
from server.desk.day import Line
from server.encounters.models import Participant, VisitCard
from server.scheduling.models import AppointmentHistory, DoorCode, Message
from server.scheduling.slots import local_instant
from signaling.words import N_

RUNG = "rung"
"""The history's word for: a person rang and nobody answered."""
WORDS = {
    "sent": N_("Message sent"),
    "failed": N_("Message failed"),
    "code": N_("Code read out on the phone"),
    "door": N_("Somebody went through the link’s door"),
    "waited": N_("Was in the waiting room"),
    "left": N_("Left again"),
    RUNG: N_("Rung: no answer"),
}


async def load(session: AsyncSession, clinic: ClinicScope, line: Line, now: datetime) -> list[tuple[datetime, str]]:
    """(when, what) in order, of the clinic's day of `now`."""
    zone = ZoneInfo(clinic.zone)
    since = local_instant(now.astimezone(zone).date(), 0, zone)
    here = (clinic.id, line.appointment.id)
    found: list[tuple[datetime | None, str]] = []
    told = select(Message).where(
        Message.clinic_id == here[0], Message.appointment_id == here[1], Message.state.in_(("sent", "failed"))
    )
    found += [(one.sent_at or one.due_at, one.state) for one in await session.scalars(told)]
    codes = select(DoorCode.created_at).where(DoorCode.clinic_id == here[0], DoorCode.appointment_id == here[1])
    found += [(at, "code") for at in await session.scalars(codes)]
    rung = select(AppointmentHistory.at).where(
        AppointmentHistory.clinic_id == here[0],
        AppointmentHistory.appointment_id == here[1],
        AppointmentHistory.action == RUNG,
    )
    found += [(at, RUNG) for at in await session.scalars(rung)]
    cards = select(VisitCard.at).where(VisitCard.clinic_id == clinic.id, VisitCard.encounter_id == line.encounter_id)
    found += [(at, "door") for at in await session.scalars(cards)]
    places = select(Participant).where(
        Participant.clinic_id == clinic.id,
        Participant.encounter_id == line.encounter_id,
        Participant.role == "patient",
    )
    for place in await session.scalars(places):
        found += [(place.waiting_since, "waited"), (place.left_at, "left")]
    return sorted((at, WORDS[what]) for at, what in found if at is not None and since <= at < since + _A_DAY)


_A_DAY = timedelta(hours=36)
