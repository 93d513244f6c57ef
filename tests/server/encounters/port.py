"""What the tests of the room's port all do: counting, coming in, saying yes."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from server.audit import AuditAction, AuditEntry
from signaling.ports import ConsentGiven
from signaling.words import (
    Code,
    ParticipantId,
    RecordingId,
    Refused,
    Role,
    SessionId,
)
from tests.server.visits import VisitCast


async def refusal(call: object) -> Code:
    with pytest.raises(Refused) as caught:
        await call  # type: ignore[misc]
    return caught.value.code


async def count(cast: VisitCast, what: type, *clauses: object) -> int:
    async with cast.database.reading() as session:
        query = select(func.count()).select_from(what).where(*clauses)  # type: ignore[arg-type]
        return await session.scalar(query) or 0


async def entries(cast: VisitCast, action: AuditAction) -> int:
    return await count(cast, AuditEntry, AuditEntry.action == action.value)


async def waiting_patient(cast: VisitCast) -> tuple[ParticipantId, SessionId]:
    patient = await cast.place(Role.PATIENT)
    _, session_id = await cast.visits_cookies(patient)
    await cast.port.arrived(cast.room, patient, session_id)
    return patient, session_id


async def open_visit(cast: VisitCast) -> tuple[ParticipantId, ParticipantId]:
    doctor = await cast.place(Role.DOCTOR)
    patient, _ = await waiting_patient(cast)
    await cast.port.admitted(cast.room, patient, doctor)
    return doctor, patient


async def say(cast: VisitCast, recording: RecordingId, who: ParticipantId, yes: bool, question: int = 1) -> None:
    await cast.port.record_consent(cast.room, ConsentGiven(recording, who, question, yes))
