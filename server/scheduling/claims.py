"""Whether a booking may be, and taking the time it needs: active doctors, offered starts, ticks.

The order of a booking's steps and what else it writes is for `service.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.context import ClinicScope
from server.db import plain
from server.errors import DomainError
from server.scheduling import finding, rules, slots, statements, ticks
from server.scheduling.history import Act
from server.scheduling.models import Hold, Tick, VisitType
from server.scheduling.rules import Kind
from server.scheduling.ticks import Owner, Span
from signaling.words import Code

HOLD = timedelta(minutes=10)
"""So long a time is kept while a form is filled in."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The time that one visit wants; a walk-in has no doctors yet."""

    visit_type: VisitType
    practitioner_ids: tuple[str, ...]
    starts_at: datetime
    kind: Kind = Kind.NORMAL

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.visit_type.length_min)


async def check_practitioners(
    session: AsyncSession, clinic: ClinicScope, practitioner_ids: Iterable[str], offering: str | None = None
) -> None:
    """Active doctors of this clinic, at least one, who offer the kind of visit `offering`. Raises slot_not_offered."""
    wanted = set(practitioner_ids)
    asked = {"clinic": clinic.id, "people": sorted(wanted)}
    if offering is not None:
        asked["visit_type"] = offering
    query = statements.ACTIVE if offering is None else statements.OFFERING
    if not wanted or set(await (await plain(session)).scalars(query, asked)) != wanted:
        raise DomainError(Code.SLOT_NOT_OFFERED, "This doctor doesn't see patients here now. Choose another.")


async def judge(
    session: AsyncSession, act: Act, claim: Claim, *, ignore: Owner | None = None, patient_person: str | None = None
) -> None:
    """Raises what `slots.judge` answers for any of the doctors: the function that lists the slots says yes or no.

    `ignore`: the hold or appointment whose own ticks don't count. `patient_person`: whose own time must be free too.
    """
    shape = finding.shape_of(claim.visit_type)
    rules.check_five_minutes(claim.starts_at, shape.length)
    notice = timedelta(0) if act.is_staff else timedelta(minutes=claim.visit_type.lead_time_min)
    earliest, latest = act.now + notice, act.now + timedelta(days=claim.visit_type.horizon_days)
    if claim.starts_at < act.now:
        raise in_the_past()
    if not earliest <= claim.starts_at <= latest:
        raise not_offered()
    around = (claim.starts_at - shape.before, claim.ends_at + shape.after)
    ignored = () if ignore is None else (ignore,)
    people = [*claim.practitioner_ids, *((patient_person,) if patient_person else ())]
    busy = await ticks.load_busy(session, people, around, act.now, ignore=ignored)
    elsewhere = busy.get(patient_person or "", set())
    span = (claim.starts_at, claim.ends_at)
    agendas = await finding.load_agendas(session, act.clinic, claim.practitioner_ids, span, busy, elsewhere=elsewhere)
    for person_id in claim.practitioner_ids:
        agenda = agendas[person_id]
        code = slots.judge(agenda, shape, claim.starts_at, earliest=earliest, latest=latest)
        if code is Code.SLOT_TAKEN and slots.is_elsewhere(agenda, claim.starts_at, claim.ends_at):
            raise elsewhere_then(act)
        if code is not None:
            raise _REFUSALS[code]()


def check_squeezed_in(act: Act, claim: Claim, reason: str | None) -> None:
    """Only staff, with a reason, between now and the horizon. Raises not_allowed, malformed and what `judge` does."""
    if not act.is_staff:
        raise DomainError(Code.NOT_ALLOWED)
    rules.check_five_minutes(claim.starts_at, finding.shape_of(claim.visit_type).length)
    if not (reason or "").strip():
        raise DomainError(Code.MALFORMED, "Say why this visit is squeezed in. The patient doesn't see this.")
    if claim.starts_at < act.now - timedelta(minutes=5):
        raise in_the_past()
    if claim.starts_at > act.now + timedelta(days=claim.visit_type.horizon_days):
        raise not_offered()


async def check_patient(session: AsyncSession, act: Act, claim: Claim, patient_person: str) -> None:
    """Raises slot_taken for a patient who has another visit then, squeezed in or not."""
    span = (claim.starts_at, claim.ends_at)
    if (await ticks.load_busy(session, [patient_person], span, act.now))[patient_person]:
        raise elsewhere_then(act)


async def take_ticks(session: AsyncSession, act: Act, owner: Owner, claim: Claim, patient_person: str) -> None:
    """The doctors' time with its buffers, the patient's the visit alone; a walk-in takes none."""
    if claim.kind is Kind.WALK_IN:
        return
    spans = [Span(patient_person, claim.starts_at, claim.ends_at)]
    if claim.kind is Kind.NORMAL:
        spans += doctor_spans(claim)
    await ticks.take(session, owner, spans, act.now)


def doctor_spans(claim: Claim) -> list[Span]:
    shape = finding.shape_of(claim.visit_type)
    start, end = claim.starts_at - shape.before, claim.ends_at + shape.after
    return [Span(person_id, start, end) for person_id in claim.practitioner_ids]


async def own_hold(session: AsyncSession, act: Act, hold_id: str | None) -> Owner | None:
    """None without one, and for somebody else's: theirs goes on keeping the time."""
    kept = await session.get(Hold, (act.clinic.id, hold_id)) if hold_id else None
    return Owner(act.clinic.id, hold_id=kept.id) if kept is not None and kept.created_by == act.by else None


async def hold_on_its_way(session: AsyncSession, act: Act, claim: Claim) -> Owner | None:
    """A time picked and booked at once: the form was sent before it heard of its own hold, which stands in its way,
    and may still name the one before.

    One that keeps a time for longer keeps it for a patient who was offered it.
    """
    if act.by is None:
        return None
    query = (
        select(Hold)
        .join(Tick, and_(Tick.clinic_id == Hold.clinic_id, Tick.hold_id == Hold.id))
        .where(
            Hold.clinic_id == act.clinic.id,
            Hold.created_by == act.by,
            Hold.visit_type_id == claim.visit_type.id,
            Hold.starts_at == claim.starts_at,
            Tick.person_id.in_(claim.practitioner_ids),
        )
    )
    found = (await session.scalars(query.order_by(Hold.created_at.desc()).limit(1))).first()
    is_forms = found is not None and found.expires_at - found.created_at <= HOLD
    return Owner(act.clinic.id, hold_id=found.id) if found is not None and is_forms else None


def in_the_past() -> DomainError:
    return DomainError(Code.IN_THE_PAST, "This time has passed. Nothing was booked; choose a later one.")


def elsewhere_then(act: Act) -> DomainError:
    """Said to the desk and to the patient, each in words of their own."""
    if act.is_staff:
        said = "The patient has another visit at this time. Nothing was booked; choose another."
    else:
        said = "You have another visit at this time. Nothing was booked; choose another."
    return DomainError(Code.SLOT_TAKEN, said)


def not_offered() -> DomainError:
    return DomainError(Code.SLOT_NOT_OFFERED, "This time is not offered. Nothing was booked; choose one of the list.")


_REFUSALS = {
    Code.IN_THE_PAST: in_the_past,
    Code.SLOT_NOT_OFFERED: not_offered,
    Code.SLOT_TAKEN: ticks.taken,
}
