"""Work that scheduling does later: sending a message when it is due, clearing expired holds, telling of a long wait.

What may still be sent and how it is written is `outbox.py`'s; the loop, leases and retries are `server/jobs/`'s.
"""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import notices
from server.accounts.service import get_clinic
from server.config import Settings
from server.events import Events
from server.jobs import Handler, JobContext, JobFailed, OrElse
from server.jobs.claim import backoff
from server.scheduling import offers, outbox, staffmail, walkins
from server.scheduling.delivery import DeliveryFailed, Gateway, letter_of, parse_gateway
from server.scheduling.history import Act
from server.scheduling.messages import SEND, SEND_IN_THE_MORNING
from server.scheduling.models import Hold, Tick
from server.scheduling.offers import OFFER_FREED, OFFER_OVER
from server.scheduling.outbox import Letter
from server.scheduling.textmessages import parse_text_gateway
from server.scheduling.ticks import in_transaction
from server.scheduling.walkins import STILL_UNTAKEN

CLEAR_HOLDS = "clear_holds"
_CLEAR_EVERY_S = 60.0
_NO_GATEWAY = "no_gateway"


async def send_message(job: JobContext) -> None:
    """Sends one message, at least once: a worker that dies in between sends it again under the same Message-ID."""
    async with job.database.writing() as session:
        letter = await outbox.prepare(session, job.settings, job.clinic_id or "", job.subject, job.now())
    if letter is None:
        return
    try:
        is_kept = await _hand_over(job.settings, letter)
    except DeliveryFailed as failed:
        if not failed.for_good and not _is_last_chance(job, letter):
            raise JobFailed(failed.code) from failed
        async with job.database.writing() as session:
            await outbox.settle_failed(session, letter, failed.code)
        return
    async with job.database.writing() as session:
        await outbox.settle_sent(session, letter, job.now(), keep_words=is_kept)


async def give_up_message(job: JobContext, code: str) -> None:
    """No gateway took it, however often it was tried: the board shows so."""
    async with job.database.writing() as session:
        await outbox.settle_given_up(session, job.clinic_id or "", job.subject, code, job.now())


async def clear_holds(job: JobContext) -> None:
    """Frees the ticks of holds that nobody wanted; booking over one frees it by itself."""
    while not job.cancelled():
        async with job.database.writing() as session:
            expired = select(Hold.id).where(Hold.expires_at <= job.now())
            for table in (
                delete(Tick).where(Tick.hold_id.in_(expired)),
                delete(Hold).where(Hold.expires_at <= job.now()),
            ):
                await session.execute(table.execution_options(synchronize_session=False))
        await job.pause(_CLEAR_EVERY_S)


async def offer_freed(job: JobContext) -> None:
    """A freed time goes to the next who waits for one."""

    async def offer(session: AsyncSession) -> None:
        clinic = await get_clinic(session, job.clinic_id or "")
        await offers.offer_next(session, Act(clinic, None, job.now(), Events()), job.subject)

    await in_transaction(job.database, offer)


async def end_offer(job: JobContext) -> None:
    """At its deadline an offer nobody answered is over."""

    async def end(session: AsyncSession) -> None:
        clinic = await get_clinic(session, job.clinic_id or "")
        await offers.expire(session, Act(clinic, None, job.now(), Events()), job.subject)

    await in_transaction(job.database, end)


async def tell_of_untaken(job: JobContext) -> None:
    """A walk-in that no doctor took in time: its owner hears of it."""
    async with job.database.writing() as session:
        clinic = await get_clinic(session, job.clinic_id or "")
        await walkins.tell_owner(session, clinic, job.subject, job.now())


HANDLERS: dict[str, Handler] = {
    notices.SEND: OrElse(staffmail.send_notice, staffmail.give_up_notice),
    SEND: OrElse(send_message, give_up_message),
    SEND_IN_THE_MORNING: OrElse(send_message, give_up_message),
    OFFER_FREED: offer_freed,
    OFFER_OVER: end_offer,
    STILL_UNTAKEN: tell_of_untaken,
}
STANDING: dict[str, Handler] = {CLEAR_HOLDS: clear_holds}


def _is_last_chance(job: JobContext, letter: Letter) -> bool:
    """Whether the next try would come after the visit's start: what failed must show while somebody can still ring."""
    starts_at = letter.facts.starts_at
    return starts_at is not None and job.now() < starts_at <= job.now() + backoff(job.attempt)


async def _hand_over(settings: Settings, letter: Letter) -> bool:
    """True when the outbox table itself is the delivery (development). Raises DeliveryFailed."""
    if letter.message.channel == "sms" and settings.sms_url is not None:
        text_gateway = parse_text_gateway(settings.sms_url.get_secret_value())
        await text_gateway.send(letter.message.recipient, letter.words.text)
        return False
    gateway = _gateway(settings) if letter.message.channel == "mail" else None
    if gateway is None:
        if settings.is_development:
            return True
        raise DeliveryFailed(_NO_GATEWAY, for_good=True)
    try:
        written = letter_of(letter.words, letter.facts, letter.message.id)
    except ValueError:
        raise DeliveryFailed("recipient_refused", for_good=True) from None
    await gateway.send(written)
    return False


def _gateway(settings: Settings) -> Gateway | None:
    return parse_gateway(settings.smtp_url.get_secret_value()) if settings.smtp_url is not None else None
