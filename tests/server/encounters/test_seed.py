"""The demo's visits: every appointment has one, yesterday's have ended, and the clinic has its words."""

from __future__ import annotations

from sqlalchemy import func, select

from server.db import Database
from server.encounters import texts, wordings
from server.encounters.models import ClinicText, Encounter
from server.records.models import Note, NoteVersion
from server.scheduling.models import Appointment
from server.seed import seed_demo
from server.vault import Vault


async def test_the_demo_has_visits_words_and_notes(sqlite_database: Database, vault: Vault) -> None:
    assert await seed_demo(sqlite_database, vault)
    async with sqlite_database.reading() as session:
        rows = await session.execute(
            select(Appointment.status, Encounter.status, func.count())
            .join(Encounter, Encounter.appointment_id == Appointment.id, isouter=True)
            .group_by(Appointment.status, Encounter.status)
        )
        pairs = {(appointment, visit) for appointment, visit, _ in rows}
        ended = {("fulfilled", "finished"), ("noshow", "finished"), ("cancelled", "cancelled")}
        assert pairs <= {("booked", "planned"), *ended}
        assert {("booked", "planned"), ("fulfilled", "finished")} <= pairs
        clinic_id = await session.scalar(select(ClinicText.clinic_id).limit(1))
        assert clinic_id is not None
        for kind in (texts.VIDEO_CONSENT, texts.RECORDING_CONSENT):
            assert await texts.load_text(session, clinic_id, kind) is not None
        purposes = await wordings.load_open_purposes(session, clinic_id)
        assert len(purposes) == 3
        assert all(one.kept_days > 0 for one in purposes)
        assert [(one.code, one.is_record, one.is_teaching) for one in purposes if one.is_record or one.is_teaching] == [
            ("care", True, False),
            ("teaching", False, True),
        ]
        drafts = await session.scalar(select(func.count()).select_from(Note).where(Note.signed_at.is_(None)))
        signed = await session.scalar(select(func.count()).select_from(NoteVersion))
        assert drafts == 1
        assert signed is not None
