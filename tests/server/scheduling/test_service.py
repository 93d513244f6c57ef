"""Booking, moving, cancelling: what is written, what is refused, and that nothing is left half-done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Membership
from server.audit import AuditAction, AuditEntry
from server.errors import DomainError
from server.scheduling import finding, service
from server.scheduling.events import AppointmentBooked, AppointmentCancelled, AppointmentMoved, AppointmentNoShow
from server.scheduling.finding import Search
from server.scheduling.models import Appointment, AppointmentHistory, Hold, Message, Tick
from server.scheduling.rules import Kind, Status
from server.scheduling.service import Booking, Move
from server.scheduling.ticks import in_transaction
from signaling.words import Code
from tests.server.scheduling.conftest import NOW, World

NINE = datetime.fromisoformat("2026-03-17T09:00:00+01:00")


def booking(world: World, starts_at: datetime = NINE, **changes: object) -> Booking:
    wanted: dict[str, object] = {
        "patient_id": world.anna,
        "visit_type_id": world.visit,
        "practitioner_ids": (world.doctor,),
        "starts_at": starts_at,
    }
    return Booking(**{**wanted, **changes})  # type: ignore[arg-type]


async def book(world: World, starts_at: datetime = NINE, *, now: datetime = NOW, **changes: object) -> Appointment:
    asked = booking(world, starts_at, **changes)
    return await in_transaction(world.database, lambda session: service.book(session, world.act(now), asked))


async def refusal(world: World, starts_at: datetime = NINE, *, now: datetime = NOW, **changes: object) -> Code:
    with pytest.raises(DomainError) as refused:
        await book(world, starts_at, now=now, **changes)
    return refused.value.code


async def count(world: World, model: type) -> int:
    async with world.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def ticks_of(world: World, person_id: str) -> int:
    """How many of a doctor's ticks are taken; a patient's are counted by the person behind the patient."""
    async with world.database.reading() as session:
        query = select(func.count()).select_from(Tick).where(Tick.person_id == person_id)
        return await session.scalar(query) or 0


async def load(world: World, appointment_id: str) -> Appointment:
    async with world.database.reading() as session:
        return await service.get_appointment(session, world.clinic, appointment_id)


async def history(world: World) -> Sequence[AppointmentHistory]:
    async with world.database.reading() as session:
        return (await session.scalars(select(AppointmentHistory).order_by(AppointmentHistory.at))).all()


async def test_a_booking_takes_ticks_writes_history_and_tells(world: World) -> None:
    told: list[AppointmentBooked] = []

    async def hear(session: object, event: AppointmentBooked) -> None:
        told.append(event)

    world.events.on(AppointmentBooked, hear)
    made = await book(world)
    assert (made.status, made.zone, made.ends_at - made.starts_at) == ("booked", "Europe/Berlin", timedelta(minutes=30))
    assert await ticks_of(world, world.doctor) == 8  # 30 minutes and the pause of 10
    assert await count(world, Tick) == 8 + 6
    assert [event.appointment_id for event in told] == [made.id]
    (row,) = await history(world)
    assert (row.action, row.by_person_id, row.from_status, row.to_status) == ("booked", world.scheduler, None, "booked")
    async with world.database.reading() as session:
        audited = (await session.scalars(select(AuditEntry.action).where(AuditEntry.subject_id == made.id))).all()
    assert audited == [AuditAction.APPOINTMENT_BOOKED]


async def test_every_listed_slot_can_be_booked(world: World) -> None:
    async with world.database.reading() as session:
        visit = await finding.get_visit_type(session, world.clinic, world.visit)
        search = Search(visit, [world.doctor], NOW)
        offers = await finding.find_offers(session, world.clinic, search, NOW, NOW + timedelta(days=1))
    assert offers
    for offer in offers[:4]:
        made = await book(world, offer.slot.starts_at)
        await in_transaction(world.database, lambda s, made=made: service.cancel(s, world.act(), made.id, "test"))


async def test_a_taken_slot_is_refused_and_nothing_is_left(world: World) -> None:
    await book(world)
    assert await refusal(world, patient_id=world.boris) is Code.SLOT_TAKEN
    assert await refusal(world, NINE + timedelta(minutes=30), patient_id=world.boris) is Code.SLOT_TAKEN
    assert await count(world, Appointment) == 1
    await book(world, NINE + timedelta(minutes=40), patient_id=world.boris)


async def test_a_patient_can_t_be_in_two_visits_at_once(world: World) -> None:
    await book(world)
    assert await refusal(world, practitioner_ids=(world.colleague,)) is Code.SLOT_TAKEN
    assert await count(world, Appointment) == 1


@pytest.mark.parametrize(
    ("starts_at", "code"),
    [
        ("2026-03-13T09:00:00+01:00", Code.IN_THE_PAST),
        ("2026-03-17T08:30:00+01:00", Code.SLOT_NOT_OFFERED),
        ("2026-03-17T16:40:00+01:00", Code.SLOT_NOT_OFFERED),
        ("2026-03-21T09:00:00+01:00", Code.SLOT_NOT_OFFERED),
        ("2027-03-16T09:00:00+01:00", Code.SLOT_NOT_OFFERED),
        ("2026-03-17T09:03:00+01:00", Code.MALFORMED),
        ("2026-03-17T09:05:00+01:00", Code.SLOT_NOT_OFFERED),
        ("0001-01-01T00:00:00+00:00", Code.IN_THE_PAST),
        ("9999-12-31T23:55:00+00:00", Code.SLOT_NOT_OFFERED),
    ],
)
async def test_a_time_that_is_not_offered_is_refused(world: World, starts_at: str, code: Code) -> None:
    assert await refusal(world, datetime.fromisoformat(starts_at)) is code
    assert await count(world, Tick) == 0


async def test_somebody_who_is_no_active_doctor_here_is_refused(world: World) -> None:
    assert await refusal(world, practitioner_ids=(world.scheduler,)) is Code.SLOT_NOT_OFFERED
    assert await refusal(world, practitioner_ids=()) is Code.SLOT_NOT_OFFERED
    async with world.database.writing() as session:
        await session.execute(update(Membership).where(Membership.person_id == world.doctor).values(is_active=False))
    assert await refusal(world) is Code.SLOT_NOT_OFFERED


async def test_ids_of_nobody_and_of_another_clinic_are_not_found(world: World) -> None:
    assert await refusal(world, patient_id="nobody") is Code.NOT_FOUND
    assert await refusal(world, visit_type_id="nothing") is Code.NOT_FOUND
    made = await book(world)
    elsewhere = world.act(clinic=world.other_clinic)
    for act in (
        lambda session: service.cancel(session, elsewhere, made.id, "no"),
        lambda session: service.move(session, elsewhere, Move(made.id, NINE)),
        lambda session: service.mark_no_show(session, elsewhere, made.id),
        lambda session: service.put_back(session, elsewhere, made.id),
        lambda session: service.set_status(session, elsewhere, made.id, Status.ARRIVED),
        lambda session: service.book(session, elsewhere, booking(world)),
    ):
        with pytest.raises(DomainError) as refused:
            await in_transaction(world.database, act)
        assert refused.value.code is Code.NOT_FOUND
    assert (await load(world, made.id)).status == "booked"


async def test_the_same_key_answers_the_same_appointment(world: World) -> None:
    first = await book(world, idempotency_key="k1")
    again = await book(world, idempotency_key="k1")
    assert again.id == first.id
    assert await count(world, Appointment) == 1
    assert await refusal(world, idempotency_key="k1", patient_id=world.boris) is Code.CONFLICT
    assert await refusal(world, NINE + timedelta(hours=2), idempotency_key="k1") is Code.CONFLICT
    assert await refusal(world, idempotency_key="k1", practitioner_ids=(world.colleague,)) is Code.CONFLICT
    squeezed = Kind.SQUEEZED_IN
    assert await refusal(world, idempotency_key="k1", kind=squeezed, reason="Results came") is Code.CONFLICT
    came, again = [
        await book(world, at, kind=Kind.WALK_IN, practitioner_ids=(), idempotency_key="k2")
        for at in (NOW, NOW + timedelta(minutes=1))
    ]
    assert came.id == again.id


async def test_a_patient_who_is_elsewhere_then_is_refused_in_true_words(world: World) -> None:
    await book(world)
    other = await book(world, NINE + timedelta(hours=2))
    act, half = world.act(), NINE + timedelta(minutes=20)
    asks = (
        lambda session: service.book(session, act, booking(world, half, practitioner_ids=(world.colleague,))),
        lambda session: service.book(session, act, booking(world, half, kind=Kind.SQUEEZED_IN, reason="Results came")),
        lambda session: service.move(session, act, Move(other.id, half, (world.colleague,))),
    )
    for ask in asks:
        with pytest.raises(DomainError) as refused:
            await in_transaction(world.database, ask)
        assert refused.value.code is Code.SLOT_TAKEN
        assert refused.value.message.startswith("The patient has another visit at this time.")
    itself = Move(other.id, other.starts_at + timedelta(minutes=10))
    await in_transaction(world.database, lambda session: service.move(session, act, itself))


async def test_a_patient_books_with_notice_and_staff_without(world: World) -> None:
    soon = datetime.fromisoformat("2026-03-16T09:00:00+01:00")
    patient = world.act(is_staff=False)
    with pytest.raises(DomainError) as refused:
        await in_transaction(world.database, lambda session: service.book(session, patient, booking(world, soon)))
    assert refused.value.code is Code.SLOT_NOT_OFFERED
    await book(world, soon)


async def test_several_doctors_all_their_time_or_none(world: World) -> None:
    await book(world, patient_id=world.boris, practitioner_ids=(world.colleague,))
    assert await refusal(world, practitioner_ids=(world.doctor, world.colleague)) is Code.SLOT_TAKEN
    assert await ticks_of(world, world.doctor) == 0
    later = NINE + timedelta(hours=1)
    await book(world, later, practitioner_ids=(world.doctor, world.colleague))
    assert await ticks_of(world, world.doctor) == 8


async def test_a_move_doesn_t_block_itself_and_keeps_its_id(world: World) -> None:
    told: list[AppointmentMoved] = []

    async def hear(session: object, event: AppointmentMoved) -> None:
        told.append(event)

    world.events.on(AppointmentMoved, hear)
    made = await book(world)
    moved = await in_transaction(
        world.database, lambda session: service.move(session, world.act(), Move(made.id, NINE + timedelta(minutes=10)))
    )
    assert (moved.id, moved.sequence, moved.starts_at) == (made.id, 1, NINE + timedelta(minutes=10))
    assert await ticks_of(world, world.doctor) == 8
    assert [event.from_starts_at for event in told] == [NINE]
    row = (await history(world))[-1]
    assert (row.action, row.from_starts_at, row.to_starts_at) == ("moved", NINE, NINE + timedelta(minutes=10))


async def test_a_move_to_a_colleague_frees_the_old_doctor(world: World) -> None:
    made = await book(world)
    asked = Move(made.id, NINE, practitioner_ids=(world.colleague,))
    await in_transaction(world.database, lambda session: service.move(session, world.act(), asked))
    assert (await ticks_of(world, world.doctor), await ticks_of(world, world.colleague)) == (0, 8)
    async with world.database.reading() as session:
        assert await service.load_practitioner_ids(session, world.clinic, made.id) == (world.colleague,)


async def test_a_refused_move_changes_nothing(world: World) -> None:
    made = await book(world)
    await book(world, NINE + timedelta(hours=1), patient_id=world.boris)
    for asked, code in (
        (Move(made.id, NINE + timedelta(hours=1)), Code.SLOT_TAKEN),
        (Move(made.id, NINE + timedelta(hours=2), sequence=7), Code.CONFLICT),
        (Move(made.id, NOW - timedelta(days=3)), Code.IN_THE_PAST),
    ):
        with pytest.raises(DomainError) as refused:
            await in_transaction(world.database, lambda session, asked=asked: service.move(session, world.act(), asked))
        assert refused.value.code is code
    kept = await load(world, made.id)
    assert (kept.starts_at, kept.sequence) == (NINE, 0)
    assert await ticks_of(world, world.doctor) == 16


async def test_two_swapped_moves_both_end_coded(world: World) -> None:
    import asyncio  # noqa: PLC0415 (only here)

    one = await book(world)
    two = await book(world, NINE + timedelta(hours=1), patient_id=world.boris)

    async def swap(mine: Appointment, target: datetime) -> Code | None:
        try:
            await in_transaction(world.database, lambda s: service.move(s, world.act(), Move(mine.id, target)))
        except DomainError as error:
            return error.code
        return None

    codes = await asyncio.gather(swap(one, two.starts_at), swap(two, one.starts_at))
    assert set(codes) <= {Code.SLOT_TAKEN, None}
    assert await ticks_of(world, world.doctor) == 16


async def test_cancelling_frees_the_time_and_twice_is_once(world: World) -> None:
    told: list[AppointmentCancelled] = []

    async def hear(session: object, event: AppointmentCancelled) -> None:
        told.append(event)

    world.events.on(AppointmentCancelled, hear)
    made = await book(world)
    with pytest.raises(DomainError) as refused:
        await in_transaction(world.database, lambda session: service.cancel(session, world.act(), made.id, "  "))
    assert refused.value.code is Code.MALFORMED
    for _ in range(2):
        await in_transaction(world.database, lambda session: service.cancel(session, world.act(), made.id, "Ill"))
    assert len(told) == 1
    assert await count(world, Tick) == 0
    assert (await history(world))[-1].why == "Ill"
    again = await book(world)
    assert again.id != made.id


async def test_a_cancelled_one_stays_cancelled(world: World) -> None:
    made = await book(world)
    await in_transaction(world.database, lambda session: service.cancel(session, world.act(), made.id, "Ill"))
    for act in (
        lambda session: service.move(session, world.act(), Move(made.id, NINE + timedelta(hours=1))),
        lambda session: service.put_back(session, world.act(), made.id),
        lambda session: service.mark_no_show(session, world.act(NINE + timedelta(hours=1)), made.id),
    ):
        with pytest.raises(DomainError) as refused:
            await in_transaction(world.database, act)
        assert refused.value.code is Code.WRONG_PHASE


async def test_a_no_show_keeps_its_time_and_can_be_undone(world: World) -> None:
    told: list[AppointmentNoShow] = []

    async def hear(session: object, event: AppointmentNoShow) -> None:
        told.append(event)

    world.events.on(AppointmentNoShow, hear)
    made = await book(world)
    with pytest.raises(DomainError) as refused:
        await in_transaction(world.database, lambda session: service.mark_no_show(session, world.act(), made.id))
    assert refused.value.code is Code.WRONG_PHASE
    later = world.act(NINE + timedelta(minutes=20))
    marked = await in_transaction(world.database, lambda session: service.mark_no_show(session, later, made.id))
    assert (marked.status, await ticks_of(world, world.doctor), len(told)) == ("noshow", 8, 1)
    back = await in_transaction(world.database, lambda session: service.put_back(session, later, made.id, "came"))
    assert (back.status, await ticks_of(world, world.doctor)) == ("booked", 8)


async def test_the_visit_says_arrived_and_fulfilled_and_an_end_can_be_undone(world: World) -> None:
    made = await book(world)
    for status in (Status.ARRIVED, Status.ARRIVED, Status.FULFILLED, Status.ARRIVED):
        after = await in_transaction(
            world.database, lambda session, status=status: service.set_status(session, world.act(), made.id, status)
        )
        assert after.status == status
    assert [row.action for row in await history(world)].count("arrived") == 2


async def test_squeezed_in_takes_the_patient_s_time_alone(world: World) -> None:
    await book(world)
    with pytest.raises(DomainError) as refused:
        await book(world, patient_id=world.boris, kind=Kind.SQUEEZED_IN)
    assert refused.value.code is Code.MALFORMED
    made = await book(world, patient_id=world.boris, kind=Kind.SQUEEZED_IN, reason="Results came")
    assert (made.kind, await ticks_of(world, world.doctor)) == ("squeezed_in", 8)
    assert await count(world, Tick) == 8 + 6 + 6


async def test_a_walk_in_takes_no_time_and_sends_nothing(world: World) -> None:
    made = await book(world, NOW + timedelta(seconds=7), kind=Kind.WALK_IN, practitioner_ids=())
    assert (made.kind, made.zone) == ("walk_in", "Europe/Berlin")
    assert (await count(world, Tick), await count(world, Message)) == (0, 0)


async def kept_by(world: World, person: str, until: timedelta = service.HOLD, *, starts_at: datetime = NINE) -> Hold:
    async def keep(session: AsyncSession) -> Hold:
        visit_type = await finding.get_visit_type(session, world.clinic, world.visit)
        act, doctors = world.act(by=person), (world.doctor,)
        return await service.hold(session, act, visit_type, doctors, starts_at, expires_at=NOW + until)

    return await in_transaction(world.database, keep)


async def test_a_hold_keeps_others_out_and_becomes_the_booking(world: World) -> None:
    kept = await kept_by(world, world.colleague)
    assert await refusal(world, patient_id=world.boris) is Code.SLOT_TAKEN
    assert await refusal(world, hold_id=kept.id) is Code.SLOT_TAKEN, "another one's hold"
    async with world.database.writing() as session:
        await service.release(session, world.act(by=world.colleague), kept.id)
    mine = await kept_by(world, world.scheduler)
    made = await book(world, hold_id=mine.id)
    assert made.starts_at == NINE
    assert await ticks_of(world, world.doctor) == 8


async def test_a_form_sent_before_it_heard_of_its_own_hold_is_booked(world: World) -> None:
    await kept_by(world, world.scheduler)
    await book(world)
    assert await ticks_of(world, world.doctor) == 8


async def test_a_form_that_still_names_the_hold_before_is_booked_and_gives_both_back(world: World) -> None:
    before = await kept_by(world, world.scheduler, starts_at=NINE + timedelta(hours=2))
    await kept_by(world, world.scheduler)
    await book(world, hold_id=before.id)
    async with world.database.reading() as session:
        assert not list(await session.scalars(select(Tick).where(Tick.hold_id.is_not(None))))
    assert await ticks_of(world, world.doctor) == 8


async def test_a_time_kept_for_a_patient_who_was_offered_it_is_nobodys_form(world: World) -> None:
    await kept_by(world, world.scheduler, until=timedelta(hours=2))
    assert await refusal(world) is Code.SLOT_TAKEN


async def test_an_expired_hold_keeps_nobody_out(world: World) -> None:
    await kept_by(world, world.colleague)
    late = NOW + service.HOLD
    assert await refusal(world, now=late - timedelta(seconds=1)) is Code.SLOT_TAKEN
    await book(world, now=late)
    assert await ticks_of(world, world.doctor) == 8
    async with world.database.writing() as session:
        await session.execute(delete(Hold))


async def test_a_handler_that_fails_undoes_the_booking(world: World) -> None:
    async def fail(session: object, event: AppointmentBooked) -> None:
        raise DomainError(Code.UNAVAILABLE)

    world.events.on(AppointmentBooked, fail)
    assert await refusal(world) is Code.UNAVAILABLE
    assert (await count(world, Appointment), await count(world, Tick), await count(world, Message)) == (0, 0, 0)
