"""Messages that did not arrive, for the board: each until something later did, or the visit has begun.

Sending again and ringing are the appointment's own page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, exists, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.accounts.models import Patient
from server.context import ClinicScope
from server.scheduling.models import Appointment, Message
from server.scheduling.wording import when

SHOWN_MAX = 30
STILL_NEWS = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Failure:
    """What somebody was to be told and wasn't. `encounter_id` is none: beside a visit every such name is hidden."""

    patient: Patient
    appointment: Appointment | None
    kind: str
    channel: str
    at: str
    encounter_id: None = None


async def load(session: AsyncSession, clinic: ClinicScope, now: datetime) -> Sequence[Failure]:
    """The newest first. What is about a visit counts until it begins; what isn't (a code, a link) for a day."""
    later = aliased(Message)
    about_same = or_(
        and_(later.appointment_id == Message.appointment_id),
        and_(later.appointment_id.is_(None), Message.appointment_id.is_(None), later.kind == Message.kind),
    )
    came_later = or_(
        and_(later.created_at > Message.created_at, later.state.in_(("waiting", "sending", "sent"))),
        and_(later.sent_at > Message.due_at, later.state == "sent"),
    )
    superseded = exists().where(
        later.clinic_id == Message.clinic_id,
        later.patient_id == Message.patient_id,
        later.id != Message.id,
        about_same,
        came_later,
    )
    query = (
        select(Message, Patient, Appointment)
        .join(Patient, and_(Patient.clinic_id == Message.clinic_id, Patient.id == Message.patient_id))
        .outerjoin(
            Appointment, and_(Appointment.clinic_id == Message.clinic_id, Appointment.id == Message.appointment_id)
        )
        .where(
            Message.clinic_id == clinic.id,
            Message.state == literal_column("'failed'"),  # as the index of these says it: a parameter wouldn't match
            Message.created_at > now - STILL_NEWS,
            or_(Appointment.starts_at > now, and_(Message.appointment_id.is_(None), Message.due_at > now - _A_DAY)),
            ~superseded,
        )
        .order_by(Message.due_at.desc(), Message.id)
        .limit(SHOWN_MAX)
    )
    found = []
    for message, patient, appointment in await session.execute(query):
        at = when(appointment.starts_at if appointment else message.due_at, clinic.zone, clinic.language)
        found.append(Failure(patient, appointment, message.kind, message.channel, f"{at['date']}, {at['clock']}"))
    return found


_A_DAY = timedelta(days=1)
