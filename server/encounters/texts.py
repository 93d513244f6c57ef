"""The clinic's wording of a question. A version's words never change, so an answer can name its version."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Clinic
from server.encounters.models import ClinicText

VIDEO_CONSENT = "video_consent"
RECORDING_CONSENT = "recording_consent"


async def load_text(session: AsyncSession, clinic_id: str, kind: str) -> ClinicText | None:
    """The newest wording in the clinic's language, else in English, else in any."""
    clinic = await session.get(Clinic, clinic_id)
    query = select(ClinicText).where(ClinicText.clinic_id == clinic_id, ClinicText.kind == kind)
    texts = list(await session.scalars(query.order_by(ClinicText.version.desc())))
    for language in (clinic.language if clinic else "en", "en"):
        found = next((text for text in texts if text.language == language), None)
        if found is not None:
            return found
    return texts[0] if texts else None
