"""The outbox: what is to be told, to whom and when. Rows are put here in the transaction that causes them.

Words are written in `wording.py` when a message is sent, by `jobs.py`; how it leaves the house is `delivery.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Patient
from server.context import ClinicScope
from server.db import as_loaded, new_id, plain
from server.errors import DomainError
from server.jobs import enqueue_each
from server.scheduling import statements
from server.scheduling.models import Appointment, ChannelRefusal, Message, VisitType
from signaling.words import Code

SEND = "send_message"
"""The kind of the job; its subject is the message's id."""
SEND_IN_THE_MORNING = "send_message_in_the_morning"
"""The same for a text message that would have rung at night: a job of its own, the first one being under way then."""
_UNTIL_SENT = ("subject", "text", "html", "ics", "ics_method", "error", "sent_at")
LEFT_THE_HOUSE = ("sending", "sent", "failed")
"""States after which the patient may know of the appointment."""
_TELLING = ("confirmation", "change", "cover")
"""What says when a visit is and with whom: each says all that one before it said, but that the time is a new one."""


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
    recipient: str | None = None
    """Where to, instead of the address on file."""
    offer_id: str | None = None


async def queue_booked(session: AsyncSession, news: News) -> None:
    """The confirmation now and the reminder at its time."""
    await _queue_about(session, news, [_about(news, "confirmation", news.now)], with_reminder=True)


async def queue_moved(session: AsyncSession, news: News, tell_at: datetime | None = None) -> None:
    """The change, or the confirmation when none has left yet; what still waited is dropped."""
    kind = await about_change(session, news.appointment, is_moved=True)
    await _queue_anew(session, news, _about(news, kind, tell_at or news.now))


async def queue_covered(session: AsyncSession, news: News, tell_at: datetime) -> None:
    """Another doctor at the same time, said once it can't be undone any more; a time unheard of so far with it."""
    kind = await about_change(session, news.appointment, is_moved=False)
    await _queue_anew(session, news, _about(news, kind, tell_at))


async def queue_unchanged(session: AsyncSession, news: News, sequence: int) -> None:
    """A change was undone before anybody heard of it: what it displaced, of the appointment's `sequence` before it,
    is told after all."""
    displaced = [await _load_newest(session, news.appointment, kinds, sequence) for kinds in (_TELLING, ("reminder",))]
    items = [
        _about(news, kind, max(due_at, news.now)) for kind, state, due_at in filter(None, displaced) if state != "sent"
    ]
    if not items and not await _may_be_known(session, news.appointment):
        items = [_about(news, "confirmation", news.now)]
    await drop_waiting(session, news.appointment)
    await _queue_about(session, news, items, with_reminder=False)


async def queue_cancelled(session: AsyncSession, news: News) -> None:
    """The cancellation, unless nothing has left yet: then nothing does."""
    is_known = await _may_be_known(session, news.appointment)
    await drop_waiting(session, news.appointment)
    if is_known:
        await _queue_about(session, news, [_about(news, "cancellation", news.now)], with_reminder=False)


async def queue_late(session: AsyncSession, news: News) -> bool:
    """Running late; an earlier such word that hasn't left is dropped. Answers whether it reaches the patient."""
    await drop_waiting(session, news.appointment, kind="late")
    return await _queue_about(session, news, [_about(news, "late", news.now)], with_reminder=False)


async def queue_offer(
    session: AsyncSession, clinic: ClinicScope, patient: Patient, offer_id: str, now: datetime
) -> Message | None:
    """A freed time, to one who waits; None when there is no way to tell them."""
    return await queue(session, clinic, patient, Item("offer", now, offer_id=offer_id), now)


async def queue_page_link(session: AsyncSession, clinic: ClinicScope, patient: Patient, now: datetime) -> None:
    """Something was released: a second link, to the patient's own page."""
    await queue(session, clinic, patient, Item("page_link", now), now)


async def queue_account(session: AsyncSession, clinic: ClinicScope, patient: Patient, now: datetime) -> None:
    """How they sign in to their page has changed: whoever didn't do it must hear of it, by every way there is."""
    for channel, address in (("mail", patient.email), ("sms", patient.phone)):
        if address:
            await queue(session, clinic, patient, Item("account", now, channel=channel), now)


async def queue_code(  # noqa: PLR0917 (as its event brings them)
    session: AsyncSession, clinic: ClinicScope, patient: Patient, link_id: str, now: datetime, phone: str | None = None
) -> None:
    """A code for the patient's page, to the phone on file or a proxy's own; it is made when it is sent."""
    await queue(session, clinic, patient, Item("code", now, channel="sms", link_id=link_id, recipient=phone), now)


async def send_again(session: AsyncSession, news: News, *, to: tuple[str, str] | None = None) -> Message:
    """The confirmation once more, with a link of its own; earlier links go on working.

    `to`: (channel, address) instead of what is on file, for this once.

    Raises wrong_phase where nothing on file may be written to.
    """
    await drop_waiting(session, news.appointment, kind="confirmation")
    channel, recipient = to or (None, None)
    item = Item(
        "confirmation",
        news.now,
        news.appointment.id,
        news.appointment.sequence,
        channel=channel,
        recipient=recipient,
    )
    message = await queue(session, news.clinic, news.patient, item, news.now)
    if message is None:
        raise _unreachable(news.patient)
    return message


def _unreachable(patient: Patient) -> DomainError:
    if patient.email or patient.phone:
        return DomainError(
            Code.WRONG_PHASE,
            "The patient wants no messages about appointments. Nothing was sent: read out a code on the phone instead.",
        )
    return DomainError(Code.WRONG_PHASE, "There is neither an e-mail address nor a phone number. Nothing was sent.")


