"""The clinic's wording of a question. A version's words never change, so an answer can name its version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Clinic
from server.encounters.models import ClinicText
from server.languages import SOURCE, choose

VIDEO_CONSENT = "video_consent"
RECORDING_CONSENT = "recording_consent"


async def load_text(session: AsyncSession, clinic_id: str, kind: str) -> ClinicText | None:
    """The newest wording in the clinic's language, else in English, else in any."""
    clinic = await session.get(Clinic, clinic_id)
    return wording_for((clinic.language if clinic else None,), await load_texts(session, clinic_id, kind))


async def load_texts(session: AsyncSession, clinic_id: str, kind: str) -> Sequence[ClinicText]:
    """Every wording of a question, the newest first."""
    query = select(ClinicText).where(ClinicText.clinic_id == clinic_id, ClinicText.kind == kind)
    return list(await session.scalars(query.order_by(ClinicText.version.desc())))


def wording_for(languages: Iterable[str | None], texts: Sequence[ClinicText]) -> ClinicText | None:
    """The newest in the first of these languages that the clinic has written, else in English, else in any."""
    best = choose((*languages, SOURCE), [text.language for text in texts])
    return next((text for text in texts if text.language == best), texts[0] if texts else None)
