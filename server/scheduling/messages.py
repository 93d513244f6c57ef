"""The outbox: what is to be told, to whom and when. Rows are put here in the transaction that causes them.

Words are written in `wording.py` when a message is sent, by `jobs.py`; how it leaves the house is `delivery.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Patient
from server.context import ClinicScope
from server.db import new_id
from server.errors import DomainError
from server.jobs import enqueue
from server.scheduling.models import Appointment, Message, VisitType
from signaling.words import Code

SEND = "send_message"
"""The kind of the job; its subject is the message's id."""
LEFT_THE_HOUSE = ("sending", "sent", "failed")
"""States after which the patient may know of the appointment."""


@dataclass(frozen=True, slots=True)
class News:
    """What a message about an appointment is decided from."""

    clinic: ClinicScope
    appointment: Appointment
    patient: Patient
    visit_type: VisitType
    now: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """What to tell and when; `sequence` is the appointment's."""

    kind: str
    due_at: datetime
    appointment_id: str | None = None
    sequence: int = 0
    channel: str | None = None
    link_id: str | None = None


async def queue_booked(session: AsyncSession, news: News) -> None:
    """The confirmation now and the reminder at its time."""
    await _queue_about(session, news, "confirmation", news.now)
    await _queue_reminder(session, news)


async def queue_moved(session: AsyncSession, news: News) -> None:
    """The change, or the confirmation when none has left yet; what still waited is dropped."""
    is_known = await _may_be_known(session, news.appointment)
    await drop_waiting(session, news.appointment)
    await _queue_about(session, news, "change" if is_known else "confirmation", news.now)
    await _queue_reminder(session, news)


async def queue_cancelled(session: AsyncSession, news: News) -> None:
    """The cancellation, unless nothing has left yet: then nothing does."""
    is_known = await _may_be_known(session, news.appointment)
    await drop_waiting(session, news.appointment)
    if is_known:
        await _queue_about(session, news, "cancellation", news.now)


async def queue_page_link(session: AsyncSession, clinic: ClinicScope, patient: Patient, now: datetime) -> None:
    """Something was released: a second link, to the patient's own page (DESIGN §5)."""
    await queue(session, clinic, patient, Item("page_link", now), now)


async def queue_code(session: AsyncSession, clinic: ClinicScope, patient: Patient, link_id: str, now: datetime) -> None:
    """A code for the patient's page, to the phone on file; it is made when it is sent."""
    await queue(session, clinic, patient, Item("code", now, channel="sms", link_id=link_id), now)


async def send_again(session: AsyncSession, news: News) -> Message | None:
    """The confirmation once more, with a link of its own; earlier links go on working."""
    await drop_waiting(session, news.appointment, kind="confirmation")
    message = await _queue_about(session, news, "confirmation", news.now)
    if message is None:
        raise DomainError(Code.MALFORMED, "There is neither an e-mail address nor a phone number. Nothing was sent.")
    return message


async def queue(
    session: AsyncSession,
    clinic: ClinicScope,
    patient: Patient,
    item: Item,
    now: datetime,
) -> Message | None:
    """One message by the patient's channel, with its job; None when there is no address to write to."""
    is_mail = bool(patient.email) if item.channel is None else item.channel == "mail"
    channel, recipient = ("mail", patient.email) if is_mail else ("sms", patient.phone)
    if not recipient:
        return None
    message = Message(
        clinic_id=clinic.id,
        id=new_id(),
        patient_id=patient.id,
        appointment_id=item.appointment_id,
        link_id=item.link_id,
        kind=item.kind,
        sequence=item.sequence,
        channel=channel,
        recipient=recipient,
        state="waiting",
        attempts=0,
        due_at=item.due_at,
        created_at=now,
    )
    session.add(message)
    await session.flush()
    await enqueue(session, SEND, message.id, item.due_at, clinic_id=clinic.id)
    return message


async def drop_waiting(session: AsyncSession, appointment: Appointment, *, kind: str | None = None) -> None:
    """What hasn't left is never sent: a moved visit's old reminder above all."""
    waiting = [
        Message.clinic_id == appointment.clinic_id,
        Message.appointment_id == appointment.id,
        Message.state == "waiting",
    ]
    if kind is not None:
        waiting.append(Message.kind == kind)
    await session.execute(
        update(Message).where(*waiting).values(state="dropped").execution_options(synchronize_session=False)
    )


async def _may_be_known(session: AsyncSession, appointment: Appointment) -> bool:
    query = select(Message.id).where(
        Message.clinic_id == appointment.clinic_id,
        Message.appointment_id == appointment.id,
        Message.state.in_(LEFT_THE_HOUSE),
    )
    return (await session.scalars(query.limit(1))).first() is not None


async def _queue_reminder(session: AsyncSession, news: News) -> None:
    minutes = news.visit_type.reminder_min
    if minutes is None:
        return
    due_at = news.appointment.starts_at - timedelta(minutes=minutes)
    if due_at > news.now:
        await _queue_about(session, news, "reminder", due_at)


async def _queue_about(session: AsyncSession, news: News, kind: str, due_at: datetime) -> Message | None:
    item = Item(kind, due_at, news.appointment.id, news.appointment.sequence)
    return await queue(session, news.clinic, news.patient, item, news.now)