async def queue(
    session: AsyncSession,
    clinic: ClinicScope,
    patient: Patient,
    item: Item,
    now: datetime,
) -> Message | None:
    """One message by the patient's channel, with its job; None when there is no address to write to.

    A channel that the patient refused is left out; a code, and what is sent to another address at the desk, was asked
    for by themselves.
    """
    queued = await _put(session, clinic, patient, [item], now)
    return as_loaded(session, Message, queued[0]) if queued else None


async def _put(
    session: AsyncSession, clinic: ClinicScope, patient: Patient, items: Sequence[Item], now: datetime
) -> list[dict[str, Any]]:
    """The rows of several messages at once, with their jobs; those with no address to write to are left out."""
    refused = await load_refused(session, patient) if any(item.channel is None for item in items) else set()
    rows = []
    for item in items:
        reached = _address(patient, item, refused)
        if reached is not None:
            rows.append(_row(clinic, patient, item, reached, now))
    if not rows:
        return []
    await session.flush()
    await (await plain(session)).execute(statements.INSERT_MESSAGES, rows)
    await enqueue_each(session, SEND, {row["id"]: row["due_at"] for row in rows}, clinic_id=clinic.id)
    return rows


def _row(clinic: ClinicScope, patient: Patient, item: Item, reached: tuple[str, str], now: datetime) -> dict[str, Any]:
    channel, recipient = reached
    return {
        **dict.fromkeys(_UNTIL_SENT),
        "clinic_id": clinic.id,
        "id": new_id(),
        "patient_id": patient.id,
        "appointment_id": item.appointment_id,
        "link_id": item.link_id,
        "offer_id": item.offer_id,
        "kind": item.kind,
        "sequence": item.sequence,
        "channel": channel,
        "recipient": recipient,
        "state": "waiting",
        "attempts": 0,
        "due_at": item.due_at,
        "created_at": now,
    }


def _address(patient: Patient, item: Item, refused: Collection[str]) -> tuple[str, str] | None:
    on_file = {"mail": patient.email, "sms": patient.phone}
    if item.channel is not None:
        recipient = item.recipient or on_file[item.channel]
        return (item.channel, recipient) if recipient else None
    for channel, address in on_file.items():
        if address and channel not in refused:
            return channel, address
    return None


async def load_refused(session: AsyncSession, patient: Patient) -> set[str]:
    """The channels that this patient doesn't want."""
    asked = {"clinic": patient.clinic_id, "patient": patient.id}
    return set(await (await plain(session)).scalars(statements.REFUSED, asked))


async def refuse(session: AsyncSession, patient: Patient, channels: Collection[str], now: datetime) -> None:
    """From now on exactly these channels are refused; what waits in one of them goes by the other, or not at all."""
    mine = (ChannelRefusal.clinic_id == patient.clinic_id, ChannelRefusal.patient_id == patient.id)
    await session.execute(delete(ChannelRefusal).where(*mine).execution_options(synchronize_session=False))
    for channel in sorted(set(channels)):
        row = ChannelRefusal(clinic_id=patient.clinic_id, patient_id=patient.id, channel=channel, created_at=now)
        session.add(row)
    await session.flush()
    await follow_contact(session, patient)


async def follow_contact(session: AsyncSession, patient: Patient) -> None:
    """What waits goes to the address that is on file now, by a way that isn't refused; else not at all."""
    refused = await load_refused(session, patient)
    on_file = {"mail": patient.email, "sms": patient.phone}
    ways = [(channel, address) for channel, address in on_file.items() if address and channel not in refused]
    query = select(Message).where(
        Message.clinic_id == patient.clinic_id,
        Message.patient_id == patient.id,
        Message.state == "waiting",
        Message.kind != "code",
    )
    for message in await session.scalars(query):
        if not ways:
            message.state = "dropped"
        else:
            message.channel, message.recipient = ways[0]
    await session.flush()


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


async def about_change(session: AsyncSession, appointment: Appointment, *, is_moved: bool) -> str:
    """Which message a new time or another doctor would bring: the confirmation, where none has left yet."""
    if not await _may_be_known(session, appointment):
        return "confirmation"
    last = await _load_newest(session, appointment, _TELLING)
    if is_moved or (last is not None and last[0] == "change" and last[1] != "sent"):
        return "change"
    return "cover"


async def _load_newest(
    session: AsyncSession, appointment: Appointment, kinds: Collection[str], sequence: int | None = None
) -> Row[str, str, datetime] | None:
    """Of these kinds the newest that is wanted; of a `sequence` one that has been displaced since, too."""
    query = select(Message.kind, Message.state, Message.due_at).where(
        Message.clinic_id == appointment.clinic_id,
        Message.appointment_id == appointment.id,
        Message.kind.in_(kinds),
        Message.state != "dropped" if sequence is None else Message.sequence == sequence,
    )
    return (await session.execute(query.order_by(Message.sequence.desc(), Message.created_at.desc()).limit(1))).first()


async def _queue_anew(session: AsyncSession, news: News, item: Item) -> None:
    await drop_waiting(session, news.appointment)
    await _queue_about(session, news, [item], with_reminder=True)


async def _queue_about(session: AsyncSession, news: News, items: Sequence[Item], *, with_reminder: bool) -> bool:
    """In one go, with the reminder at its time unless that is over; False when nothing was."""
    minutes = news.visit_type.reminder_min
    if with_reminder and minutes is not None:
        due_at = news.appointment.starts_at - timedelta(minutes=minutes)
        if due_at > news.now:
            items = [*items, _about(news, "reminder", due_at)]
    return bool(await _put(session, news.clinic, news.patient, items, news.now))


def _about(news: News, kind: str, due_at: datetime) -> Item:
    return Item(kind, due_at, news.appointment.id, news.appointment.sequence)
