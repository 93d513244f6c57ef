"""Mail to members of staff: a notice of `accounts/notices.py` in words, with the gateway of every other mail.

It names no patient and says where to look; the notice stands on their own page whether or not mail can be sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import notices
from server.accounts.models import Person
from server.accounts.service import get_clinic
from server.accounts.trust_models import StaffNotice
from server.config import Settings
from server.jobs import JobContext, JobFailed
from server.scheduling.delivery import DeliveryFailed, letter_of, parse_gateway
from server.scheduling.outbox import sender_of
from server.scheduling.wording import Facts, Words, when

NO_ADDRESS, NO_GATEWAY = "no_address", "no_gateway"


@dataclass(frozen=True, slots=True, repr=False)
class Written:
    """A notice that may go now."""

    notice: StaffNotice
    facts: Facts
    words: Words


async def send_notice(job: JobContext) -> None:
    """Sends one, at least once; without a gateway the table itself is the delivery in development."""
    async with job.database.writing() as session:
        written = await _write(session, job.settings, job.clinic_id or "", job.subject, job.now())
    if written is None:
        return
    error = None
    if job.settings.smtp_url is not None:
        try:
            letter = letter_of(written.words, written.facts, written.notice.id)
            await parse_gateway(job.settings.smtp_url.get_secret_value()).send(letter)
        except ValueError:
            error = "recipient_refused"
        except DeliveryFailed as failed:
            if not failed.for_good:
                raise JobFailed(failed.code) from failed
            error = failed.code
    elif not job.settings.is_development:
        error = NO_GATEWAY
    async with job.database.writing() as session:
        words = written.words if job.settings.smtp_url is None and error is None else None
        await notices.settle(
            session,
            written.notice,
            job.now(),
            error=error,
            subject=words.subject if words else None,
            text=words.text if words else None,
        )


async def give_up_notice(job: JobContext, code: str) -> None:
    """It could not be mailed; it stands on their page all the same."""
    async with job.database.writing() as session:
        notice = await session.get(StaffNotice, (job.clinic_id or "", job.subject))
        if notice is not None and notice.state == "waiting":
            await notices.settle(session, notice, job.now(), error=code)


async def _write(
    session: AsyncSession, settings: Settings, clinic_id: str, notice_id: str, now: datetime
) -> Written | None:
    notice = await session.get(StaffNotice, (clinic_id, notice_id))
    if notice is None or notice.state != "waiting":
        return None
    person, clinic = await session.get_one(Person, notice.person_id), await get_clinic(session, clinic_id)
    if not person.email:
        await notices.settle(session, notice, now, error=NO_ADDRESS)
        return None
    about = await session.get(Person, notice.about_person_id) if notice.about_person_id else None
    at = when(notice.at, clinic.zone, "en")
    path = notices.path_of(notice)
    lines = [
        f"Hello {person.name},",
        *notices.sentences(notice, about.name if about else ""),
        f"{at['date']}, {at['clock']} ({at['zone']})",
        f"More on Bedside: {settings.origin}/c/{clinic.slug}/{path}",
        f"If you know nothing of this, ring {clinic.neutral_name}{': ' if clinic.phone else ''}{clinic.phone}",
    ]
    facts = Facts(
        kind="staff",
        language="en",
        clinic_name=clinic.neutral_name,
        clinic_phone=clinic.phone,
        first_name=person.name,
        recipient=person.email,
        sender=sender_of(settings),
        written_at=now,
    )
    return Written(notice, facts, Words(f"Bedside at {clinic.neutral_name}: a notice for you", "\n\n".join(lines)))
