"""Which visit an incident is about, for whoever looks into it: who the patient is and when it was, no more of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Patient
from server.accounts.rules import local_words
from server.audit import Incident
from server.context import ClinicScope
from server.encounters.models import Encounter, Participant
from server.encounters.recording_models import Recording
from server.records.models import Note
from server.scheduling.models import Appointment

OWNERS: Mapping[str, type[Participant] | type[Recording] | type[Note]] = {
    "participant": Participant,
    "recording": Recording,
    "note": Note,
}
"""What hangs on a visit, by the incident's kind of subject."""


async def load_subjects(session: AsyncSession, clinic: ClinicScope, incidents: Iterable[Incident]) -> dict[str, str]:
    """Words for each incident that is about a visit, by its id."""
    found = {}
    for incident in incidents:
        kind = OWNERS.get(incident.subject_kind)
        if kind is None:
            continue
        of = (kind.clinic_id == clinic.id) & (kind.id == incident.subject_id)
        if words := await _visit(session, clinic, select(kind.encounter_id).where(of).scalar_subquery()):
            found[incident.id] = words
    return found


async def _visit(session: AsyncSession, clinic: ClinicScope, encounter_id: ColumnElement[str]) -> str | None:
    query = (
        select(Patient.name, Appointment.starts_at)
        .join_from(Encounter, Appointment, _is(Encounter, Appointment, "appointment_id"))
        .join(Patient, _is(Encounter, Patient, "patient_id"))
        .where(Encounter.clinic_id == clinic.id, Encounter.id == encounter_id)
    )
    row = (await session.execute(query)).one_or_none()
    return f"{row.name}, {local_words(row.starts_at, clinic.zone)}" if row else None


def _is(one: type[Encounter], other: type[Appointment] | type[Patient], column: str) -> ColumnElement[bool]:
    names_it: ColumnElement[bool] = getattr(one, column) == other.id
    return (one.clinic_id == other.clinic_id) & names_it
