"""Sending what the outbox holds: drops what is no longer true, writes the words, hands them over, keeps account.

Putting messages into the outbox is `messages.py`; `jobs.py` calls this for each one that is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import links
from server.accounts.links import LinkKind
from server.accounts.models import Patient
from server.accounts.pagecodes import make_code
from server.accounts.service import get_clinic
from server.audit import AuditAction
from server.config import Settings
from server.context import ClinicScope
from server.jobs import enqueue
from server.scheduling.calendar import one_line
from server.scheduling.messages import SEND_IN_THE_MORNING
from server.scheduling.models import Appointment, Message
from server.scheduling.rules import OPEN, Status
from server.scheduling.slots import local_instant
from server.scheduling.waiting_models import WaitlistOffer
from server.scheduling.wording import Facts, Words, write

UNDONE = ("waiting", "sending")
STILL_USEFUL = timedelta(hours=2)
"""After the end of a visit nobody is told of it any more."""


@dataclass(frozen=True, slots=True, repr=False)
class Letter:
    """A message that may go now, with its words."""

    message: Message
    facts: Facts
    words: Words


async def prepare(
    session: AsyncSession, settings: Settings, clinic_id: str, message_id: str, now: datetime
) -> Letter | None:
    """Marks the message as being sent and writes it from what is true now; None when it must not go (any more)."""
    message = await session.get(Message, (clinic_id, message_id), with_for_update=True)
    if message is None or message.state not in UNDONE:
        return None
    clinic = await get_clinic(session, clinic_id)
    appointment = await _appointment(session, message)
    if not is_still_true(message, appointment, now):
        message.state = "dropped"
        return None
    patient = await session.get_one(Patient, (clinic_id, message.patient_id))
    starts_at = appointment.starts_at if appointment else None
    offer = await session.get(WaitlistOffer, (clinic_id, message.offer_id)) if message.offer_id else None
    if message.kind == "offer" and not (offer and offer.state == "open" and now < offer.expires_at):
        message.state = "dropped"
        return None
    morning = wake_at(message, patient.zone or clinic.zone, starts_at, now)
    if morning is not None:
        message.due_at = morning
        await enqueue(session, SEND_IN_THE_MORNING, message.id, morning, clinic_id=clinic_id)
        return None
    code = await _code(session, message, now)
    if message.kind == "code" and code is None:
        message.state = "dropped"
        return None
    about = _About(clinic, patient, appointment, code, offer)
    facts = _facts(settings, message, about, await _new_link(session, settings, message, now), now)
    message.state = "sending"
    message.attempts += 1
    return Letter(message, facts, write(facts))


async def settle_sent(session: AsyncSession, letter: Letter, now: datetime, *, keep_words: bool) -> None:
    """It went. The words stay only where this table is the delivery."""
    message = await session.get_one(Message, (letter.message.clinic_id, letter.message.id))
    words = letter.words
    message.state, message.sent_at, message.error = "sent", now, None
    message.subject = words.subject if keep_words else None
    message.text = words.text if keep_words else None
    message.html = words.html if keep_words else None
    message.ics = words.ics if keep_words else None
    message.ics_method = words.ics_method
    await audit.enter(
        session,
        clinic_id=message.clinic_id,
        actor_person_id=None,
        action=AuditAction.MESSAGE_SENT,
        subject=("message", message.id),
        now=now,
        detail={"kind": message.kind, "channel": message.channel},
    )


async def settle_failed(session: AsyncSession, letter: Letter, code: str) -> None:
    """It will not go: the board shows so."""
    message = await session.get_one(Message, (letter.message.clinic_id, letter.message.id))
    message.state, message.error = "failed", code


async def settle_given_up(session: AsyncSession, clinic_id: str, message_id: str, code: str, now: datetime) -> None:
    """It was tried often enough: failed, unless it isn't true any more or was settled before."""
    message = await session.get(Message, (clinic_id, message_id), with_for_update=True)
    if message is None or message.state not in UNDONE:
        return
    is_wanted = is_still_true(message, await _appointment(session, message), now)
    message.state, message.error = ("failed", code) if is_wanted else ("dropped", None)


