"""While somebody waits or is in the visit: what the desk may no longer do, whatever its page still offers."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.encounters import underway
from server.scheduling import cover, service
from server.scheduling.cover import Choice
from server.scheduling.service import Act, Move
from server.scheduling.ticks import in_transaction
from signaling.words import Code, Outcome, Refused, Role
from tests.server.encounters.port import open_visit, refusal, waiting_patient
from tests.server.visits import START, House, VisitCast

IN_VISIT = "They are in the visit now."


def act(cast: VisitCast, by: str | None = None) -> Act:
    return Act(cast.clinic, by or cast.scheduler, cast.clock(), cast.events)


async def cancel(cast: VisitCast) -> None:
    await in_transaction(cast.database, lambda session: service.cancel(session, act(cast), cast.appointment_id, "ill"))


async def mark_no_show(cast: VisitCast) -> None:
    await in_transaction(cast.database, lambda session: service.mark_no_show(session, act(cast), cast.appointment_id))


async def move(cast: VisitCast) -> None:
    asked = Move(cast.appointment_id, START + timedelta(days=1))
    await in_transaction(cast.database, lambda session: service.move(session, act(cast), asked))


async def give_away(cast: VisitCast) -> None:
    choice = Choice(cast.appointment_id, 0, cast.colleague, START)
    await in_transaction(cast.database, lambda session: cover.give(session, act(cast), cast.doctor, [choice]))


async def test_nothing_that_the_desk_does_cuts_off_a_visit(cast: VisitCast) -> None:
    doctor, patient = await open_visit(cast)
    before = await cast.visit()
    for press in (cancel, mark_no_show, move, give_away):
        with pytest.raises(Refused) as caught:
            await press(cast)
        assert caught.value.code is Code.WRONG_PHASE
        assert IN_VISIT in caught.value.message
    after = await cast.visit()
    assert (after.encounter.status, after.facts) == ("in-progress", before.facts)
    assert after.appointment.starts_at == START
    assert (await cast.participant(patient)).state == "admitted"
    assert await cast.appointment_status() == "arrived"
    await cast.port.back_to_waiting(cast.room, patient, doctor)
    assert await refusal(cancel(cast)) is Code.WRONG_PHASE
    await cast.port.ended(cast.room, doctor, Outcome.SEEN)
    assert await refusal(mark_no_show(cast)) is Code.WRONG_PHASE, "they came"


async def test_who_waits_did_come_but_may_be_told_that_it_is_cancelled(cast: VisitCast) -> None:
    patient, _ = await waiting_patient(cast)
    assert await refusal(mark_no_show(cast)) is Code.WRONG_PHASE
    assert (await cast.participant(patient)).state == "waiting"
    await cancel(cast)
    assert (await cast.visit()).encounter.status == "cancelled"
    async with cast.database.reading() as session:
        found = await underway.load(session, cast.clinic.id, cast.appointment_id)
    assert found == underway.Underway()


async def test_letting_in_and_cancelling_at_once_one_of_them_comes_first(cast: VisitCast) -> None:
    doctor = await cast.place(Role.DOCTOR)
    patient, _ = await waiting_patient(cast)
    done = await asyncio.gather(cast.port.admitted(cast.room, patient, doctor), cancel(cast), return_exceptions=True)
    refused = [one for one in done if isinstance(one, BaseException)]
    assert len(refused) == 1
    assert isinstance(refused[0], Refused), refused[0]
    is_open = (await cast.visit()).encounter.status == "in-progress"
    assert refused[0].code is (Code.WRONG_PHASE if is_open else Code.VISIT_OVER)


async def test_a_page_from_before_the_patient_came_says_so_and_offers_it_no_more(house: House) -> None:
    cast = house.cast
    scheduler = await house.signed_in(cast.scheduler)
    page = f"/c/{cast.clinic.slug}/appointments/{cast.appointment_id}"
    house.clock.forward(minutes=1)
    assert f'action="{page}/no-show"' in await (await scheduler.get(page)).text()
    await open_visit(cast)
    forms = {
        "no-show": {},
        "cancel": {"why": "rang"},
        "move": {"slot": f"{cast.doctor}|2031-05-28T08:30:00Z", "sequence": "0"},
    }
    for name, form in forms.items():
        answer = await scheduler.post(f"{page}/{name}", form)
        text = await answer.text()
        assert answer.status == 409
        assert IN_VISIT in text
        assert "ring the clinic" not in text
        assert not any(f'{page}/{name}"' in text for name in forms)
        assert f'action="{page}/send-again"' in text
    assert (await cast.visit()).encounter.status == "in-progress"
