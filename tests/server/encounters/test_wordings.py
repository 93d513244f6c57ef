"""What a clinic may promise about recordings: a day of deletion always, and six months at most for teaching."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from server.encounters import rules, wordings
from server.encounters.recording_models import RecordingPurpose
from server.encounters.wordings import Promise
from server.errors import DomainError
from tests.server.visits import START, VisitCast


@pytest.mark.parametrize(
    ("promise", "is_taken"),
    [
        (Promise("Why", "Who", rules.TEACHING_DAYS_MAX, is_teaching=True), True),
        (Promise("Why", "Who", rules.TEACHING_DAYS_MAX + 1, is_teaching=True), False),
        (Promise("Why", "Who", 30, is_teaching=True, is_record=True), False),
        (Promise("Why", "Who", 3650, is_record=True), True),
        (Promise("Why", "Who", 400), True),
    ],
)
async def test_teaching_is_kept_half_a_year_at_most(cast: VisitCast, promise: Promise, is_taken: bool) -> None:
    async def add() -> str:
        async with cast.database.writing() as session:
            return await wordings.add_purpose(session, cast.clinic, promise, by=None, now=START)

    if not is_taken:
        with pytest.raises(DomainError):
            await add()
        return
    code = await add()
    async with cast.database.reading() as session:
        row = (await session.scalars(select(RecordingPurpose).where(RecordingPurpose.code == code))).one()
    assert (row.kept_days, row.is_record, row.is_teaching) == (
        promise.kept_days, promise.is_record, promise.is_teaching
    )  # fmt: skip


@pytest.mark.parametrize(("days", "is_teaching"), [(185, True), (0, False)])
async def test_the_database_refuses_it_too(cast: VisitCast, days: int, is_teaching: bool) -> None:
    with pytest.raises(IntegrityError):
        async with cast.database.writing() as session:
            session.add(
                RecordingPurpose(
                    clinic_id=cast.clinic.id, code="x", words="Why", who_may_watch="Who", kept_days=days,
                    is_teaching=is_teaching, created_at=START,
                )
            )  # fmt: skip