def is_still_true(message: Message, appointment: Appointment | None, now: datetime) -> bool:
    """A message of an older state of the appointment, or of one that is over, is never sent."""
    if message.appointment_id is None:
        return True
    if appointment is None or message.sequence != appointment.sequence:
        return False
    if appointment.ends_at + STILL_USEFUL < now:
        return False
    if message.kind == "cancellation":
        return appointment.status == Status.CANCELLED
    if message.kind == "reminder" and appointment.starts_at <= now:
        return False
    return Status(appointment.status) in OPEN


def sender_of(settings: Settings) -> str:
    """The clinic's own name never stands in the address, only the installation's host."""
    return settings.mail_from or f"no-reply@{_host(settings)}"


def visit_url(settings: Settings, token: str) -> str:
    return f"{settings.origin}/v/{token}"


def offer_url(settings: Settings, token: str) -> str:
    return f"{settings.origin}/o/{token}"


def page_url(settings: Settings, token: str) -> str:
    return f"{settings.origin}/p/{token}"


def _host(settings: Settings) -> str:
    return urlsplit(settings.origin).hostname or "localhost"


QUIET_FROM, QUIET_UNTIL = 21, 8
"""Hours of the patient's own clock between which no text message rings, but for a visit within two hours."""
SOON = timedelta(hours=2)


def wake_at(message: Message, zone: str, starts_at: datetime | None, now: datetime) -> datetime | None:
    """When a text message may go that would ring at night; None when it may go now."""
    if message.channel != "sms" or message.kind == "code":
        return None
    if starts_at is not None and starts_at - now <= SOON:
        return None
    local = now.astimezone(ZoneInfo(zone))
    if QUIET_UNTIL <= local.hour < QUIET_FROM:
        return None
    day = local.date() + timedelta(days=1 if local.hour >= QUIET_FROM else 0)
    morning = local_instant(day, QUIET_UNTIL * 60, ZoneInfo(zone))
    return min(morning, starts_at - SOON) if starts_at is not None else morning


async def _appointment(session: AsyncSession, message: Message) -> Appointment | None:
    if message.appointment_id is None:
        return None
    return await session.get(Appointment, (message.clinic_id, message.appointment_id))


async def _code(session: AsyncSession, message: Message, now: datetime) -> str | None:
    """None when the link has had enough codes for now: the phone on file isn't to be flooded."""
    if message.kind != "code" or message.link_id is None:
        return None
    return await make_code(session, message.link_id, now)


@dataclass(frozen=True, slots=True, repr=False)
class _About:
    """The rows that a message is written from."""

    clinic: ClinicScope
    patient: Patient
    appointment: Appointment | None
    code: str | None
    offer: WaitlistOffer | None


def _facts(settings: Settings, message: Message, about: _About, link: str | None, now: datetime) -> Facts:
    clinic, patient, appointment, offer = about.clinic, about.patient, about.appointment, about.offer
    subject = offer or appointment
    return Facts(
        kind=message.kind,
        language=patient.language,
        clinic_name=clinic.neutral_name,
        clinic_phone=clinic.phone,
        first_name=patient.first_name,
        recipient=message.recipient,
        sender=sender_of(settings),
        written_at=now,
        channel=message.channel,
        link=link,
        code=about.code,
        uid=f"{appointment.id}@{_host(settings)}" if appointment else "",
        sequence=appointment.sequence if appointment else 0,
        starts_at=subject.starts_at if subject else None,
        ends_at=subject.ends_at if subject else None,
        answer_until=offer.expires_at if offer else None,
        zone=appointment.zone if appointment else clinic.zone,
        patient_zone=patient.zone,
        delay_min=appointment.delay_min if appointment else None,
        delay_said=one_line(appointment.delay_said) if appointment and appointment.delay_said else None,
    )


async def _new_link(session: AsyncSession, settings: Settings, message: Message, now: datetime) -> str | None:
    """A link of its own for every message: none is stored in the clear, and earlier ones go on working."""
    if message.kind in ("cancellation", "late", "account", "code"):
        return None
    if message.offer_id is not None:
        token = await links.new_link(
            session, clinic_id=message.clinic_id, kind=LinkKind.OFFER, subject_id=message.offer_id, now=now
        )
        return offer_url(settings, token)
    if message.appointment_id is None:
        token = await links.new_link(
            session, clinic_id=message.clinic_id, kind=LinkKind.PAGE, subject_id=message.patient_id, now=now
        )
        return page_url(settings, token)
    token = await links.new_link(
        session, clinic_id=message.clinic_id, kind=LinkKind.VISIT, subject_id=message.appointment_id, now=now
    )
    return visit_url(settings, token)
